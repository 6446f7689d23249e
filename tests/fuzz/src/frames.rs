//! Frames as they come in pieces over a socket, and the greeting in the first of them.

use gantry_plugin_api::frame::{Decoder, Frame, Hello, decode};

/// The first byte says in what pieces the others come.
pub(crate) fn run(bytes: &[u8]) {
    let Some((piece, bytes)) = bytes.split_first() else { return };
    let whole = read_at_once(bytes);
    let pieces = read_in_pieces(bytes, usize::from(*piece) + 1);
    assert_eq!(whole, pieces, "pieces are read as the whole is");
}

/// The frames, written again, and whether the bytes end in something that is none.
type Read = (Vec<u8>, bool);

fn read_at_once(mut bytes: &[u8]) -> Read {
    let mut written = Vec::new();
    loop {
        match decode(bytes) {
            Ok(Some((frame, len))) => {
                let before = written.len();
                write(&frame, &mut written);
                assert_eq!(written[before..], bytes[..len], "a frame is written as it was read");
                bytes = &bytes[len..];
            }
            Ok(None) => return (written, false),
            Err(_) => return (written, true),
        }
    }
}

fn read_in_pieces(bytes: &[u8], piece: usize) -> Read {
    let (mut decoder, mut written) = (Decoder::default(), Vec::new());
    for piece in bytes.chunks(piece) {
        decoder.room().extend_from_slice(piece);
        loop {
            match decoder.next() {
                Ok(Some(frame)) => write(&frame, &mut written),
                Ok(None) => break,
                Err(_) => return (written, true),
            }
        }
    }
    (written, false)
}

fn write(frame: &Frame<&[u8]>, to: &mut Vec<u8>) {
    frame.encode(to).expect("invariant: what was read can be written");
}

/// The body of a hello.
pub(crate) fn greeting(bytes: &[u8]) {
    if let Ok((hello, _, _)) = Hello::read(bytes) {
        let again = Hello::read(&hello.to_body()).expect("invariant: it was understood before");
        assert!(again.0 == hello, "a hello is read as it was written");
    }
}
