//! Where to listen and where to connect: `host:port`, `postgres://host:port` or a Unix socket.
use std::{fmt, path::PathBuf};

/// One end of a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// A host name or IP address with a port.
    Tcp {
        /// A name that is resolved each time it is used, or an IP address.
        host: String,
        /// The port.
        port: u16,
    },
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// PostgreSQL's port.
const PORT: u16 = 5432;

impl Address {
    /// Reads what the configuration says.
    ///
    /// # Errors
    /// A sentence that says what is wrong with `text`.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with('/') {
            return Ok(Self::Unix(PathBuf::from(text)));
        }
        let rest = without_scheme(text)?;
        let (host, port) = split_port(rest)
            .ok_or_else(|| format!("`{text}` is not host:port, postgres://host:port or a path"))?;
        let host = match host {
            "" => return Err(format!("`{text}` has no host")),
            "*" => "::",
            host => host,
        };
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.:%".contains(letter);
        if !host.chars().all(plain) {
            return Err(format!("`{host}` is not the name of a host"));
        }
        let port = match port {
            None => PORT,
            Some(digits) => digits
                .parse()
                .map_err(|_| format!("`{digits}` is not a port (0 to 65535)"))?,
        };
        Ok(Self::Tcp {
            host: host.to_owned(),
            port,
        })
    }
}

/// What stands after `postgres://`; users and databases are the client's to name.
fn without_scheme(text: &str) -> Result<&str, String> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Ok(text);
    };
    if !matches!(scheme, "postgres" | "postgresql") {
        return Err(format!("`{scheme}://` is not postgres://"));
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['@', '/', '?']) {
        return Err(format!(
            "`{text}` says more than a host and a port: the client names the user, the database and the options"
        ));
    }
    Ok(rest)
}

/// Host and port; the port is none when it is left out.
fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port))),
            None => rest.is_empty().then_some((host, None)),
        };
    }
    match text.split_once(':') {
        None => Some((text, None)),
        Some((host, port)) if !port.contains(':') => Some((host, Some(port))),
        // An IPv6 address without brackets: where its port begins cannot be known.
        Some(_) => None,
    }
}

impl fmt::Display for Address {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(to, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(to, "{host}:{port}"),
            Self::Unix(path) => write!(to, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, expected) in [
            ("127.0.0.1:6432", "127.0.0.1:6432"),
            ("db", "db:5432"),
            ("postgres://db:5433", "db:5433"),
            ("postgresql://db/", "db:5432"),
            ("*:6432", "[::]:6432"),
            ("[::1]:6432", "[::1]:6432"),
            ("[::1]", "[::1]:5432"),
            (
                "/run/postgresql/.s.PGSQL.5432",
                "/run/postgresql/.s.PGSQL.5432",
            ),
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn wrong_addresses() {
        for text in [
            "",
            ":6432",
            "db:x",
            "db:70000",
            "http://db",
            "postgres://me@db",
            "postgres://db/app",
            "::1",
            "[::1",
            "[::1]x",
            "d b:5432",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }
}
