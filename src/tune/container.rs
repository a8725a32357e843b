//! Whether the host is a container, whose kernel is somebody else's to change.

use crate::host::Host;

/// The PID namespace that a kernel boots with has this number (`PROC_PID_INIT_INO`).
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// Files that runtimes leave: systemd and what it starts, Podman, Docker.
const SIGN_FILES: [&str; 3] = ["run/systemd/container", "run/.containerenv", ".dockerenv"];

/// Parts of the names of cgroups that runtimes make.
const SIGN_GROUPS: [&str; 6] = [
    "/docker",
    "/kubepods",
    "/libpod",
    "/lxc",
    "/containerd",
    "/machine.slice/",
];

/// What says that this is a container. One sign is enough: to refuse on a machine costs a
/// command, to change the host of others from inside costs them theirs.
pub(super) fn sign_of_container(host: &Host) -> Option<String> {
    if let Some(file) = SIGN_FILES.into_iter().find(|file| host.has(file)) {
        return Some(format!("/{file} exists"));
    }
    let namespace = std::fs::read_link(host.path("proc/self/ns/pid"));
    if let Ok(namespace) = namespace
        && namespace.to_string_lossy() != FIRST_PID_NAMESPACE
    {
        return Some("its processes have a PID namespace of their own".to_owned());
    }
    let groups = host.text("proc/self/cgroup").unwrap_or_default();
    let group = SIGN_GROUPS
        .into_iter()
        .find(|group| groups.contains(group))?;
    Some(format!("its cgroup is below {group}"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn one_sign_is_enough() {
        for (file, text, expected) in [
            ("proc/self/cgroup", "0::/user.slice/user-0.slice\n", None),
            (".dockerenv", "", Some("/.dockerenv exists")),
            ("run/.containerenv", "", Some("/run/.containerenv exists")),
            (
                "run/systemd/container",
                "lxc",
                Some("/run/systemd/container exists"),
            ),
            (
                "proc/self/cgroup",
                "0::/kubepods.slice/pod1\n",
                Some("its cgroup is below /kubepods"),
            ),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
            let sign = sign_of_container(&Host::below(dir.path()));
            assert_eq!(sign.as_deref(), expected, "{file} {text}");
        }
    }

    #[test]
    fn a_pid_namespace_of_its_own_is_a_sign() {
        for (link, expected) in [(FIRST_PID_NAMESPACE, false), ("pid:[4026532201]", true)] {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir_all(dir.path().join("proc/self/ns")).unwrap();
            std::os::unix::fs::symlink(link, dir.path().join("proc/self/ns/pid")).unwrap();
            let sign = sign_of_container(&Host::below(dir.path()));
            assert_eq!(sign.is_some(), expected, "{link}");
        }
    }
}
