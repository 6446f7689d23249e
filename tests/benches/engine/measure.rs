//! One world, measured in a process of its own: what one run leaves in memory is not another's.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use gantry_engine::{State, Step, step};
use gantry_model::priority::Priority;
use gantry_model::{Actor, Assignment, Command, Event, ItemId, Millis, Name, Presence, Timestamp};
use serde::{Deserialize, Serialize};

use crate::brute::Brute;
use crate::world::{AGENTS, Dates, START, World, agent_id, agents, random, routing};

/// Seconds of virtual time over which staying exact is measured.
const EXACT_SECONDS: i64 = 600;
/// How many decisions are compared with brute force.
const CHECKED: u64 = 40;
/// Commands that one commit covers.
const GROUP: u64 = 1_000;
/// How often a list is asked for.
const TOPS: i64 = 50;

/// What was measured of one world.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) dates: Dates,
    pub(crate) items: u64,
    /// Facts and indexes from stored items, without making the items.
    pub(crate) boot_ms: f64,
    /// Resident memory that boot took.
    pub(crate) resident_bytes: u64,
    /// CPU per second of virtual time, timers and all.
    pub(crate) exact_us: f64,
    /// The longest time that anybody else had to wait meanwhile.
    pub(crate) exact_worst_us: f64,
    pub(crate) top_100: Spread,
    /// An agent signs on and is offered the best item.
    pub(crate) sign_on: Spread,
    /// An agent marks done and is offered the best item.
    pub(crate) decisions: Spread,
    /// The same by brute force, on average.
    pub(crate) brute_us: f64,
    /// Decisions and lists that were found equal to brute force.
    pub(crate) checked: u64,
    /// An item is captured and queued while nobody is free.
    pub(crate) arrivals: Spread,
    /// A config with all curves changed, until the first list by the new curves.
    pub(crate) schema_change_ms: f64,
    /// All agents are ready when the hub boots: until everyone has an offer.
    pub(crate) boot_offers_ms: f64,
}

/// How long one kind of act took.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) count: u64,
    pub(crate) mean_us: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) max_us: f64,
}

impl Spread {
    fn of(mut spent: Vec<Duration>) -> Self {
        spent.sort_unstable();
        let at = |share: usize| spent.get(spent.len() * share / 100).copied().unwrap_or_default();
        Self {
            count: spent.len() as u64,
            mean_us: micros(spent.iter().sum()) / spent.len().max(1) as f64,
            p50_us: micros(at(50)),
            p99_us: micros(at(99)),
            max_us: micros(spent.last().copied().unwrap_or_default()),
        }
    }

    pub(crate) fn a_second(&self) -> f64 {
        1e6 / self.mean_us
    }
}

pub(crate) fn micros(span: Duration) -> f64 {
    span.as_secs_f64() * 1e6
}

/// Measures everything in one world.
pub(crate) fn measure(dates: Dates, items: u64, decisions: u64) -> Result<Report> {
    let world = World::new(dates, items);
    let (boot_ms, resident_bytes, mut bench) = Bench::boot(&world)?;
    note(&world, "staying exact");
    let (exact_us, exact_worst_us) = bench.stay_exact();
    let mut brute = Brute::new(&world);
    note(&world, "the highest 100");
    let top_100 = bench.tops(&brute)?;
    note(&world, "agents sign on");
    let sign_on = bench.sign_on(&mut brute)?;
    note(&world, "decisions");
    let mut found = bench.decide(&world, &mut brute, decisions)?;
    note(&world, "a change of all curves");
    let schema_change_ms = bench.change_schemas(&mut brute)?;
    found.checked += 2;
    drop(bench);
    note(&world, "boot with everybody ready");
    let boot_offers_ms = boot_offers(&world)?;
    Ok(Report {
        dates,
        items,
        boot_ms,
        resident_bytes,
        exact_us,
        exact_worst_us,
        top_100,
        sign_on,
        decisions: found.decisions,
        brute_us: found.brute_us,
        checked: found.checked,
        arrivals: found.arrivals,
        schema_change_ms,
        boot_offers_ms,
    })
}

/// Items arrive one by one while all agents are idle: the choice of the agent.
pub(crate) fn measure_idle(dates: Dates, arrivals: u64) -> Result<Spread> {
    let world = World::new(dates, 0);
    let config = Some((1, routing(false).into()));
    let state = State::from_facts(0, 1, config, agents(Presence::Ready), [], START);
    let mut bench = Bench { state, now: START };
    let mut spent = Vec::new();
    for number in 0..arrivals {
        bench.now = bench.now.plus(Millis(1));
        let capture = world.capture(number, bench.now);
        let (step, took) = bench.timed(Actor::Hub, &capture);
        spent.push(took);
        let (item, agent) = offer_of(&step).context("an idle agent was not offered the item")?;
        bench.finish(item, &agent);
        if number % GROUP == 0 {
            drop(bench.state.take_changes());
        }
    }
    Ok(Spread::of(spent))
}

