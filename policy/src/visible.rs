//! Which rows another transaction sees, as its snapshot says: where it keeps one (REPEATABLE READ), what others
//! have added since is neither seen nor removed by it.

/// The most transactions in progress that are named.
const IN_PROGRESS_MAX: usize = 4_096;

/// What a transaction's snapshot sees of a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Visible(String);

impl Visible {
    /// The snapshot as `pg_current_snapshot()` writes it, `xmin:xmax:xip,xip`; `None` if it is anything else.
    ///
    /// Of transactions in progress it has no subtransactions: their rows count as seen.
    #[must_use]
    pub fn of(snapshot: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(snapshot).ok()?;
        let mut parts = text.split(':');
        let (_, next, in_progress) = (parts.next()?, parts.next()?, parts.next()?);
        let next = short(next)?;
        let in_progress = in_progress.split(',').filter(|id| !id.is_empty());
        let in_progress: Vec<String> = in_progress
            .map(|id| short(id).map(|id| id.to_string()))
            .collect::<Option<_>>()?;
        if parts.next().is_some() || in_progress.len() > IN_PROGRESS_MAX {
            return None;
        }
        Some(Self(format!(
            "(pg_catalog.age(t.xmin) OPERATOR(pg_catalog.>) pg_catalog.age('{next}'::pg_catalog.xid) \
             AND t.xmin::pg_catalog.text OPERATOR(pg_catalog.<>) ALL ('{{{}}}'::pg_catalog.text[]))",
            in_progress.join(",")
        )))
    }

    /// Whether it sees the row `t`.
    pub(crate) fn condition(&self) -> &str {
        &self.0
    }
}

/// A transaction's id as rows have it, without its epoch.
fn short(id: &str) -> Option<u32> {
    let low = id.parse::<u64>().ok()? & u64::from(u32::MAX);
    u32::try_from(low).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_are_read_exactly() {
        let seen = Visible::of(b"4294967300:4294967310:4294967301,4294967305").unwrap();
        assert!(seen.condition().contains("age('14'::") && seen.condition().contains("'{5,9}'"));
        let none = Visible::of(b"7:7:").unwrap();
        assert!(none.condition().contains("age('7'::") && none.condition().contains("'{}'"));
        for odd in [
            &b""[..],
            b"7",
            b"7:7",
            b"7:7:;",
            b"7:a:",
            b"7:7:7:7",
            b"7:7:1,'",
            b"7:-1:",
        ] {
            assert_eq!(Visible::of(odd), None, "{odd:?}");
        }
    }
}
