//! Queueing theory through the production engine: the formulas are evaluated here, compared with
//! published values first, and then with what the engine does.
//!
//! A figure passes if it is within three standard errors, by batch means, and the standard error
//! is small enough for that to mean something. The mean service time is 1,000 s, so that rounding
//! to milliseconds does not show. `GANTRY_SIMULATION_LONG=1` runs ten times as long.

use gantry_model::Millis;

use super::{arrivals, exponential, scenario, staff, world};
use crate::{Left, Observer, Options, World, run};

/// Mean service time.
const SERVICE_SECS: f64 = 1_000.0;
const BATCHES: usize = 30;

/// One class of constant priority: first come, first served.
const FIFO: &[(&str, i64)] = &[("test/a", 0)];
/// Three classes whose priorities rise with slopes 1, 2 and 6.
const ACCUMULATING: &[(&str, i64)] =
    &[("test/a", 150_000), ("test/b", 300_000), ("test/c", 900_000)];

/// What is asked of a wait, in units of the mean service time.
#[derive(Clone, Copy)]
enum Ask {
    /// Share of items that waited at all.
    Waited,
    /// Share of items that waited at most this long.
    Within(f64),
    /// Mean wait of one stream, abandoned items included.
    Mean(usize),
    /// Share of items that were abandoned.
    Abandoned,
}

/// The waits, in the order in which they ended, without the warm-up.
#[derive(Default)]
struct Waits(Vec<Left>);

impl Observer for Waits {
    fn left_queue(&mut self, left: &Left) {
        self.0.push(*left);
    }
}

fn figure(ask: Ask, left: &Left) -> Option<f64> {
    let waited = left.waited.0 as f64 / (SERVICE_SECS * 1000.0);
    let truth = |truth: bool| Some(f64::from(u8::from(truth)));
    match ask {
        Ask::Waited => truth(left.waited > Millis(0)),
        Ask::Within(bound) => truth(waited <= bound),
        Ask::Mean(stream) => (left.stream == stream).then_some(waited),
        Ask::Abandoned => truth(left.abandoned),
    }
}

/// Mean and standard error by batch means. Source: Law, Simulation Modeling and Analysis, 9.5.3.
fn batch_means(figures: &[f64]) -> (f64, f64) {
    let size = figures.len() / BATCHES;
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let means: Vec<f64> = figures.chunks_exact(size).take(BATCHES).map(mean).collect();
    let all = mean(&means);
    let squares: f64 = means.iter().map(|mean| (mean - all).powi(2)).sum();
    (all, (squares / (BATCHES * (BATCHES - 1)) as f64).sqrt())
}

/// Servers, streams with their arrival rates (per mean service time), rate of abandonment, and
/// the processes.
struct Model<'a> {
    servers: u32,
    rates: &'a [(&'a str, f64)],
    abandonment: Option<f64>,
    processes: &'a [(&'a str, i64)],
    seed: u64,
}

