//! Where a gate is: what was asked or sent, and what is done when it is answered.

use super::{
    cause::Purpose,
    claim::Claim,
    known::Known,
    ours::{Control, Place},
    record::Recording,
    seal::Sealing,
    unjudged::Isolation,
};
use crate::wire::backend::Status;
use bytes::Bytes;
use pgpawl_policy::{
    facts::Tables,
    question::{Row, Snapshot},
    verdict::{Allowed, Refusal, Unverifiable},
    visible::Visible,
};
use std::sync::Arc;

/// What the client is told in place of what it asked for.
#[derive(Debug)]
pub(super) enum Told {
    /// A refusal of ours.
    Refusal(Refusal),
    /// The server's own ErrorResponse, to what the commit would have run.
    Error(Bytes),
}

/// A question under way.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) purpose: Purpose,
    pub(super) place: Place,
    /// Statements of the batch that have completed.
    pub(super) completed: usize,
    pub(super) rows: Vec<Row>,
    pub(super) answer_len: usize,
    pub(super) failed: Option<Unverifiable>,
    /// The client's own commit would have failed: with this ErrorResponse.
    pub(super) commit_failed: Option<Bytes>,
    /// What it found of the transaction.
    pub(super) known: Known,
}

impl Asking {
    pub(super) fn new(purpose: Purpose, place: Place) -> Self {
        Self {
            purpose,
            place,
            completed: 0,
            rows: Vec::new(),
            answer_len: 0,
            failed: None,
            commit_failed: None,
            known: Known::default(),
        }
    }
}

/// Leave to commit: by a verdict, or because no guard's set was ever in question.
#[derive(Debug)]
pub(super) enum Leave {
    Judged(Allowed),
    NothingAsked,
}

/// How a transaction is ended by us.
#[derive(Debug)]
pub(super) enum Settle {
    Commit(#[expect(dead_code, reason = "no COMMIT of ours without leave")] Leave),
    Rollback(Option<Told>),
    /// The client believes in no block, and the next part needs one: the server shall say so.
    Unwrap,
    /// With all that is held; true: then a block of the client's is made to fail.
    Undo(Told, bool),
    /// The same for another session's sake: nobody is told.
    Undone(bool),
}

/// A COMMIT AND CHAIN of ours in place of the client's.
#[derive(Debug, Default)]
pub(super) struct Chained {
    pub(super) committed: bool,
    /// What it, or what makes the next transaction writable, was answered by.
    pub(super) error: Option<Bytes>,
}

/// Where the gate is.
#[derive(Debug)]
pub(super) enum At {
    Draining,
    Asking(Asking),
    /// What the message may replace is locked; then the sets are read anew.
    Claiming(Purpose, Claim),
    /// The flight with the record of what is held is with the server.
    Recording(Recording),
    /// Back to the savepoint of a question that failed.
    Recovering(Purpose, Option<Unverifiable>),
    /// The client's message, or a part of it, is with the server.
    Running,
    /// The flight that ends the transaction is with the server.
    Sealing(Sealing),
    /// It failed with this status, and the name that its statements had is closed.
    Forgetting(Sealing, Status),
    /// Another session is asked for the committed sets; what this one's question found.
    Looking(Found),
    /// The same, for a database that would be taken away.
    Database,
    /// A list of tables failed: its transaction is rolled back.
    Unlisting,
    /// What holds the transaction, which was judged or not, is with the server; the error that it was answered by, if any.
    Holding(bool, Option<Bytes>),
    /// What the client's COMMIT would run is with the server, before the client is answered and the transaction held.
    HoldingAtOnce(Isolation),
    /// The end of a transaction in what is held is with the server, which says whether it has written anything.
    Glancing,
    /// What stands for the client's BEGIN or ROLLBACK in what is held, and how that is answered.
    Controlling(Control, &'static str),
    /// The transaction is made read only before its commit.
    Closing(Purpose, Leave),
    /// Our COMMIT AND CHAIN is with the server.
    Chaining(Chained),
    /// Our savepoint around the client's first one is, and the client's message right behind it.
    Outer,
    /// The COMMIT of what is held is with the server, and its error, if any.
    Committing(Then, Option<Bytes>),
    /// Other sessions settle what they hold.
    Awaiting(Next),
    /// The server is asked whether others wait for what is held.
    Probing(bool),
    /// Our COMMIT or ROLLBACK is with the server; the error that it was answered by, if any.
    Settling(Settle, Option<Bytes>),
    /// A statement of ours makes the server fail; then the client is told the refusal.
    Failing(Told),
}

/// What is done when what was held is committed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Then {
    /// The client's message is looked at anew.
    Look,
    /// The next part of the Query is run.
    Part,
}

/// What is done when the other sessions of the run have settled.
#[derive(Debug)]
pub(super) enum Next {
    Look,
    Commit(Purpose, Leave),
    Refuse(Purpose, Refusal),
}

/// What a question before a commit found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) purpose: Purpose,
    /// Whether the transaction sees what others commit meanwhile.
    pub(super) sees_others: bool,
    /// What it sees all along, if not.
    pub(super) visible: Option<Visible>,
    pub(super) after: Snapshot,
    /// Tables that were there, where the transaction may have taken some away.
    pub(super) gone: Arc<Tables>,
    /// Which they were is not known.
    pub(super) unlisted: bool,
    /// The tables whose sets others must see.
    pub(super) oids: Vec<u32>,
}
