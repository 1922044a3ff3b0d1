//! What holds for every text.

use std::sync::LazyLock;

use pgpawl_policy::explain::explain;
use pgpawl_policy::fingerprint::fingerprint;
use pgpawl_policy::screen::Screen;
use pgpawl_policy::statement::{Kind, Lexical, Odd, first_kind, statements};
use pgpawl_policy::{Guards, guard::GuardSet};
use proptest::prelude::*;

/// Texts made of what makes lexers stumble.
fn texts() -> impl Strategy<Value = Vec<u8>> {
    const PARTS: [&[u8]; 46] = [
        b"'",
        b"\"",
        b"$$",
        b"$a$",
        b"$",
        b"--",
        b"/*",
        b"*/",
        b"\n",
        b"\r",
        b" ",
        b";",
        b"(",
        b")",
        b"\\",
        b"E'",
        b"U&'",
        b"u&\"",
        b"X'",
        b"N'",
        b"+",
        b"<",
        b"@",
        b".",
        b"..",
        b"::",
        b"1",
        b"1e",
        b"$1",
        b"a",
        b"\xc3\xa9",
        b"\x83",
        b"create",
        b"function",
        b"begin",
        b"atomic",
        b"end",
        b"case",
        b"select",
        b"delete",
        b"do",
        b"as",
        b"execute",
        b"explain",
        b"prepare",
        b"schema_migrations",
    ];
    prop::collection::vec(
        prop_oneof![
            8 => prop::sample::select(PARTS.to_vec()).prop_map(<[u8]>::to_vec),
            1 => prop::collection::vec(any::<u8>(), 1..3),
        ],
        0..40,
    )
    .prop_map(|parts| parts.concat())
}

fn lexicals() -> impl Strategy<Value = Lexical> {
    (any::<bool>(), any::<bool>()).prop_map(|(standard_conforming_strings, ascii_safe)| Lexical {
        standard_conforming_strings,
        ascii_safe,
    })
}

static GUARDS: LazyLock<Guards> = LazyLock::new(Guards::builtin);
static SCREEN: LazyLock<Screen> =
    LazyLock::new(|| Screen::new(GUARDS.iter().map(|(id, guard)| (id, guard.table()))));

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn statements_are_in_order_and_inside(text in texts(), lexical in lexicals()) {
        let found = match statements(&text, lexical) {
            Ok(found) => found,
            Err(Odd::UnsafeEncoding) => {
                prop_assert!(!lexical.ascii_safe && !text.is_ascii());
                return Ok(());
            }
            Err(Odd::Unterminated) => return Ok(()),
        };
        let mut end = 0;
        for statement in &found {
            prop_assert!(end <= statement.range.start);
            prop_assert!(statement.range.start < statement.range.end);
            end = statement.range.end;
        }
        prop_assert!(end <= text.len());
    }

    #[test]
    fn a_statement_reads_the_same_alone(text in texts(), lexical in lexicals()) {
        for statement in statements(&text, lexical).unwrap_or_default() {
            let alone = statements(&text[statement.range.clone()], lexical).unwrap();
            prop_assert_eq!(alone.len(), 1);
            prop_assert_eq!(&alone[0].kind, &statement.kind);
            prop_assert_eq!(alone[0].effect, statement.effect);
        }
    }

    #[test]
    fn statements_of_a_concatenation(left in texts(), right in texts(), lexical in lexicals()) {
        let both = [left.as_slice(), b"\n;\n", &right].concat();
        let count = |text: &[u8]| statements(text, lexical).map(|found| found.len());
        // A body or a list that is still open on the left takes the semicolon in.
        if let (Ok(l), Ok(r), Ok(b)) = (count(&left), count(&right), count(&both)) {
            prop_assert!(b <= l + r);
            if !left.contains(&b'(') && !left.windows(6).any(|part| part == b"atomic") {
                prop_assert_eq!(b, l + r);
            }
        }
    }

    #[test]
    fn first_words_tell_the_kind(text in texts()) {
        let first = first_kind(&text);
        if let Ok(found) = statements(&text, Lexical::DEFAULT) {
            let kind = found.first().map_or(Kind::Other, |statement| statement.kind.clone());
            // Where a backslash may end a string elsewhere, it knows more.
            prop_assert!(first == kind || kind == Kind::Other && text.contains(&b'\\')
                || kind == Kind::Other && !text.is_ascii());
        }
    }

    #[test]
    fn a_name_is_found_wherever_it_stands(left in texts(), right in texts()) {
        for (id, guard) in GUARDS.iter() {
            for quote in ["\"", " ", "$$"] {
                let name = format!("{quote}{}{quote}", guard.table().to_ascii_uppercase());
                let text = [left.as_slice(), name.as_bytes(), &right].concat();
                prop_assert!(SCREEN.mentions(&text).contains(id));
            }
        }
    }

    #[test]
    fn nothing_panics(text in texts()) {
        let _ = fingerprint(&text);
        let explanation = explain(&SCREEN, |guard| format!("{guard:?}"), &text);
        let _ = explanation.to_string();
        prop_assert!(serde_json::to_string(&explanation).is_ok());
        if SCREEN.mentions(&text) == GuardSet::EMPTY {
            prop_assert!(explanation.statements.iter().all(|one| one.mentions.is_empty()));
        }
    }
}

#[test]
fn long_texts_take_linear_time() {
    for part in [
        "(",
        "/*",
        "'a' ",
        "$a$",
        "$",
        "$a",
        "u&",
        "--\n",
        "'\n",
        "a.",
        "\\",
        "(((",
        "+",
        "-+",
        "é\\-",
        "+/",
        "schema ",
        "--\nschema ",
        "owned/**/",
    ] {
        let text = part.repeat(1_000_000 / part.len());
        let _ = statements(text.as_bytes(), Lexical::DEFAULT);
        let _ = SCREEN.mentions(text.as_bytes());
        let _ = fingerprint(text.as_bytes());
    }
}
