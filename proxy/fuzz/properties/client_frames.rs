//! A client's stream: a header is known from its first five bytes, and no body is read past its end.

use pgpawl::wire::{frame, frontend};

/// Holds for any client's stream.
pub fn hold(stream: &[u8]) {
    let mut rest = stream;
    while let Ok(Some(frame)) = frame::of_client(rest) {
        assert_eq!(frame::of_client(&rest[..5]), Ok(Some(frame)));
        let Some((whole, behind)) = rest.split_at_checked(frame.len) else {
            break;
        };
        let body = &whole[5..];
        let used = frontend::query(body).map_or(0, |text| text.len() + 1);
        assert!(used == 0 || used == body.len());
        let _ = (frontend::parse(body), frontend::execute(body));
        let _ = (frontend::bind(body), frontend::target(b'C', body));
        rest = behind;
    }
}
