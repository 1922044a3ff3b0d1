//! The first packet of a connection, which has no type byte: startup, cancel, SSL or GSS request.

use super::{Violation, frame::string};

/// `MAX_STARTUP_PACKET_LENGTH` of PostgreSQL, and the least that has a code.
const LEN_MAX: u32 = 10_000;
const LEN_MIN: u32 = 8;
const CANCEL: u32 = 80_877_102;
const SSL: u32 = 80_877_103;
const GSSENC: u32 = 80_877_104;

/// A first packet, and how many bytes it has.
#[derive(PartialEq, Eq, Debug)]
pub enum First {
    /// SSLRequest or GSSENCRequest, by name.
    Encryption(&'static str),
    /// CancelRequest.
    Cancel,
    /// StartupMessage.
    Startup(Parameters),
}

/// What the startup packet asks for.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Parameters {
    /// `user`, the last one given, as PostgreSQL takes it.
    pub user: String,
    /// `database`; the user's name if none was given.
    pub database: String,
    /// `application_name`.
    pub application_name: String,
    /// Whether it asks for the replication protocol.
    pub replication: Replication,
}

/// The `replication` parameter.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum Replication {
    /// An ordinary session.
    #[default]
    Off,
    /// `database`: SQL and replication commands.
    Database,
    /// Physical replication, or a value that may mean it.
    Physical,
}

/// Reads the packet at the start of `window`; `Ok(Err(n))`: it needs `n` bytes.
///
/// # Errors
/// What PostgreSQL refuses in `ProcessStartupPacket`.
pub fn first(window: &[u8]) -> Result<Result<(First, usize), usize>, Violation> {
    let Some(len) = window.first_chunk::<4>() else {
        return Ok(Err(4));
    };
    let len = u32::from_be_bytes(*len);
    if !(LEN_MIN..=LEN_MAX).contains(&len) {
        return Err(Violation::Startup("invalid length of startup packet"));
    }
    let len = usize::try_from(len).map_err(|_| Violation::Startup("invalid length"))?;
    let Some(packet) = window.get(..len) else {
        return Ok(Err(len));
    };
    let (Some(code), Some(body)) = (
        packet.get(4..8).and_then(|c| c.first_chunk::<4>()),
        packet.get(8..),
    ) else {
        return Err(Violation::Startup("invalid length of startup packet"));
    };
    let first = match u32::from_be_bytes(*code) {
        SSL | GSSENC if !body.is_empty() => {
            return Err(Violation::Startup("bytes in an encryption request"));
        }
        SSL => First::Encryption("SSL request"),
        GSSENC => First::Encryption("GSSAPI encryption request"),
        CANCEL => First::Cancel,
        version if version >> 16 == 3 => First::Startup(parameters(body)?),
        _ => {
            return Err(Violation::Startup(
                "unsupported frontend protocol: pgpawl speaks 3.0 and 3.2",
            ));
        }
    };
    Ok(Ok((first, len)))
}

fn parameters(mut body: &[u8]) -> Result<Parameters, Violation> {
    let mut found = Parameters::default();
    let mut database = None;
    loop {
        let (name, rest) =
            string(body).ok_or(Violation::Startup("expected terminator as last byte"))?;
        if name.is_empty() {
            if !rest.is_empty() {
                return Err(Violation::Startup("expected terminator as last byte"));
            }
            break;
        }
        let (value, rest) =
            string(rest).ok_or(Violation::Startup("a parameter without a value"))?;
        body = rest;
        let text = || String::from_utf8_lossy(value).into_owned();
        match name {
            b"user" => found.user = text(),
            b"database" => database = Some(text()),
            b"application_name" => found.application_name = text(),
            b"replication" => found.replication = found.replication.or(value),
            _ => {}
        }
    }
    if found.user.is_empty() {
        return Err(Violation::Startup("no PostgreSQL user name specified"));
    }
    found.database = match database {
        Some(name) if !name.is_empty() => name,
        _ => found.user.clone(),
    };
    Ok(found)
}

impl Replication {
    /// Given twice, the stricter reading counts: which one a server takes is its own affair.
    fn or(self, value: &[u8]) -> Self {
        let this = match value {
            b"database" => Self::Database,
            b"false" | b"off" | b"no" | b"0" | b"f" | b"n" => Self::Off,
            _ => Self::Physical,
        };
        match (self, this) {
            (Self::Physical, _) | (_, Self::Physical) => Self::Physical,
            (Self::Database, _) | (_, Self::Database) => Self::Database,
            (Self::Off, Self::Off) => Self::Off,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(code: u32, body: &[u8]) -> Vec<u8> {
        let len = u32::try_from(8 + body.len()).unwrap();
        [&len.to_be_bytes()[..], &code.to_be_bytes()[..], body].concat()
    }

    fn startup(body: &[u8]) -> Result<Parameters, Violation> {
        match first(&packet(196_608, body))? {
            Ok((First::Startup(found), _)) => Ok(found),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_last_value_counts_and_the_database_defaults_to_the_user() {
        let found = startup(b"user\0a\0user\0b\0\0").unwrap();
        assert_eq!((found.user.as_str(), found.database.as_str()), ("b", "b"));
    }

    #[test]
    fn replication_is_read_strictly() {
        for (value, expect) in [
            ("database", Replication::Database),
            ("off", Replication::Off),
            ("true", Replication::Physical),
            ("1", Replication::Physical),
            ("TRUE", Replication::Physical),
        ] {
            let body = [b"user\0a\0replication\0", value.as_bytes(), b"\0\0"].concat();
            assert_eq!(startup(&body).unwrap().replication, expect, "{value}");
        }
        let twice = startup(b"user\0a\0replication\0true\0replication\0off\0\0").unwrap();
        assert_eq!(twice.replication, Replication::Physical);
    }

    #[test]
    fn what_is_not_a_startup_packet_is_said_so() {
        assert!(first(b"GET / HTTP/1.1\r\n").is_err());
        assert!(first(&packet(196_608, b"user\0a")).is_err());
        assert!(first(&packet(196_608, b"user\0a\0\0x")).is_err());
        assert!(first(&packet(131_072, b"")).is_err());
        assert_eq!(
            first(&packet(80_877_103, b"")).unwrap(),
            Ok((First::Encryption("SSL request"), 8))
        );
        assert_eq!(first(&[0, 0]).unwrap(), Err(4));
    }
}
