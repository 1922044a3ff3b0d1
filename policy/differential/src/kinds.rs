//! What a statement does to the transaction and to prepared statements, by PostgreSQL and by pgpawl.

use pgpawl_policy::{name::Name, statement::Kind};
use serde_json::Value;

use crate::tree::Node;

/// Both say the same of the transaction and of the names.
pub fn compare(ours: &Kind, theirs: &Node<'_>, faults: &mut Vec<String>) {
    let agree = match executed(theirs) {
        Some(name) => matches!(ours, Kind::Execute(said) if is(said, name)),
        None => agrees(ours, theirs),
    };
    if !agree {
        faults.push(format!("{ours:?} is a {}", theirs.kind));
    }
}

/// The statement that an EXECUTE runs, also one within EXPLAIN or CREATE TABLE AS.
fn executed<'a>(theirs: &Node<'a>) -> Option<&'a str> {
    let mut fields = theirs.fields;
    if theirs.kind == "ExecuteStmt" {
        return fields["name"].as_str();
    }
    loop {
        fields = fields.get("query")?;
        if let Some(execute) = fields.get("ExecuteStmt") {
            return execute["name"].as_str();
        }
        let (kind, inner) = fields.as_object()?.iter().next()?;
        if kind != "CreateTableAsStmt" && kind != "ExplainStmt" {
            return None;
        }
        fields = inner;
    }
}

fn agrees(ours: &Kind, theirs: &Node<'_>) -> bool {
    let fields = theirs.fields;
    let name = fields["name"].as_str().unwrap_or_default();
    let chains = fields["chain"].as_bool().unwrap_or_default();
    match (theirs.kind, fields["kind"].as_str().unwrap_or_default()) {
        ("TransactionStmt", kind) => match kind {
            "TRANS_STMT_BEGIN" | "TRANS_STMT_START" => *ours == Kind::Begin,
            "TRANS_STMT_COMMIT" => *ours == Kind::Commit { chain: chains },
            "TRANS_STMT_ROLLBACK" => *ours == Kind::Rollback { chain: chains },
            "TRANS_STMT_PREPARE" => *ours == Kind::PrepareTransaction,
            "TRANS_STMT_COMMIT_PREPARED" | "TRANS_STMT_ROLLBACK_PREPARED" => *ours == Kind::Alone,
            _ => matches!(ours, Kind::Savepoint | Kind::Release),
        },
        ("PrepareStmt", _) => matches!(ours, Kind::Prepare(said) if is(said, name)),
        ("DeallocateStmt", _) => match fields["name"].as_str() {
            Some(name) => matches!(ours, Kind::Deallocate(said) if is(said, name)),
            None => *ours == Kind::DeallocateAll,
        },
        ("DiscardStmt", _) if fields["target"] == "DISCARD_ALL" => *ours == Kind::DeallocateAll,
        _ if is_alone(theirs) => *ours == Kind::Alone,
        _ => matches!(ours, Kind::Other | Kind::Alone),
    }
}

/// What PostgreSQL refuses in a transaction block, as far as its tree shows at once.
fn is_alone(theirs: &Node<'_>) -> bool {
    let concurrent = theirs.fields["concurrent"] == Value::Bool(true);
    match theirs.kind {
        "VacuumStmt" => theirs.fields["is_vacuumcmd"] == Value::Bool(true),
        "IndexStmt" | "DropStmt" => concurrent,
        "CreatedbStmt" | "DropdbStmt" | "AlterSystemStmt" => true,
        "ClusterStmt" => theirs.fields["relation"].is_null(),
        _ => false,
    }
}

/// Whether what was said of a name may be this one.
fn is(said: &Name, name: &str) -> bool {
    said.is_any() || *said.0 == *name.as_bytes()
}
