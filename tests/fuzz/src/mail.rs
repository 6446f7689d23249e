//! What strangers send: the words of a mail server, and mail itself.

use bytes::{Bytes, BytesMut};
use gantry_imap::wire::{Cutter, Response, WireError, parse};
use gantry_mail::{Bounds, Mail};

/// The first byte says in what pieces the others come.
pub(crate) fn imap(bytes: &[u8]) {
    let Some((piece, bytes)) = bytes.split_first() else { return };
    let whole = cut(bytes, bytes.len().max(1));
    let pieces = cut(bytes, usize::from(*piece) + 1);
    assert_eq!(whole, pieces, "pieces are cut as the whole is");
    let joined: Vec<u8> = whole.0.iter().flatten().copied().collect();
    assert!(bytes.starts_with(&joined), "what is cut is what came, in its order");
    for response in &whole.0 {
        let Ok(Response::Status(_, status)) = parse(response) else { continue };
        assert!(status.text.len() <= 3 * response.len(), "a status says no more than came");
    }
}

/// The responses in these bytes, and what ended them.
fn cut(bytes: &[u8], piece: usize) -> (Vec<Bytes>, Option<WireError>) {
    let (mut cutter, mut buffer, mut found) = (Cutter::default(), BytesMut::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        buffer.extend_from_slice(piece);
        loop {
            match cutter.cut(&mut buffer) {
                Ok(Some(response)) => found.push(response),
                Ok(None) => break,
                Err(error) => return (found, Some(error)),
            }
        }
    }
    (found, None)
}

/// The first two bytes say how much of the mail is told.
pub(crate) fn mail(bytes: &[u8]) {
    let [text, attachment, raw @ ..] = bytes else { return };
    let bounds = Bounds {
        text_bytes: usize::from(*text) * 16,
        attachment_bytes: usize::from(*attachment) * 16,
    };
    let own = ["desk@example.com".to_owned()];
    let mail = Mail::read(raw, bounds, &own);
    assert!(mail.text.len() <= bounds.text_bytes, "the text is within its bound");
    for id in [&mail.thread_id, &mail.message_id].into_iter().chain(&mail.references) {
        assert!(!id.is_empty() && id.len() <= 200, "{id:?} can be one of the hub's");
    }
    let record = serde_json::to_vec(&mail).expect("invariant: its keys are text");
    let again: serde_json::Value =
        serde_json::from_slice(&record).expect("invariant: what is written can be read");
    assert_eq!(again["thread_id"], mail.thread_id);
    let _ = Mail::read_head(raw, &own);
}
