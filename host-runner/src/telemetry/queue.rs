//! Lines on their way to a thread that writes them. Never blocks the caller: beyond its bounds it drops
//! lines, and the thread writes how many.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// Lines that wait: a few MiB, and many seconds of a busy log.
const LINES_MAX: usize = 8_192;
/// Longest wait for the last lines when the program ends.
const FLUSH_WITHIN: Duration = Duration::from_secs(1);

enum Entry {
    Line(Vec<u8>),
    /// Answered once every line before it is written.
    Flush(SyncSender<()>),
}

/// See the file's header.
pub(super) struct Queue {
    entries: SyncSender<Entry>,
    dropped: Arc<AtomicU64>,
}

impl Queue {
    /// Starts the thread. Without one, lines are dropped once the queue is full.
    pub(super) fn start(output: impl Write + Send + 'static) -> Self {
        let (entries, receiver) = sync_channel(LINES_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&dropped);
        let _no_thread =
            std::thread::Builder::new().name("log".into()).spawn(move || write(&receiver, &counted, output));
        Self { entries, dropped }
    }

    /// Hands over a line.
    pub(super) fn push(&self, line: Vec<u8>) {
        if let Err(TrySendError::Full(_)) = self.entries.try_send(Entry::Line(line)) {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Waits until the lines so far are written, at most [`FLUSH_WITHIN`].
    pub(super) fn flush(&self) {
        let (written, wait) = sync_channel(1);
        if self.entries.try_send(Entry::Flush(written)).is_ok() {
            let _too_slow = wait.recv_timeout(FLUSH_WITHIN);
        }
    }
}

fn write(entries: &Receiver<Entry>, dropped: &AtomicU64, mut output: impl Write) {
    for entry in entries {
        let missing = dropped.swap(0, Relaxed);
        if missing > 0 {
            let text = format!("{missing} lines of the log were dropped: they were not read in time\n");
            let _closed = output.write_all(text.as_bytes());
        }
        match entry {
            // A closed pipe ends the lines, not the program.
            Entry::Line(line) => drop(output.write_all(&line)),
            Entry::Flush(written) => drop(written.send(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::{LINES_MAX, Queue};

    /// Writes a line after each signal.
    struct Stalling {
        go: Receiver<()>,
        written: Sender<String>,
    }

    impl Write for Stalling {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ended = self.go.recv();
            let _nobody_reads = self.written.send(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_output_that_stalls_blocks_no_caller_and_dropped_lines_are_counted() {
        let ((tell, go), (written, lines)) = (channel(), channel());
        let queue = Queue::start(Stalling { go, written });
        // Would block here if the output could.
        for number in 0..LINES_MAX + 100 {
            queue.push(format!("line {number}\n").into_bytes());
        }
        for _ in 0..LINES_MAX + 200 {
            let _closed = tell.send(());
        }
        // As many as the queue held: from here on it has room.
        let mut written: Vec<String> = lines.iter().take(LINES_MAX).collect();
        queue.push(b"last\n".to_vec());
        written.extend(lines.iter().take_while(|line| line != "last\n"));
        assert!(written.iter().any(|line| line == "line 0\n"), "{:?}", written.first());
        let is_count = |line: &&String| line.contains("lines of the log were dropped");
        assert_eq!(written.iter().filter(is_count).count(), 1, "{} lines", written.len());
    }
}
