//! One world, measured in a process of its own: what one run leaves in memory is not another's.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use gantry_engine::{State, Step, decide, follow_up, step};
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
const BLOCK: u64 = 100;
/// How often a list is asked for.
const TOPS: u32 = 50;

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
    /// An agent has got room: the best item for them is found, and why.
    pub(crate) decisions: Spread,
    /// The whole command: an agent marks done, the item ends, the next one is found and offered,
    /// and all indexes follow.
    pub(crate) turns: Spread,
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
    /// CPU an act: what others do on the machine at the same time does not count.
    pub(crate) cpu_us: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) max_us: f64,
}

/// Acts of one kind while they are measured.
#[derive(Default)]
struct Meter {
    spent: Vec<Duration>,
    cpu: Duration,
}

impl Meter {
    /// Measures one act after the other, and the CPU of all of them together.
    fn run<T, R>(
        &mut self,
        acts: impl IntoIterator<Item = T>,
        mut act: impl FnMut(T) -> R,
    ) -> Vec<R> {
        let acts: Vec<T> = acts.into_iter().collect();
        let mut results = Vec::with_capacity(acts.len());
        self.spent.reserve(acts.len());
        let cpu = cpu();
        for one in acts {
            let begun = Instant::now();
            results.push(act(one));
            self.spent.push(begun.elapsed());
        }
        self.cpu += self::cpu().saturating_sub(cpu);
        results
    }

    fn spread(mut self) -> Spread {
        self.spent.sort_unstable();
        let count = self.spent.len();
        let at = |share: usize| self.spent.get(count * share / 100).copied().unwrap_or_default();
        Spread {
            count: count as u64,
            cpu_us: micros(self.cpu) / count.max(1) as f64,
            p50_us: micros(at(50)),
            p99_us: micros(at(99)),
            max_us: micros(self.spent.last().copied().unwrap_or_default()),
        }
    }
}

impl Spread {
    pub(crate) fn a_second(&self) -> f64 {
        1e6 / self.cpu_us
    }
}

/// The CPU that this thread has had.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
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
        turns: found.turns,
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
    let mut meter = Meter::default();
    for number in 0..arrivals / BLOCK {
        bench.now = bench.now.plus(Millis(1));
        let now = bench.now;
        let captures = (0..BLOCK).map(|at| world.capture(number * BLOCK + at, now));
        let steps = meter.run(captures, |capture| bench.act(Actor::Hub, &capture));
        for step in steps {
            let offer = offer_of(&step).context("an idle agent was not offered the item")?;
            bench.finish(offer.0, &offer.1);
        }
        drop(bench.state.take_changes());
    }
    Ok(meter.spread())
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
    turns: Spread,
    arrivals: Spread,
    brute_us: f64,
    checked: u64,
}

impl Bench {
    fn boot(world: &World) -> Result<(f64, u64, Self)> {
        note(world, "boot");
        let begun = cpu();
        ensure!(world.waiting().all(|item| item.waiting()), "an item of the world does not wait");
        let making = cpu().saturating_sub(begun);
        let config = Some((1, routing(false).into()));
        let staff: Vec<_> = agents(Presence::SignedOff).collect();
        let before = resident()?;
        let begun = cpu();
        let state = State::from_facts(0, world.items + 1, config, staff, world.waiting(), START);
        let mut bench = Self { state, now: START };
        let _: Step = bench.act(Actor::Hub, &Command::Boot { down: Millis(0) });
        bench.state.sharpen(START);
        let took = cpu().saturating_sub(begun).saturating_sub(making);
        let resident = resident()?.saturating_sub(before);
        Ok((micros(took) / 1e3, resident, bench))
    }

    fn act(&mut self, actor: Actor, command: &Command) -> Step {
        step(&mut self.state, self.now, actor, command)
    }

