//! The disk of the data directory.

use super::super::tree::mount;
use super::*;

const SCHEDULER: &str = "sys/devices/pci0/nvme0n1/queue/scheduler";

pub(super) const CASES: &[Case] = &[
    ("disk_file_system", |_| (), "ok xfs"),
    (
        "disk_file_system",
        |t| t.set("proc/self/mountinfo", &mount("0:40", "btrfs", "/dev/sda3")),
        "high btrfs",
    ),
    (
        "disk_file_system",
        |t| t.set("proc/self/mountinfo", &mount("0:41", "tmpfs", "tmpfs")),
        "must tmpfs",
    ),
    (
        "disk_file_system",
        |t| {
            t.set(
                "proc/self/mountinfo",
                &mount("0:42", "fuse.sshfs", "host:/"),
            );
        },
        "must fuse.sshfs",
    ),
    (
        "disk_file_system",
        |t| t.remove("proc/self/mountinfo"),
        "? the mount of the data directory is not known",
    ),
    ("disk_scheduler", |_| (), "ok nvme0n1: none"),
    (
        "disk_scheduler",
        |t| t.set(SCHEDULER, "none [mq-deadline]"),
        "high nvme0n1: mq-deadline => \
         /sys/dev/block/259:2/../queue/scheduler: mq-deadline -> none",
    ),
    (
        "disk_scheduler",
        |t| {
            t.set(SCHEDULER, "none [mq-deadline]");
            t.set("sys/devices/pci0/nvme0n1/queue/rotational", "1");
        },
        "ok nvme0n1: mq-deadline, rotating",
    ),
    (
        // btrfs on LVM on encryption on two partitions of one disk.
        "disk_scheduler",
        |t| {
            t.set(SCHEDULER, "none [kyber]");
            t.set("proc/self/mountinfo", &mount("0:44", "btrfs", "/dev/dm-1"));
            t.set("sys/devices/virtual/dm-1/queue/scheduler", "none");
            t.link("sys/class/block/dm-1", "../../devices/virtual/dm-1");
            t.link("sys/devices/virtual/dm-1/slaves/dm-0", "../../dm-0");
            t.set("sys/devices/pci0/nvme0n1/nvme0n1p3/partition", "3");
            t.link(
                "sys/devices/virtual/dm-0/slaves/nvme0n1p3",
                "../../../pci0/nvme0n1/nvme0n1p3",
            );
            t.link(
                "sys/devices/virtual/dm-0/slaves/nvme0n1p2",
                "../../../pci0/nvme0n1/nvme0n1p2",
            );
        },
        "high nvme0n1: kyber => /sys/class/block/dm-1/slaves/dm-0/slaves/nvme0n1p2/../queue/\
         scheduler: kyber -> none",
    ),
    (
        "disk_scheduler",
        |t| t.remove("sys/dev/block"),
        "? no disk of hardware is seen below the data directory",
    ),
    ("disk_write_cache", |_| (), "ok nvme0n1: write back"),
    (
        "disk_write_cache",
        |t| {
            t.set(
                "sys/devices/pci0/nvme0n1/queue/write_cache",
                "write through",
            );
            t.set("sys/devices/pci0/nvme0n1/queue/fua", "0");
        },
        "ok nvme0n1: write through",
    ),
    (
        "disk_write_cache",
        |t| {
            t.set(
                "sys/devices/pci0/nvme0n1/queue/write_cache",
                "write through",
            );
        },
        "high nvme0n1: write through, set by hand",
    ),
    (
        "disk_write_cache",
        |t| t.remove("sys/devices/pci0/nvme0n1/queue/write_cache"),
        "? no disk tells of its cache",
    ),
    ("disk_free_space", |_| (), "ok 900.0 GB"),
    (
        "disk_free_space",
        |t| t.calls.free_bytes = Some(9_990_000_000),
        "high 9.9 GB",
    ),
    (
        "disk_free_space",
        |t| t.calls.free_bytes = Some(3 * (64 << 20) - 1),
        "must 0.2 GB",
    ),
    (
        "disk_free_space",
        |t| t.calls.free_bytes = None,
        "? only the running machine tells",
    ),
];
