//! What may write, by PostgreSQL's tree, and what pgpawl says only reads.

use pgpawl_policy::statement::Effect;
use serde_json::Value;

use crate::tree::{Node, find, has};

/// Statements that change no table, whatever is in them, as far as their own text tells.
const PLAIN: [&str; 24] = [
    "VariableShowStmt",
    "VariableSetStmt",
    "TransactionStmt",
    "LockStmt",
    "VacuumStmt",
    "CommentStmt",
    "GrantStmt",
    "GrantRoleStmt",
    "ListenStmt",
    "NotifyStmt",
    "UnlistenStmt",
    "FetchStmt",
    "ClosePortalStmt",
    "CheckPointStmt",
    "ClusterStmt",
    "ReindexStmt",
    "DiscardStmt",
    "DeallocateStmt",
    "SelectStmt",
    "ExplainStmt",
    "PrepareStmt",
    "DeclareCursorStmt",
    "CopyStmt",
    "IndexStmt",
];

/// What changes rows or tables, wherever it stands.
const WRITES: [&str; 9] = [
    "InsertStmt",
    "UpdateStmt",
    "DeleteStmt",
    "MergeStmt",
    "TruncateStmt",
    "intoClause",
    "CreateTableAsStmt",
    "ExecuteStmt",
    "CallStmt",
];

/// Functions and operators of the grammar that PostgreSQL does not have.
const UNKNOWN: [&str; 5] = ["run_it", "LOWER", "###", "@-", "public"];

/// What only reads has nothing in it that writes.
pub fn compare(ours: Effect, theirs: &Node<'_>, faults: &mut Vec<String>) {
    if ours == Effect::Writes {
        return;
    }
    let (kind, fields) = (theirs.kind, theirs.fields);
    if !PLAIN.contains(&kind) {
        return faults.push(format!("a {kind} only reads"));
    }
    if kind == "CopyStmt" && (is(&fields["is_from"]) || is(&fields["is_program"])) {
        faults.push("a COPY FROM or PROGRAM only reads".to_owned());
    }
    if kind == "TransactionStmt" && fields["kind"] == "TRANS_STMT_COMMIT_PREPARED" {
        faults.push("a COMMIT PREPARED only reads".to_owned());
    }
    let explained = kind == "ExplainStmt" && !has_option(fields, "analyze");
    if !explained && has(fields, &WRITES) {
        faults.push("what writes only reads".to_owned());
    }
    if calls_unknown(fields) {
        faults.push("what calls the unknown only reads".to_owned());
    }
}

/// Whether strings in it are run, or may be.
pub fn runs_strings(theirs: &Node<'_>) -> bool {
    const RUN: [&str; 3] = ["DoStmt", "CreateFunctionStmt", "CallStmt"];
    RUN.contains(&theirs.kind) || has(theirs.fields, &RUN) || calls_unknown(theirs.fields)
}

/// Whether it takes tables away, or elsewhere, without their names.
pub fn takes_containers(theirs: &Node<'_>) -> bool {
    let schema = |field: &str| theirs.fields[field] == "OBJECT_SCHEMA";
    match theirs.kind {
        "DropOwnedStmt" | "ReassignOwnedStmt" => true,
        "DropStmt" => schema("removeType"),
        "RenameStmt" => schema("renameType"),
        "AlterOwnerStmt" => schema("objectType"),
        _ => false,
    }
}

fn is(value: &Value) -> bool {
    *value == Value::Bool(true)
}

fn has_option(fields: &Value, name: &str) -> bool {
    find(&fields["options"], &mut |key, value| {
        key == "defname" && value == name
    })
}

fn calls_unknown(fields: &Value) -> bool {
    find(fields, &mut |key, value| {
        let names = match key {
            "FuncCall" => &value["funcname"],
            "A_Expr" => &value["name"],
            _ => return false,
        };
        let list = names.as_array().into_iter().flatten();
        list.filter_map(|name| name["String"]["sval"].as_str())
            .any(|name| UNKNOWN.contains(&name))
    })
}
