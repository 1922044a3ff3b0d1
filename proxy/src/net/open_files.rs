//! The limit of open files: a session has two.
use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the soft limit to the hard one, and warns when even that is too low.
pub fn raise(sessions_max: usize) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
    let wanted = u64::try_from(sessions_max)
        .unwrap_or(u64::MAX)
        .saturating_mul(2);
    if let Some(files) = getrlimit(Resource::Nofile)
        .current
        .filter(|files| *files < wanted)
    {
        tracing::warn!(
            files,
            sessions_max,
            "too few open files are allowed for `limits.sessions_max` (two per session)"
        );
    }
}
