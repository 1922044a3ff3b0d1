//! What the model server answers to the question.

use super::{
    data::{Done, Working},
    model::Model,
};

impl Model {
    /// The answer to the question: one history of the guard `rails`.
    pub(super) fn question(&mut self, text: &str) -> Done {
        if !self.readable {
            return Done::Error("42501");
        }
        if !text.contains(&format!("({}, 'schema_migrations'", super::rails())) {
            return Done::Tag("SELECT 0".into());
        }
        // What is asked before is read whole; a list of tables is not read; what is asked at the end is
        // read where it was touched or was read before.
        let lists = text.contains("ANY ('{}'::pg_catalog.oid[]) THEN 'untouched'");
        let changed = text.contains("f.touch OPERATOR(pg_catalog.=) ''");
        let before = text.contains("'{16384}'");
        let unread = if changed {
            !self.working.touched && !before
        } else {
            lists
        };
        let hex = |text: &str| {
            text.bytes()
                .map(|b| format!("{b:02x}"))
                .collect::<Vec<_>>()
                .concat()
        };
        let set: Vec<String> = self
            .working
            .data
            .versions
            .iter()
            .map(|v| format!(":{}:n", hex(v)))
            .collect();
        let set = format!("<row>\n  <v>{}</v>\n</row>\n", set.join(","));
        let guard = super::rails().to_string();
        let columns = [
            Some(guard),
            Some(hex("public")),
            Some(hex("schema_migrations")),
            Some("16384".into()),
            Some("16384".into()),
            Some("0".into()),
            Some("1/1".into()),
            Some(if self.working.touched { "ir" } else { "" }.into()),
            unread.then(|| "untouched".into()),
            (!unread).then_some(set),
        ];
        self.row(&columns);
        Done::Tag("SELECT 1".into())
    }

    /// A row of texts.
    pub(super) fn row(&mut self, columns: &[Option<String>]) {
        let mut body = u16::try_from(columns.len()).unwrap().to_be_bytes().to_vec();
        for column in columns {
            match column {
                None => body.extend_from_slice(&(-1i32).to_be_bytes()),
                Some(text) => {
                    body.extend_from_slice(&u32::try_from(text.len()).unwrap().to_be_bytes());
                    body.extend_from_slice(text.as_bytes());
                }
            }
        }
        self.frame(b'D', &body);
    }

    /// The row that comes with our settings: whether the transaction can be held, the server's time,
    /// whether the transaction has written anything, whether it changed the catalogs.
    pub(super) fn settings(&mut self) -> Done {
        let flag = |is: bool| if is { "t" } else { "f" };
        let counted = self.counted;
        let written = counted.touched || counted.altered || counted.wrote;
        let texts = [
            "0",
            "3",
            "pg_catalog",
            flag(!self.read_only),
            "1700000000000",
            flag(written),
            flag(counted.altered),
        ];
        self.row(&texts.map(|text| Some(text.to_owned())));
        Done::Tag("SELECT 1".into())
    }

    /// The check of a transaction's end: vetoes what may have touched the table.
    pub(super) fn check(&mut self) -> Done {
        if self.counted.touched || self.counted.altered {
            return Done::Error("22012");
        }
        self.row(&[Some("1".into())]);
        Done::Tag("SELECT 1".into())
    }

    /// Whether another session waits for what this one has locked.
    pub(super) fn waiters(&mut self) -> Done {
        let waits = if self.waited_for { "t" } else { "f" };
        self.row(&[Some(waits.to_owned())]);
        Done::Tag("SELECT 1".into())
    }

    /// What another session is answered: the committed set.
    pub fn look(&self, text: &str) -> Option<Vec<pgpawl_policy::question::Row>> {
        let mut other = Self::new(&[]);
        other.working = Working::of(&self.committed);
        other.question(text);
        let frame = other.output.get(5..).unwrap_or_default();
        let row = crate::wire::backend::data_row(frame).ok()?;
        Some(vec![row])
    }
}