impl Model<'_> {
    /// A world in which so many items arrive, after a tenth of them as warm-up.
    fn world(&self, items: f64) -> World {
        let total: f64 = self.rates.iter().map(|(_, rate)| rate).sum();
        let length = |items: f64| Millis((items / total * SERVICE_SECS * 1000.0) as i64);
        let stream = |(process, rate): &(&str, f64)| {
            let per_hour = rate / SERVICE_SECS * 3600.0;
            let mut stream = arrivals(process, per_hour, exponential(SERVICE_SECS));
            stream.patience = self.abandonment.map(|rate| exponential(SERVICE_SECS / rate));
            stream
        };
        let streams = self.rates.iter().map(stream).collect();
        let mut spec = scenario(length(items * 1.1), streams, vec![staff("server", self.servers)]);
        spec.warm_up = length(items * 0.1);
        world(spec, self.processes)
    }

    /// Compares with the formulas. `precise` is the largest standard error, relative to the
    /// value, for which the comparison means something.
    fn check(&self, name: &str, items: f64, precise: f64, asks: &[(Ask, f64)]) {
        // Ten times as many items give errors a third as large.
        let long = std::env::var_os("GANTRY_SIMULATION_LONG").is_some();
        let (items, precise) = if long { (items * 10.0, precise / 3.0) } else { (items, precise) };
        let mut waits = Waits::default();
        let options = Options { seed: self.seed, check: false };
        let report = run(&self.world(items), options, &mut waits).expect("it runs");
        for (at, (ask, exact)) in asks.iter().enumerate() {
            let figures: Vec<f64> = waits.0.iter().filter_map(|left| figure(*ask, left)).collect();
            let (mean, error) = batch_means(&figures);
            let off = (mean - exact) / error;
            println!(
                "{name} figure {at}: exact {exact:.6}, simulated {mean:.6} ± {error:.6} \
                 ({off:+.2} standard errors, {} items, {} events)",
                figures.len(),
                report.events,
            );
            assert!(off.abs() <= 3.0, "{name} figure {at}: {off} standard errors away");
            assert!(error <= precise * exact, "{name} figure {at}: too few items to tell");
        }
    }
}

/// Source: Erlang (1917), formula B, by the usual recursion.
fn erlang_b(servers: u32, load: f64) -> f64 {
    (1..=servers).fold(1.0, |blocked, n| load * blocked / (f64::from(n) + load * blocked))
}

/// Source: Erlang (1917), formula C: the share of items that wait.
fn erlang_c(servers: u32, load: f64) -> f64 {
    let blocked = erlang_b(servers, load);
    let n = f64::from(servers);
    n * blocked / (n - load * (1.0 - blocked))
}

/// Share that waits, mean wait, and share that waits at most a tenth of a service time.
fn many_servers(servers: u32, load: f64) -> [f64; 3] {
    let (waits, room) = (erlang_c(servers, load), f64::from(servers) - load);
    [waits, waits / room, 1.0 - waits * (-room * 0.1).exp()]
}

/// Source: Palm (1946), Erlang A, from the birth and death chain: share that waits, share that is
/// abandoned, mean wait of all.
fn erlang_a(servers: u32, rate: f64, abandonment: f64) -> [f64; 3] {
    let n = f64::from(servers);
    // Probabilities relative to that of `servers` items.
    let below: f64 = {
        let step = |(sum, term): (f64, f64), k: u32| {
            let term = term * f64::from(k) / rate;
            (sum + term, term)
        };
        (1..=servers).rev().fold((0.0, 1.0), step).0
    };
    let (mut above, mut queue, mut term) = (0.0, 0.0, 1.0);
    for waiting in 0..100_000 {
        above += term;
        queue += f64::from(waiting) * term;
        term *= rate / (n + f64::from(waiting + 1) * abandonment);
    }
    let waits = above / (below + above);
    let mean_queue = queue / (below + above);
    [waits, abandonment * mean_queue / rate, mean_queue / rate]
}

/// Mean waits of classes by rising slope. Source: Kleinrock (1964), as a recursion in Stanford,
/// Taylor, Ziedins, Queueing Systems 77 (2014).
fn accumulating(servers: u32, load: f64, slopes: &[f64]) -> Vec<f64> {
    let n = f64::from(servers);
    let all = erlang_c(servers, load) / (n - load);
    let share = load / n / slopes.len() as f64;
    let mut waits: Vec<f64> = Vec::new();
    for (at, slope) in slopes.iter().enumerate() {
        let slower = slopes[..at].iter().zip(&waits);
        let slower: f64 = slower.map(|(other, wait)| share * wait * (1.0 - other / slope)).sum();
        let faster: f64 = slopes[at + 1..].iter().map(|other| share * (1.0 - slope / other)).sum();
        waits.push((all - slower) / (1.0 - faster));
    }
    waits
}

