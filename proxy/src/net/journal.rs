//! The state file: observed steps, one line each, durable before the commit that they describe.
//!
//! Append-only. A torn last line is cut off at load. When most lines say nothing new any more, the
//! file is written anew beside the old one and renamed over it.
use crate::{config::StateFile, error::Error};
use pgpawl_policy::observed::{BrokenLine, Loaded, Observed};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// Lines that may be added to a compact file before it is compacted again.
const ADDED_MAX: usize = 50_000;

/// The open state file; this process has it alone.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    added: usize,
}

/// Opens the state file and reads it.
///
/// # Errors
/// When a file that the configuration names cannot be used, or any is damaged.
pub fn open(state: &StateFile) -> Result<(Option<Journal>, Observed), Error> {
    let empty = || (None, Observed::default());
    match state {
        StateFile::Off => Ok(empty()),
        StateFile::Named(path) => {
            let (journal, observed) = Journal::open(path).map_err(|why| unusable(path, why))?;
            Ok((Some(journal), observed))
        }
        StateFile::Usual(path) => match Journal::open(path) {
            Ok((journal, observed)) => Ok((Some(journal), observed)),
            Err(why) if why.kind() == io::ErrorKind::InvalidData => Err(unusable(path, why)),
            Err(error) => {
                tracing::warn!(
                    path = %path.display(), %error,
                    "observed histories are kept in memory only; set `state_file` to keep them"
                );
                Ok(empty())
            }
        },
    }
}

fn unusable(path: &Path, source: io::Error) -> Error {
    Error::File {
        what: "cannot use the state file",
        key: "state_file",
        path: path.into(),
        source,
    }
}

impl Journal {
    fn open(path: &Path) -> io::Result<(Self, Observed)> {
        if let Some(folder) = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(path)?;
        lock(&file)?;
        let Loaded { observed, good_len } = read(&mut file)?;
        let good_len = u64::try_from(good_len).map_err(io::Error::other)?;
        if file.metadata()?.len() > good_len {
            tracing::warn!(path = %path.display(), "the state file ended in a torn line; it was cut off");
            file.set_len(good_len)?;
            file.sync_all()?;
        }
        sync_folder(path)?;
        let inner = Mutex::new(Inner { file, added: 0 });
        Ok((
            Self {
                path: path.to_owned(),
                inner,
            },
            observed,
        ))
    }

    /// Adds one line and waits until it is on the disk. Blocks.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&self, line: &str) -> io::Result<()> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.added >= ADDED_MAX {
            inner.file = compacted(&self.path)?;
            inner.added = 0;
        }
        let good_len = inner.file.metadata()?.len();
        let written = inner
            .file
            .write_all(format!("{line}\n").as_bytes())
            .and_then(|()| inner.file.sync_data());
        if written.is_err() {
            // Half a line in the middle of the file would be damage, not a torn end.
            inner.file.set_len(good_len)?;
        }
        inner.added += 1;
        written
    }
}

fn lock(file: &File) -> io::Result<()> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => {
            io::Error::new(io::ErrorKind::ResourceBusy, "another pgpawl uses it")
        }
        TryLockError::Error(error) => error,
    })
}

fn read(file: &mut File) -> io::Result<Loaded> {
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Observed::load(&text).map_err(|BrokenLine { line }| {
        let advice =
            format!("line {line} is damaged: repair it, or move the file away to begin a new one");
        io::Error::new(io::ErrorKind::InvalidData, advice)
    })
}

/// Writes the fewest lines that say the same and puts them in place of the old file.
fn compacted(path: &Path) -> io::Result<File> {
    let lines = read(&mut File::open(path)?)?.observed.compacted();
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .append(true)
        .open(&beside)?;
    lock(&file)?;
    file.set_len(0)?;
    let mut text = lines.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    sync_folder(path)?;
    Ok(file)
}

/// A new name in a folder is durable only when the folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_end_is_cut_off_and_a_second_process_kept_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/observed.jsonl");
        drop(Journal::open(&path).unwrap());
        fs::write(&path, "{\"sum\":\"00").unwrap();
        let (_journal, _) = Journal::open(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"");
        let second = Journal::open(&path).unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::ResourceBusy);
    }

    #[test]
    fn damage_in_the_middle_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("observed.jsonl");
        fs::write(&path, "nonsense\nnonsense\n").unwrap();
        let error = open(&StateFile::Usual(path)).unwrap_err().to_string();
        assert!(error.contains("line 1 is damaged"), "{error}");
    }

    #[test]
    fn compaction_keeps_the_file_usable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("observed.jsonl");
        let (journal, _) = Journal::open(&path).unwrap();
        journal.inner.lock().unwrap().added = ADDED_MAX;
        journal.append("{\"sum\":\"torn").unwrap();
        drop(journal);
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"sum\":\"torn\n");
        assert!(!folder.path().join("observed.new").exists());
    }
}
