//! PostgreSQL's parser, which runs in a process of its own (`oracle.c` is its other end).

use std::{
    io::{self, BufWriter, Read, Write},
    ops::Range,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// A text, and how it is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Text {
    pub bytes: Vec<u8>,
    pub standard_conforming_strings: bool,
}

/// What PostgreSQL says of a text.
#[derive(Debug)]
pub struct Reading {
    /// The parse tree as JSON, or why there is none.
    pub tree: Result<Vec<u8>, Vec<u8>>,
    /// Its tokens, read with `standard_conforming_strings`. Empty where the scanner refuses the text.
    pub tokens: Vec<Range<usize>>,
}

/// The process.
#[derive(Debug)]
pub struct Oracle {
    child: Child,
    to: BufWriter<ChildStdin>,
    from: ChildStdout,
}

impl Oracle {
    /// Starts it.
    pub fn start() -> io::Result<Self> {
        let mut child = Command::new(env!("PGPAWL_ORACLE"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // It warns of backslashes.
            .stderr(Stdio::null())
            .spawn()?;
        let gone = || io::Error::other("the oracle has no pipes");
        let to = BufWriter::new(child.stdin.take().ok_or_else(gone)?);
        let from = child.stdout.take().ok_or_else(gone)?;
        Ok(Self { child, to, from })
    }

    /// What it says of each text.
    pub fn read(&mut self, texts: &[Text]) -> io::Result<Vec<Reading>> {
        self.give_number(texts.len())?;
        for text in texts {
            self.to
                .write_all(&[u8::from(!text.standard_conforming_strings)])?;
            self.give_number(text.bytes.len())?;
            self.to.write_all(&text.bytes)?;
        }
        self.to.flush()?;
        // The whole batch was read before the first answer is written, so neither side waits for ever.
        texts.iter().map(|_| self.take()).collect()
    }

    fn take(&mut self) -> io::Result<Reading> {
        let mut parses = [0];
        self.from.read_exact(&mut parses)?;
        let mut said = vec![0; self.take_number()?];
        self.from.read_exact(&mut said)?;
        let tree = if parses == [1] { Ok(said) } else { Err(said) };
        let count = self.take_number()?;
        let mut tokens = Vec::with_capacity(count);
        let mut numbers = vec![0; 8 * count];
        self.from.read_exact(&mut numbers)?;
        for pair in numbers.chunks_exact(8) {
            let number = |at: usize| {
                let bytes = pair[at..at + 4].try_into().unwrap_or_default();
                usize::try_from(u32::from_ne_bytes(bytes)).unwrap_or(usize::MAX)
            };
            tokens.push(number(0)..number(4));
        }
        Ok(Reading { tree, tokens })
    }

    fn give_number(&mut self, number: usize) -> io::Result<()> {
        let number = u32::try_from(number).map_err(io::Error::other)?;
        self.to.write_all(&number.to_ne_bytes())
    }

    fn take_number(&mut self) -> io::Result<usize> {
        let mut bytes = [0; 4];
        self.from.read_exact(&mut bytes)?;
        usize::try_from(u32::from_ne_bytes(bytes)).map_err(io::Error::other)
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        // It only reads and writes: nothing is lost.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
