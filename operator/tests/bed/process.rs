//! Processes that end with the test, however that ends, and what can be done to them.
//!
//! One watchdog, a shell, waits for the end of a pipe whose other side only this process holds; then it kills whoever
//! was entrusted to it and removes their files.

use std::{
    fs::File,
    io::Write as _,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU16, AtomicU32, Ordering},
    },
};

const WATCHDOG: &str = r#"
trap '' INT TERM HUP
pids=' ' folders=''
while read -r verb what; do
  case $verb in
    guard) pids="$pids$what " ;;
    forget) pids=$(printf '%s' "$pids" | sed "s/ $what / /") ;;
    remove) folders="$folders $what" ;;
  esac
done
for pid in $pids; do kill -9 "$pid" 2>/dev/null; done
sleep 0.2
rm -rf $folders
"#;

fn tell_watchdog(verb: &str, what: impl std::fmt::Display) {
    static WATCHDOG_PIPE: OnceLock<Mutex<ChildStdin>> = OnceLock::new();
    let pipe = WATCHDOG_PIPE.get_or_init(|| {
        let mut command = Command::new("sh");
        command.args(["-c", WATCHDOG]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Mutex::new(command.spawn().unwrap().stdin.unwrap())
    });
    writeln!(pipe.lock().unwrap_or_else(PoisonError::into_inner), "{verb} {what}").unwrap();
}

/// A folder that goes with its value, or with this process. Anybody may read it: PostgreSQL runs as its own user.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("payplane-bed-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        tell_watchdog("remove", path.display());
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What a failed test left is worth a look.
        if !(std::thread::panicking() && std::env::var_os("PAYPLANE_KEEP").is_some()) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// A process that is killed when its value goes.
#[derive(Debug)]
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts it; what it says goes to the end of a file.
    pub fn start(command: &mut Command, log: PathBuf) -> Self {
        let file = File::options().create(true).append(true).open(&log).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        tell_watchdog("guard", child.id());
        Self { child, log }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and the end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        tell_watchdog("forget", self.child.id());
    }

    /// Sends another signal, such as STOP, CONT or TERM.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// What it said so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Resident memory in KiB: now, and the most so far.
    pub fn resident(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let value = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
        };
        (value("VmRSS:"), value("VmHWM:"))
    }

    /// Processor time that it has used, in hundredths of a second.
    pub fn processor_time(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split_whitespace().collect();
        // utime and stime are the 14th and 15th field; the two before the state are cut off.
        fields.get(11..13).into_iter().flatten().filter_map(|text| text.parse::<u64>().ok()).sum()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let said = self.said();
            let end: Vec<&str> = said.lines().rev().take(25).collect();
            eprintln!("--- end of {}:", self.log.display());
            end.iter().rev().for_each(|line| eprintln!("{}", &line[..line.len().min(400)]));
        }
    }
}

/// A port that nobody listens at. Not one of those that the kernel gives to outgoing connections, of which tests make
/// thousands: one of them could have it before its server starts, or while the server is away.
pub fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 10_000;
    // Test programs that start one after the other have neighbouring ids, and begin far apart.
    const STRIDE: u32 = 211;
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let next = NEXT.get_or_init(|| AtomicU16::new(std::process::id().wrapping_mul(STRIDE) as u16));
    loop {
        let port = FIRST + next.fetch_add(1, Ordering::Relaxed) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Runs a program to its end and gives what it printed.
pub fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}
