//! Cases as text: what a client sends, what it is answered, and what the rows say afterwards.
//!
//! ```text
//! setup CREATE TABLE ...                run directly, before every case of the file
//!
//! --- what the case shows
//! setup INSERT INTO ...                 run directly, before this case's sessions
//! start user=other                      the current session's start-up parameters, if not the usual
//! Q DELETE FROM t => error 42501, ready I ~ done DELETE 1, ready I
//! check SELECT count(*) FROM t => 3 ~ 2
//! ```
//!
//! Left of `~` stands what a guarded session gets, right of it what an unguarded one gets; without `~`
//! both get the same. Messages without `=>` wait for nothing: they are sent together with the next one.
//!
//! | line | message |
//! |---|---|
//! | `Q text` | Query |
//! | `P statement text` | Parse; `-` is the unnamed one |
//! | `B portal statement [parameter ...]` | Bind; `text:3`, `int8:3`, `int4:3`, `bool:t`, `null` |
//! | `D S statement`, `D P portal`, `C S statement`, `C P portal` | Describe, Close |
//! | `E portal [rows]`, `S`, `H` | Execute, Sync, Flush |
//! | `F oid [argument ...]` | FunctionCall |
//! | `d text`, `c`, `f reason` | CopyData with a newline, CopyDone, CopyFail |
//! | `session name` | what follows is another session's |
//! | `majors 15-18` | the case is only for these major versions of PostgreSQL |
//! | `check sql => rows` | a direct look: values joined by `\|`, rows by a blank |
//! | `coverage statement` | the case is not run under transaction coverage, which refuses what it cannot verify |
//! | `coverage transaction` | under statement coverage and in log mode it is not run |
//! | `said text` | the last error's message, detail or hint has this text; guarded sessions only |
//! | `reason word` | the event's reason; guarded sessions and log mode |
//!
//! `{{8c5c}}` in a text stands for those bytes. What a message is answered is in the words of
//! [`brief`](crate::wire::brief), joined by `, `.

mod parse;
mod run;

pub use parse::{Case, File, Line, Step, Words};
pub use run::{Route, run_file};
