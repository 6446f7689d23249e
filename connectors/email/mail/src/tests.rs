//! A mail's bytes as fields, whatever they are.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{Bounds, Mail};

const BOUNDS: Bounds = Bounds { text_bytes: 1000, attachment_bytes: 100 };

fn read(raw: &[u8]) -> Value {
    serde_json::to_value(Mail::read(raw, BOUNDS, &["desk@example.com".to_owned()])).unwrap()
}

#[track_caller]
fn check(raw: &str, expected: Value) {
    let mail = read(raw.replace('\n', "\r\n").as_bytes());
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(mail.get(key).unwrap_or(&Value::Null), value, "{key} of {mail:#}");
    }
}

#[test]
fn words_charsets_and_html_become_text() {
    check(
        "From: =?UTF-8?Q?J=C3=BCrgen?= <j@example.net>\n\
         To: Desk <desk@example.com>, b@example.com\n\
         Subject: =?iso-8859-1?Q?Gr=FC=DFe?=\nMessage-ID: <m1@example.net>\n\
         Date: Mon, 02 Nov 2026 10:00:00 +0100\n\
         Content-Type: text/html; charset=iso-8859-1\n\
         Content-Transfer-Encoding: quoted-printable\n\n\
         <html><head><style>p {{}}</style></head><body><script>alert(1)</script>\
         <p>Gr=FC=DFe</p><p>zwei</p></body></html>\n",
        json!({
            "from": "j@example.net", "from_name": "Jürgen", "subject": "Grüße",
            "to": ["desk@example.com", "b@example.com"], "date": "2026-11-02T10:00:00+01:00",
            "thread_id": "m1@example.net", "message_id": "m1@example.net", "auto": null,
            "text": "Grüße\nzwei", "text_cut": false,
        }),
    );
}

#[test]
fn text_of_no_charset_that_is_no_utf8_is_windows_1252() {
    let raw = b"Message-ID: <a@b>\r\nContent-Type: text/plain\r\n\r\nPreis: 5 \x80, sch\xf6n\r\n";
    assert_eq!(read(raw)["text"], "Preis: 5 €, schön");
}

#[test]
fn the_first_reference_names_the_thread() {
    let head = "Message-ID: <c@x>\nIn-Reply-To: <b@x>\n";
    check(&format!("{head}References: <a@x>\n <b@x>\n\nhi\n"), json!({ "thread_id": "a@x" }));
    check(&format!("{head}\nhi\n"), json!({ "thread_id": "b@x", "in_reply_to": "b@x" }));
    check("Message-ID: <c@x>\n\nhi\n", json!({ "thread_id": "c@x" }));
    let long = "x".repeat(300);
    let id = read(format!("Message-ID: <{long}@x>\r\n\r\nhi").as_bytes())["thread_id"].clone();
    assert_eq!(id.as_str().unwrap().len(), "sha256:".len() + 64);
}

#[test]
fn mails_of_one_id_are_told_apart_by_content() {
    let fingerprint = |text: &str| {
        let raw = format!("Message-ID: <a@x>\r\nSubject: s\r\n\r\n{text}");
        Mail::read(raw.as_bytes(), BOUNDS, &[]).fingerprint
    };
    assert_eq!(fingerprint("one"), fingerprint("one"));
    assert_ne!(fingerprint("one"), fingerprint("two"));
}

#[test]
fn attachments_bring_their_content_if_it_is_short() {
    let long = "QUJD".repeat(100);
    check(
        &format!(
            "Message-ID: <a@x>\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n\
             --b\nContent-Type: text/plain\n\nsee there\n\
             --b\nContent-Type: application/pdf\nContent-Transfer-Encoding: base64\n\
             Content-Disposition: attachment; filename*=UTF-8''r%C3%A9sum%C3%A9.pdf\n\nQUJD\n\
             --b\nContent-Type: image/png; name=big.png\nContent-Transfer-Encoding: base64\n\
             Content-Disposition: attachment\n\n{long}\n--b--\n"
        ),
        json!({
            "text": "see there",
            "attachments": [
                {
                    "name": "résumé.pdf", "type": "application/pdf", "size": 3, "content": "QUJD",
                    "sha256": "b5d4045c3f466fa91fe2cc6abe79232a1a57cdf104f7a26e716e0a1e2789df78",
                },
                {
                    "name": "big.png", "type": "image/png", "size": 300,
                    "sha256": read_hash(&"ABC".repeat(100)),
                },
            ],
        }),
    );
}

