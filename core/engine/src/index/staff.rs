//! Agents in the indexes: their numbers, the classes they belong to, their desks, who has room.
//!
//! Agents who look alike to every requirement are one class. Which signatures a class fits is
//! worked out once, when the class or the signature comes up, never at match time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use foldhash::fast::FixedState;
use gantry_model::agent::Level;
use gantry_model::decision::Reason;
use gantry_model::name::{AgentId, Name};
use gantry_model::{AgentProfile, ItemId, Requirement};

use super::SignatureNo;
use crate::agents::AgentNo;
use crate::bits::BitSet;

/// Number of a class of agents in the indexes.
pub(crate) type ClassNo = u32;
/// Number of a media type in the indexes.
pub(crate) type MediaNo = usize;

/// All agents.
#[derive(Debug, Default)]
pub(crate) struct Staff {
    media: Vec<Name>,
    /// By the number that the agent is kept under.
    desks: Vec<Desk>,
    classes: Vec<Class>,
    class_nos: HashMap<Traits, ClassNo, FixedState>,
    free_classes: Vec<ClassNo>,
    /// Classes that have a skill, and its level.
    skilled: HashMap<Name, Vec<(ClassNo, Level)>, FixedState>,
    /// Classes whose agents are members of a group.
    grouped: HashMap<Name, BitSet, FixedState>,
    pub(super) ready: BitSet,
    /// By media type: agents who are ready and have room.
    pub(super) free: Vec<BitSet>,
}

/// An agent in the indexes.
#[derive(Debug)]
pub(crate) struct Desk {
    /// [`NO_CLASS`] if there is no such agent.
    pub(super) class: ClassNo,
    /// Items offered, assigned or in wrap-up.
    pub(crate) items: BTreeSet<ItemId>,
    /// How many of them, by media type.
    load: Vec<u16>,
    /// What keeps the agent from one more, by media type.
    obstacles: Vec<Option<Reason>>,
    /// Signatures that the agent fits by name, though the class does not.
    pub(super) named: Vec<(MediaNo, SignatureNo)>,
    /// Signatures that the class fits, but not this agent, by name.
    pub(super) barred: Vec<SignatureNo>,
}

/// The class of an agent who is not there.
pub(super) const NO_CLASS: ClassNo = ClassNo::MAX;

impl Default for Desk {
    fn default() -> Self {
        Self {
            class: NO_CLASS,
            items: BTreeSet::new(),
            load: Vec::new(),
            obstacles: Vec::new(),
            named: Vec::new(),
            barred: Vec::new(),
        }
    }
}

/// What requirements and queues see of an agent, beside the name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Traits {
    skills: BTreeMap<Name, Level>,
    groups: BTreeSet<Name>,
    inactive_queues: BTreeSet<Name>,
}

/// Agents whom every requirement and queue treats alike, unless it names them.
#[derive(Debug)]
pub(crate) struct Class {
    traits: Traits,
    pub(super) members: Vec<AgentNo>,
    /// Signatures that the class fits, by media type.
    pub(super) reach: Vec<Vec<SignatureNo>>,
}

/// What an agent left together with the class.
#[derive(Debug)]
pub(super) struct Left {
    /// Signatures that the agent fitted.
    pub(super) signatures: Vec<SignatureNo>,
    /// Signatures that the class fitted, if it has no members any more.
    pub(super) forgotten: Vec<SignatureNo>,
}

impl Staff {
    pub(crate) fn media_no(&mut self, media: &str) -> MediaNo {
        if let Some(no) = self.known_media(media) {
            return no;
        }
        self.media.push(Name::new(media));
        self.free.push(BitSet::default());
        self.media.len() - 1
    }

    pub(crate) fn known_media(&self, media: &str) -> Option<MediaNo> {
        self.media.iter().position(|name| *name == media)
    }

    pub(crate) fn media(&self) -> &[Name] {
        &self.media
    }

    pub(crate) fn desk(&self, no: AgentNo) -> &Desk {
        &self.desks[no as usize]
    }

    /// `true` if there is such an agent.
    pub(super) fn knows(&self, no: AgentNo) -> bool {
        self.desks.get(no as usize).is_some_and(|desk| desk.class != NO_CLASS)
    }

