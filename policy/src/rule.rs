//! Who gets which mode and coverage: first match wins, as in `pg_hba.conf`.
use std::net::IpAddr;

use serde::Deserialize;

use crate::{guard::Unknown, hold::Hold};

/// Whose session it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Who {
    /// The database of the startup packet.
    pub database: String,
    /// The user of the startup packet.
    pub user: String,
    /// The `application_name` that the server last reported, or that the startup packet asked for.
    pub application_name: String,
    /// The client's address; none over a Unix socket.
    pub client: Option<IpAddr>,
}

/// What pgpawl does with a lowering.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Refuses it.
    Enforce,
    /// Lets it pass and says so.
    Log,
    /// Does not look.
    Off,
}

/// Which transactions are checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Coverage {
    /// Those with a statement that may concern a guarded table.
    Statement,
    /// All that wrote anything.
    Transaction,
}

/// What becomes of a write to a guarded table that no statement named.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Opaque {
    /// It is compared with what is committed, like any other.
    #[default]
    Check,
    /// It is refused, whatever it does.
    Refuse,
}

/// What a session gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decision {
    /// What becomes of a lowering.
    pub mode: Mode,
    /// Which transactions are checked.
    pub coverage: Coverage,
    /// What happens to a step of unknown direction; none: as the guard says.
    pub unknown: Option<Unknown>,
    /// What becomes of a write that no statement named.
    pub opaque: Opaque,
    /// Which commits of a migration run are held until its record comes.
    pub hold: Hold,
}

impl Default for Decision {
    fn default() -> Self {
        Self {
            mode: Mode::Enforce,
            coverage: Coverage::Transaction,
            unknown: None,
            opaque: Opaque::Check,
            hold: Hold::Schema,
        }
    }
}

/// One word or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(word) => vec![word],
            Self::Many(words) => words,
        }
    }
}

/// A rule as the configuration says it. A field that is left out matches everything.
#[derive(Clone, Default, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRule {
    /// Databases, with `*` for any run of characters.
    pub database: Option<OneOrMany>,
    /// Users.
    pub user: Option<OneOrMany>,
    /// Application names. The client chooses its own: no basis for trust.
    pub application_name: Option<OneOrMany>,
    /// Addresses or networks (CIDR).
    pub client: Option<OneOrMany>,
    /// Tools, by their profiles' names.
    pub tool: Option<OneOrMany>,
    /// The mode; enforce when left out.
    pub mode: Option<Mode>,
    /// The coverage; transaction when left out.
    pub coverage: Option<Coverage>,
    /// What happens to a step of unknown direction.
    pub unknown: Option<Unknown>,
    /// What becomes of a write that no statement named; check when left out.
    pub opaque: Option<Opaque>,
    /// Which commits of a migration run are held; schema when left out.
    pub hold: Option<Hold>,
}

/// What is wrong with a rule.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RuleMistake {
    /// Neither an address nor a network.
    #[error("rule {rule}: client {text:?} is neither an address nor a network such as 10.0.0.0/8")]
    BadClient {
        /// Which rule, from 1.
        rule: usize,
        /// What it said.
        text: String,
    },
    /// A list that can never match.
    #[error("rule {rule}: {field} is an empty list, which matches nothing")]
    EmptyList {
        /// Which rule, from 1.
        rule: usize,
        /// The field.
        field: &'static str,
    },
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Rule {
    database: Option<Vec<String>>,
    user: Option<Vec<String>>,
    application_name: Option<Vec<String>>,
    client: Option<Vec<Network>>,
    tool: Option<Vec<String>>,
    decision: Decision,
}

/// All rules, in order; without any, everyone gets enforce and transaction.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Rules(Vec<Rule>);

impl TryFrom<Vec<RawRule>> for Rules {
    type Error = Vec<RuleMistake>;

    fn try_from(raw: Vec<RawRule>) -> Result<Self, Vec<RuleMistake>> {
        let mut mistakes = Vec::new();
        let rules = raw
            .into_iter()
            .zip(1..)
            .map(|(raw, number)| Rule::of(raw, number, &mut mistakes))
            .collect();
        if mistakes.is_empty() {
            Ok(Self(rules))
        } else {
            Err(mistakes)
        }
    }
}

impl Rules {
    /// What each rule leads to, in order.
    pub fn decisions(&self) -> impl Iterator<Item = Decision> {
        self.0.iter().map(|rule| rule.decision)
    }

