//! Whether this machine can run the server, and if not, what exactly to change.
//!
//! Facts come in, sentences go out: no system call here, so each row of the table is tested.

use crate::boot::host::Host;
use std::fmt;

/// Linux 6.1, of December 2022, is the first with IORING_SETUP_DEFER_TASKRUN: completions then come only
/// when a core asks for them, which is what its loop is built on. Multishot receive, rings of provided
/// buffers and direct accepts are older. Every long-term kernel since has it.
pub const KERNEL_MIN: (u32, u32) = (6, 1);

/// Locked memory one core needs: its socket ring and its executor's three rings. Newer kernels charge
/// rings to the limit again.
pub const MEMLOCK_BYTES_PER_CORE: u64 = 512 * 1024;

/// Open files below which even a small service cannot be served: listeners, rings, log, HTTP.
pub const NOFILE_MIN: u64 = 256;

/// Open files below which a warning is due: a ring holds at most this many connections, and a core
/// takes some dozens of rings at most.
pub const NOFILE_COMFORTABLE: u64 = 4_096;

/// One thing the machine lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    pub what: String,
    /// A command or a change that mends it.
    pub remedy: String,
}

impl fmt::Display for Lack {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}\n  remedy: {}", self.what, self.remedy)
    }
}

/// What the probe found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Each of these stops the start.
    pub lacks: Vec<Lack>,
    /// Sentences for the log.
    pub warnings: Vec<String>,
}

/// Judges a machine for a node of this many cores.
pub fn judge(host: &Host, cores: usize) -> Verdict {
    let mut verdict = Verdict::default();
    let kernel = kernel(host);
    // An old kernel refuses the ring too; saying both would send the operator two ways.
    match kernel {
        Some(lack) => verdict.lacks.push(lack),
        None => verdict.lacks.extend(ring(host)),
    }
    verdict.lacks.extend(memlock(host, cores));
    verdict.lacks.extend(nofile(host));
    if host.nofile < NOFILE_COMFORTABLE {
        verdict.warnings.push(format!(
            "{} open files are allowed, which bounds the connections of each ring of a core; \
             more are better (ulimit -n 1048576, LimitNOFILE=1048576 in systemd)",
            host.nofile
        ));
    }
    verdict
}

fn lack(what: impl Into<String>, remedy: impl Into<String>) -> Lack {
    Lack { what: what.into(), remedy: remedy.into() }
}

