//! Agents as they are kept: by number, and found by their ids.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::FixedState;
use gantry_model::Agent;
use gantry_model::name::AgentId;

/// Number of an agent. It stays the same until the agent is removed.
pub(crate) type AgentNo = u32;

/// All agents.
#[derive(Debug, Default)]
pub(crate) struct Agents {
    kept: Vec<Option<Agent>>,
    vacant: Vec<AgentNo>,
    /// Read only by id: its order is nobody's.
    nos: HashMap<AgentId, AgentNo, FixedState>,
    in_order: BTreeMap<AgentId, AgentNo>,
}

impl Agents {
    pub(crate) fn no(&self, id: &str) -> Option<AgentNo> {
        self.nos.get(id).copied()
    }

    pub(crate) fn contains_key(&self, id: &str) -> bool {
        self.nos.contains_key(id)
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Agent> {
        self.at(self.no(id)?)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Agent> {
        let no = self.no(id)?;
        self.kept[no as usize].as_mut()
    }

    /// The agent with a number, unless removed.
    pub(crate) fn at(&self, no: AgentNo) -> Option<&Agent> {
        self.kept.get(no as usize)?.as_ref()
    }

    /// The numbers of all agents, in the order of their ids.
    pub(crate) fn in_order(&self) -> impl ExactSizeIterator<Item = AgentNo> {
        self.in_order.values().copied()
    }

    /// All agents, in the order of their ids.
    pub(crate) fn values(&self) -> impl ExactSizeIterator<Item = &Agent> {
        self.in_order.values().map(|no| {
            let agent = self.kept[*no as usize].as_ref();
            agent.expect("invariant: an id leads to an agent")
        })
    }

    /// Adds an agent, in place of the one with the same id.
    pub(crate) fn insert(&mut self, agent: Agent) {
        let id = agent.profile.id.clone();
        if let Some(no) = self.no(&id) {
            self.kept[no as usize] = Some(agent);
            return;
        }
        let no = if let Some(no) = self.vacant.pop() {
            self.kept[no as usize] = Some(agent);
            no
        } else {
            self.kept.push(Some(agent));
            self.kept.len() as AgentNo - 1
        };
        self.nos.insert(id.clone(), no);
        self.in_order.insert(id, no);
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<Agent> {
        let no = self.nos.remove(id)?;
        self.in_order.remove(id);
        self.vacant.push(no);
        self.kept[no as usize].take()
    }
}

impl FromIterator<Agent> for Agents {
    fn from_iter<I: IntoIterator<Item = Agent>>(agents: I) -> Self {
        let mut all = Self::default();
        agents.into_iter().for_each(|agent| all.insert(agent));
        all
    }
}
