//! Workdays: a bit a day, with counts, so that the n-th one is found without walking.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use jiff::civil::{Date, date};

use crate::spec::{CalendarSpec, DayOfYear, DayRule, Exception};

const BITS: i64 = 64;

/// Which days are workdays.
pub(super) struct Days {
    /// The day of the first bit.
    first: i64,
    words: Vec<u64>,
    /// Workdays before each word, and at last all of them.
    before: Vec<u32>,
}

impl Days {
    /// From the first day, in days since 1970-01-01, and whether it and each after it has hours.
    pub(super) fn new(first: i64, workdays: impl ExactSizeIterator<Item = bool>) -> Self {
        let mut words = vec![0; workdays.len().div_ceil(BITS as usize)];
        for (at, workday) in workdays.enumerate() {
            words[at / BITS as usize] |= u64::from(workday) << (at % BITS as usize);
        }
        let mut total = 0;
        let mut before = vec![0];
        before.extend(words.iter().map(|word: &u64| {
            total += word.count_ones();
            total
        }));
        Self { first, words, before }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.words) + size_of_val(&*self.before)
    }

    pub(super) fn is_workday(&self, day: i64) -> bool {
        self.before(day) < self.before(day + 1)
    }

    /// How many workdays there are before a day.
    pub(super) fn before(&self, day: i64) -> u32 {
        let at = (day - self.first).max(0);
        let word = (at / BITS) as usize;
        match self.words.get(word) {
            Some(bits) => {
                let lower = bits & ((1 << (at % BITS)) - 1);
                self.before[word] + lower.count_ones()
            }
            None => self.before[self.words.len()],
        }
    }

    /// The workday before which there are `n`.
    pub(super) fn nth(&self, n: u32) -> Option<i64> {
        let word = self.before.partition_point(|before| *before <= n) - 1;
        let mut bits = *self.words.get(word)?;
        for _ in self.before[word]..n {
            bits &= bits - 1;
        }
        Some(self.first + word as i64 * BITS + i64::from(bits.trailing_zeros()))
    }
}

/// A date in days since 1970-01-01.
pub(super) fn day_number(day: Date) -> i64 {
    day.duration_since(date(1970, 1, 1)).as_secs().div_euclid(86_400)
}

impl CalendarSpec {
    /// The days of a year that are not like their weekday, each with its rule. A date counts
    /// before any rule; of two rules for one day, the one with less working time counts.
    pub fn exceptions_in(&self, year: i16) -> BTreeMap<Date, (DayRule, &Exception)> {
        let mut days: BTreeMap<Date, (DayRule, &Exception)> = BTreeMap::new();
        // Dates come first in the order of rules, and may be many: only those of the year.
        let of_day = |month, day| Date::new(year, month, day).ok().map(DayRule::date);
        let dates = of_day(1, 1).zip(of_day(12, 31)).map(|(first, last)| first..=last);
        let rules = DayRule::yearly(DayOfYear::Yearly { month: i8::MIN, day: i8::MIN })..;
        let dated = dates.into_iter().flat_map(|dates| self.exceptions.range(dates));
        for (rule, exception) in dated.chain(self.exceptions.range(rules)) {
            let Some(day) = rule.in_year(year) else { continue };
            match days.entry(day) {
                Entry::Vacant(free) => {
                    free.insert((*rule, exception));
                }
                Entry::Occupied(mut taken) => {
                    let (other, known) = taken.get();
                    let dated = matches!(other.day, DayOfYear::Date(_));
                    if !dated && exception.hours.minutes() < known.hours.minutes() {
                        taken.insert((*rule, exception));
                    }
                }
            }
        }
        days
    }
}
