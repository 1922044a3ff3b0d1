//! First match wins.
use super::*;

fn rules(toml: &str) -> Result<Rules, Vec<RuleMistake>> {
    #[derive(Deserialize)]
    struct File {
        #[serde(default)]
        rule: Vec<RawRule>,
    }
    let file: File = toml::from_str(toml).unwrap();
    Rules::try_from(file.rule)
}

fn who(database: &str, user: &str, application_name: &str, client: &str) -> Who {
    Who {
        database: database.into(),
        user: user.into(),
        application_name: application_name.into(),
        client: client.parse().ok(),
    }
}

const RULES: &str = r#"
[[rule]]
user = "dba"
mode = "off"
[[rule]]
database = ["orders", "stage_*"]
tool = ["rails", "fly*"]
mode = "log"
[[rule]]
client = ["10.0.0.0/8", "::1"]
coverage = "statement"
unknown = "refuse"
[[rule]]
application_name = "psql"
tool = "*"
mode = "off"
"#;

#[test]
fn first_match_wins() {
    let rules = rules(RULES).unwrap();
    // database user application client | tool | mode coverage
    let table = "
        orders  dba  -    10.1.2.3   | rails   | Off Transaction
        orders  app  -    10.1.2.3   | rails   | Log Transaction
        stage_1 app  -    10.1.2.3   | flyway  | Log Transaction
        stage   app  -    10.1.2.3   | flyway  | Enforce Statement
        orders  app  -    10.1.2.3   | django  | Enforce Statement
        orders  app  -    10.1.2.3   | -       | Enforce Statement
        orders  app  -    11.1.2.3   | django  | Enforce Transaction
        other   app  -    ::1        | rails   | Enforce Statement
        other   app  -    ::2        | rails   | Enforce Transaction
        other   app  -    ::ffff:10.0.0.1 | rails | Enforce Statement
        other   app  psql unix       | rails   | Off Transaction
        other   app  psql unix       | -       | Enforce Transaction";
    for line in table.lines().filter(|l| !l.trim().is_empty()) {
        let parts: Vec<_> = line.split('|').collect();
        let w: Vec<_> = parts[0].split_whitespace().collect();
        let tool = Some(parts[1].trim()).filter(|t| *t != "-");
        let d = rules.decide(&who(w[0], w[1], w[2], w[3]), tool);
        assert_eq!(
            format!("{:?} {:?}", d.mode, d.coverage),
            parts[2].trim(),
            "{line}"
        );
    }
}

#[test]
fn inspects_unless_every_tool_is_off() {
    let rules = rules(RULES).unwrap();
    assert!(!rules.inspects(&who("orders", "dba", "", "")));
    assert!(rules.inspects(&who("orders", "app", "", "")));
    assert!(rules.inspects(&who("x", "app", "psql", "")));
    assert_eq!(
        rules.coverage(&who("x", "app", "", "11.0.0.1")),
        Coverage::Transaction
    );
    assert_eq!(
        rules.coverage(&who("x", "app", "", "10.0.0.1")),
        Coverage::Statement
    );
    assert_eq!(
        rules.coverage(&who("x", "dba", "", "10.0.0.1")),
        Coverage::Statement
    );
    assert!(Rules::default().inspects(&who("x", "y", "z", "")));
}

#[test]
fn mistakes_are_all_told() {
    let text = "[[rule]]\nclient = ['10.0.0.0/33', 'host', '::/129']\n[[rule]]\nuser = []";
    assert_eq!(rules(text).unwrap_err().len(), 4);
    assert_eq!(
        Rules::try_from(vec![RawRule {
            client: Some(OneOrMany::One("0.0.0.0/0".into())),
            mode: Some(Mode::Off),
            ..RawRule::default()
        }])
        .unwrap()
        .decide(&who("", "", "", "1.2.3.4"), None)
        .mode,
        Mode::Off
    );
}

#[test]
fn globs() {
    for (pattern, text, expected) in [
        ("*", "", true),
        ("a*c", "abbc", true),
        ("a*c", "abbcd", false),
        ("*a*b*", "xxaxxbxx", true),
        ("a**", "a", true),
        ("", "", true),
        ("", "a", false),
    ] {
        assert_eq!(
            glob(pattern.as_bytes(), text.as_bytes()),
            expected,
            "{pattern} {text}"
        );
    }
}
