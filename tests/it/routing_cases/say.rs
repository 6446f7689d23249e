//! Sentences: a pattern of words in which `{}` stands for one word and `{…}`, at the end, for
//! the rest.

/// The parts that a sentence fills into a pattern; `None` if it is another sentence.
pub(super) fn parts<'a>(pattern: &str, sentence: &'a str) -> Option<Vec<&'a str>> {
    let mut parts = Vec::new();
    let mut rest = sentence.trim();
    for word in pattern.split(' ') {
        if word == "{…}" {
            return (!rest.is_empty()).then(|| {
                parts.push(rest);
                parts
            });
        }
        let (head, tail) = rest.split_once(' ').unwrap_or((rest, ""));
        rest = tail.trim_start();
        let colon = word.ends_with(':');
        match word.trim_end_matches(':') {
            "{}" => {
                let part = if colon { head.strip_suffix(':')? } else { head };
                if part.is_empty() || (!colon && part.ends_with(':')) {
                    return None;
                }
                parts.push(part);
            }
            _ if word == head => {}
            _ => return None,
        }
    }
    rest.is_empty().then_some(parts)
}
