//! Who uses the processors: PostgreSQL, the engine, or whoever drives the load. Read from /proc before and after a run.

use std::{fs, time::Duration};

/// Processor time so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cpu {
    pub(crate) postgres: Duration,
    pub(crate) engine: Duration,
    /// This process and the programs that it ran to their end, such as pgbench.
    pub(crate) driver: Duration,
}

impl Cpu {
    /// Zero for a process that does not exist.
    pub(crate) fn now(postmaster: u32, engine: u32) -> Self {
        let children = fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children"));
        let children = children.unwrap_or_default();
        let live = children.split_whitespace().filter_map(|id| id.parse().ok());
        // Of a server process that ended, the postmaster keeps the account.
        let postgres = live.map(with_the_ended).sum::<Duration>() + with_the_ended(postmaster);
        Self { postgres, engine: with_the_ended(engine), driver: with_the_ended(std::process::id()) }
    }

    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            postgres: self.postgres.saturating_sub(earlier.postgres),
            engine: self.engine.saturating_sub(earlier.engine),
            driver: self.driver.saturating_sub(earlier.driver),
        }
    }

    /// Mean number of processors in use during `took`: PostgreSQL's, the engine's, the driver's.
    pub(crate) fn cores(self, took: Duration) -> [f64; 3] {
        [self.postgres, self.engine, self.driver].map(|used| used.as_secs_f64() / took.as_secs_f64())
    }
}

/// User and system time of a process and of its children that ended and were waited for.
fn with_the_ended(process: u32) -> Duration {
    // Linux counts in hundredths of a second here, whatever its own clock does.
    const TICK: Duration = Duration::from_millis(10);
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The second field is a name in parentheses that may hold spaces; the times are fields 14 to 17.
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(4).filter_map(|field| field.parse::<u32>().ok());
    TICK * ticks.sum::<u32>()
}

/// Resident memory of a process in MiB: now, and the most that it ever was.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Resident {
    pub(crate) now: f64,
    pub(crate) peak: f64,
}

impl Resident {
    pub(crate) fn of(process: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let value = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            let kib = line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok());
            kib.unwrap_or_default() / 1_024.0
        };
        Self { now: value("VmRSS:"), peak: value("VmHWM:") }
    }
}
