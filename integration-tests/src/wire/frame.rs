//! One protocol message with its tag; its fields are read one after another.

/// One message: its tag and what follows the length.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// The message's first byte.
    pub tag: u8,
    /// What follows the length.
    pub body: Vec<u8>,
}

impl Frame {
    /// Takes the first whole frame off `bytes`, if there is one.
    #[must_use]
    pub fn take(bytes: &mut Vec<u8>) -> Option<Self> {
        let (&tag, rest) = bytes.split_first()?;
        let length = u32::from_be_bytes(*rest.first_chunk::<4>()?);
        let end = usize::try_from(length).expect("a length") + 1;
        if bytes.len() < end {
            return None;
        }
        let body = bytes[5..end].to_vec();
        bytes.drain(..end);
        Some(Self { tag, body })
    }

    /// Reads its fields from the start.
    #[must_use]
    pub fn fields(&self) -> Fields<'_> {
        Fields(&self.body)
    }
}

/// What of a message is still unread.
#[derive(Clone, Debug)]
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The next `count` bytes.
    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    /// A number of two bytes.
    pub fn int16(&mut self) -> i16 {
        i16::from_be_bytes(self.bytes(2).try_into().expect("two bytes"))
    }

    /// A number of four bytes.
    pub fn int32(&mut self) -> i32 {
        i32::from_be_bytes(self.bytes(4).try_into().expect("four bytes"))
    }

    /// A string that ends with a zero byte; what is not UTF-8 is shown as `\xNN`.
    pub fn string(&mut self) -> String {
        let end = self
            .0
            .iter()
            .position(|&byte| byte == 0)
            .expect("a string's end");
        let text = visible(self.bytes(end));
        self.bytes(1);
        text
    }

    /// A value of a row: none for NULL.
    pub fn value(&mut self) -> Option<String> {
        let length = usize::try_from(self.int32()).ok()?;
        Some(visible(self.bytes(length)))
    }

    /// Whether all was read.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }
}

/// Bytes as text; those that are not UTF-8 as `\xNN`.
#[must_use]
pub fn visible(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap_or_else(|_| bytes.escape_ascii().to_string())
}