    pub(super) fn desk_mut(&mut self, no: AgentNo) -> &mut Desk {
        &mut self.desks[no as usize]
    }

    pub(crate) fn class(&self, no: ClassNo) -> &Class {
        &self.classes[no as usize]
    }

    pub(super) fn class_mut(&mut self, no: ClassNo) -> &mut Class {
        &mut self.classes[no as usize]
    }

    pub(crate) fn anybody_free(&self) -> bool {
        self.free.iter().any(|free| !free.is_empty())
    }

    /// The class that an agent belongs in, unless it is the one that the agent is in. The second
    /// says whether the class is new: nobody knows yet which signatures it fits.
    pub(super) fn classify(
        &mut self,
        no: AgentNo,
        profile: &AgentProfile,
    ) -> Option<(ClassNo, bool)> {
        if self.desks.len() <= no as usize {
            self.desks.resize_with(no as usize + 1, Desk::default);
        }
        let known = self.desk(no).class;
        if known != NO_CLASS && self.class(known).traits.are_of(profile) {
            return None;
        }
        let traits = Traits::of(profile);
        match self.class_nos.get(&traits) {
            Some(class) => Some((*class, false)),
            None => Some((self.new_class(traits), true)),
        }
    }

    /// The signatures of a media type that an agent fits.
    pub(super) fn fitting(
        &self,
        no: AgentNo,
        media: MediaNo,
    ) -> impl Iterator<Item = SignatureNo> + '_ {
        let Desk { class, named, barred, .. } = self.desk(no);
        let named = named.iter().filter(move |(of, _)| *of == media).map(|(_, no)| *no);
        let class = self.class(*class).reach_of(media).iter().copied();
        class.filter(|no| barred.is_empty() || !barred.contains(no)).chain(named)
    }

    /// Takes an agent out of the class. A class without members is forgotten.
    pub(super) fn leave_class(&mut self, no: AgentNo) -> Left {
        let desk = &mut self.desks[no as usize];
        let (class_no, named) = (desk.class, std::mem::take(&mut desk.named));
        desk.class = NO_CLASS;
        desk.barred.clear();
        let class = &mut self.classes[class_no as usize];
        class.members.retain(|member| *member != no);
        let mut signatures: Vec<_> = class.reach.iter().flatten().copied().collect();
        let forgotten =
            if class.members.is_empty() { self.forget_class(class_no) } else { Vec::new() };
        signatures.extend(named.into_iter().map(|(_, signature)| signature));
        Left { signatures, forgotten }
    }

    fn forget_class(&mut self, no: ClassNo) -> Vec<SignatureNo> {
        let class = &mut self.classes[no as usize];
        let reach = std::mem::take(&mut class.reach);
        for skill in class.traits.skills.keys() {
            if let Some(classes) = self.skilled.get_mut(skill) {
                classes.retain(|(class, _)| *class != no);
            }
        }
        for group in &class.traits.groups {
            if let Some(classes) = self.grouped.get_mut(group) {
                classes.put(no, false);
            }
        }
        self.class_nos.remove(&class.traits);
        self.free_classes.push(no);
        reach.into_iter().flatten().collect()
    }

    fn new_class(&mut self, traits: Traits) -> ClassNo {
        let no = self.free_classes.pop().unwrap_or(self.classes.len() as ClassNo);
        for (skill, level) in &traits.skills {
            self.skilled.entry(skill.clone()).or_default().push((no, *level));
        }
        for group in &traits.groups {
            self.grouped.entry(group.clone()).or_default().put(no, true);
        }
        self.class_nos.insert(traits.clone(), no);
        let class = Class { traits, members: Vec::new(), reach: Vec::new() };
        match self.classes.get_mut(no as usize) {
            Some(forgotten) => *forgotten = class,
            None => self.classes.push(class),
        }
        no
    }

    /// Classes that meet a requirement and work in a queue, as far as neither names an agent.
    pub(super) fn classes_for(&self, requirement: &Requirement, queue: &str) -> Vec<ClassNo> {
        let meeting = self.meeting(requirement);
        let works = |no: &ClassNo| {
            let class = self.class(*no);
            !class.members.is_empty() && !class.traits.inactive_queues.contains(queue)
        };
        meeting.iter().filter(works).collect()
    }

    /// `true` if a class meets a requirement and works in a queue, as [`Self::classes_for`].
    pub(super) fn class_fits(&self, no: ClassNo, requirement: &Requirement, queue: &str) -> bool {
        let Traits { skills, groups, inactive_queues } = &self.class(no).traits;
        let nobody = AgentProfile {
            skills: skills.clone(),
            groups: groups.clone(),
            ..AgentProfile::new(AgentId::default())
        };
        requirement.fits(&nobody) && !inactive_queues.contains(queue)
    }

    fn meeting(&self, requirement: &Requirement) -> BitSet {
        let n_classes = self.classes.len() as u32;
        match requirement {
            Requirement::Anybody => BitSet::first(n_classes),
            Requirement::Skill { skill, compare, level } => {
                // Who is not listed has level 0.
                let mut meeting = if compare.holds(0, *level) {
                    BitSet::first(n_classes)
                } else {
                    BitSet::default()
                };
                for (class, has) in self.skilled.get(skill).into_iter().flatten() {
                    meeting.put(*class, compare.holds(*has, *level));
                }
                meeting
            }
            Requirement::Group(group) => self.grouped.get(group).cloned().unwrap_or_default(),
            Requirement::Agent(_) => BitSet::default(),
            Requirement::All(parts) => {
                let mut parts = parts.iter().map(|part| self.meeting(part));
                let all = parts.next().unwrap_or_else(|| BitSet::first(n_classes));
                parts.fold(all, |all, part| all.and(&part))
            }
            Requirement::AnyOf(parts) => {
                let parts = parts.iter().map(|part| self.meeting(part));
                parts.fold(BitSet::default(), |any, part| any.or(&part))
            }
            Requirement::Not(part) => BitSet::first(n_classes).without(&self.meeting(part)),
        }
    }

    /// The class's level in skills, added up.
    pub(super) fn level_sum(&self, no: ClassNo, skills: &[Name]) -> u32 {
        let levels = &self.class(no).traits.skills;
        skills.iter().filter_map(|skill| levels.get(skill)).map(|level| u32::from(*level)).sum()
    }
}

