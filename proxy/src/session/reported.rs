//! The settings of the server's session that decide how a text is read.

use pgpawl_policy::{rule::Who, statement::Lexical};

/// The settings of the server's session that we follow.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Reported {
    pub(super) client_encoding: Vec<u8>,
    pub(super) standard_conforming_strings: Vec<u8>,
}

impl Reported {
    pub(super) fn note(&mut self, who: &mut Who, name: &[u8], value: &[u8]) {
        match name {
            b"client_encoding" => self.client_encoding = value.to_vec(),
            b"standard_conforming_strings" => self.standard_conforming_strings = value.to_vec(),
            b"application_name" => {
                who.application_name = String::from_utf8_lossy(value).into_owned();
            }
            _ => {}
        }
    }

    /// Whether `statement` openly changes a setting by which texts are read. The server reads a whole
    /// text by those at its start, so one with such a statement in it is not sent in parts.
    pub(super) fn is_reset_by(&self, statement: &[u8]) -> bool {
        let mut words = statement
            .split(|b| b.is_ascii_whitespace() || matches!(b, b'=' | b'\'' | b'"' | b';'))
            .filter(|word| !word.is_empty())
            .map(<[u8]>::to_ascii_lowercase);
        let first = words.next().unwrap_or_default();
        let mut name = words.next().unwrap_or_default();
        match first.as_slice() {
            b"discard" => true,
            b"reset" => matches!(
                name.as_slice(),
                b"all" | b"client_encoding" | b"standard_conforming_strings"
            ),
            b"set" => {
                if matches!(name.as_slice(), b"local" | b"session") {
                    name = words.next().unwrap_or_default();
                }
                let mut value = words.next().unwrap_or_default();
                if value == b"to" {
                    value = words.next().unwrap_or_default();
                }
                match name.as_slice() {
                    b"names" | b"client_encoding" => {
                        !value.eq_ignore_ascii_case(&self.client_encoding)
                    }
                    b"standard_conforming_strings" => {
                        !value.eq_ignore_ascii_case(&self.standard_conforming_strings)
                    }
                    _ => false,
                }
            }
            _ => false,
        }
    }

    pub(super) fn lexical(&self) -> Lexical {
        Lexical::reported(&self.client_encoding, &self.standard_conforming_strings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_change_of_how_texts_are_read_resets() {
        let reported = Reported {
            client_encoding: b"UTF8".to_vec(),
            standard_conforming_strings: b"on".to_vec(),
        };
        for text in [
            "SET standard_conforming_strings = off",
            "set local client_encoding to 'SJIS'",
            "SET NAMES 'LATIN1'",
            "RESET ALL",
            "DISCARD ALL",
        ] {
            assert!(reported.is_reset_by(text.as_bytes()), "{text}");
        }
        for text in [
            "SET standard_conforming_strings = on",
            "SET client_encoding = 'utf8'",
            "SET search_path TO x",
            "RESET search_path",
            "INSERT INTO names VALUES ('reset_password_token')",
            "",
        ] {
            assert!(!reported.is_reset_by(text.as_bytes()), "{text}");
        }
    }
}