fn near(values: &[f64], published: &[f64]) {
    assert_eq!(values.len(), published.len());
    for (value, published) in values.iter().zip(published) {
        assert!((value - published).abs() < 1e-6, "{value} is not {published}");
    }
}

#[test]
fn the_formulas_give_the_published_values() {
    near(&many_servers(10, 8.0), &[0.409_180, 0.204_590, 0.664_992]);
    near(&many_servers(100, 90.0), &[0.216_940, 0.021_694, 0.920_192]);
    near(&erlang_a(100, 110.0, 0.5), &[0.929_116, 0.094_618, 0.189_237]);
    near(&erlang_a(50, 55.0, 1.0), &[0.767_795, 0.110_301, 0.110_301]);
    near(&accumulating(1, 0.9, &[1.0, 2.0, 6.0]), &[15.0, 8.4375, 3.5625]);
}

#[test]
fn ten_servers() {
    let [waits, mean, within] = many_servers(10, 8.0);
    let model = Model {
        servers: 10,
        rates: &[("test/a", 8.0)],
        abandonment: None,
        processes: FIFO,
        seed: 1,
    };
    let asks = [(Ask::Waited, waits), (Ask::Mean(0), mean), (Ask::Within(0.1), within)];
    model.check("M/M/10, load 8", 40_000.0, 0.12, &asks);
}

#[test]
fn a_hundred_servers() {
    let [waits, mean, within] = many_servers(100, 90.0);
    let model = Model {
        servers: 100,
        rates: &[("test/a", 90.0)],
        abandonment: None,
        processes: FIFO,
        seed: 2,
    };
    let asks = [(Ask::Waited, waits), (Ask::Mean(0), mean), (Ask::Within(0.1), within)];
    model.check("M/M/100, load 90", 60_000.0, 0.25, &asks);
}

#[test]
fn a_hundred_servers_and_impatience() {
    let [waits, abandoned, mean] = erlang_a(100, 110.0, 0.5);
    let model = Model {
        servers: 100,
        rates: &[("test/a", 110.0)],
        abandonment: Some(0.5),
        processes: FIFO,
        seed: 3,
    };
    let asks = [(Ask::Waited, waits), (Ask::Abandoned, abandoned), (Ask::Mean(0), mean)];
    model.check("M/M/100+M, load 110", 25_000.0, 0.08, &asks);
}

#[test]
fn fifty_servers_and_impatience() {
    let [waits, abandoned, mean] = erlang_a(50, 55.0, 1.0);
    let model = Model {
        servers: 50,
        rates: &[("test/a", 55.0)],
        abandonment: Some(1.0),
        processes: FIFO,
        seed: 4,
    };
    let asks = [(Ask::Waited, waits), (Ask::Abandoned, abandoned), (Ask::Mean(0), mean)];
    model.check("M/M/50+M, load 55", 25_000.0, 0.08, &asks);
}

#[test]
fn one_server_and_rising_priorities() {
    let exact = accumulating(1, 0.9, &[1.0, 2.0, 6.0]);
    let model = Model {
        servers: 1,
        rates: &[("test/a", 0.3), ("test/b", 0.3), ("test/c", 0.3)],
        abandonment: None,
        processes: ACCUMULATING,
        seed: 5,
    };
    let asks = [0, 1, 2].map(|class| (Ask::Mean(class), exact[class]));
    model.check("accumulating priorities, M/M/1", 80_000.0, 0.2, &asks);
}

#[test]
fn twenty_servers_and_rising_priorities() {
    let exact = accumulating(20, 18.0, &[1.0, 2.0, 6.0]);
    let model = Model {
        servers: 20,
        rates: &[("test/a", 6.0), ("test/b", 6.0), ("test/c", 6.0)],
        abandonment: None,
        processes: ACCUMULATING,
        seed: 6,
    };
    let asks = [0, 1, 2].map(|class| (Ask::Mean(class), exact[class]));
    model.check("accumulating priorities, M/M/20", 50_000.0, 0.2, &asks);
}
