//! The bounds of the pipeline: sizes, numbers at once, and pauses. Each has a name and a default.

use std::time::Duration;

/// Bounds that the pipeline keeps. The defaults suit a hub on one machine.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Longest record, in bytes; a longer one is refused.
    pub record_bytes_max: usize,
    /// Deepest nesting of a record; a deeper one is refused. At most 127, where the parser ends.
    pub nesting_max: u32,
    /// Records in one request of the plain JSON API.
    pub request_records_max: usize,
    /// How much of a refused record's payload its dead letter keeps, in bytes.
    pub dead_letter_bytes_max: usize,
    /// Runs of look-ups and rules at once.
    pub runs_max: usize,
    /// Questions that one look-up answers at once.
    pub questions_max: usize,
    /// Answers that one look-up keeps, where it keeps any.
    pub answers_kept_max: u64,
    /// Failures of a look-up in a row after which it is not asked for a while.
    pub breaker_failures: u32,
    /// How long it is then not asked.
    pub breaker_pause: Duration,
    /// First and longest pause after a transient error; it doubles in between, with full jitter.
    pub pause_first: Duration,
    /// See `pause_first`.
    pub pause_longest: Duration,
    /// How long a capture point that a person has to see to waits before it tries by itself.
    pub pause_stopped: Duration,
    /// How long whoever moves a position waits until the capture point has settled its batch.
    pub rest_timeout: Duration,
    /// How long a plug-in that takes over from another one is watched, at most, before that is
    /// ended.
    pub probation: Duration,
    /// Records of a stream on their way at once: the credit its plug-in gets.
    pub stream_credit: u32,
    /// No lease is extended more often than this.
    pub lease_every_min: Duration,
    /// How long a plug-in may think about a request that was sent to a capture point.
    pub http_timeout: Duration,
    /// Longest pauses between the attempts of a callback; the last one repeats. Full jitter.
    pub callback_pauses: Vec<Duration>,
    /// Once a source answers again, the time that is taken for each event that waits for it, so
    /// that many do not start at once.
    pub return_pace: Duration,
    /// Events in one call of a callback.
    pub deliveries_max: usize,
    /// Calls of one callback at once.
    pub calls_max: usize,
    /// Events that a callback may read ahead of the first one that is not settled.
    pub window_max: usize,
    /// How often the statistics of alerts are looked at. Where that costs much, they are looked
    /// at less often.
    pub alerts_every: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            record_bytes_max: 1024 * 1024,
            nesting_max: 64,
            request_records_max: 1000,
            dead_letter_bytes_max: 1024 * 1024,
            runs_max: 128,
            questions_max: 32,
            answers_kept_max: 100_000,
            breaker_failures: 5,
            breaker_pause: Duration::from_secs(10),
            pause_first: Duration::from_millis(500),
            pause_longest: Duration::from_mins(1),
            pause_stopped: Duration::from_mins(10),
            rest_timeout: Duration::from_secs(30),
            probation: Duration::from_secs(2),
            stream_credit: 1024,
            lease_every_min: Duration::from_secs(1),
            http_timeout: Duration::from_secs(10),
            callback_pauses: [5, 30, 120, 600, 3600].map(Duration::from_secs).to_vec(),
            return_pace: Duration::from_millis(10),
            deliveries_max: 32,
            calls_max: 4,
            window_max: 4096,
            alerts_every: Duration::from_secs(1),
        }
    }
}
