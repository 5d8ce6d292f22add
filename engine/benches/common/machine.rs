//! What a reader has to know about the machine before comparing figures.

use std::{fs, os::unix::fs::FileExt as _, path::Path, process::Command, time::Instant};

use super::statistics::{Spread, quantile};

/// How many writes are timed. Each takes from a tenth of a millisecond to ten.
const WRITES: u32 = 500;

/// Facts for the head of a report.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) date: String,
    pub(crate) commit: String,
    pub(crate) processors: usize,
    pub(crate) processor: String,
    pub(crate) memory_gib: f64,
    pub(crate) kernel: String,
    /// Microseconds to make 8 kB durable: the least, the middle and the 99th of a hundred.
    pub(crate) fsync_us: (f64, f64, f64),
}

impl Machine {
    /// `directory` is on the disk that PostgreSQL uses.
    pub(crate) fn look(directory: &Path) -> Self {
        let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        let memory = field(&fs::read_to_string("/proc/meminfo").unwrap_or_default(), "MemTotal");
        let kib: f64 = memory.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or_default();
        Self {
            date: output_of("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
            commit: commit(),
            processors,
            processor: field(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default(), "model name"),
            memory_gib: kib / 1_024.0 / 1_024.0,
            kernel: output_of("uname", &["-sr"]),
            fsync_us: fsync_us(directory),
        }
    }
}

/// The commit, and whether the files differ from it.
fn commit() -> String {
    let commit = output_of("git", &["rev-parse", "--short=12", "HEAD"]);
    let changes = output_of("git", &["status", "--porcelain", "--untracked-files=no"]);
    if changes.is_empty() { commit } else { format!("{commit} with changes") }
}

/// One block over and over, as pg_test_fsync does it with fdatasync, PostgreSQL's default on Linux.
fn fsync_us(directory: &Path) -> (f64, f64, f64) {
    let path = directory.join("payplane-fsync");
    let file = fs::File::create(&path).unwrap();
    let block = [7; 8 * 1_024];
    let times = (0..WRITES).map(|_| {
        let started = Instant::now();
        file.write_all_at(&block, 0).unwrap();
        file.sync_data().unwrap();
        started.elapsed().as_secs_f64() * 1e6
    });
    let mut times: Vec<f64> = times.collect();
    let _ = fs::remove_file(&path);
    times.sort_by(f64::total_cmp);
    let Spread { min, median, .. } = Spread::of(times.iter().copied());
    (min, median, quantile(&times, 990))
}

/// The value of the first line `name : value`.
fn field(text: &str, name: &str) -> String {
    let value = text.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key.trim() == name);
    value.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
}

fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
