//! Source, network and hub are killed at random moments, the same for the same seed.

use std::env;

use anyhow::{Context as _, Result};

use super::rig::Rig;
use super::{Setup, SourceSystem};
use crate::proxy::Fault;

/// Records in an ordinary run.
const N_RECORDS: usize = 600;
/// Records are put in so many parts, and something fails after each.
const N_ROUNDS: usize = 12;
/// A page is cut somewhere in its first so many bytes.
const CUT_WITHIN: u64 = 16 * 1024;

/// What fails.
#[derive(Clone, Copy, Debug)]
enum Act {
    KillHub,
    KillSource,
    Reset,
    Cut,
    Down,
}

/// A small generator of numbers (Steele, Lea, Flood 2014: SplitMix64), so that a seed tells all.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % n.max(1)
    }
}

/// Each record becomes one item.
pub(super) async fn exactly_once(system: &mut dyn SourceSystem) -> Result<()> {
    let n_records = number("GANTRY_RECORDS", N_RECORDS as u64)? as usize;
    let seed = number("GANTRY_SEED", 1)?;
    let mut random = Random(seed);
    let mut acts = vec![Act::KillHub];
    if system.proxy().is_some() {
        acts.extend([Act::Reset, Act::Cut, Act::Down]);
    }
    if system.can_be_killed() {
        acts.push(Act::KillSource);
    }
    let mut rig = Rig::start(system, Setup::default()).await?;
    let texts: Vec<_> = (0..n_records).map(|n| format!("record {n}")).collect();
    let mut ids = Vec::new();
    let mut tale = Vec::new();
    for (round, part) in texts.chunks(n_records.div_ceil(N_ROUNDS)).enumerate() {
        let before = ids.len();
        ids.extend(rig.system.put(part).await?);
        // All kinds come at least once, the rest as it falls.
        let act = match acts.get(round) {
            Some(act) => *act,
            None => acts[random.below(acts.len() as u64) as usize],
        };
        let seen = before + random.below(part.len() as u64) as usize;
        tale.push(format!("{act:?} at {seen}"));
        rig.captured(seen).await.with_context(|| format!("seed {seed}: {tale:?}"))?;
        rig = fail(rig, act, &mut random).await?;
    }
    rig.captured(ids.len()).await.with_context(|| format!("seed {seed}: {tale:?}"))?;
    rig.has_exactly(&ids).await.with_context(|| format!("seed {seed}: {tale:?}"))?;
    eprintln!("{}: {} records, seed {seed}: {}", rig.system.name(), ids.len(), tale.join(", "));
    rig.end().await
}

async fn fail<'a>(rig: Rig<'a>, act: Act, random: &mut Random) -> Result<Rig<'a>> {
    match act {
        Act::KillHub => return rig.kill_hub().await,
        Act::KillSource => rig.system.kill_and_start().await?,
        Act::Reset => rig.proxy()?.reset().await?,
        Act::Cut => {
            let after = random.below(CUT_WITHIN) as usize;
            rig.proxy()?.once(Fault::CutToClient { after }).await?;
        }
        Act::Down => {
            rig.proxy()?.set(Fault::Down).await?;
            rig.proxy()?.heal().await?;
        }
    }
    Ok(rig)
}

fn number(variable: &str, default: u64) -> Result<u64> {
    match env::var(variable) {
        Ok(text) => text.parse().with_context(|| format!("reading {variable}={text}")),
        Err(_) => Ok(default),
    }
}
