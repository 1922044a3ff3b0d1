//! Writes whole lines on a thread of its own, so that a slow reader of stdout never holds a
//! session up. What doesn't fit is dropped and counted.
use crate::runtime;
use prometheus::IntCounter;
use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    time::Duration,
};
use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait: some MiB at the usual length.
const WAITING_MAX: usize = 8192;
/// The longest wait for the last lines before the process exits.
const FINISH_MAX: Duration = Duration::from_secs(2);

/// Where lines go.
#[derive(Debug)]
pub enum Sink {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file, appended to, opened anew on request so that it can be rotated.
    File(PathBuf, File),
}

impl Sink {
    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be opened for appending.
    pub fn file(path: &Path) -> io::Result<Self> {
        Ok(Self::File(path.to_owned(), appended(path)?))
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(line)?;
                out.flush()
            }
            Self::Stderr => io::stderr().lock().write_all(line),
            Self::File(_, file) => file.write_all(line),
        }
    }

    fn reopen(&mut self) {
        if let Self::File(path, file) = self
            && let Ok(new) = appended(path)
        {
            *file = new;
        }
    }
}

fn appended(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

enum Note {
    Line(Vec<u8>),
    Reopen,
    /// Answered when all lines before it are out.
    Finish(SyncSender<()>),
}

/// The end where lines are put in; clones share one queue.
#[derive(Clone, Debug)]
pub struct Lines {
    queue: SyncSender<Note>,
    dropped: IntCounter,
}

impl Lines {
    /// Starts the thread that writes to `sink`; lines that it cannot write count as `dropped`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn new(name: &str, sink: Sink, dropped: IntCounter) -> io::Result<Self> {
        let (queue, notes) = sync_channel(WAITING_MAX);
        let lost = dropped.clone();
        runtime::thread(name, move || write_all(&notes, sink, &lost))?;
        Ok(Self { queue, dropped })
    }

    /// Puts one line in, its newline included; never waits.
    pub fn put(&self, line: Vec<u8>) {
        if self.queue.try_send(Note::Line(line)).is_err() {
            self.dropped.inc();
        }
    }

    /// Opens the file anew.
    pub fn reopen(&self) {
        if self.queue.try_send(Note::Reopen).is_err() {
            self.dropped.inc();
        }
    }

    /// Waits until all lines are out, but not for ever.
    pub fn finish(&self) {
        let (done, answer) = sync_channel(1);
        if self.queue.try_send(Note::Finish(done)).is_ok() {
            // A reader that has not taken them by now never will.
            let _ = answer.recv_timeout(FINISH_MAX);
        }
    }
}

fn write_all(notes: &Receiver<Note>, mut sink: Sink, lost: &IntCounter) {
    for note in notes {
        match note {
            Note::Line(line) => {
                if sink.write(&line).is_err() {
                    lost.inc();
                }
            }
            Note::Reopen => sink.reopen(),
            // Who asked may have stopped waiting.
            Note::Finish(done) => drop(done.try_send(())),
        }
    }
}

/// One event of `tracing`, put in as a line when it is complete.
#[derive(Debug)]
pub struct Line {
    lines: Lines,
    text: Vec<u8>,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.text.is_empty() {
            self.lines.put(std::mem::take(&mut self.text));
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line {
            lines: self.clone(),
            text: Vec::new(),
        }
    }
}
