//! Buffered writer of the log to standard error, which may be slow, stuck or full.
//!
//! Each log call copies its line into one buffer and returns. A thread writes the buffer, many
//! lines at a time. So a line costs its own bytes and, now and then, one wake-up. A terminal or
//! disk that stalls does not stall requests: lines that do not fit are dropped and counted.

use std::io::{self, Write};
use std::mem;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Limit of the buffer, in bytes. Beyond it lines are dropped.
const QUEUED_MAX: usize = 8 << 20;

/// Size of one write, in bytes, if lines come fast enough.
const WRITE_MAX: usize = 64 * 1024;

/// Longest time that a line waits for others.
const WRITE_DELAY: Duration = Duration::from_millis(20);

/// Longest time that the drop of [`LogWriter`] waits for the buffer to be written.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Handle that log lines are written to. Each write is one line.
#[derive(Clone)]
pub struct LogBuffer(Arc<Shared>);

/// Owner of the writing thread. When dropped, it writes the rest of the buffer; later lines are
/// lost. So it must be dropped last.
#[must_use = "log lines written after the drop are lost"]
pub struct LogWriter(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Notified when the buffer has its first line, when it has enough for one write, and at the
    /// end.
    filled: Condvar,
    /// Notified when the rest of the buffer is written.
    flushed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: QueuedLines,
    dropped: u64,
    end: End,
}

#[derive(Default)]
struct QueuedLines {
    bytes: Vec<u8>,
    lines: u64,
}

#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum End {
    #[default]
    Open,
    /// The thread must write the rest and end.
    Asked,
    Reached,
}

impl LogBuffer {
    /// Returns the number of lines that were not written: they came too fast, or writing failed.
    pub fn dropped(&self) -> u64 {
        self.0.state.lock().dropped
    }
}

impl Write for LogBuffer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.0.state.lock();
        let before = state.waiting.bytes.len();
        let after = before + line.len();
        if after > QUEUED_MAX || state.end != End::Open {
            state.dropped += 1;
            return Ok(line.len());
        }
        state.waiting.bytes.extend_from_slice(line);
        state.waiting.lines += 1;
        drop(state);
        if before == 0 || (before < WRITE_MAX && after >= WRITE_MAX) {
            self.0.filled.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl LogWriter {
    /// Starts the thread that writes to `sink`.
    pub fn start(sink: impl Write + Send + 'static) -> io::Result<(LogBuffer, Self)> {
        let shared = Arc::<Shared>::default();
        let thread = Arc::clone(&shared);
        thread::Builder::new().name("log".to_owned()).spawn(move || thread.write_to(sink))?;
        Ok((LogBuffer(Arc::clone(&shared)), Self(shared)))
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.end = End::Asked;
        self.0.filled.notify_one();
        self.0.flushed.wait_while_for(&mut state, |state| state.end != End::Reached, CLOSE_TIMEOUT);
    }
}

impl Shared {
    fn write_to(&self, mut sink: impl Write) {
        let mut taken = QueuedLines::default();
        while self.take(&mut taken) {
            let written = sink.write_all(&taken.bytes).and_then(|()| sink.flush());
            if written.is_err() {
                self.state.lock().dropped += taken.lines;
            }
            taken.lines = 0;
            taken.bytes.clear();
            // A buffer that grew in a flood is not kept.
            taken.bytes.shrink_to(2 * WRITE_MAX);
        }
        self.state.lock().end = End::Reached;
        self.flushed.notify_all();
    }

    /// Waits for lines, and a little for more of them. Returns `false` if no more lines will come.
    fn take(&self, taken: &mut QueuedLines) -> bool {
        let mut state = self.state.lock();
        let less_than = |size: usize| {
            move |state: &mut State| state.waiting.bytes.len() < size && state.end == End::Open
        };
        self.filled.wait_while(&mut state, less_than(1));
        self.filled.wait_while_for(&mut state, less_than(WRITE_MAX), WRITE_DELAY);
        mem::swap(&mut state.waiting, taken);
        taken.lines > 0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    /// Sink that waits at each write for its scripted result.
    struct Scripted {
        script: Receiver<io::Result<()>>,
        written: SyncSender<Vec<u8>>,
    }

    impl Write for Scripted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.written.send(bytes.to_vec()).unwrap();
            self.script.recv().unwrap_or(Ok(()))?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Parts {
        lines: LogBuffer,
        writer: LogWriter,
        script: SyncSender<io::Result<()>>,
        written: Receiver<Vec<u8>>,
    }

    fn parts() -> Parts {
        let (script, scripted) = sync_channel(8);
        let (told, written) = sync_channel(8);
        let (lines, writer) =
            LogWriter::start(Scripted { script: scripted, written: told }).unwrap();
        Parts { lines, writer, script, written }
    }

    #[test]
    fn what_waits_at_the_end_is_written_and_what_comes_later_is_counted() {
        let Parts { mut lines, writer, script, written } = parts();
        drop(script);
        lines.write_all(b"a\n").unwrap();
        lines.write_all(b"b\n").unwrap();
        drop(writer);
        let all: Vec<u8> = written.try_iter().flatten().collect();
        assert_eq!(all, b"a\nb\n");
        assert_eq!(lines.dropped(), 0);
        lines.write_all(b"c\n").unwrap();
        assert_eq!(lines.dropped(), 1);
    }

    #[test]
    fn a_stuck_sink_costs_lines_and_no_time() {
        let Parts { mut lines, writer, script, written } = parts();
        lines.write_all(b"first\n").unwrap();
        // From here on the write is under way, and does not end.
        assert_eq!(written.recv().unwrap(), b"first\n");
        let line = vec![b'x'; QUEUED_MAX / 4];
        for _ in 0..7 {
            lines.write_all(&line).unwrap();
        }
        assert_eq!(lines.dropped(), 3);
        drop(script);
        drop(writer);
        assert_eq!(written.try_iter().map(|bytes| bytes.len()).sum::<usize>(), QUEUED_MAX);
    }

    #[test]
    fn lines_that_could_not_be_written_are_counted_and_the_next_ones_are_tried() {
        let Parts { mut lines, writer, script, written } = parts();
        script.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
        let line = vec![b'x'; WRITE_MAX];
        lines.write_all(&line).unwrap();
        written.recv().unwrap();
        drop(script);
        lines.write_all(b"later\n").unwrap();
        drop(writer);
        assert_eq!(lines.dropped(), 1);
        assert_eq!(written.try_iter().last().unwrap(), b"later\n");
    }

    #[test]
    fn the_end_does_not_wait_for_ever() {
        let Parts { mut lines, writer, script, written } = parts();
        lines.write_all(b"first\n").unwrap();
        written.recv().unwrap();
        drop(writer);
        assert!(lines.0.state.lock().end == End::Asked);
        drop(script);
    }
}
