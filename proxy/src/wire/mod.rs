//! The protocol's bytes, pure: where a frame ends, and the few bodies that must be understood.
//!
//! pgwire encodes what we send ourselves. What peers send is read by our own code, which takes one
//! exact frame and requires that all of it is used: pgwire's decoders lose frame boundaries.

pub mod backend;
pub mod frame;
pub mod frontend;
pub mod startup;

/// What a peer sent that PostgreSQL would not accept either.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Violation {
    /// A type byte that does not exist in this direction.
    #[error("invalid message type {0}")]
    UnknownType(u8),
    /// A length that is below four or above the type's maximum.
    #[error("invalid message length {len} of a message of type '{}'", char::from(*tag))]
    Length {
        /// The type byte.
        tag: u8,
        /// The length as sent.
        len: u32,
    },
    /// A body that is not what its type says: a string without an end, or bytes after the end.
    #[error("invalid message format of a message of type '{}'", char::from(*tag))]
    Format {
        /// The type byte.
        tag: u8,
    },
    /// Not a startup packet.
    #[error("invalid startup packet: {0}")]
    Startup(&'static str),
    /// Bytes behind an SSLRequest or GSSENCRequest, before its answer.
    #[error("received unencrypted data after {0}")]
    ClearText(&'static str),
    /// A message at a moment when its type is not allowed.
    #[error("unexpected message of type '{}' {when}", char::from(*tag))]
    Unexpected {
        /// The type byte.
        tag: u8,
        /// At what moment.
        when: &'static str,
    },
}
