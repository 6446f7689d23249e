//! The clock: weeks of UTC with the working time before each, and what a week looks like.

/// A week in milliseconds.
pub(super) const WEEK: i64 = 7 * super::zone::DAY;
/// Weeks from 1970-01-01T00:00Z to 2270-01-06T00:00Z; few enough that a `u16` numbers them.
pub(super) const WEEKS: usize = 15_654;

/// The working time of all weeks.
pub(super) struct Weeks {
    /// Working time before each week, and at last all of it.
    before: Vec<i64>,
    /// Which pattern each week has.
    pattern: Vec<u16>,
    /// First span of each pattern, and at last their number.
    first: Vec<u32>,
    spans: Vec<Open>,
}

/// An open span within a week, in milliseconds since its begin.
#[derive(Clone, Copy)]
struct Open {
    from: u32,
    to: u32,
    /// Working time of the week before it.
    before: u32,
}

impl Weeks {
    /// From the patterns, each a list of spans that neither overlap nor touch, and the pattern of
    /// each week.
    pub(super) fn new(patterns: &[Vec<(u32, u32)>], pattern: Vec<u16>) -> Self {
        let mut first = Vec::with_capacity(patterns.len() + 1);
        let mut spans = Vec::with_capacity(patterns.iter().map(Vec::len).sum());
        let mut length = Vec::with_capacity(patterns.len());
        for opens in patterns {
            first.push(spans.len() as u32);
            let mut before = 0;
            for &(from, to) in opens {
                spans.push(Open { from, to, before });
                before += to - from;
            }
            length.push(i64::from(before));
        }
        first.push(spans.len() as u32);
        let mut total = 0;
        let mut before = Vec::with_capacity(pattern.len() + 1);
        for &id in &pattern {
            before.push(total);
            total += length[usize::from(id)];
        }
        before.push(total);
        Self { before, pattern, first, spans }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.before)
            + size_of_val(&*self.pattern)
            + size_of_val(&*self.first)
            + size_of_val(&*self.spans)
    }

    pub(super) fn total(&self) -> i64 {
        self.before[self.pattern.len()]
    }

    fn opens(&self, week: usize) -> &[Open] {
        let id = usize::from(self.pattern[week]);
        &self.spans[self.first[id] as usize..self.first[id + 1] as usize]
    }

    /// The week of an instant and the milliseconds into it; none outside the range.
    fn place(&self, t: i64) -> Option<(usize, u32)> {
        let week = usize::try_from(t.div_euclid(WEEK)).ok()?;
        (week < self.pattern.len()).then_some((week, t.rem_euclid(WEEK) as u32))
    }

    pub(super) fn clock(&self, t: i64) -> i64 {
        let Some((week, rest)) = self.place(t) else {
            return if t < 0 { 0 } else { self.total() };
        };
        let opens = self.opens(week);
        let at = opens.partition_point(|open| open.from <= rest);
        let within = at.checked_sub(1).map_or(0, |last| {
            let open = opens[last];
            open.before + rest.min(open.to) - open.from
        });
        self.before[week] + i64::from(within)
    }

    pub(super) fn is_open(&self, t: i64) -> bool {
        self.place(t).is_some_and(|(week, rest)| {
            let opens = self.opens(week);
            let at = opens.partition_point(|open| open.from <= rest);
            at.checked_sub(1).is_some_and(|last| rest < opens[last].to)
        })
    }

    pub(super) fn earliest(&self, clock: i64) -> Option<i64> {
        if clock <= 0 || clock > self.total() {
            return None;
        }
        let week = self.before.partition_point(|before| *before < clock) - 1;
        let within = (clock - self.before[week]) as u32;
        let opens = self.opens(week);
        let open = opens[opens.partition_point(|open| open.before < within) - 1];
        Some(week as i64 * WEEK + i64::from(open.from + within - open.before))
    }

    pub(super) fn latest(&self, clock: i64) -> Option<i64> {
        if clock < 0 || clock >= self.total() {
            return None;
        }
        let week = self.before.partition_point(|before| *before <= clock) - 1;
        let within = (clock - self.before[week]) as u32;
        let opens = self.opens(week);
        let open = opens[opens.partition_point(|open| open.before <= within) - 1];
        Some(week as i64 * WEEK + i64::from(open.from + within - open.before))
    }

    /// When a calendar that is open at `t` closes: the last instant up to which no closed time
    /// passes. None if it never does.
    pub(super) fn closes(&self, t: i64) -> Option<i64> {
        let closed = t - self.clock(t);
        // The last week before which there is no more closed time than now.
        let (mut week, mut beyond) = (0, self.before.len());
        while beyond - week > 1 {
            let middle = week + (beyond - week) / 2;
            if middle as i64 * WEEK - self.before[middle] <= closed {
                week = middle;
            } else {
                beyond = middle;
            }
        }
        if week == self.pattern.len() {
            return None;
        }
        let begin = week as i64 * WEEK;
        let within = (closed - (begin - self.before[week])) as u32;
        let opens = self.opens(week);
        let at = opens.partition_point(|open| open.from - open.before <= within);
        Some(at.checked_sub(1).map_or(begin, |last| begin + i64::from(opens[last].to)))
    }
}
