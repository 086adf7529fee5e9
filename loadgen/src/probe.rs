//! What a process costs, read from `/proc`: no agent, no rights beyond its owner's.

use std::path::PathBuf;
use std::{fs, io};

/// A process to watch; `own` is ourselves.
#[derive(Debug, Clone)]
pub struct Probe(Source);

#[derive(Debug, Clone)]
enum Source {
    Folder(String),
    /// Holds the id of the process that lives now; read at each look.
    File(PathBuf),
}

impl Probe {
    /// By process id. Fails at once when there is no such process.
    pub fn of(pid: u32) -> io::Result<Self> {
        let probe = Self(Source::Folder(format!("/proc/{pid}")));
        let tell = |error| io::Error::other(format!("process {pid}: {error}"));
        probe.cpu_ns().map_err(tell)?;
        Ok(probe)
    }

    /// By a number, or `@FILE` with the number in it, which may change when the server is started
    /// anew.
    pub fn parse(text: &str) -> io::Result<Self> {
        if let Some(path) = text.strip_prefix('@') {
            let probe = Self(Source::File(path.into()));
            probe.cpu_ns()?;
            return Ok(probe);
        }
        let wrong = |_| io::Error::other(format!("{text}: want a process id or @FILE"));
        Self::of(text.parse().map_err(wrong)?)
    }

    /// This process.
    pub fn own() -> Self {
        Self(Source::Folder("/proc/self".to_owned()))
    }

    fn folder(&self) -> io::Result<String> {
        match &self.0 {
            Source::Folder(folder) => Ok(folder.clone()),
            Source::File(path) => Ok(format!("/proc/{}", fs::read_to_string(path)?.trim())),
        }
    }

    /// Nanoseconds on a core, user and system, summed over its living threads: finer than the
    /// ticks of `stat`, but what a thread used is gone when it ends.
    pub fn cpu_ns(&self) -> io::Result<u64> {
        self.schedstat(0)
    }

    /// Nanoseconds its threads were ready to run and had no core: others were on it.
    pub fn starved_ns(&self) -> io::Result<u64> {
        self.schedstat(1)
    }

    fn schedstat(&self, field: usize) -> io::Result<u64> {
        let mut sum = 0;
        for task in fs::read_dir(format!("{}/task", self.folder()?))? {
            let text = match fs::read_to_string(task?.path().join("schedstat")) {
                Ok(text) => text,
                // A thread may end between the listing and the look, or between open and read.
                Err(error) if gone(&error) => continue,
                Err(error) => return Err(error),
            };
            let ns = text.split_whitespace().nth(field).and_then(|ns| ns.parse::<u64>().ok());
            sum += ns.unwrap_or(0);
        }
        Ok(sum)
    }

    /// Resident memory in bytes.
    pub fn resident_bytes(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("{}/status", self.folder()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
        let kib = kib.and_then(|kib| kib.parse::<u64>().ok());
        Ok(kib.ok_or_else(|| io::Error::other("no VmRSS"))? * 1_024)
    }
}

/// Whether a look at a task failed because the task has ended: its file is missing, or, once
/// opened, reading it answers ESRCH.
fn gone(error: &io::Error) -> bool {
    const ESRCH: i32 = 3;
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_itself_work() {
        let own = Probe::own();
        let before = own.cpu_ns().unwrap();
        let mut sum = 0u64;
        while own.cpu_ns().unwrap() < before + 1_000_000 {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(own.resident_bytes().unwrap() > 100_000);
        assert!(Probe::of(u32::MAX).is_err());
    }

    #[test]
    fn a_file_may_name_the_process() {
        let path = std::env::temp_dir().join(format!("nacre-pid-{}", std::process::id()));
        let name = format!("@{}", path.display());
        assert!(Probe::parse(&name).is_err() && Probe::parse("x").is_err());
        fs::write(&path, format!("{}\n", std::process::id())).unwrap();
        assert!(Probe::parse(&name).unwrap().resident_bytes().unwrap() > 100_000);
        fs::remove_file(path).unwrap();
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the thread is what is looked at")]
    fn threads_may_end_during_a_look() {
        let own = Probe::own();
        for _ in 0..2_000 {
            let short = std::thread::spawn(|| {});
            own.cpu_ns().expect("an ending thread is passed over");
            short.join().unwrap();
        }
    }
}