/// `None` also when the version cannot be read: then the ring decides.
fn kernel(host: &Host) -> Option<Lack> {
    let found = version(&host.kernel)?;
    let (major, minor) = KERNEL_MIN;
    (found < KERNEL_MIN).then(|| {
        lack(
            format!(
                "Linux {} is too old: io_uring with deferred completions came with {major}.{minor}",
                host.kernel
            ),
            format!(
                "run on Linux {major}.{minor} or newer (Debian 12, Ubuntu 24.04, RHEL 10, Amazon \
                 Linux 2023 with kernel6.1); a container uses the kernel of its host"
            ),
        )
    })
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|character: char| !character.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn ring(host: &Host) -> Option<Lack> {
    let errno = host.ring.err()?;
    let disabled = host.io_uring_disabled.unwrap_or(0);
    Some(match errno {
        libc::EPERM | libc::EACCES if disabled > 0 => lack(
            format!(
                "io_uring is switched off on this machine: kernel.io_uring_disabled = {disabled}"
            ),
            "sysctl -w kernel.io_uring_disabled=0, and the same line in /etc/sysctl.d/ to keep it",
        ),
        libc::EPERM | libc::EACCES | libc::ENOSYS if host.seccomp => lack(
            "io_uring is blocked by a seccomp profile, as container engines do by default",
            "allow io_uring_setup, io_uring_enter and io_uring_register: with Docker or Podman \
             --security-opt seccomp=PROFILE.json (or seccomp=unconfined to try it), in Kubernetes \
             securityContext.seccompProfile {type: Localhost, localhostProfile: PROFILE.json}",
        ),
        libc::EPERM | libc::EACCES => lack(
            "io_uring is forbidden to this process, by a security module or the machine's policy",
            "allow io_uring to this user (SELinux: the io_uring class; see dmesg and the audit log)",
        ),
        libc::ENOSYS => lack(
            "this kernel has no io_uring: built without CONFIG_IO_URING, or emulated as by gVisor",
            "run on a kernel with CONFIG_IO_URING=y; gVisor and WSL 1 cannot run this server",
        ),
        libc::EINVAL => lack(
            format!("the io_uring of kernel {} lacks deferred completions", host.kernel),
            format!("run on Linux {}.{} or newer", KERNEL_MIN.0, KERNEL_MIN.1),
        ),
        libc::ENOMEM => lack(
            "the kernel gave no memory for an io_uring",
            "raise the locked-memory limit (ulimit -l unlimited; LimitMEMLOCK=infinity in systemd; \
             --ulimit memlock=-1 with Docker) or the container's memory limit",
        ),
        libc::EMFILE | libc::ENFILE => lack(
            "no file descriptor is left for an io_uring",
            "raise the open-files limit: ulimit -n 1048576, or LimitNOFILE=1048576 in systemd",
        ),
        other => lack(
            format!("io_uring_setup failed: {}", std::io::Error::from_raw_os_error(other)),
            "see dmesg; io_uring must be usable by this process",
        ),
    })
}

fn memlock(host: &Host, cores: usize) -> Option<Lack> {
    let needed = MEMLOCK_BYTES_PER_CORE * cores as u64;
    (!host.ipc_lock && host.memlock_bytes < needed).then(|| {
        let kib = needed / 1024;
        lack(
            format!(
                "{} KiB of memory may be locked, {cores} cores need {kib} KiB for their rings",
                host.memlock_bytes / 1024
            ),
            format!(
                "ulimit -l {kib} or more; LimitMEMLOCK=infinity in systemd; --ulimit memlock=-1 \
                 with Docker; or fewer cores with --cores"
            ),
        )
    })
}

fn nofile(host: &Host) -> Option<Lack> {
    (host.nofile < NOFILE_MIN).then(|| {
        lack(
            format!("{} open files are allowed, at least {NOFILE_MIN} are needed", host.nofile),
            "ulimit -n 1048576; LimitNOFILE=1048576 in systemd; --ulimit nofile=1048576 with Docker",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fine() -> Host {
        Host {
            kernel: "6.8.0-45-generic".to_owned(),
            ring: Ok(()),
            io_uring_disabled: Some(0),
            seccomp: false,
            memlock_bytes: 8 * 1024 * 1024,
            ipc_lock: false,
            nofile: 1_048_576,
        }
    }

    fn lacks(change: impl FnOnce(&mut Host)) -> Vec<Lack> {
        let mut host = fine();
        change(&mut host);
        judge(&host, 2).lacks
    }

    #[test]
    fn a_fine_machine() {
        assert_eq!(judge(&fine(), 2), Verdict::default());
    }

    #[test]
    fn kernels() {
        for (release, enough) in [
            ("6.1.0", true),
            ("6.1", true),
            ("6.18.44-fc-v445", true),
            ("7.0.0-rc1", true),
            ("6.0.19", false),
            ("5.15.0-100-generic", false),
            ("4.18.0-553.el8", false),
            ("unreadable", true),
        ] {
            let found = lacks(|host| host.kernel = release.to_owned());
            assert_eq!(found.is_empty(), enough, "{release}: {found:?}");
        }
    }

    #[test]
    fn an_old_kernel_is_told_once() {
        let found = lacks(|host| {
            host.kernel = "5.10.0".to_owned();
            host.ring = Err(libc::EINVAL);
        });
        assert_eq!(found.len(), 1);
        assert!(found[0].what.contains("5.10.0 is too old"));
    }

    #[test]
    fn each_way_a_ring_can_fail() {
        for (errno, disabled, seccomp, what, remedy) in [
            (libc::EPERM, Some(2), false, "io_uring_disabled = 2", "sysctl -w"),
            (libc::EPERM, Some(1), true, "io_uring_disabled = 1", "sysctl -w"),
            (libc::EPERM, Some(0), true, "seccomp", "--security-opt seccomp="),
            (libc::ENOSYS, Some(0), true, "seccomp", "seccompProfile"),
            (libc::EACCES, None, false, "security module", "SELinux"),
            (libc::ENOSYS, None, false, "no io_uring", "CONFIG_IO_URING"),
            (libc::EINVAL, Some(0), false, "deferred completions", "6.1"),
            (libc::ENOMEM, Some(0), false, "no memory", "LimitMEMLOCK"),
            (libc::EMFILE, Some(0), false, "file descriptor", "LimitNOFILE"),
            (libc::EIO, Some(0), false, "io_uring_setup failed", "dmesg"),
        ] {
            let found = lacks(|host| {
                host.ring = Err(errno);
                host.io_uring_disabled = disabled;
                host.seccomp = seccomp;
            });
            assert_eq!(found.len(), 1, "{errno}");
            assert!(found[0].what.contains(what), "{errno}: {}", found[0]);
            assert!(found[0].remedy.contains(remedy), "{errno}: {}", found[0]);
        }
    }

    #[test]
    fn locked_memory() {
        let needed = 2 * MEMLOCK_BYTES_PER_CORE;
        for (bytes, ipc_lock, enough) in [
            (needed, false, true),
            (needed - 1, false, false),
            (0, true, true),
            (u64::MAX, false, true),
        ] {
            let found = lacks(|host| {
                host.memlock_bytes = bytes;
                host.ipc_lock = ipc_lock;
            });
            assert_eq!(found.is_empty(), enough, "{bytes}");
        }
    }

    #[test]
    fn open_files() {
        let found = lacks(|host| host.nofile = NOFILE_MIN - 1);
        assert!(found[0].what.starts_with("255 open files"), "{}", found[0]);
        assert!(lacks(|host| host.nofile = NOFILE_MIN).is_empty());
        let mut host = fine();
        host.nofile = NOFILE_COMFORTABLE - 1;
        assert_eq!(judge(&host, 2).warnings.len(), 1);
    }
}