fn note(world: &World, phase: &str) {
    eprintln!("  {:?}, {} items: {phase} …", world.dates, world.items);
}

/// The engine as the hub uses it, without the store.
struct Bench {
    state: State,
    now: Timestamp,
}

struct Found {
    decisions: Spread,
    arrivals: Spread,
    brute_us: f64,
    checked: u64,
}

impl Bench {
    fn boot(world: &World) -> Result<(f64, u64, Self)> {
        note(world, "boot");
        let begun = Instant::now();
        ensure!(world.waiting().all(|item| item.waiting()), "an item of the world does not wait");
        let making = begun.elapsed();
        let config = Some((1, routing(false).into()));
        let staff: Vec<_> = agents(Presence::SignedOff).collect();
        let before = resident()?;
        let begun = Instant::now();
        let state = State::from_facts(0, world.items + 1, config, staff, world.waiting(), START);
        let mut bench = Self { state, now: START };
        let _: Step = bench.act(Actor::Hub, &Command::Boot { down: Millis(0) });
        bench.state.sharpen(START);
        let took = begun.elapsed().saturating_sub(making);
        let resident = resident()?.saturating_sub(before);
        Ok((micros(took) / 1e3, resident, bench))
    }

    fn act(&mut self, actor: Actor, command: &Command) -> Step {
        step(&mut self.state, self.now, actor, command)
    }

    fn timed(&mut self, actor: Actor, command: &Command) -> (Step, Duration) {
        let begun = Instant::now();
        let step = self.act(actor, command);
        (step, begun.elapsed())
    }

    /// Lets time pass second by second, and every timer fire at its instant.
    fn stay_exact(&mut self) -> (f64, f64) {
        let (mut total, mut worst) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..EXACT_SECONDS {
            let second = self.now.plus(Millis(1_000));
            while let Some(wake) = self.state.next_wake(self.now).filter(|wake| *wake <= second) {
                self.now = wake;
                let (_, took) = self.timed(Actor::Hub, &Command::Tick);
                total += took;
                worst = worst.max(took);
            }
            self.now = second;
            let begun = Instant::now();
            self.state.sharpen(second);
            let took = begun.elapsed();
            total += took;
            worst = worst.max(took);
            drop(self.state.take_changes());
        }
        (micros(total) / EXACT_SECONDS as f64, micros(worst))
    }

    fn top(&self, count: usize) -> Vec<(Priority, ItemId)> {
        let top = self.state.top(self.now, count).into_iter();
        top.map(|(item, priority)| (priority, item.id)).collect()
    }

    fn tops(&mut self, brute: &Brute) -> Result<Spread> {
        let mut spent = Vec::new();
        for _ in 0..TOPS {
            self.now = self.now.plus(Millis(100));
            let begun = Instant::now();
            self.state.sharpen(self.now);
            let top = self.state.top(self.now, 100);
            spent.push(begun.elapsed());
            ensure!(top.len() == 100.min(self.state.items().len()), "the list is too short");
        }
        ensure!(self.top(100) == brute.top(self.now, 100), "the list is not that of brute force");
        Ok(Spread::of(spent))
    }

    fn sign_on(&mut self, brute: &mut Brute) -> Result<Spread> {
        let mut spent = Vec::new();
        let staff = AGENTS.min(self.state.items().len() as u64 / 2);
        for number in 0..staff {
            let expected = (number % (AGENTS / CHECKED) == 0).then(|| brute.best(number, self.now));
            let agent = agent_id(number);
            let ready = Command::SetPresence { agent: agent.clone(), presence: Presence::Ready };
            let (step, took) = self.timed(Actor::Agent(agent), &ready);
            spent.push(took);
            let offered = offer_of(&step);
            if let Some(expected) = expected {
                let best = expected.map(|(_, item)| item);
                ensure!(offered.as_ref().map(|(item, _)| *item) == best, "not the best: {step:?}");
            }
            if let Some((item, _)) = offered {
                brute.take(item);
            }
            if number % GROUP == 0 {
                drop(self.state.take_changes());
            }
        }
        Ok(Spread::of(spent))
    }

