//! Tests of reading a process's output.

use std::io::Write as _;

use rustix::pipe::{PipeFlags, pipe_with};

use super::*;

fn lines(written: &[u8]) -> (Vec<String>, String) {
    let (reader, writer) = pipe_with(PipeFlags::NONBLOCK).unwrap();
    let mut writer = std::fs::File::from(writer);
    let (mut output, mut tail, mut lines) = (Output::new(reader), Tail::default(), Vec::new());
    for piece in written.chunks(5_000) {
        writer.write_all(piece).unwrap();
        output.read(&mut tail, |line| lines.push(line.to_owned()));
    }
    drop(writer);
    output.renew();
    output.read(&mut tail, |line| lines.push(line.to_owned()));
    (lines, tail.text())
}

#[test]
fn output_is_cut_into_lines_and_its_end_is_kept() {
    let (read, kept) = lines(b"one\n\ntwo \r\nthree");
    assert_eq!(
        (read, &*kept),
        (["one", "two", "three"].map(str::to_owned).into(), "one\n\ntwo \r\nthree")
    );

    let long = vec![b'x'; 2 * LINE_MAX + 3];
    let (read, _) = lines(&long);
    assert_eq!(read.iter().map(String::len).collect::<Vec<_>>(), [LINE_MAX, LINE_MAX, 3]);

    let much = [b"a".repeat(KEPT_MAX), b"\nlast\n".to_vec()].concat();
    let (_, kept) = lines(&much);
    assert!(kept.len() == KEPT_MAX && kept.ends_with("a\nlast\n"));
}

#[test]
fn no_more_is_read_than_wanted_until_the_next_tick() {
    let (reader, writer) = pipe_with(PipeFlags::NONBLOCK).unwrap();
    let mut writer = std::fs::File::from(writer);
    let (mut output, mut tail) = (Output::new(reader), Tail::default());
    while output.fd().is_some() {
        writer.write_all(&[b'x'; 4096]).unwrap();
        output.read(&mut tail, |_| {});
    }
    output.renew();
    assert!(output.fd().is_some());

    let mut budget = LineBudget::new();
    let n = (0..LINES_MAX + 7).filter(|_| budget.take()).count();
    assert_eq!((n as u32, budget.renew(), budget.take()), (LINES_MAX, 7, true));
}
