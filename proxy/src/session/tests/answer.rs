//! What the model server answers to the question.

use super::{
    data::{Done, Working},
    model::Model,
};

/// What a question asks for: lists with commas, where they are not NULL.
struct Asked<'a> {
    wanted: &'a str,
    only: Option<&'a str>,
    known: Option<&'a str>,
}

impl<'a> Asked<'a> {
    /// As it is executed, or in full.
    fn of(text: &'a str) -> Self {
        let plain = |term: &'a str| term.trim_matches(['\'', '{', '}']);
        let list = |term: &'a str| (term != "NULL").then(|| plain(term));
        let behind = |of: &'static str| {
            let behind = text.split(of).skip(1);
            behind.filter_map(|behind| behind.split("::").next())
        };
        let terms: Vec<&str> = if let Some((_, terms)) = text.split_once("_pgpawl_question(") {
            terms.trim_end_matches(')').split(", ").collect()
        } else {
            behind("g.i OPERATOR(pg_catalog.=) ANY (")
                .chain(behind("NOT c.oid OPERATOR(pg_catalog.=) ANY ("))
                .collect()
        };
        let [wanted, only, .., known] = terms.as_slice() else {
            panic!("no question: {text}");
        };
        Self {
            wanted: plain(wanted),
            only: list(only),
            known: list(known),
        }
    }
}

impl Model {
    /// The answer to the question: one history of the guard `rails`.
    pub(super) fn question(&mut self, text: &str) -> Done {
        if !self.readable {
            return Done::Error("42501");
        }
        let asked = Asked::of(text);
        let rails = super::rails().to_string();
        if !asked.wanted.split(',').any(|guard| guard == rails) {
            return Done::Tag("SELECT 0".into());
        }
        let listed = asked.only.is_some_and(str::is_empty);
        let known = asked.known.is_none_or(|oids| !oids.is_empty());
        let unread = listed || !known && !self.working.touched;
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
            .map(|v| format!(":{}:", hex(v)))
            .collect();
        let set = format!("<row>\n  <v>{}</v>\n</row>\n", set.join(","));
        let columns = [
            Some(rails),
            Some(hex("public")),
            Some(hex("schema_migrations")),
            Some("16384".into()),
            Some("16384".into()),
            Some(if self.working.touched { "1/1@00" } else { "0" }.into()),
            Some("1/1".into()),
            Some(if self.working.touched { "ir" } else { "" }.into()),
            Some(if unread { "untouched".into() } else { set }),
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

    /// The row that comes with our settings: whether the transaction changed the schema, the databases that it
    /// renamed (none), whether it makes code that an index calls (no), whether it can be held, whether it sees
    /// others and can write, the server's time, whether it has written anything, and changed the catalogs.
    pub(super) fn settings(&mut self) -> Done {
        const NULL: &str = "NULL";
        let flag = |is: bool| if is { "t" } else { "f" };
        let counted = self.counted;
        let written = counted.touched || counted.altered || counted.wrote;
        let texts = [
            "0",
            "3",
            flag(counted.altered),
            flag(counted.altered),
            "f",
            "",
            flag(written),
            flag(!self.read_only),
            NULL,
            flag(!self.read_only),
            NULL,
            "1700000000000",
            &counted.alters.to_string(),
        ];
        self.row(&texts.map(|text| (text != NULL).then(|| text.to_owned())));
        Done::Tag("SELECT 1".into())
    }

    /// The check: vetoes what may have touched the table, and of a light batch what has written anything.
    pub(super) fn check(&mut self, text: &str) -> Done {
        let light = !text.contains("GREATEST") || text.contains("'0'::pg_catalog.float8");
        let counted = self.counted;
        let wrote = counted.touched || counted.altered || counted.wrote;
        if counted.touched || counted.altered || light && wrote {
            return Done::Error("22012");
        }
        self.read_only |= !wrote;
        let process = if self.pooled { "7" } else { "1" };
        self.row(&["1", process].map(|column| Some(column.to_owned())));
        Done::Tag("SELECT 1".into())
    }

    /// The check of a record: vetoes what is more than versions that came since what is held was asked about.
    pub(super) fn footing(&mut self, text: &str) -> Done {
        let then = text.split('\'').nth(3).unwrap_or_default();
        let [alters, removed] = then.split(',').collect::<Vec<_>>()[..] else {
            panic!("no check of a record: {text}");
        };
        let began = self
            .saved("_pgpawl_held")
            .map(|at| &self.saved[at].1.data.versions);
        let added = began.is_some_and(|began| began.is_subset(&self.working.data.versions));
        if alters != self.counted.alters.to_string() || removed != "0" || !added {
            return Done::Error("22012");
        }
        self.records += 1;
        self.row(&[Some("1".into())]);
        Done::Tag("SELECT 1".into())
    }

    /// The check of a transaction's end within what is held: vetoes what has written anything.
    pub(super) fn inner_check(&mut self) -> Done {
        let began = self.saved("_pgpawl_held").map(|at| &self.saved[at].1);
        if began.is_none_or(|began| *began != self.working) {
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
