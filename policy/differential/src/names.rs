//! Guarded tables' names, and others near them, in the disguises that SQL has for names and strings.

use crate::random::Random;

/// The guarded tables, as the catalog has them; the last has as many bytes as a name can have.
pub const GUARDED: [&str; 6] = [
    "schema_migrations",
    "My_Version",
    "databasechangelog",
    "changes",
    "versión",
    "a23456789_b23456789_c23456789_d23456789_e23456789_f23456789_g23",
];

/// Names of others; some begin or end as a guarded one does.
const OTHERS: [&str; 10] = [
    "t",
    "other",
    "Other Table",
    "schema_migrations_old",
    "xchanges",
    "changes2",
    "my_version",
    "end",
    "a$b",
    "é",
];

/// A name, most often a guarded one, in one of its disguises.
pub fn name(random: &mut Random) -> String {
    let name = if random.percent(75) {
        random.one(&GUARDED)
    } else {
        random.one(&OTHERS)
    };
    let mut name = name.to_owned();
    if name.len() == 63 && random.percent(50) {
        name.push_str(random.one(&["x", "_and_more", "é", "0"]));
    }
    let folds =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_$".contains(c) || !c.is_ascii();
    match random.below(if name.chars().all(folds) { 10 } else { 5 }) {
        0..=2 => format!("\"{}\"", name.replace('"', "\"\"")),
        3 | 4 => unicode(&name, '"', random),
        5 | 6 => cased(&name, random),
        _ => name,
    }
}

/// Each letter large or small.
pub fn cased(word: &str, random: &mut Random) -> String {
    word.chars()
        .map(|c| {
            if random.percent(50) {
                c.to_ascii_uppercase()
            } else {
                c.to_ascii_lowercase()
            }
        })
        .collect()
}

/// `U&"..."` or `U&'...'`, with some characters escaped, perhaps by a character of one's own.
fn unicode(text: &str, quote: char, random: &mut Random) -> String {
    let own = random
        .percent(30)
        .then(|| *random.one(&[&'!', &'#', &'z', &'*']));
    let escape = own.unwrap_or('\\');
    let mut said = String::new();
    for c in text.chars() {
        let code = u32::from(c);
        match random.below(8) {
            0 => said.extend([format!("{escape}{code:04x}")]),
            1 => said.extend([format!("{escape}+{code:06X}")]),
            _ if c == escape || c == quote => said.extend([c, c]),
            _ => said.push(c),
        }
    }
    let prefix = random.one(&["U&", "u&"]);
    let end = own
        .map(|own| format!(" UESCAPE '{own}'"))
        .unwrap_or_default();
    format!("{prefix}{quote}{said}{quote}{end}")
}

/// What strings hold: what ends strings, comments and statements, names, and nothing much.
pub fn string(random: &mut Random) -> String {
    const INSIDE: [&str; 16] = [
        "",
        "a",
        ";",
        "'",
        "\"",
        "--",
        "/*",
        "*/",
        "$$",
        "\\",
        "\n",
        "delete from ",
        "x'",
        "E'",
        "é",
        " ",
    ];
    let mut inside = String::new();
    for _ in 0..random.below(4) {
        inside.push_str(random.one(&INSIDE));
        if random.percent(20) {
            inside.push_str(random.one(&GUARDED));
        }
    }
    quoted(&inside, random)
}

/// A text with code in it.
pub fn code(random: &mut Random) -> String {
    let name = name(random);
    let inside = match random.below(5) {
        0 => format!("BEGIN DELETE FROM {name}; COMMIT; END"),
        1 => format!("begin execute 'delete from {name}'; end"),
        2 => format!("delete from {name} where v = 'a;b' -- '\n"),
        3 => format!("SELECT \"{name}\" /* ' */"),
        _ => format!("x := $q$ {name} $q$;"),
    };
    quoted(&inside, random)
}

/// `inside` as a constant, in one of the ways to write it.
fn quoted(inside: &str, random: &mut Random) -> String {
    let doubled = inside.replace('\'', "''");
    match random.below(13) {
        0 | 1 => escaped(inside, random),
        2 => unicode(inside, '\'', random),
        3 => format!("{}'{doubled}'", random.one(&["N", "n"])),
        4 => random.one(&["X'1f'", "b'01'", "x'\\'", "B'\\'"]).to_owned(),
        5..=7 => {
            let tag = random.one(&["", "a", "_1", "é", "$", "q"]);
            format!("${tag}${inside}${tag}$")
        }
        8 | 9 => continued(&doubled, random),
        _ => format!("'{doubled}'"),
    }
}

/// `E'...'`.
fn escaped(inside: &str, random: &mut Random) -> String {
    let mut said = random.one(&["E'", "e'"]).to_owned();
    for c in inside.chars() {
        let code = u32::from(c);
        match random.below(12) {
            0 if c.is_ascii() => said.extend([format!("\\{code:03o}")]),
            1 if c.is_ascii() => said.extend([format!("\\x{code:02x}")]),
            2 => said.extend([format!("\\u{code:04x}")]),
            3 => said.extend([format!("\\U{code:08x}")]),
            4 => {
                said.push_str(gap(random));
                said.push_str(
                    c.encode_utf8(&mut [0; 4])
                        .replace('\'', "''")
                        .replace('\\', "\\\\")
                        .as_str(),
                );
            }
            _ if c == '\'' => said.push_str(random.one(&["''", "\\'"])),
            _ if c == '\\' => said.push_str("\\\\"),
            _ => said.push(c),
        }
    }
    said.push('\'');
    said
}

/// `'...'`, in pieces.
fn continued(doubled: &str, random: &mut Random) -> String {
    let mut said = "'".to_owned();
    let mut rest = doubled.chars().peekable();
    while let Some(c) = rest.next() {
        said.push(c);
        // A doubled quote stays together.
        if c == '\'' {
            said.extend(rest.next());
        } else if random.percent(15) {
            said.push_str(gap(random));
        }
    }
    said.push('\'');
    said
}

/// The end of a piece of a string, and the beginning of the next.
fn gap(random: &mut Random) -> &'static str {
    random.one(&[
        "'\n'",
        "' \r\t'",
        "' --;'\n'",
        "'\n-- '\n'",
        "'--\r'",
        "'\x0c\n\x0b'",
    ])
}
