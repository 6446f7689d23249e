//! Many random worlds against the oracle. In every run ten thousand decisions; by
//! `cargo xtask soak` as many as asked for, from any seed. What they disagree about is made as
//! small as it goes and told as a case file.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Instant;

use gantry_model::Command;
use proptest::collection::vec;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::acts::{Op, beginning, busy};
use super::cases::{answer, tell};
use super::script::{VARIANTS, World};
use super::tally::Tally;
use super::told;

/// Acts of a world in every run of the tests: few enough for the oracle to be quick.
const FEW: usize = 250;
/// Acts of a world of a long run: enough for a backlog.
const MANY: usize = 400;

/// What is looked at after each step, beside every offer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Check {
    /// That nobody was overlooked.
    Offers,
    /// Every invariant and the replayed bytes too.
    Everything,
}

/// A world that went wrong.
struct Failure {
    seed: u64,
    what: String,
    ops: Vec<Op>,
}

/// So many acts of a world, the same for the same seed.
fn acts(seed: u64, count: usize) -> Vec<Op> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let acts = vec(busy(), count).new_tree(&mut runner).unwrap().current();
    // Each world has another config to begin with.
    let config = Op::Activate { chosen: seed as u32 % (1 << VARIANTS.len()), rising: true };
    [config].into_iter().chain(beginning()).chain(acts).collect()
}

/// Plays a world. What it was doing when it went wrong is the last of the acts that are told.
fn play(ops: &[Op], check: Check) -> Result<(Tally, usize), (String, usize)> {
    let mut done = 0;
    let played = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new();
        world.thorough = check == Check::Everything;
        for op in ops {
            done += 1;
            world.perform(op);
        }
        if world.thorough {
            world.check_fold();
        }
        (world.tally, world.journal.len())
    }));
    played.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        (text.unwrap_or_default(), done)
    })
}

/// Plays worlds of rising seeds until `enough` says so.
fn play_worlds(
    seed: u64,
    count: usize,
    check: Check,
    mut enough: impl FnMut(&Tally, usize) -> bool,
) -> Result<(Tally, usize), Failure> {
    let (mut tally, mut steps) = (Tally::default(), 0);
    let mut world = seed;
    while !enough(&tally, steps) {
        let mut ops = acts(world, count);
        match play(&ops, check) {
            Ok((more, n)) => {
                tally.add(&more);
                steps += n;
            }
            Err((what, done)) => {
                ops.truncate(done);
                return Err(Failure { seed: world, what, ops });
            }
        }
        world = world.wrapping_add(1);
    }
    Ok((tally, steps))
}

/// The fewest acts with which it still fails, as far as leaving out runs of them leads.
fn smallest(mut ops: Vec<Op>, fails: impl Fn(&[Op]) -> bool) -> Vec<Op> {
    let mut size = ops.len().div_ceil(2);
    loop {
        let (mut at, before) = (0, ops.len());
        while at < ops.len() {
            let end = (at + size).min(ops.len());
            let fewer: Vec<Op> = ops[..at].iter().chain(&ops[end..]).cloned().collect();
            if fails(&fewer) {
                ops = fewer;
            } else {
                at = end;
            }
        }
        match (size, ops.len() < before) {
            (1, false) => return ops,
            (1, true) => {}
            _ => size = size.div_ceil(2),
        }
    }
}

/// The acts as a case file, with the engine's answers. An act that panics has none.
fn story(ops: &[Op]) -> String {
    let mut world = World::new();
    let mut text = String::new();
    for op in ops {
        let Some((_, command)) = world.command(op) else {
            continue;
        };
        let line = match command {
            Command::Tick => format!("pass {}", world.passes(op)),
            command => told::line(&world, &command),
        };
        let _ = writeln!(text, "> {line}");
        let Ok(answered) = catch_unwind(AssertUnwindSafe(|| world.perform(op))) else {
            break;
        };
        for line in answered.map(answer).unwrap_or_default().lines() {
            let _ = writeln!(text, "  {line}");
        }
    }
    text
}

/// What went wrong, as small as it goes, as the text of a case file.
fn report(failure: Failure, check: Check) -> String {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let ops = smallest(failure.ops, |ops| play(ops, check).is_err());
    let told = story(&ops);
    std::panic::set_hook(hook);
    let mut text = format!("# World of seed {}.\n", failure.seed);
    for line in failure.what.lines() {
        let _ = writeln!(text, "# {line}");
    }
    text + &told
}

