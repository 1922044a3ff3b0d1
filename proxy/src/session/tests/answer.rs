//! What the model server answers to the question.

use super::model::{Done, Model};

impl Model {
    /// The answer to the question: one history of the guard `rails`.
    pub(super) fn question(&mut self, text: &str) -> Done {
        if !self.readable {
            return Done::Error("42501");
        }
        if !text.contains(&format!("({}, 'schema_migrations'", super::rails())) {
            return Done::Tag("SELECT 0".into());
        }
        let hex = |text: &str| {
            text.bytes()
                .map(|b| format!("{b:02x}"))
                .collect::<Vec<_>>()
                .concat()
        };
        let set: Vec<String> = self
            .working
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
            None,
            Some(set),
        ];
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
        Done::Tag("SELECT 1".into())
    }
}
