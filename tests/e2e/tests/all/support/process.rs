//! One run of a program: started, fed, waited for with patience, remembered for the failure report.

use std::fmt;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

/// Longest run of a program before it is called hung.
const PATIENCE: Duration = Duration::from_secs(180);

/// A program that has ended.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) line: String,
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// The exit code; a panic if a signal ended it.
    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("ended by a signal\n{self}"))
    }

    /// Ended with this code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Run {
        assert_eq!(self.status.code(), Some(code), "another exit code\n{self}");
        self
    }

    /// Whether SIGKILL ended it.
    pub(crate) fn was_killed(&self) -> bool {
        self.status.signal() == Some(9)
    }

    /// Standard output as one JSON value.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is not JSON: {error}\n{self}"))
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = |text: &str| text.chars().take(8_000).collect::<String>();
        writeln!(f, "$ {}\n  {}", self.line, self.status)?;
        writeln!(f, "--- stdout\n{}\n--- stderr\n{}", cut(&self.stdout), cut(&self.stderr))
    }
}

/// A program under way; killed when dropped.
pub(crate) struct Running {
    line: String,
    child: Option<Child>,
    outputs: Vec<JoinHandle<Vec<u8>>>,
    closed: Receiver<()>,
}

fn drain(mut pipe: impl Read + Send + 'static, closed: std::sync::mpsc::Sender<()>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // Bytes read before a broken pipe count.
        let _ = pipe.read_to_end(&mut bytes);
        let _ = closed.send(());
        bytes
    })
}

impl Running {
    /// Starts a program with these bytes on standard input.
    pub(crate) fn start(mut command: Command, input: &[u8]) -> Running {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let line = words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{line}: {error}"));
        let mut stdin = child.stdin.take().expect("stdin");
        // A program that does not read its input may have ended already.
        let _ = stdin.write_all(input);
        drop(stdin);
        let (sender, closed) = channel();
        let outputs = vec![
            drain(child.stdout.take().expect("stdout"), sender.clone()),
            drain(child.stderr.take().expect("stderr"), sender),
        ];
        Running { line, child: Some(child), outputs, closed }
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        let child = self.child.as_mut().expect("a child");
        child.try_wait().expect("try_wait").is_some()
    }

    /// Its peak of resident memory until now; 0 when it has ended.
    #[allow(dead_code, reason = "the other binary of tests uses it")]
    pub(crate) fn peak_mib(&self) -> u64 {
        let id = self.child.as_ref().expect("a child").id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
        kib.unwrap_or_default() / 1024
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        let child = self.child.as_mut().expect("a child");
        child.kill().expect("kill");
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Run {
        for _ in 0..2 {
            if self.closed.recv_timeout(PATIENCE).is_err() {
                self.kill();
                panic!("{}: did not end within {PATIENCE:?}", self.line);
            }
        }
        let status = self.child.take().expect("a child").wait().expect("wait");
        let mut text = self
            .outputs
            .drain(..)
            .map(|output| String::from_utf8(output.join().expect("a reader")).expect("output is UTF-8"));
        let (stdout, stderr) = (text.next().expect("stdout"), text.next().expect("stderr"));
        drop(text);
        Run { line: self.line.clone(), status, stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
