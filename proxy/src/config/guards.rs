//! Which tables are guarded and who gets which mode: the policy's part of the configuration.
use super::{
    gather::Said,
    mistake::Mistake,
    nearest::nearest,
    raw::{Paths, RawTool},
    revisions,
};
use pgpawl_policy::{
    guard::{Guard, Guards, RawGuard, Unknown},
    profile::{self, Kind, Profile},
    rule::{OneOrMany, RawRule, RuleMistake, Rules},
};
use std::{collections::BTreeSet, path::Path, sync::Arc};

/// All guards: the built-in ones as `[tool.NAME]` changes them, then the user's own.
pub fn guards(said: &Said, mistakes: &mut Vec<Mistake>) -> Guards {
    let usual = RawTool::default();
    let mut guards = Vec::new();
    for profile in profile::builtin() {
        let changes = said.raw.tool.get(&profile.tool).unwrap_or(&usual);
        if changes.enabled.unwrap_or(true) {
            guards.push(guard(said, profile, changes, mistakes));
        }
    }
    for (index, raw) in said.raw.guard.iter().enumerate() {
        guards.extend(own_guard(said, &format!("guard[{index}]"), raw, mistakes));
    }
    check_tools(said, mistakes);
    Guards::new(guards).unwrap_or_else(|error| {
        mistakes.push(said.mistake("guard", &error.to_string()));
        Guards::default()
    })
}

fn own_guard(said: &Said, key: &str, raw: &RawGuard, mistakes: &mut Vec<Mistake>) -> Option<Guard> {
    let mut wrong = |key: &str, text: &str| mistakes.push(said.mistake(key, text));
    let mut guard = match Guard::try_from(raw.clone()) {
        Ok(guard) => guard,
        Err(all) => {
            for mistake in all {
                wrong(key, &mistake.to_string());
            }
            return None;
        }
    };
    if said.raw.unknown == Some(Unknown::Refuse) {
        guard.unknown = Unknown::Refuse;
    }
    if let Some(folder) = &raw.revisions_dir {
        match revisions::read([said.path(folder.as_ref()).as_path()]) {
            Ok(graph) => guard.graph = Some(Arc::new(graph)),
            Err(text) => wrong(&format!("{key}.revisions_dir"), &text),
        }
    }
    Some(guard)
}

fn guard(
    said: &Said,
    profile: &Arc<Profile>,
    changes: &RawTool,
    mistakes: &mut Vec<Mistake>,
) -> Guard {
    let key = |field: &str| format!("tool.{}.{field}", profile.tool);
    let mut profile = Arc::clone(profile);
    for (field, name) in [("table", &changes.table), ("schema", &changes.schema)] {
        if let Some(wrong) = name.as_deref().and_then(wrong_name) {
            mistakes.push(said.mistake(&key(field), wrong));
        }
    }
    if let Some(table) = &changes.table {
        Arc::make_mut(&mut profile).table.clone_from(table);
    }
    let mut guard = Guard::new(profile);
    guard.schema.clone_from(&changes.schema);
    guard.unknown = changes.unknown.or(said.raw.unknown).unwrap_or_default();
    if let Some(paths) = &changes.revisions {
        if guard.profile.kind == Kind::Heads {
            guard.graph = graph(said, paths).map_or_else(
                |wrong| {
                    mistakes.push(said.mistake(&key("revisions"), &wrong));
                    None
                },
                |graph| Some(Arc::new(graph)),
            );
        } else {
            let text = "only a history of heads has revision files";
            mistakes.push(said.mistake(&key("revisions"), text));
        }
    }
    guard
}

fn graph(said: &Said, paths: &Paths) -> Result<pgpawl_policy::order::Graph, String> {
    let paths: &[_] = match paths {
        Paths::One(path) => std::slice::from_ref(path),
        Paths::Many(paths) => paths,
    };
    let paths: Vec<_> = paths.iter().map(|path| said.path(path)).collect();
    revisions::read(paths.iter().map(AsRef::<Path>::as_ref))
}

/// The screen and the question carry names as ASCII literals.
fn wrong_name(name: &str) -> Option<&'static str> {
    let plain = name
        .bytes()
        .all(|byte| byte.is_ascii() && byte != 0 && byte != b'\\');
    let fits = (1..=profile::NAME_LEN_MAX).contains(&name.len());
    (!(plain && fits)).then_some("a name has 1 to 63 ASCII characters, without NUL and backslash")
}

fn check_tools(said: &Said, mistakes: &mut Vec<Mistake>) {
    let builtin: BTreeSet<&str> = profile::builtin()
        .iter()
        .map(|profile| profile.tool.as_str())
        .collect();
    let own = said.raw.guard.iter().map(|guard| guard.tool.as_str());
    let all: BTreeSet<&str> = builtin.iter().copied().chain(own).collect();
    let mut check = |tools: &BTreeSet<&str>, key: &str, word: &str| {
        if !tools.contains(word) {
            let text = match nearest(word, tools.iter().copied()) {
                Some(meant) => format!("there is no tool {word:?}; did you mean {meant:?}?"),
                None => format!("there is no tool {word:?}; `pgpawl profiles` lists them"),
            };
            mistakes.push(said.mistake(key, &text));
        }
    };
    for word in said.raw.tool.keys() {
        check(&builtin, &format!("tool.{word}"), word);
    }
    for (index, rule) in said.raw.rule.iter().enumerate() {
        let words = match &rule.tool {
            None => &[],
            Some(OneOrMany::One(word)) => std::slice::from_ref(word),
            Some(OneOrMany::Many(words)) => words.as_slice(),
        };
        for word in words.iter().filter(|word| !word.contains('*')) {
            check(&all, &format!("rule[{index}].tool"), word);
        }
    }
}

/// The rules, with what stands outside of them as the last; what a rule leaves open is filled from
/// there too.
pub fn rules(said: &Said, mistakes: &mut Vec<Mistake>) -> Rules {
    let raw = &said.raw;
    let filled = raw
        .rule
        .iter()
        .cloned()
        .chain([RawRule::default()])
        .map(|rule| RawRule {
            mode: rule.mode.or(raw.mode),
            coverage: rule.coverage.or(raw.coverage),
            opaque: rule.opaque.or(raw.opaque),
            hold: rule.hold.or(raw.hold),
            ..rule
        });
    Rules::try_from(filled.collect::<Vec<_>>()).unwrap_or_else(|wrong| {
        for mistake in wrong {
            let (RuleMistake::BadClient { rule, .. } | RuleMistake::EmptyList { rule, .. }) =
                &mistake;
            let key = format!("rule[{}]", rule.saturating_sub(1));
            mistakes.push(said.mistake(&key, &mistake.to_string()));
        }
        Rules::default()
    })
}
