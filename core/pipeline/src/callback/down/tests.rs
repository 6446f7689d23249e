//! Pauses that are cut short, and those that are not, at times that the test names.

use std::time::Duration;

use tokio::time::Instant;

use super::Down;

#[test]
fn a_pause_is_cut_short_and_goes_on_if_that_was_in_vain() {
    let start = Instant::now();
    let at = |secs: u64| start + Duration::from_secs(secs);
    let pause = || Duration::from_mins(1);
    let mut down = Down::default();
    down.hurry(at(1));
    assert_eq!(down.until(start), None, "it is not down");

    down.back_off(start, pause);
    down.hurry(at(70));
    assert_eq!(down.until(at(59)), Some(at(60)), "a pause gets no longer");
    down.hurry(at(5));
    assert_eq!((down.until(at(4)), down.until(at(5))), (Some(at(5)), None));

    // In vain: the rest of the pause, whoever gets through meanwhile.
    down.back_off(at(6), || panic!("the pause is not over"));
    down.hurry(at(7));
    assert_eq!(down.until(at(8)), Some(at(60)));

    // The next one may be cut short again, and after a call that went through a new one begins.
    down.back_off(at(61), pause);
    down.hurry(at(65));
    assert_eq!(down.until(at(64)), Some(at(65)));
    down.is_over();
    down.back_off(at(66), pause);
    assert_eq!(down.until(at(66)), Some(at(126)));

    // What the source asked for, or a person has to see to, is waited for.
    down.wait(at(200));
    down.hurry(at(130));
    assert_eq!(down.until(at(199)), Some(at(200)));
}