    /// What `who` gets for `tool`. Without a tool, rules that name tools do not match.
    #[must_use]
    pub fn decide(&self, who: &Who, tool: Option<&str>) -> Decision {
        let of_tool = |rule: &Rule| match (&rule.tool, tool) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(patterns), Some(tool)) => any_matches(patterns, tool),
        };
        self.0
            .iter()
            .find(|rule| rule.matches(who) && of_tool(rule))
            .map_or_else(Decision::default, |rule| rule.decision)
    }

    /// Whether any tool of `who` is looked at: false only if every tool would get [`Mode::Off`].
    #[must_use]
    pub fn inspects(&self, who: &Who) -> bool {
        self.possible(who).any(|d| d.mode != Mode::Off)
    }

    /// The widest coverage that `who` can get for some tool.
    #[must_use]
    pub fn coverage(&self, who: &Who) -> Coverage {
        let wide = |d: Decision| d.mode != Mode::Off && d.coverage == Coverage::Transaction;
        if self.possible(who).any(wide) {
            Coverage::Transaction
        } else {
            Coverage::Statement
        }
    }

    /// What `who` can get, over all tools: rules that name tools leave the others to later rules.
    fn possible(&self, who: &Who) -> impl Iterator<Item = Decision> {
        let matching = self.0.iter().filter(|rule| rule.matches(who));
        let mut settled = false;
        let mut decisions: Vec<_> = matching
            .take_while(|rule| !std::mem::replace(&mut settled, rule.tool.is_none()))
            .map(|rule| (rule.tool.is_none(), rule.decision))
            .collect();
        if !decisions.iter().any(|&(all, _)| all) {
            decisions.push((true, Decision::default()));
        }
        decisions.into_iter().map(|(_, decision)| decision)
    }
}

impl Rule {
    fn of(raw: RawRule, number: usize, mistakes: &mut Vec<RuleMistake>) -> Self {
        let mut words = |field, list: Option<OneOrMany>| {
            let list = list.map(OneOrMany::into_vec);
            if list.as_ref().is_some_and(Vec::is_empty) {
                mistakes.push(RuleMistake::EmptyList {
                    rule: number,
                    field,
                });
            }
            list
        };
        let database = words("database", raw.database);
        let user = words("user", raw.user);
        let application_name = words("application_name", raw.application_name);
        let tool = words("tool", raw.tool);
        let client = words("client", raw.client);
        let client = client.map(|list| networks(&list, number, mistakes));
        let default = Decision::default();
        Self {
            database,
            user,
            application_name,
            client,
            tool,
            decision: Decision {
                mode: raw.mode.unwrap_or(default.mode),
                coverage: raw.coverage.unwrap_or(default.coverage),
                opaque: raw.opaque.unwrap_or(default.opaque),
                hold: raw.hold.unwrap_or(default.hold),
                unknown: raw.unknown,
            },
        }
    }

    /// All but the tool.
    fn matches(&self, who: &Who) -> bool {
        let word = |patterns: &Option<Vec<String>>, text: &str| {
            patterns.as_ref().is_none_or(|p| any_matches(p, text))
        };
        word(&self.database, &who.database)
            && word(&self.user, &who.user)
            && word(&self.application_name, &who.application_name)
            && self.client.as_ref().is_none_or(|networks| {
                let client = who.client.map(|ip| ip.to_canonical());
                client.is_some_and(|ip| networks.iter().any(|n| n.contains(ip)))
            })
    }
}

fn any_matches(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|p| glob(p.as_bytes(), text.as_bytes()))
}

/// Whether `text` is `pattern`, with `*` for any run of bytes. Linear but for one step back.
fn glob(mut pattern: &[u8], mut text: &[u8]) -> bool {
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern, text) {
            ([b'*', rest @ ..], _) => {
                retry = Some((rest, text));
                pattern = rest;
            }
            ([p, p_rest @ ..], [t, t_rest @ ..]) if p == t => {
                pattern = p_rest;
                text = t_rest;
            }
            ([], []) => return true,
            _ => {
                let Some((star, [_, later @ ..])) = retry else {
                    return false;
                };
                retry = Some((star, later));
                pattern = star;
                text = later;
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Network {
    address: IpAddr,
    prefix_bits: u32,
}

fn networks(list: &[String], rule: usize, mistakes: &mut Vec<RuleMistake>) -> Vec<Network> {
    let mut networks = Vec::new();
    for text in list {
        match Network::parse(text) {
            Some(network) => networks.push(network),
            None => mistakes.push(RuleMistake::BadClient {
                rule,
                text: text.clone(),
            }),
        }
    }
    networks
}

/// The address as the highest bits of a word, and how many bits it has.
fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let (_, bits_max) = bits(address);
        let prefix_bits = match prefix {
            None => bits_max,
            Some(prefix) => prefix.parse().ok().filter(|&bits| bits <= bits_max)?,
        };
        Some(Self {
            address,
            prefix_bits,
        })
    }

    fn contains(self, address: IpAddr) -> bool {
        let (network, kind) = bits(self.address);
        let (other, other_kind) = bits(address);
        // A shift by all 128 bits is not defined: the network 0.0.0.0/0 has no bit to compare.
        let shift = 128_u32.saturating_sub(self.prefix_bits);
        let same = (network ^ other).checked_shr(shift).unwrap_or(0) == 0;
        kind == other_kind && same
    }
}

#[cfg(test)]
#[path = "rule_tests.rs"]
mod tests;
