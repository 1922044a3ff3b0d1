//! What processes used, as `/proc` tells: CPU time of all their threads, resident memory.

use std::io;
use std::path::PathBuf;
use std::time::Duration;
use std::{fs, ops};

use pgpawl_integration_tests::wait;
use serde::Serialize;

/// How long the children of a process may take to end once their clients are gone.
const CHILDREN_END_MAX: Duration = Duration::from_mins(1);

/// CPU time.
#[derive(Clone, Copy, Default, PartialEq, Debug, Serialize)]
pub struct Cpu {
    /// Seconds in the program's own code.
    pub user: f64,
    /// Seconds in the kernel for it.
    pub sys: f64,
}

impl Cpu {
    /// Both together.
    pub fn sum(self) -> f64 {
        self.user + self.sys
    }
}

impl ops::Sub for Cpu {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            user: self.user - earlier.user,
            sys: self.sys - earlier.sys,
        }
    }
}

/// What a process used so far, threads that ended included, its children not.
///
/// # Errors
/// When it is gone.
pub fn cpu(process: u32) -> io::Result<Cpu> {
    let fields = stat(process)?;
    Ok(Cpu {
        user: fields[UTIME],
        sys: fields[STIME],
    })
}

/// What a process used so far together with those of its children that ended and were waited for.
///
/// # Errors
/// When it is gone.
pub fn cpu_with_ended_children(process: u32) -> io::Result<Cpu> {
    let fields = stat(process)?;
    Ok(Cpu {
        user: fields[UTIME] + fields[CUTIME],
        sys: fields[STIME] + fields[CSTIME],
    })
}

/// Places in what `stat` gives: proc(5), fields 14 to 17.
const UTIME: usize = 0;
const STIME: usize = 1;
const CUTIME: usize = 2;
const CSTIME: usize = 3;

/// The four times of `/proc/PID/stat`, in seconds.
fn stat(process: u32) -> io::Result<[f64; 4]> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    times(&text, ticks_per_second()).ok_or_else(|| io::Error::other("/proc/PID/stat is strange"))
}

fn times(stat: &str, ticks_per_second: f64) -> Option<[f64; 4]> {
    // The second field is the program's name in parentheses, which may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let mut next = || Some(fields.next()?.parse::<f64>().ok()? / ticks_per_second);
    Some([next()?, next()?, next()?, next()?])
}

fn ticks_per_second() -> f64 {
    crate::number::real(rustix::param::clock_ticks_per_second())
}

/// A process's children, ended ones that nobody waited for included.
pub fn children(process: u32) -> usize {
    let path = format!("/proc/{process}/task/{process}/children");
    let list = fs::read_to_string(path).unwrap_or_default();
    list.split_ascii_whitespace().count()
}

/// Waits until a process has at most `count` children. That it has more is then part of the figures.
pub fn wait_for_children(process: u32, count: usize) -> io::Result<()> {
    wait::within(CHILDREN_END_MAX, || {
        (children(process) <= count).then_some(())
    })
    .ok_or_else(|| io::Error::other("the server's backends do not end"))
}

/// Resident memory now, in KiB.
pub fn resident_kib(process: u32) -> io::Result<u64> {
    status_kib(process, "VmRSS:")
}

/// The highest resident memory so far, in KiB.
pub fn peak_kib(process: u32) -> io::Result<u64> {
    status_kib(process, "VmHWM:")
}

fn status_kib(process: u32, name: &str) -> io::Result<u64> {
    let path = PathBuf::from(format!("/proc/{process}/status"));
    let text = fs::read_to_string(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok());
    value.ok_or_else(|| io::Error::other(format!("no {name} in /proc/PID/status")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_a_program_may_hold_parentheses_and_blanks() {
        let stat = "42 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 100 200 300 400 20 0 1";
        assert_eq!(times(stat, 100.0), Some([1.0, 2.0, 3.0, 4.0]));
        assert_eq!(times("42 (a) S 1 2", 100.0), None);
    }

    #[test]
    fn our_own_use_grows() {
        let me = std::process::id();
        let before = cpu(me).expect("we live");
        let used = wait::within(Duration::from_secs(20), || {
            let busy: u64 = (0..1_000_000_u64).map(std::hint::black_box).sum();
            assert!(busy > 0);
            ((cpu(me).expect("we live") - before).sum() > 0.0).then_some(())
        });
        assert!(used.is_some());
        assert!(resident_kib(me).expect("we live") <= peak_kib(me).expect("we live"));
    }
}
