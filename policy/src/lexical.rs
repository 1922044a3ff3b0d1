//! The settings of a session that decide where a token ends.

/// The settings of the session that change where a token ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lexical {
    /// The server's report of `standard_conforming_strings`.
    pub standard_conforming_strings: bool,
    /// Whether no byte of a multi-byte character of `client_encoding` can be ASCII
    /// (false for SJIS, BIG5, GBK, GB18030, UHC, JOHAB, `SHIFT_JIS_2004`).
    pub ascii_safe: bool,
}

impl Lexical {
    /// What a server starts with.
    pub const DEFAULT: Self = Self {
        standard_conforming_strings: true,
        ascii_safe: true,
    };

    /// From the values that the server reported by `ParameterStatus`.
    ///
    /// An encoding that is not known to be safe is not.
    #[must_use]
    pub fn reported(client_encoding: &[u8], standard_conforming_strings: &[u8]) -> Self {
        Self {
            standard_conforming_strings: !standard_conforming_strings.eq_ignore_ascii_case(b"off"),
            ascii_safe: is_ascii_safe(client_encoding),
        }
    }

    /// Whether the boundaries in `text` depend on these settings: a text of which this is false
    /// reads the same while a `SET` is still on its way.
    #[must_use]
    pub fn matter_for(text: &[u8]) -> bool {
        text.contains(&b'\\') || !text.is_ascii()
    }
}

/// The server reports its own spelling (`UTF8`), so aliases need no care: they end up unsafe.
fn is_ascii_safe(client_encoding: &[u8]) -> bool {
    const SAFE: [&[u8]; 9] = [
        b"UTF8",
        b"SQL_ASCII",
        b"EUC_JP",
        b"EUC_JIS_2004",
        b"EUC_CN",
        b"EUC_KR",
        b"EUC_TW",
        b"MULE_INTERNAL",
        b"UNICODE",
    ];
    // The families with one byte per character: LATIN1.., ISO_8859_5.., WIN1250.., KOI8R, KOI8U.
    const SAFE_FAMILIES: [&[u8]; 4] = [b"LATIN", b"ISO_8859_", b"WIN", b"KOI8"];
    let name = client_encoding.to_ascii_uppercase();
    SAFE.contains(&name.as_slice()) || SAFE_FAMILIES.iter().any(|family| name.starts_with(family))
}

/// Why the boundaries of a text cannot be known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Odd {
    /// A literal, quoted identifier or comment has no end: the server refuses the whole text.
    #[error("a literal, a quoted identifier or a comment has no end")]
    Unterminated,
    /// Bytes above 0x7f under a `client_encoding` whose characters have ASCII bytes.
    #[error("the client_encoding has characters with ASCII bytes in them")]
    UnsafeEncoding,
}

#[cfg(test)]
mod tests {
    use super::Lexical;

    #[test]
    fn unknown_encodings_are_unsafe() {
        assert!(Lexical::reported(b"UTF8", b"on").ascii_safe);
        assert!(Lexical::reported(b"WIN1252", b"on").ascii_safe);
        for name in [
            "SJIS",
            "BIG5",
            "GBK",
            "GB18030",
            "UHC",
            "JOHAB",
            "SHIFT_JIS_2004",
            "??",
        ] {
            assert!(!Lexical::reported(name.as_bytes(), b"on").ascii_safe);
        }
        assert!(!Lexical::reported(b"UTF8", b"off").standard_conforming_strings);
    }
}
