//! Checks of what the logs are written to: the file system of the data directory, and the
//! disks below it.

use std::path::{Path, PathBuf};

use crate::host::{Host, chosen};

use super::finding::{Change, Form, Severity, Verdict};
use super::machine::Machine;

/// What checks say that do not find the data directory's mount.
const NO_MOUNT: &str = "the mount of the data directory is not known";

/// What checks say that do not find a disk.
const NO_DISK: &str = "no disk of hardware is seen below the data directory";

/// File systems that logs were tried on.
const GOOD_FILE_SYSTEMS: [&str; 2] = ["xfs", "ext4"];

/// File systems that forget, that are the layer of a container, or whose promise of
/// durability is somebody else's.
const BAD_FILE_SYSTEMS: [&str; 10] = [
    "tmpfs", "ramfs", "overlay", "nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "fuse",
];

/// Room for 160 segments of the default size: time to act before bookings are refused.
const FREE_BYTES_MIN: u64 = 10_000_000_000;

/// Layers of device mapper and RAID that are looked through: LVM on encryption on RAID on
/// multipath is four.
const LAYERS_MAX: usize = 8;

/// Where the data directory is.
#[derive(Clone, Debug)]
pub(super) struct DataDisk {
    pub(super) file_system: String,
    /// The directories in /sys of the disks at the bottom, with their names.
    pub(super) disks: Vec<Disk>,
}

#[derive(Clone, Debug)]
pub(super) struct Disk {
    pub(super) name: String,
    folder: PathBuf,
}

impl DataDisk {
    /// Follows a directory to its mount and that to its disks.
    pub(super) fn of(host: &Host, directory: &Path) -> Option<Self> {
        let mounts = host.text("proc/self/mountinfo").ok()?;
        let mount = mounts
            .lines()
            .filter_map(Mount::parse)
            .filter(|mount| directory.starts_with(&mount.point))
            // Of several at one place the last hides the others.
            .max_by_key(|mount| mount.point.components().count())?;
        let mut disks = mount
            .device_folder(host)
            .map(|folder| disks_below(host, &folder, LAYERS_MAX))
            .unwrap_or_default();
        // Two partitions of one disk are one disk.
        disks.sort_by(|a, b| a.name.cmp(&b.name));
        disks.dedup_by(|a, b| a.name == b.name);
        Some(Self {
            file_system: mount.file_system,
            disks,
        })
    }
}

/// A line of /proc/self/mountinfo (proc_pid_mountinfo(5)).
struct Mount {
    device: String,
    point: PathBuf,
    file_system: String,
    source: String,
}

impl Mount {
    /// `22 27 0:21 / /proc rw,relatime shared:5 - proc proc rw`.
    fn parse(line: &str) -> Option<Self> {
        let (mount, of_system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(2);
        let (device, point) = (mount.next()?, mount.nth(1)?);
        let mut of_system = of_system.split(' ');
        Some(Self {
            device: device.to_owned(),
            point: PathBuf::from(unescaped(point)),
            file_system: of_system.next()?.to_owned(),
            source: of_system.next()?.to_owned(),
        })
    }

    /// The directory of the block device in /sys: by number, or, where the file system hides
    /// that (btrfs), by the name of its source.
    fn device_folder(&self, host: &Host) -> Option<PathBuf> {
        let by_number = Path::new("sys/dev/block").join(&self.device);
        let name = Path::new(&self.source).file_name()?;
        let by_name = Path::new("sys/class/block").join(name);
        [by_number, by_name]
            .into_iter()
            .find(|folder| host.has(folder))
    }
}

/// Spaces and the like are written as octal numbers, `\040`.
fn unescaped(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (octal, rest) = part.split_at_checked(3).unwrap_or((part, ""));
        match u8::from_str_radix(octal, 8) {
            Ok(byte) => plain.push(char::from(byte)),
            Err(_) => plain += octal,
        }
        plain += rest;
    }
    plain
}

/// The disks that a block device is made of, itself if it is one.
fn disks_below(host: &Host, folder: &Path, layers: usize) -> Vec<Disk> {
    // A partition's queue is that of the disk around it.
    let folder = if host.has(folder.join("partition")) {
        folder.join("..")
    } else {
        folder.to_owned()
    };
    let slaves = host.names(folder.join("slaves")).unwrap_or_default();
    if !slaves.is_empty() && layers > 0 {
        return slaves
            .iter()
            .flat_map(|slave| disks_below(host, &folder.join("slaves").join(slave), layers - 1))
            .collect();
    }
    if !host.has(folder.join("queue")) {
        return Vec::new();
    }
    let real = host.path(&folder).canonicalize();
    let name = real.ok().and_then(|path| {
        let name = path.file_name()?.to_string_lossy();
        Some(name.into_owned())
    });
    let name = name.unwrap_or_else(|| "disk".to_owned());
    vec![Disk { name, folder }]
}

impl Disk {
    /// Whether a hypervisor makes it: such a disk says that it rotates, whatever is below.
    fn is_virtual(&self) -> bool {
        self.name.starts_with("vd") || self.name.starts_with("xvd")
    }

