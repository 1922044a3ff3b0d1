//! Revision files as people write them.
use super::*;
use crate::order::{Step, step};

fn edges(graph: &Graph) -> String {
    let mut edges: Vec<String> = graph
        .iter()
        .map(|(child, parents)| {
            let parents: Vec<_> = parents.iter().map(|p| String::from_utf8_lossy(p)).collect();
            format!("{}<{}", String::from_utf8_lossy(child), parents.join(","))
        })
        .collect();
    edges.sort();
    edges.join(" ")
}

/// The edges of files, each `revision = 'id'` and a text.
fn of(texts: &[&str]) -> Result<String, String> {
    let names: Vec<_> = (0..texts.len())
        .map(|i| format!("versions/{i}.py"))
        .collect();
    let files = names.iter().map(String::as_str).zip(texts.iter().copied());
    graph(files).map(|g| edges(&g)).map_err(|e| e.to_string())
}

const ROOT: &str = "revision = 'a'\ndown_revision = None\n";

#[test]
fn assignments_in_every_form() {
    let forms = [
        "revision = 'b'\ndown_revision = 'a'",
        "revision: str = \"b\"\ndown_revision: Union[str, None] = \"a\"\nbranch_labels: Union[str, Sequence[str], None] = None",
        "revision: str = 'b'\ndown_revision: str | Sequence[str] | None = ('a',)",
        "'''Doc\nrevision = 'x'\n'''\nfrom alembic import op\nrevision='b';down_revision=['a']",
        "revision = (\n    'b'  # why\n)\ndown_revision = {\n  \"a\",\n}\n",
        "revision = u'b'\ndown_revision = R'a'\n",
        "revision = \"\"\"b\"\"\"\ndown_revision = '' \\\n  'a'\n",
        "revision = 'b'\ndown_revision = 'a'\ndef upgrade():\n    down_revision = 'zz'\n    op.execute(f\"it's {x['y']}\")\n",
        "revision = 'b'\r\ndown_revision = 'a'\r\n",
        "\u{feff}revision = 'b'\ndown_revision = 'a'\ndepends_on = ()\n",
        "down_revision = 'q'\nrevision = 'b'\ndown_revision = 'a'\nx = {'revision': 1}\n",
        "revision = 'b'\ndown_revision = 'a'\n\ndef f():\n    return '\n",
    ];
    for form in forms {
        assert_eq!(of(&[ROOT, form]), Ok("a< b<a".into()), "{form}");
    }
}

#[test]
fn merges_dependencies_and_labels() {
    let files = [
        ROOT,
        "revision='r4a'\ndown_revision='a'",
        "revision='r4b'\ndown_revision='a'",
        "revision='r5m'\ndown_revision=('r4a', 'r4b')",
        "revision='x1'\ndown_revision=None\nbranch_labels=('extra',)",
        "revision='r6'\ndown_revision='r5m'\ndepends_on='extra'",
        "revision='x2'\ndown_revision='x1'\ndepends_on=['r5']",
    ];
    let expected = "a< r4a<a r4b<a r5m<r4a,r4b r6<r5m,x1 x1< x2<r5m,x1";
    assert_eq!(of(&files), Ok(expected.into()));
    let names: Vec<_> = files.iter().map(|t| ("v.py", *t)).collect();
    let graph = graph(names).unwrap();
    let set = |w: &str| {
        w.split(' ')
            .map(|w| w.as_bytes().into())
            .collect::<BTreeSet<Version>>()
    };
    assert_eq!(step(&[&graph], &set("r4a r4b"), &set("r5m")), Step::Covers);
    assert_eq!(step(&[&graph], &set("r5m"), &set("r4a r4b")), Step::Loses);
    assert_eq!(step(&[&graph], &set("x1 r5m"), &set("r6")), Step::Covers);
}

#[test]
fn errors_name_file_and_line() {
    let table: [(&[&str], &str); 10] = [
        (
            &["revision = 'b\ndown_revision = None"],
            "versions/0.py:1: a string has no end on its line",
        ),
        (
            &["\n\nrevision = make()\ndown_revision = None"],
            "versions/0.py:3: not a literal string, list of strings or None",
        ),
        (
            &["revision = f'{x}'\ndown_revision = None"],
            "versions/0.py:1: not a literal string, list of strings or None",
        ),
        (
            &["down_revision = None"],
            "versions/0.py: no revision is assigned at the top level",
        ),
        (
            &["revision = 'b'"],
            "versions/0.py: no down_revision is assigned at the top level",
        ),
        (
            &["revision = ('b', 'c')\ndown_revision = None"],
            "versions/0.py:1: revision is not one string",
        ),
        (
            &[ROOT, ROOT],
            "versions/1.py: revision a is also in another file",
        ),
        (
            &["revision = 'b'\ndown_revision = 'gone'"],
            "versions/0.py: gone is not a revision of these files",
        ),
        (
            &[
                "revision = 'b'\ndown_revision = 'c'",
                "revision = 'c'\ndown_revision = 'b'",
            ],
            "the ancestors of revision b lead back to it",
        ),
        (
            &["revision = ('b'\ndown_revision = None"],
            "versions/0.py:1: a bracket is not closed",
        ),
    ];
    for (files, expected) in table {
        assert_eq!(of(files), Err(expected.into()));
    }
}

#[test]
fn other_files_are_passed_over() {
    let files = [
        ("__init__.py", "("),
        (".#a.py", "("),
        ("a.pyc", "("),
        ("README", "("),
        ("v/a.py", ROOT),
    ];
    assert_eq!(edges(&graph(files).unwrap()), "a<");
}
