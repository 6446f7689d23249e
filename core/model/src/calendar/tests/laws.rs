//! Laws over random calendars in zones of every kind, and a walk minute by minute that agrees.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use proptest::prelude::*;

use super::{Calendar, Change};
use crate::spec::{
    CalendarSpec, DayOfYear, DayRule, EASTER_OFFSETS, Exception, Hours, Minute, WallSpan, Weekday,
};
use crate::time::{Millis, Timestamp};

/// Half-hour offsets, changes at midnight, of half an hour and of two hours, days left out, winter
/// time that is the exception, and years that change their mind.
const ZONES: [&str; 12] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Africa/Casablanca",
    "Antarctica/Troll",
    "Pacific/Apia",
    "America/Sao_Paulo",
    "Europe/Dublin",
    "Asia/Tehran",
];

fn hours() -> impl Strategy<Value = Hours> {
    let minute = prop_oneof![
        Just(0_u16),
        Just(24 * 60),
        (0_u16..=24).prop_map(|hour| hour * 60),
        0..=24_u16 * 60
    ];
    let span = (minute.clone(), minute).prop_filter_map("empty", |(a, b)| {
        WallSpan::new(Minute::new(a.min(b))?, Minute::new(a.max(b))?)
    });
    prop::collection::vec(span, 0..3).prop_map(Hours::new)
}

fn rule() -> impl Strategy<Value = DayRule> {
    let date = (1975_i16..2100, 1_i8..=12, 1_i8..=28)
        .prop_map(|(year, month, day)| DayRule::date(Date::constant(year, month, day)));
    let yearly = prop_oneof![
        (1_i8..=12, 1_i8..=28).prop_map(|(month, day)| DayOfYear::Yearly { month, day }),
        Just(DayOfYear::Yearly { month: 2, day: 29 }),
        EASTER_OFFSETS.prop_map(DayOfYear::Easter),
        (prop_oneof![1_i8..=5, Just(-1)], prop::sample::select(&Weekday::ALL[..]), 1_i8..=12)
            .prop_map(|(nth, weekday, month)| DayOfYear::Nth { nth, weekday, month }),
    ];
    let years = (prop::option::of(1975_i16..2040), prop::option::of(2040_i16..2100));
    let yearly = (yearly, years).prop_map(|(day, (from, until))| DayRule { day, from, until });
    prop_oneof![date, yearly]
}

fn spec() -> impl Strategy<Value = CalendarSpec> {
    let exception = hours().prop_map(|hours| Exception { hours, name: None });
    let hours = prop::collection::vec(hours(), 7);
    let exceptions = prop::collection::btree_map(rule(), exception, 0..12);
    (prop::sample::select(&ZONES[..]), hours, exceptions)
        .prop_filter("never open", |(_, hours, _)| hours.iter().any(|day| !day.is_empty()))
        .prop_map(|(timezone, hours, exceptions)| CalendarSpec {
            timezone: timezone.into(),
            hours: Weekday::ALL.into_iter().zip(hours).collect(),
            exceptions,
        })
}

/// An instant of the years 1975 to 2100.
fn instant() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        (157_766_400_000_i64..4_102_444_800_000).prop_map(Timestamp),
        (2_629_440_i64..68_374_080).prop_map(|minute| Timestamp(minute * 60_000)),
    ]
}

fn duration() -> impl Strategy<Value = Millis> {
    prop_oneof![
        0..3_i64,
        0..36_000_000_i64,
        (0..40_i64).prop_map(|hours| hours * 3_600_000),
        0..30_000_000_000_i64,
    ]
    .prop_map(Millis)
}

/// What is open, asked of each instant anew: the time zone by jiff, the rules one by one.
struct Oracle<'s> {
    spec: &'s CalendarSpec,
    zone: TimeZone,
}