    /// Lets time pass second by second, and every timer fire at its instant.
    fn stay_exact(&mut self) -> (f64, f64) {
        let (mut total, mut worst) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..EXACT_SECONDS {
            let second = self.now.plus(Millis(1_000));
            let begun = cpu();
            while let Some(wake) = self.state.next_wake(self.now).filter(|wake| *wake <= second) {
                self.now = wake;
                let _: Step = self.act(Actor::Hub, &Command::Tick);
            }
            self.now = second;
            self.state.sharpen(second);
            let took = cpu().saturating_sub(begun);
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
        let mut meter = Meter::default();
        let sizes = meter.run(0..TOPS, |_| {
            self.now = self.now.plus(Millis(100));
            self.state.sharpen(self.now);
            self.state.top(self.now, 100).len()
        });
        let wanted = 100.min(self.state.items().len());
        ensure!(sizes.iter().all(|size| *size == wanted), "a list is too short");
        ensure!(self.top(100) == brute.top(self.now, 100), "the list is not that of brute force");
        Ok(meter.spread())
    }

    /// Agents sign on one by one, until half of what waits is with somebody.
    fn sign_on(&mut self, brute: &mut Brute) -> Result<Spread> {
        let mut meter = Meter::default();
        let staff = AGENTS.min(self.state.items().len() as u64 / 2);
        for first in (0..staff).step_by(BLOCK as usize) {
            let expected =
                (first % (AGENTS / CHECKED) < BLOCK).then(|| brute.best(first, self.now));
            let block = (first..staff.min(first + BLOCK)).map(agent_id);
            let steps = meter.run(block, |agent| {
                let ready = Presence::Ready;
                let command = Command::SetPresence { agent: agent.clone(), presence: ready };
                self.act(Actor::Agent(agent), &command)
            });
            let offered: Vec<_> =
                steps.iter().map(|step| offer_of(step).map(|(id, _)| id)).collect();
            if let Some(best) = expected {
                let best = best.map(|(_, item)| item);
                ensure!(offered[0] == best, "{:?} was offered, {best:?} is the best", offered[0]);
            }
            offered.into_iter().flatten().for_each(|item| brute.take(item));
            drop(self.state.take_changes());
        }
        Ok(meter.spread())
    }

    /// Agents accept and mark done, and are offered the next item; as many items arrive.
    fn decide(&mut self, world: &World, brute: &mut Brute, count: u64) -> Result<Found> {
        let mut decisions = Meter::default();
        let (mut turns, mut arrivals) = (Meter::default(), Meter::default());
        let (mut brute_time, mut checked) = (Duration::ZERO, 0_u32);
        for block in 0..count / BLOCK {
            self.now = self.now.plus(Millis(BLOCK as i64));
            let (agents, done) = self.accepted(block);
            let Some(first) = agents.first() else { continue };
            let check = block % (count / BLOCK / CHECKED).max(1) == 0;
            let begun = cpu();
            let expected = check.then(|| brute.best(*first, self.now).map(|(_, item)| item));
            if check {
                brute_time += cpu().saturating_sub(begun);
                checked += 1;
            }
            // Every other block shows the choice alone, which needs a step taken to pieces.
            let offered = if block % 2 == 0 {
                let steps = turns.run(done, |(actor, done)| self.act(actor, &done));
                steps.iter().map(|step| offer_of(step).map(|(item, _)| item)).collect()
            } else {
                self.choose(done, &mut decisions)?
            };
            for (at, next) in offered.into_iter().enumerate() {
                if let Some(best) = expected.filter(|_| at == 0) {
                    ensure!(next == best, "{next:?} was offered, {best:?} is the best for {first}");
                }
                if let Some(item) = next {
                    brute.take(item);
                }
            }
            let first = world.items + block * BLOCK;
            let counter = self.state.next_counter();
            let now = self.now;
            let captures = (first..first + agents.len() as u64).map(|no| world.capture(no, now));
            let source = || Actor::Source(Name::new("crm"));
            let steps = arrivals.run(captures, |capture| self.act(source(), &capture));
            for at in 0..agents.len() as u64 {
                let due_at = world.capture_due(first + at, now);
                brute.add(ItemId::new(0, counter + at), first + at, now, due_at);
            }
            // Whoever was offered nothing before may be offered what has come.
            steps.iter().filter_map(offer_of).for_each(|(item, _)| brute.take(item));
            drop(self.state.take_changes());
        }
        Ok(Found {
            decisions: decisions.spread(),
            turns: turns.spread(),
            arrivals: arrivals.spread(),
            brute_us: micros(brute_time) / f64::from(checked),
            checked: u64::from(checked) + CHECKED + 1,
        })
    }

    /// As one command after the other, measuring only how the next item is found.
    fn choose(
        &mut self,
        done: Vec<(Actor, Command)>,
        meter: &mut Meter,
    ) -> Result<Vec<Option<ItemId>>> {
        let mut offered = Vec::with_capacity(done.len());
        for (_, done) in done {
            let (events, _) = decide(&self.state, self.now, &done);
            self.apply(&events)?;
            let found = meter.run([()], |()| {
                self.state.sharpen(self.now);
                follow_up(&self.state, self.now)
            });
            let found = found.into_iter().flatten().collect::<Vec<_>>();
            self.apply(&found)?;
            // Nothing more is to be found: what was fresh has been looked at.
            let rest = self.act(Actor::Hub, &Command::Tick);
            ensure!(rest.entries.is_empty(), "one agent was offered two items");
            let item = found.iter().find(|event| matches!(event, Event::Offered { .. }));
            offered.push(item.and_then(Event::item));
        }
        Ok(offered)
    }

    fn apply(&mut self, events: &[Event]) -> Result<()> {
        events.iter().try_for_each(|event| Ok(self.state.apply(self.now, event)?))
    }

    /// Lets some agents accept what they are offered; returns them, and the commands by which
    /// they end their work.
    fn accepted(&mut self, block: u64) -> (Vec<u64>, Vec<(Actor, Command)>) {
        let drawn = (0..BLOCK).map(|at| random(6, block * BLOCK + at) % AGENTS);
        let drawn: BTreeSet<u64> = drawn.collect();
        let mut done = Vec::new();
        let mut agents = Vec::new();
        for agent in drawn {
            let id = agent_id(agent);
            if let Some((item, epoch)) = self.offered_to(&id) {
                let command = self.accept(item, epoch, &id);
                done.push((Actor::Agent(id), command));
                agents.push(agent);
            }
        }
        (agents, done)
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
        let begun = cpu();
        let _: Step = self.act(Actor::User(Name::new("admin")), &change);
        self.state.sharpen(self.now);
        let top = self.state.top(self.now, 100);
        let took = cpu().saturating_sub(begun);
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
    let begun = cpu();
    let step = bench.act(Actor::Hub, &Command::Boot { down: Millis(0) });
    let took = cpu().saturating_sub(begun);
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
