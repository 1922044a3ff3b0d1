//! Reads Alembic's revision files; what they say is the policy's business.
use pgpawl_policy::{alembic, order::Graph};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Files of one configuration; OpenStack's largest project has under a thousand.
const FILES_MAX: usize = 100_000;

/// The graph of all revision files in `folders`.
///
/// # Errors
/// A sentence with the file that is wrong.
pub fn read<'a>(folders: impl IntoIterator<Item = &'a Path>) -> Result<Graph, String> {
    let mut texts = Vec::new();
    for folder in folders {
        for path in python_files(folder)? {
            if texts.len() >= FILES_MAX {
                return Err(format!("more than {FILES_MAX} revision files"));
            }
            texts.push((path.display().to_string(), text(&path)?));
        }
    }
    alembic::graph(
        texts
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str())),
    )
    .map_err(|error| error.to_string())
}

fn python_files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error| format!("cannot read the folder {}: {error}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "py") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn text(path: &Path) -> Result<String, String> {
    let unreadable = |error| format!("cannot read {}: {error}", path.display());
    let len = fs::metadata(path).map_err(unreadable)?.len();
    if usize::try_from(len).is_ok_and(|len| len <= alembic::FILE_LEN_MAX) {
        fs::read_to_string(path).map_err(unreadable)
    } else {
        Err(format!(
            "{} has more than {} bytes",
            path.display(),
            alembic::FILE_LEN_MAX
        ))
    }
}