impl Traits {
    fn of(profile: &AgentProfile) -> Self {
        let AgentProfile { skills, groups, inactive_queues, .. } = profile.clone();
        Self { skills, groups, inactive_queues }
    }

    fn are_of(&self, profile: &AgentProfile) -> bool {
        self.skills == profile.skills
            && self.groups == profile.groups
            && self.inactive_queues == profile.inactive_queues
    }
}

impl Desk {
    pub(crate) fn load_of(&self, media: MediaNo) -> u16 {
        self.load.get(media).copied().unwrap_or(0)
    }

    /// How many items the agent has, by number of the media type; beyond the end none.
    pub(crate) fn loads(&self) -> &[u16] {
        &self.load
    }

    /// What keeps the agent from one more of a media type.
    pub(crate) fn obstacle(&self, media: MediaNo) -> Option<&Reason> {
        self.obstacles.get(media)?.as_ref()
    }

    pub(super) fn note_obstacle(&mut self, media: MediaNo, obstacle: Option<Reason>) {
        self.obstacles.resize(self.obstacles.len().max(media + 1), None);
        self.obstacles[media] = obstacle;
    }

    pub(super) fn seat(&mut self, item: ItemId, media: MediaNo) {
        self.items.insert(item);
        self.load.resize(self.load.len().max(media + 1), 0);
        self.load[media] += 1;
    }

    pub(super) fn unseat(&mut self, item: ItemId, media: MediaNo) {
        self.items.remove(&item);
        self.load[media] -= 1;
    }
}

impl Class {
    pub(super) fn reach_of(&self, media: MediaNo) -> &[SignatureNo] {
        self.reach.get(media).map_or(&[], Vec::as_slice)
    }

    pub(super) fn add_reach(&mut self, media: MediaNo, signature: SignatureNo) {
        if self.reach.len() <= media {
            self.reach.resize(media + 1, Vec::new());
        }
        self.reach[media].push(signature);
    }
}