impl<'s> Oracle<'s> {
    fn new(spec: &'s CalendarSpec) -> Self {
        Self { spec, zone: TimeZoneDatabase::bundled().get(&spec.timezone).unwrap() }
    }

    fn hours(&self, date: Date) -> Hours {
        let rules = self.spec.exceptions.iter();
        let mut hits: Vec<(bool, u16, &Hours)> = rules
            .filter(|(rule, _)| rule.in_year(date.year()) == Some(date))
            .map(|(rule, exception)| {
                let dated = matches!(rule.day, DayOfYear::Date(_));
                (!dated, exception.hours.minutes(), &exception.hours)
            })
            .collect();
        hits.sort();
        let weekday = || self.spec.hours.get(&Weekday::of(date)).cloned().unwrap_or_default();
        hits.first().map_or_else(weekday, |(_, _, hours)| (*hours).clone())
    }

    /// Whether each of so many minutes from an instant is open.
    fn minutes(&self, from: Timestamp, n: i64) -> Vec<bool> {
        let mut days: BTreeMap<Date, Hours> = BTreeMap::new();
        (0..n)
            .map(|minute| {
                let at = jiff::Timestamp::from_millisecond(from.0 + minute * 60_000).unwrap();
                let local = self.zone.to_datetime(at);
                let hours = days.entry(local.date()).or_insert_with(|| self.hours(local.date()));
                let now = Minute::new(
                    u16::from(local.hour().unsigned_abs()) * 60
                        + u16::from(local.minute().unsigned_abs()),
                );
                let now = now.unwrap();
                hours.spans().iter().any(|span| span.from() <= now && now < span.to())
            })
            .collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_was_added_is_between(
        spec in spec(),
        questions in prop::collection::vec((instant(), duration(), duration()), 32),
    ) {
        let calendar = Calendar::new(&spec).unwrap();
        for (a, x, y) in questions {
            let end = calendar.add(a, x).unwrap();
            prop_assert!(end >= a);
            prop_assert_eq!(calendar.between(a, end), x);
            prop_assert_eq!(calendar.between(end, a), x);
            // The last step decides on which side of a gap it ends.
            if y.0 > 0 {
                let sum = Millis(x.0 + y.0);
                prop_assert_eq!(calendar.add(end, y), calendar.add(a, sum));
            }
            if let Ok(start) = calendar.subtract(a, x) {
                prop_assert!(start <= a);
                prop_assert_eq!(calendar.between(start, a), x);
                prop_assert_eq!(
                    calendar.clock(calendar.add(start, x).unwrap()),
                    calendar.clock(a)
                );
            }
            if calendar.is_open(a) && x.0 > 0 {
                prop_assert_eq!(calendar.subtract(end, x), Ok(a));
            }
        }
    }

    #[test]
    fn the_clock_rises_with_time_and_never_faster(
        spec in spec(),
        pairs in prop::collection::vec((instant(), duration()), 32),
    ) {
        let calendar = Calendar::new(&spec).unwrap();
        for (a, step) in pairs {
            let b = a.plus(step);
            let passed = calendar.clock(b).0 - calendar.clock(a).0;
            prop_assert!((0..=step.0).contains(&passed));
            let one = calendar.clock(a.plus(Millis(1))).0 - calendar.clock(a).0;
            prop_assert_eq!(one, i64::from(calendar.is_open(a)));
        }
    }

    #[test]
    fn the_clock_turns_back_into_instants(
        spec in spec(),
        instants in prop::collection::vec(instant(), 32),
    ) {
        let calendar = Calendar::new(&spec).unwrap();
        for t in instants {
            let clock = calendar.clock(t);
            let latest = calendar.latest(clock).unwrap();
            prop_assert!(t <= latest);
            prop_assert_eq!(calendar.clock(latest), clock);
            prop_assert!(calendar.is_open(latest));
            if let Some(earliest) = calendar.earliest(clock) {
                prop_assert!(earliest <= t);
                prop_assert_eq!(calendar.clock(earliest), clock);
                prop_assert!(calendar.is_open(Timestamp(earliest.0 - 1)));
            }
            match calendar.next_change(t).unwrap() {
                Change::Opens(at) => {
                    prop_assert!(!calendar.is_open(t));
                    prop_assert_eq!(at, latest);
                }
                Change::Closes(at) => {
                    prop_assert!(calendar.is_open(t) && !calendar.is_open(at));
                    prop_assert_eq!(calendar.between(t, at), at.since(t));
                }
            }
        }
    }

    #[test]
    fn workdays_go_forth_and_back(
        spec in spec(),
        questions in prop::collection::vec((instant(), 0_u32..500), 16),
    ) {
        let calendar = Calendar::new(&spec).unwrap();
        for (t, n) in questions {
            let first = calendar.add_days(t, 0).unwrap();
            let end = calendar.add_days(t, n).unwrap();
            prop_assert!(calendar.is_workday(first) && calendar.is_workday(end));
            prop_assert_eq!(calendar.workdays_between(first, end), i64::from(n));
            prop_assert_eq!(calendar.workdays_between(end, first), -i64::from(n));
            let back = calendar.subtract_days(end, n).unwrap();
            prop_assert_eq!(calendar.workdays_between(back, first), 0);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn a_walk_minute_by_minute_agrees(spec in spec(), start in instant()) {
        const MINUTE: i64 = 60_000;
        let start = Timestamp(start.0 - start.0.rem_euclid(MINUTE));
        let calendar = Calendar::new(&spec).unwrap();
        let minutes = Oracle::new(&spec).minutes(start, 10 * 24 * 60);
        let mut worked = 0;
        let mut last_change = start;
        for (at, open) in minutes.iter().enumerate() {
            let t = Timestamp(start.0 + at as i64 * MINUTE);
            prop_assert_eq!(calendar.is_open(t), *open, "at {}", t);
            prop_assert_eq!(calendar.between(start, t), Millis(worked));
            if at > 0 && minutes[at - 1] != *open {
                let change = if *open { Change::Opens(t) } else { Change::Closes(t) };
                prop_assert_eq!(calendar.next_change(last_change), Some(change));
                last_change = t;
            }
            if *open {
                worked += MINUTE;
                let end = t.plus(Millis(MINUTE));
                prop_assert_eq!(calendar.add(start, Millis(worked)), Ok(end));
                let begin = calendar.subtract(end, Millis(worked)).unwrap();
                prop_assert!(begin >= start);
                prop_assert_eq!(calendar.between(begin, end), Millis(worked));
            }
        }
    }
}

/// Every change of the clocks in every zone of the list, walked around.
#[test]
fn the_walk_agrees_wherever_the_clocks_change() {
    let day: Hours =
        Hours::new(vec!["00:15-02:40".parse().unwrap(), "23:10-24:00".parse().unwrap()]);
    for zone in ZONES {
        let spec = CalendarSpec {
            timezone: zone.into(),
            hours: Weekday::ALL.into_iter().map(|weekday| (weekday, day.clone())).collect(),
            exceptions: BTreeMap::new(),
        };
        let oracle = Oracle::new(&spec);
        let calendar = Calendar::new(&spec).unwrap();
        let from = jiff::Timestamp::UNIX_EPOCH;
        let until: jiff::Timestamp = "2040-01-01T00:00:00Z".parse().unwrap();
        let changes = oracle.zone.following(from).map(|change| change.timestamp());
        for change in changes.take_while(|change| *change < until) {
            let start = Timestamp(change.as_millisecond() - 4 * 3_600_000);
            for (at, open) in oracle.minutes(start, 8 * 60).iter().enumerate() {
                let t = Timestamp(start.0 + at as i64 * 60_000);
                assert_eq!(calendar.is_open(t), *open, "{zone} at {t}");
            }
        }
    }
}
