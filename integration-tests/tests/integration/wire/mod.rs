//! The wire: start-up, authentication, cancellation, broken peers, large messages, many sessions, the end.

mod authentication;
mod bulk;
mod cancel;
mod endings;
mod sessions;
mod startup;
mod stopping;
