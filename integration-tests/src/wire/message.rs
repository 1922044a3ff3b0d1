//! The messages of a client, made of bytes.

/// Protocol 3.0.
pub const V3_0: u32 = 196_608;
/// Protocol 3.2.
pub const V3_2: u32 = 196_610;
/// The request for TLS.
pub const SSL_REQUEST: u32 = 80_877_103;
/// The request for GSSAPI encryption.
pub const GSSENC_REQUEST: u32 = 80_877_104;
/// The request to cancel.
pub const CANCEL_REQUEST: u32 = 80_877_102;

/// A message with `tag`.
#[must_use]
pub fn tagged(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &untagged(body)].concat()
}

/// A message without a tag: length and body.
#[must_use]
pub fn untagged(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("a message's length");
    [&length.to_be_bytes()[..], body].concat()
}

/// A message of one number, as the requests before start-up are.
#[must_use]
pub fn request(code: u32) -> Vec<u8> {
    untagged(&code.to_be_bytes())
}

/// The start-up packet of protocol `version`.
#[must_use]
pub fn startup(version: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend(zero_ended(name.as_bytes()));
        body.extend(zero_ended(value.as_bytes()));
    }
    body.push(0);
    untagged(&body)
}

/// A simple query.
#[must_use]
pub fn query(text: &[u8]) -> Vec<u8> {
    tagged(b'Q', &zero_ended(text))
}

/// Parse, without parameter types.
#[must_use]
pub fn parse(statement: &str, text: &[u8]) -> Vec<u8> {
    let body = [
        zero_ended(statement.as_bytes()),
        zero_ended(text),
        vec![0, 0],
    ]
    .concat();
    tagged(b'P', &body)
}

/// A parameter of Bind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Parameter {
    /// In text format.
    Text(Vec<u8>),
    /// In binary format.
    Binary(Vec<u8>),
    /// NULL.
    Null,
}

/// Bind with every result in text format.
#[must_use]
pub fn bind(portal: &str, statement: &str, parameters: &[Parameter]) -> Vec<u8> {
    let count = u16::try_from(parameters.len())
        .expect("few parameters")
        .to_be_bytes();
    let mut body = zero_ended(portal.as_bytes());
    body.extend(zero_ended(statement.as_bytes()));
    body.extend(count);
    for parameter in parameters {
        let format = u16::from(matches!(parameter, Parameter::Binary(_)));
        body.extend(format.to_be_bytes());
    }
    body.extend(count);
    for parameter in parameters {
        match parameter {
            Parameter::Text(value) | Parameter::Binary(value) => body.extend(counted(value)),
            Parameter::Null => body.extend((-1_i32).to_be_bytes()),
        }
    }
    body.extend([0, 0]);
    tagged(b'B', &body)
}

/// Describe or Close: `kind` is `S` for a statement, `P` for a portal.
#[must_use]
pub fn named(tag: u8, kind: u8, name: &str) -> Vec<u8> {
    tagged(tag, &[vec![kind], zero_ended(name.as_bytes())].concat())
}

/// Execute; 0 rows for all.
#[must_use]
pub fn execute(portal: &str, rows_max: u32) -> Vec<u8> {
    let body = [
        zero_ended(portal.as_bytes()),
        rows_max.to_be_bytes().to_vec(),
    ]
    .concat();
    tagged(b'E', &body)
}

/// FunctionCall with arguments in text format.
#[must_use]
pub fn function_call(function: u32, arguments: &[&str]) -> Vec<u8> {
    let mut body = function.to_be_bytes().to_vec();
    body.extend([0, 0]);
    body.extend(
        u16::try_from(arguments.len())
            .expect("few arguments")
            .to_be_bytes(),
    );
    for argument in arguments {
        body.extend(counted(argument.as_bytes()));
    }
    body.extend([0, 0]);
    tagged(b'F', &body)
}

/// A request to cancel, with the key that the server gave at start-up.
#[must_use]
pub fn cancel(key: &[u8]) -> Vec<u8> {
    untagged(&[&CANCEL_REQUEST.to_be_bytes()[..], key].concat())
}

/// Sync.
#[must_use]
pub fn sync() -> Vec<u8> {
    tagged(b'S', &[])
}

/// Terminate.
#[must_use]
pub fn terminate() -> Vec<u8> {
    tagged(b'X', &[])
}

/// A string with its zero byte.
#[must_use]
pub fn zero_ended(text: &[u8]) -> Vec<u8> {
    [text, &[0]].concat()
}

fn counted(value: &[u8]) -> Vec<u8> {
    let length = u32::try_from(value.len()).expect("a value's length");
    [&length.to_be_bytes()[..], value].concat()
}
