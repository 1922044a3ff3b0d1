//! A server's stream: a header is known from its first five bytes, and no body is read past its end.

use pgpawl::wire::{backend, frame};

/// Holds for any server's stream.
pub fn hold(stream: &[u8]) {
    let mut rest = stream;
    while let Ok(Some(frame)) = frame::of_server(rest) {
        assert_eq!(frame::of_server(&rest[..5]), Ok(Some(frame)));
        let Some((whole, behind)) = rest.split_at_checked(frame.len) else {
            break;
        };
        let body = &whole[5..];
        if let Ok(row) = backend::data_row(body) {
            let used: usize = row
                .iter()
                .map(|column| 4 + column.as_ref().map_or(0, Vec::len))
                .sum();
            assert_eq!(used + 2, body.len());
        }
        let _ = (backend::ready(body), backend::error(body));
        let _ = backend::parameter_status(body);
        rest = behind;
    }
}
