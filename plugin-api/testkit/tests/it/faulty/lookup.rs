//! Its answers: whether a number is even; it knows those below 100.

use std::sync::atomic::Ordering;

use gantry_plugin_api::{Answer, Context, Error, Json, Lookup, Query};
use serde::Deserialize;

use super::{EVERYWHERE, Faulty, Settings};

#[derive(Deserialize)]
struct Number {
    number: u64,
}

impl Lookup for Faulty {
    type Settings = Settings;

    async fn lookup(
        &self,
        settings: &Settings,
        _: &Context,
        queries: Vec<Query>,
    ) -> Result<Vec<Result<Option<Answer>, Error>>, Error> {
        if !self.has("asks_nobody") {
            self.ask(settings).await?;
        }
        let n_others = EVERYWHERE.n_calls.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        EVERYWHERE.n_calls.fetch_sub(1, Ordering::SeqCst);
        match self.config.fault.as_str() {
            "no_queries_panic" => assert!(!queries.is_empty(), "no queries"),
            "one_at_a_time" if n_others > 0 => return Err(Error::transient("not now")),
            "few_at_a_time" if queries.len() > 50 => return Err(Error::permanent("too many")),
            "lonely" if queries.len() == 1 => return Ok(vec![Ok(None)]),
            _ => {}
        }
        let mut answers: Vec<_> = queries.iter().map(|query| self.even(query)).collect();
        if self.has("reversed") {
            answers.reverse();
        }
        if self.has("fails_together")
            && let Some(failed) = answers.iter().find_map(|answer| answer.as_ref().err())
        {
            return Err(failed.clone());
        }
        Ok(answers)
    }
}

impl Faulty {
    fn even(&self, query: &Query) -> Result<Option<Answer>, Error> {
        let number: Result<Number, Error> = query.attributes.parse();
        let number = match number {
            Err(error) if self.has("odd_panics") => panic!("{error}"),
            number => number?.number,
        };
        if number >= 100 {
            let missing = Error::gone("no such number");
            return if self.has("missing_is_error") { Err(missing) } else { Ok(None) };
        }
        let even = number.is_multiple_of(2) != self.has("wrong");
        Ok(Some(Answer::new(Json::from_bytes(format!("{{\"even\":{even}}}")))))
    }
}