fn read_hash(content: &str) -> String {
    use sha2::Digest as _;
    crate::hex(&sha2::Sha256::digest(content))
}

#[test]
fn machines_are_told_from_people() {
    for (head, auto) in [
        ("Auto-Submitted: auto-replied", "reply"),
        ("Auto-Submitted: no", ""),
        ("X-Auto-Response-Suppress: OOF, AutoReply", "reply"),
        ("X-Autoreply: yes", "reply"),
        ("Return-Path: <>", "reply"),
        ("Return-Path: <bob@example.net>", ""),
        ("Precedence: bulk", "bulk"),
        ("List-Id: news <news.example.net>", "bulk"),
        ("X-Loop: desk@example.com", "own"),
        ("X-Gantry-Key: 1", "own"),
        ("From: DESK@example.com", "own"),
        ("From: bob@example.net", ""),
    ] {
        let mail = read(format!("{head}\r\nMessage-ID: <a@x>\r\n\r\nhi").as_bytes());
        assert_eq!(mail["auto"].as_str().unwrap_or_default(), auto, "{head}");
    }
}

#[test]
fn a_bounce_belongs_to_the_thread_of_what_bounced() {
    check(
        "From: MAILER-DAEMON@x\nMessage-ID: <r@x>\nSubject: Undelivered\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n\
         --b\n\nno such user\n\
         --b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\nAction: failed\n\
         --b\nContent-Type: message/rfc822\n\n\
         Message-ID: <ours@x>\nReferences: <root@x>\nSubject: Re: order\n\nhello\n--b--\n",
        json!({ "auto": "bounce", "thread_id": "root@x", "in_reply_to": "ours@x" }),
    );
}

#[test]
fn text_is_cut_at_a_character() {
    let raw = format!(
        "Message-ID: <a@x>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{}",
        "é".repeat(900)
    );
    let mail = read(raw.as_bytes());
    assert_eq!((mail["text"].as_str().unwrap().len(), &mail["text_cut"]), (1000, &json!(true)));
}

/// Found by fuzzing: the parser breaks over it where assertions are on. Its header still tells the
/// conversation.
#[test]
fn mail_that_breaks_the_parser_is_told_as_its_bytes() {
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../fuzz/corpus/mail/breaks_the_parser");
    let raw = std::fs::read(kept).unwrap();
    let raw = [b"Message-ID: <m9@x>\r\nIn-Reply-To: <m8@x>\r\n", &raw[2..]].concat();
    let mail = read(&raw);
    assert_eq!((&mail["thread_id"], &mail["message_id"]), (&json!("m8@x"), &json!("m9@x")));
    assert!(mail["text"].as_str().unwrap().contains("Not delivered."), "{mail:#}");
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        check_bounds(&bytes);
    }

    #[test]
    fn nothing_like_a_mail_panics(
        heads in proptest::collection::vec(
            concat!(
                "(From|To|Subject|Message-ID|References|Content-Type|Date|Return-Path",
                "|Content-Transfer-Encoding): [ -~é]{0,40}",
                r"(multipart/mixed; boundary=b|base64|quoted-printable|=\?utf-8\?B\?w6k\?=)?",
            ),
            0..6,
        ),
        body in concat!(
            r"(--b\r\n|--b--|Content-Type: message/rfc822\r\n\r\n|<html><b>|=C3=|QUJD",
            r"|[ -~\r\n]){0,12}",
        ),
    ) {
        check_bounds(format!("{}\r\n\r\n{body}", heads.join("\r\n")).as_bytes());
    }
}

/// Whatever it is, it has its ids and fits into a record.
fn check_bounds(bytes: &[u8]) {
    let mail = read(bytes);
    for key in ["thread_id", "message_id"] {
        let id = mail[key].as_str().unwrap();
        assert!((1..=256).contains(&id.len()), "{id:?}");
    }
    assert!(mail["text"].as_str().unwrap().len() <= BOUNDS.text_bytes);
    Mail::read_head(bytes, &[]);
}