/// Ten thousand decisions in every run of the tests, and everything that decides has a part.
#[test]
fn the_oracle_agrees_with_ten_thousand_decisions() {
    let enough = |tally: &Tally, _| tally.offers >= 10_000 && tally.unseen().is_empty();
    // What is rare may take a while, but not for ever.
    let bounded = |tally: &Tally, steps| enough(tally, steps) || tally.offers >= 20_000;
    let (tally, steps) = play_worlds(1, FEW, Check::Offers, bounded)
        .unwrap_or_else(|failure| panic!("{}", report(failure, Check::Offers)));
    println!("{} decisions in {steps} steps, {} rests", tally.offers, tally.rests);
    for (feature, count) in &tally.features {
        println!("{count:8} {feature}");
    }
    assert!(tally.offers >= 10_000);
    assert_eq!(tally.unseen(), Vec::<&str>::new(), "features that no offer shows");
}

/// A world that is told as a case file plays the same when the file is read.
#[test]
fn a_told_world_plays_the_same() {
    for seed in 100..104 {
        let told = story(&acts(seed, FEW));
        assert_eq!(tell(&told, Path::new("told")).0, told, "seed {seed}");
    }
}

/// What matters is found among hundreds of acts.
#[test]
fn a_failure_becomes_small() {
    let declined = |ops: &[Op]| {
        let mut world = World::new();
        world.thorough = false;
        for op in ops {
            world.perform(op);
        }
        let entries = world.journal.iter().flat_map(|segment| &segment.entries);
        entries.filter(|entry| entry.event.name() == "declined").count() > 0
    };
    let seed = (0..1_000).find(|seed| declined(&acts(*seed, MANY))).unwrap();
    let small = smallest(acts(seed, MANY), declined);
    // Somebody is there and ready, an item comes, and they decline.
    assert!(small.len() <= 8, "{small:?}");
    assert!(story(&small).contains("> decline 1 "), "{}", story(&small));
}

fn asked_for(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

/// Plays until so many are counted, telling on standard error how fast it goes; writes what came
/// of it where `GANTRY_SOAK_REPORT` says.
fn soak(check: Check, unit: &str, wanted: u64, count: impl Fn(&Tally, usize) -> u64) {
    let seed = asked_for("GANTRY_SOAK_SEED").unwrap_or(1);
    let begun = Instant::now();
    let mut told = begun;
    let played = play_worlds(seed, MANY, check, |tally, steps| {
        let n = count(tally, steps);
        if told.elapsed().as_secs() >= 10 {
            told = Instant::now();
            let pace = n as f64 / begun.elapsed().as_secs_f64();
            eprintln!("{n} {unit}, {pace:.0} a second");
        }
        n >= wanted
    });
    let seconds = begun.elapsed().as_secs_f64();
    let (failure, text) = match played {
        Ok((tally, steps)) => {
            let mut text = format!("{unit} {}\nseed {seed}\n", count(&tally, steps));
            let _ = writeln!(text, "steps {steps}\nrests {}\nseconds {seconds:.1}", tally.rests);
            for (feature, n) in &tally.features {
                let _ = writeln!(text, "with {n} {feature}");
            }
            (None, text)
        }
        Err(failure) => {
            let seed = failure.seed;
            let case = report(failure, check);
            (Some(seed), format!("failed {seed}\n{case}"))
        }
    };
    match std::env::var_os("GANTRY_SOAK_REPORT") {
        Some(path) => std::fs::write(path, &text).unwrap(),
        None => println!("{text}"),
    }
    assert_eq!(failure, None, "the world of this seed went wrong:\n{text}");
}

/// `cargo xtask soak oracle`.
#[test]
#[ignore = "runs for as long as it is told to: cargo xtask soak oracle"]
fn soak_oracle() {
    let wanted = asked_for("GANTRY_SOAK_COUNT").unwrap_or(100_000);
    soak(Check::Offers, "decisions", wanted, |tally, _| tally.offers);
}

/// `cargo xtask soak invariants`.
#[test]
#[ignore = "runs for as long as it is told to: cargo xtask soak invariants"]
fn soak_invariants() {
    let wanted = asked_for("GANTRY_SOAK_COUNT").unwrap_or(10_000);
    soak(Check::Everything, "steps", wanted, |_, steps| steps as u64);
}