    /// An agent accepts and marks done, and is offered the next item; another item arrives.
    fn decide(&mut self, world: &World, brute: &mut Brute, count: u64) -> Result<Found> {
        let (mut decisions, mut arrivals) = (Vec::new(), Vec::new());
        let (mut brute_time, mut checked) = (Duration::ZERO, 0);
        for number in 0..count {
            let worker = random(6, number) % AGENTS;
            let Some((item, epoch)) = self.offered_to(&agent_id(worker)) else {
                continue;
            };
            self.now = self.now.plus(Millis(1));
            let done = self.accept(item, epoch, &agent_id(worker));
            let begun = Instant::now();
            let expected =
                (number % (count / CHECKED).max(1) == 0).then(|| brute.best(worker, self.now));
            if expected.is_some() {
                brute_time += begun.elapsed();
                checked += 1;
            }
            let (step, took) = self.timed(Actor::Agent(agent_id(worker)), &done);
            decisions.push(took);
            let (next, _) = offer_of(&step).context("a free agent was offered nothing")?;
            if let Some((_, best)) = expected.flatten() {
                ensure!(next == best, "{next} was offered, {best} is the best for {worker}");
            }
            brute.take(next);
            let fresh = world.items + number;
            let id = ItemId::new(0, self.state.next_counter());
            let capture = world.capture(fresh, self.now);
            let (_, took) = self.timed(Actor::Source(Name::new("crm")), &capture);
            arrivals.push(took);
            brute.add(id, fresh, self.now, world.capture_due(fresh, self.now));
            if number % GROUP == 0 {
                drop(self.state.take_changes());
            }
        }
        Ok(Found {
            decisions: Spread::of(decisions),
            arrivals: Spread::of(arrivals),
            brute_us: micros(brute_time) / checked as f64,
            checked: checked + CHECKED + 1,
        })
    }

    fn offered_to(&self, agent: &str) -> Option<(ItemId, u32)> {
        self.state.desk(agent).find_map(|item| match item.assignment {
            Assignment::Offered { .. } => Some((item.id, item.epoch)),
            _ => None,
        })
    }

    /// Lets an agent accept; returns the command that ends the work.
    fn accept(&mut self, item: ItemId, epoch: u32, agent: &Name) -> Command {
        let accept = Command::Accept { item, epoch, agent: agent.clone() };
        let _: Step = self.act(Actor::Agent(agent.clone()), &accept);
        let agent = agent.clone();
        Command::MarkDone { item, epoch, agent, disposition: None, changed_from: None }
    }

    fn finish(&mut self, item: ItemId, agent: &Name) {
        let epoch = self.state.item(item).map_or(0, |item| item.epoch);
        let done = self.accept(item, epoch, agent);
        let _: Step = self.act(Actor::Agent(agent.clone()), &done);
    }

    /// Activates other curves; the first list by them must be right.
    fn change_schemas(&mut self, brute: &mut Brute) -> Result<f64> {
        brute.change_schemas();
        let change = Command::Activate { version: 2, routing: routing(true).into() };
        let (_, took) = self.timed(Actor::User(Name::new("admin")), &change);
        let begun = Instant::now();
        self.state.sharpen(self.now);
        let top = self.state.top(self.now, 100);
        let took = took + begun.elapsed();
        ensure!(!top.is_empty() || self.state.items().len() == 0, "nothing waits any more");
        ensure!(self.top(100) == brute.top(self.now, 100), "the list is not by the new curves");
        Ok(micros(took) / 1e3)
    }
}

fn boot_offers(world: &World) -> Result<f64> {
    let config = Some((1, routing(false).into()));
    let staff: Vec<_> = agents(Presence::Ready).collect();
    let mut bench = Bench {
        state: State::from_facts(0, world.items + 1, config, staff, world.waiting(), START),
        now: START,
    };
    bench.state.sharpen(START);
    let (step, took) = bench.timed(Actor::Hub, &Command::Boot { down: Millis(0) });
    let offers = step.entries.iter().filter(|entry| matches!(entry.event, Event::Offered { .. }));
    ensure!(offers.count() > 0 || world.items == 0, "nothing was offered");
    Ok(micros(took) / 1e3)
}

fn offer_of(step: &Step) -> Option<(ItemId, Name)> {
    step.entries.iter().find_map(|entry| match &entry.event {
        Event::Offered { item, agent, .. } => Some((*item, agent.clone())),
        _ => None,
    })
}

/// Resident memory of this process in bytes.
fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("reading own memory")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: u64 = kib.context("no VmRSS in /proc/self/status")?.trim().parse()?;
    Ok(kib * 1024)
}
