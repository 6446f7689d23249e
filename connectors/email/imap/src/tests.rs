//! What servers say is cut by length and read without trust; what is said to them keeps its place.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::task::JoinSet;

use crate::wire::{Cutter, Response, Token, WireError, parse};
use crate::{Command, Session, uid_set};

/// Feeds bytes piece by piece and gives the responses that come out.
fn responses(bytes: &[u8], piece: usize) -> Result<Vec<Response>, WireError> {
    let (mut cutter, mut buffer, mut found) = (Cutter::default(), BytesMut::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        buffer.extend_from_slice(piece);
        while let Some(response) = cutter.cut(&mut buffer)? {
            found.push(parse(&response)?);
        }
    }
    Ok(found)
}

#[test]
fn literals_are_cut_by_length_wherever_the_pieces_end() {
    let said =
        b"* 1 FETCH (UID 7 BODY[] {11}\r\na\r\n)\r\nb {3})\r\n+ go on\r\ng1 OK [UIDNEXT 8] ok\r\n";
    let whole = responses(said, said.len()).unwrap();
    for piece in 1..said.len() {
        assert_eq!(responses(said, piece).unwrap(), whole);
    }
    let [Response::Data(data), Response::Continue, Response::Status(Some(tag), status)] = &*whole
    else {
        panic!("{whole:?}");
    };
    let list = data[2].list();
    assert!(list[2].is("body[]"));
    assert_eq!(list[3], Token::Text(Bytes::from_static(b"a\r\n)\r\nb {3}")));
    assert_eq!((&**tag, &*status.kind, &*status.text), ("g1", "OK", "ok"));
    let (code, arguments) = status.code.as_ref().unwrap();
    assert_eq!((&**code, arguments[0].number()), ("UIDNEXT", Some(8)));
}

#[test]
fn what_is_too_long_or_too_deep_is_an_error() {
    let long = b"* 1 FETCH (BODY[] {99999999999}\r\n";
    assert_eq!(responses(long, 7).unwrap_err(), WireError::LiteralTooLong);
    let half = 100 << 20;
    let (mut cutter, mut buffer) = (Cutter::default(), BytesMut::new());
    buffer.extend_from_slice(format!("* 1 FETCH (A {{{half}}}\r\n").as_bytes());
    buffer.resize(buffer.len() + half, b'a');
    buffer.extend_from_slice(format!(" B {{{half}}}\r\n").as_bytes());
    assert_eq!(cutter.cut(&mut buffer).unwrap_err(), WireError::LiteralTooLong);
    let deep = [b"* ", &*b"(".repeat(40), b"\r\n"].concat();
    assert_eq!(responses(&deep, 50).unwrap_err(), WireError::TooDeep);
    assert_eq!(responses(b"* (a\r\n", 50).unwrap_err(), WireError::CutOff);
}

#[test]
fn arguments_cannot_leave_their_place() {
    let login = Command::new("LOGIN").string("a\"b\\c").string("x\r\ny");
    let pieces: Vec<_> = login.pieces.iter().map(|piece| String::from_utf8_lossy(piece)).collect();
    assert_eq!(pieces, [r#"LOGIN "a\"b\\c" {4}"#, "x\r\ny"]);
    let select = Command::new("SELECT").folder("Entwürfe & mehr/日本");
    assert_eq!(select.pieces[0], br#"SELECT "Entw&APw-rfe &- mehr/&ZeVnLA-""#);
}

#[test]
fn uids_are_written_as_ranges() {
    assert_eq!(uid_set(&[1, 2, 3, 7, u32::MAX]), "1:3,7,4294967295");
    assert_eq!(uid_set(&[]), "");
}

proptest! {
    #[test]
    fn no_bytes_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        piece in 1..50_usize,
    ) {
        let _ = responses(&bytes, piece);
    }

    #[test]
    fn nothing_like_a_response_panics(
        text in r#"(\* |g1 |\+ )?(OK |NO |[0-9]{1,3} )?[\[\]()"{} \\a-cA-C0-9\r\n]{0,60}\r\n"#,
    ) {
        let _ = responses(text.as_bytes(), 5);
    }
}

/// A session with a server that gives these answers, one to each line that it hears.
fn session(answers: &'static [&'static str]) -> (Session, JoinSet<Vec<String>>) {
    let (ours, theirs) = tokio::io::duplex(4096);
    let mut server = JoinSet::new();
    server.spawn(async move {
        let (read, mut write) = tokio::io::split(theirs);
        let (mut lines, mut heard) = (BufReader::new(read).lines(), Vec::new());
        for answer in answers {
            let Ok(Some(line)) = lines.next_line().await else { break };
            heard.push(line);
            write.write_all(answer.as_bytes()).await.unwrap();
        }
        heard
    });
    (Session::over(Box::new(ours), Duration::from_secs(30)), server)
}

#[tokio::test]
async fn whether_a_folder_is_there_is_asked_where_a_refusal_does_not_say() {
    let cases: [(&'static [&'static str], Option<bool>); 5] = [
        (&["* 2 EXISTS\r\ng1 OK [READ-ONLY] done\r\n"], Some(true)),
        (&["g1 NO [NONEXISTENT] none\r\n"], Some(false)),
        (&["g1 NO none\r\n", "g2 OK nothing\r\n"], Some(false)),
        (&["g1 NO none\r\n", "* LIST (\\NonExistent) \"/\" A\r\ng2 OK done\r\n"], Some(false)),
        (&["g1 NO locked\r\n", "* LIST () \"/\" A\r\ng2 OK done\r\n"], None),
    ];
    for (answers, is_there) in cases {
        let (mut session, mut server) = session(answers);
        let opened = session.examine_if_there("A").await;
        assert_eq!(opened.ok().map(|folder| folder.is_some()), is_there, "{answers:?}");
        let heard = server.join_next().await.unwrap().unwrap();
        let said = ["g1 EXAMINE \"A\"", "g2 LIST \"\" \"A\""];
        assert_eq!(heard, said[..answers.len()]);
    }
}

#[tokio::test]
async fn a_refusal_of_one_mail_is_no_mail_that_is_not_there() {
    let answers = &["* 1 FETCH (UID 7 RFC822.SIZE 3)\r\ng1 NO [SERVERBUG] cannot read one\r\n"];
    let (mut session, _server) = session(answers);
    let mut uids = Vec::new();
    let fetched = session.fetch("7:8", "(UID RFC822.SIZE)", |mail| uids.push(mail.uid)).await;
    assert_eq!(uids, [7]);
    assert_eq!(fetched.unwrap_err().code(), Some("SERVERBUG"));
}