    fn queue_file(&self, file: &str) -> PathBuf {
        self.folder.join("queue").join(file)
    }

    fn reads(&self, machine: &Machine, file: &str) -> Option<String> {
        machine.host.text(self.queue_file(file)).ok()
    }
}

fn disks(machine: &Machine) -> Option<&[Disk]> {
    let disks = &machine.disk.as_ref()?.disks;
    (!disks.is_empty()).then_some(disks)
}

pub(super) fn scheduler(machine: &Machine) -> Verdict {
    let recommended = "none, but for disks that rotate";
    let Some(disks) = disks(machine) else {
        return Verdict::unknown(NO_DISK, recommended);
    };
    let mut found = Vec::new();
    let mut changes = Vec::new();
    let mut has_failed = false;
    for disk in disks {
        let (Some(offered), Some(rotational)) = (
            disk.reads(machine, "scheduler"),
            disk.reads(machine, "rotational"),
        ) else {
            continue;
        };
        let current = chosen(&offered).unwrap_or("unknown").to_owned();
        let rotates = rotational == "1" && !disk.is_virtual();
        let kind = if rotates { ", rotating" } else { "" };
        found.push(format!("{}: {current}{kind}", disk.name));
        if rotates || current == "none" {
            continue;
        }
        has_failed = true;
        if offered.split_whitespace().any(|name| name == "none") {
            changes.push(Change {
                file: disk.queue_file("scheduler").to_string_lossy().into_owned(),
                from: current,
                to: "none".to_owned(),
                form: Form::Chosen,
            });
        }
    }
    if found.is_empty() {
        return Verdict::unknown("no disk tells its scheduler", recommended);
    }
    let found = found.join(", ");
    if !has_failed {
        return Verdict::fine(found, recommended);
    }
    let names: Vec<&str> = disks.iter().map(|disk| disk.name.as_str()).collect();
    let fix = format!("echo none > /sys/block/{}/queue/scheduler", names.join("|"));
    Verdict::failed(found, recommended, fix).with_changes(changes)
}

pub(super) fn write_cache(machine: &Machine) -> Verdict {
    let recommended = "as the device reports it";
    let Some(disks) = disks(machine) else {
        return Verdict::unknown(NO_DISK, recommended);
    };
    let mut found = Vec::new();
    let mut lies = Vec::new();
    for disk in disks {
        let Some(cache) = disk.reads(machine, "write_cache") else {
            continue;
        };
        found.push(format!("{}: {cache}", disk.name));
        // Only a device with a volatile cache has FUA; the kernel keeps it when somebody
        // overrides the cache.
        if cache == "write through" && disk.reads(machine, "fua").as_deref() == Some("1") {
            lies.push(disk.name.as_str());
        }
    }
    if found.is_empty() {
        return Verdict::unknown("no disk tells of its cache", recommended);
    }
    let found = found.join(", ");
    if lies.is_empty() {
        return Verdict::fine(found, recommended);
    }
    let fix = format!(
        "echo \"write back\" > /sys/block/{}/queue/write_cache, unless its maker vouches for its \
         power-loss protection",
        lies.join("|")
    );
    Verdict::failed(format!("{found}, set by hand"), recommended, fix)
}

pub(super) fn file_system(machine: &Machine) -> Verdict {
    let recommended = "xfs or ext4";
    let Some(disk) = &machine.disk else {
        return Verdict::unknown(NO_MOUNT, recommended);
    };
    let name = disk.file_system.as_str();
    if GOOD_FILE_SYSTEMS.contains(&name) {
        return Verdict::fine(name, recommended);
    }
    let fix = "put data_dir on a local disk with xfs or ext4 (in a container: a volume)";
    let failed = Verdict::failed(name, recommended, fix);
    let kind = name.split('.').next().unwrap_or(name);
    if BAD_FILE_SYSTEMS.contains(&kind) {
        return failed.of_severity(Severity::Must);
    }
    failed
}

pub(super) fn free_space(machine: &Machine) -> Verdict {
    let recommended = "10 GB or more";
    let (Some(free), Some(shards)) = (machine.calls.free_bytes, machine.shards()) else {
        return Verdict::unknown("only the running machine tells", recommended);
    };
    let found = format!("{}.{} GB", free / 1_000_000_000, free / 100_000_000 % 10);
    if free >= FREE_BYTES_MIN {
        return Verdict::fine(found, recommended);
    }
    let fix = "make room, or move data_dir; a full disk refuses bookings until there is room";
    let failed = Verdict::failed(found, recommended, fix);
    // The next segment of each shard: without it bookings are refused.
    if free < u64::from(shards) * machine.needs.segment_bytes {
        return failed.of_severity(Severity::Must);
    }
    failed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_escapes_become_characters() {
        for (text, expected) in [
            ("/plain", "/plain"),
            (r"/a\040b", "/a b"),
            (r"/a\134b\", r"/a\b"),
            (r"/a\zz", "/azz"),
        ] {
            assert_eq!(unescaped(text), expected, "{text}");
        }
    }
}
