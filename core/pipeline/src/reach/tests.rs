//! Who hears that a source answers again, and whose pause is cut short. The pauses are so long that
//! none of them ends by itself.

use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt as _;
use gantry_plugin_host::api::ErrorClass;

use super::{Patience, Reach};
use crate::port::Trouble;

const PAUSE: Duration = Duration::from_hours(1);
const SPREAD: Duration = Duration::from_millis(1);

async fn failed(reach: &Reach, class: ErrorClass) {
    let answer = async { Err::<(), _>(Trouble::new(class, "no")) };
    assert!(reach.watch(answer, |()| Some(true)).await.is_err());
}

#[tokio::test]
async fn a_pause_is_cut_short_but_not_the_one_after_it() {
    let reach = Reach::default();
    let mut patience = Patience::new(&reach);
    for _ in 0..3 {
        patience.asks();
        failed(&reach, ErrorClass::Transient).await;
        {
            let mut cut = pin!(patience.wait(PAUSE, SPREAD));
            assert!(cut.as_mut().now_or_never().is_none(), "nobody got through yet");
            reach.answered();
            cut.await;
        }
        patience.asks();
        failed(&reach, ErrorClass::Transient).await;
        let mut whole = pin!(patience.wait(PAUSE, Duration::ZERO));
        reach.answered();
        assert!(whole.as_mut().now_or_never().is_none(), "the one before was cut in vain");
    }
}

#[tokio::test]
async fn who_gets_through_while_another_fails_is_heard_too() {
    let reach = Reach::default();
    let mut patience = Patience::new(&reach);
    reach.answered();
    patience.asks();
    failed(&reach, ErrorClass::Transient).await;
    reach.answered();
    patience.wait(PAUSE, SPREAD).await;
}

#[tokio::test]
async fn only_the_first_to_get_through_after_an_outage_is_heard() {
    let reach = Reach::default();
    let mut returns = reach.returns();
    let mut heard = move || {
        let heard = returns.has_changed().unwrap();
        returns.mark_unchanged();
        heard
    };
    reach.answered();
    assert!(heard(), "at first nobody knows how it is");
    reach.answered();
    assert!(!heard());
    // What a person has to mend, or the source asked for, is no outage.
    for class in [ErrorClass::AuthDenied, ErrorClass::Config, ErrorClass::Throttled] {
        failed(&reach, class).await;
    }
    reach.answered();
    assert!(!heard());
    failed(&reach, ErrorClass::Transient).await;
    failed(&reach, ErrorClass::Gone).await;
    assert!(heard(), "it answers: it has no such thing");
    // Somebody did not want to wait any longer.
    let slow = reach.watch(std::future::pending::<Result<(), Trouble>>(), |()| Some(true));
    assert!(slow.now_or_never().is_none());
    let silent = async { Ok::<_, Trouble>(()) };
    reach.watch(silent, |()| None).await.unwrap();
    assert!(!heard());
    reach.answered();
    assert!(heard());
}
