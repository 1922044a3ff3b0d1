//! Messages of the server as text: in a few words for a case, in full for a comparison.

use std::collections::BTreeMap;

use super::frame::{Fields, Frame, visible};

/// A message in a few words, or none for those that only describe columns, parameters or settings.
///
/// `done INSERT 0 1`, `row a|b`, `error 42501`, `notice 25P01`, `ready T`, `parsed`, `bound`, `closed`,
/// `copy-in`, `copy-out`, `data text`, `copy-done`, `notify channel payload`,
/// `suspended`, `empty`, `function value`.
#[must_use]
pub fn brief(frame: &Frame) -> Option<String> {
    let mut fields = frame.fields();
    let text = match frame.tag {
        b'C' => format!("done {}", fields.string()),
        b'Z' => format!("ready {}", visible(fields.bytes(1))),
        b'E' => format!("error {}", sqlstate(frame)),
        b'N' => format!("notice {}", sqlstate(frame)),
        b'D' => format!("row {}", row(frame).join("|")),
        b'1' => "parsed".into(),
        b'2' => "bound".into(),
        b'3' => "closed".into(),
        b's' => "suspended".into(),
        b'I' => "empty".into(),
        b'G' => "copy-in".into(),
        b'H' => "copy-out".into(),
        b'W' => "copy-both".into(),
        b'c' => "copy-done".into(),
        b'd' => format!("data {}", visible(&frame.body).trim_end()),
        b'V' => format!(
            "function {}",
            fields.value().unwrap_or_else(|| "NULL".into())
        ),
        b'A' => {
            let _process = fields.int32();
            format!("notify {} {}", fields.string(), fields.string())
        }
        b'v' => format!("version {}", fields.int32()),
        b'T' | b't' | b'n' | b'S' => return None,
        other => format!("message {}", char::from(other)),
    };
    Some(text)
}

/// A message with every byte, but for what differs from run to run: the process id of a notification,
/// the object ids of tables in a RowDescription.
#[must_use]
pub fn full(frame: &Frame) -> String {
    match frame.tag {
        b'E' => format!("E {:?}", error_fields(frame)),
        b'N' => {
            // A notice that pgpawl gives in the server's place has no source position.
            let mut fields = error_fields(frame);
            fields.retain(|letter, _| !matches!(letter, 'F' | 'L' | 'R'));
            format!("N {fields:?}")
        }
        b'A' => brief(frame).unwrap_or_default(),
        b'T' => columns(frame),
        tag => format!("{} {}", char::from(tag), frame.body.escape_ascii()),
    }
}

/// The fields of an ErrorResponse or NoticeResponse by their letters.
#[must_use]
pub fn error_fields(frame: &Frame) -> BTreeMap<char, String> {
    let mut fields = frame.fields();
    let mut found = BTreeMap::new();
    loop {
        let letter = fields.bytes(1)[0];
        if letter == 0 {
            return found;
        }
        found.insert(char::from(letter), fields.string());
    }
}

/// The values of a DataRow; NULL as `NULL`.
#[must_use]
pub fn row(frame: &Frame) -> Vec<String> {
    let mut fields: Fields<'_> = frame.fields();
    let count = fields.int16();
    (0..count)
        .map(|_| fields.value().unwrap_or_else(|| "NULL".into()))
        .collect()
}

/// A RowDescription: for each column its name, whether it is a table's, and the rest of its bytes.
fn columns(frame: &Frame) -> String {
    let mut fields = frame.fields();
    let count = fields.int16();
    let column = |_| {
        let name = fields.string();
        let of = if fields.int32() == 0 {
            "no table"
        } else {
            "a table"
        };
        format!("{name} of {of} {}", fields.bytes(14).escape_ascii())
    };
    format!(
        "T {}",
        (0..count).map(column).collect::<Vec<_>>().join(", ")
    )
}

fn sqlstate(frame: &Frame) -> String {
    error_fields(frame)
        .remove(&'C')
        .unwrap_or_else(|| "without a code".into())
}
