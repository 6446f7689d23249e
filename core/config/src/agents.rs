//! Agents in a CSV file, as a spreadsheet or a personnel system writes them: every mistake is told
//! at its cell, and the other lines stand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::str::FromStr;

use gantry_model::agent::ID_LENGTH_MAX;
use gantry_model::spec::{Answer, Spec};
use gantry_model::{AgentId, AgentProfile, Name};

use crate::csv::{self, Field};
use crate::finding::{Code, Finding, Findings, Found, Place, Source, Sources};
use crate::load::read_text;

/// Highest level of a skill.
const LEVEL_MAX: u16 = 100;
/// Most interactions at once, of one media type.
const CAPACITY_MAX: u16 = 1000;

/// A file of agents that was looked at.
#[derive(Debug)]
pub struct CheckedAgents {
    /// The agents of all lines in which nothing is wrong, in the order of the file.
    pub agents: Vec<AgentLine>,
    /// Everything there is to say about the file, in its order.
    pub findings: Vec<Finding>,
    /// The file, for showing findings.
    pub sources: Sources,
}

/// One line of a file of agents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentLine {
    /// Number of the line, from 1.
    pub line: usize,
    profile: AgentProfile,
    columns: BTreeSet<Column>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Column {
    Id,
    Name,
    Skills,
    Groups,
    Capacity,
    CapacityRule,
    InactiveQueues,
    Answer,
    Attributes,
}

const COLUMNS: [(&str, Column); 9] = [
    ("id", Column::Id),
    ("name", Column::Name),
    ("skills", Column::Skills),
    ("groups", Column::Groups),
    ("capacity", Column::Capacity),
    ("capacity_rule", Column::CapacityRule),
    ("inactive_queues", Column::InactiveQueues),
    ("answer", Column::Answer),
    ("attributes", Column::Attributes),
];

const ANSWERS: [(&str, Answer); 2] = [("manual", Answer::Manual), ("automatic", Answer::Automatic)];

impl AgentLine {
    /// The agent's id.
    pub fn id(&self) -> &AgentId {
        &self.profile.id
    }

    /// The profile that the line asks for: what the file has no column for stays as it is now, or
    /// as it is for a new agent.
    pub fn profile(&self, now: Option<&AgentProfile>) -> AgentProfile {
        let mut profile = now.cloned().unwrap_or_else(|| AgentProfile::new(self.id().clone()));
        let line = &self.profile;
        for column in &self.columns {
            match column {
                Column::Id => {}
                Column::Name => profile.name.clone_from(&line.name),
                Column::Skills => profile.skills.clone_from(&line.skills),
                Column::Groups => profile.groups.clone_from(&line.groups),
                Column::Capacity => profile.capacity.clone_from(&line.capacity),
                Column::CapacityRule => profile.capacity_rule.clone_from(&line.capacity_rule),
                Column::InactiveQueues => profile.inactive_queues.clone_from(&line.inactive_queues),
                Column::Answer => profile.answer = line.answer,
                Column::Attributes => profile.attributes.clone_from(&line.attributes),
            }
        }
        profile
    }
}

/// Reads and checks a CSV file of agents. Its first line names the columns, `id` among them; in
/// one cell, several skills, groups and the like stand with `;` between them, levels and numbers
/// after `=`. Without a config the names of skills, groups, queues and rules are not checked.
///
/// Never fails: a file that cannot be read is a finding like any other.
pub fn load_agents(path: &Path, config: Option<&Spec>) -> CheckedAgents {
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into());
    match read_text(path) {
        Ok(text) => check_agents(&name, &text, config),
        Err(error) => {
            let message = format!("cannot read {}: {error}", path.display());
            let found = Found::error(Code::File, Place::default(), message).label("this file");
            let mut findings = Findings::default();
            findings.push(found.help("check the path; a spreadsheet saves it as \"CSV UTF-8\""));
            let sources = Sources(vec![Source { name, text: String::new(), csv: true }]);
            CheckedAgents { agents: Vec::new(), findings: findings.located(&sources), sources }
        }
    }
}

/// As [`load_agents`], of a text.
pub(crate) fn check_agents(name: &str, text: &str, config: Option<&Spec>) -> CheckedAgents {
    let mut findings = Findings::default();
    let agents = lines(text, config, &mut findings);
    let source = Source { name: name.to_owned(), text: text.to_owned(), csv: true };
    let sources = Sources(vec![source]);
    CheckedAgents { agents, findings: findings.located(&sources), sources }
}

fn lines(text: &str, config: Option<&Spec>, findings: &mut Findings) -> Vec<AgentLine> {
    let rows = match csv::parse(text) {
        Ok(rows) => rows,
        Err(csv::Broken { span, message }) => {
            let found = Found::error(Code::Csv, place(span), message).label("cannot be read");
            findings.push(found.help("a quote inside a field in quotes is written twice"));
            return Vec::new();
        }
    };
    let mut rows = rows.into_iter();
    let headings = rows.next().unwrap_or_default();
    let Some(columns) = columns(&headings, findings) else { return Vec::new() };
    let mut seen: BTreeMap<AgentId, Place> = BTreeMap::new();
    let mut lines = Vec::new();
    for fields in rows {
        let start = fields.first().map_or(0, |field| field.span.start);
        let mut row = Row { text, config, findings: Findings::default() };
        let profile = row.read(&columns, &fields, &mut seen);
        let mistakes = row.findings;
        if let Some(profile) = profile.filter(|_| mistakes.is_empty()) {
            let line = text[..start].matches('\n').count() + 1;
            let columns = columns.iter().flatten().copied().collect();
            lines.push(AgentLine { line, profile, columns });
        }
        findings.extend(mistakes);
    }
    lines
}

/// What each column holds; none if the file cannot be used without more.
fn columns(headings: &[Field], findings: &mut Findings) -> Option<Vec<Option<Column>>> {
    let mut first: BTreeMap<Column, Place> = BTreeMap::new();
    let mut columns = Vec::with_capacity(headings.len());
    for heading in headings {
        let word = heading.text.trim();
        let known = COLUMNS.iter().find(|(name, _)| *name == word).map(|(_, column)| *column);
        let place = place(heading.span.clone());
        match known {
            None => {
                let found = Found::error(Code::UnknownKey, place, format!("no column `{word}`"));
                let found = found.label("not a column of agents");
                findings.push(found.suggest(word, COLUMNS.iter().map(|(name, _)| *name)));
            }
            Some(column) => {
                if let Some(before) = first.insert(column, place) {
                    let message = format!("column `{word}` is there twice");
                    let found = Found::error(Code::Twice, place, message).label("again here");
                    findings.push(found.related(before, "first here").help("leave one out"));
                }
            }
        }
        columns.push(known);
    }
    if !first.contains_key(&Column::Id) {
        let place = headings.first().map_or_else(Place::default, |f| place(f.span.clone()));
        let found = Found::error(Code::MissingKey, place, "there is no column `id`");
        let help = "name the columns in the first line: id,name,skills,groups";
        findings.push(found.label("the first line").help(help));
    }
    findings.is_empty().then_some(columns)
}

/// Reads one line.
struct Row<'a> {
    text: &'a str,
    config: Option<&'a Spec>,
    findings: Findings,
}

impl Row<'_> {
    fn read(
        &mut self,
        columns: &[Option<Column>],
        fields: &[Field],
        seen: &mut BTreeMap<AgentId, Place>,
    ) -> Option<AgentProfile> {
        let whole = fields.first()?.span.start..fields.last()?.span.end;
        if fields.len() > columns.len() {
            let (has, can) = (fields.len(), columns.len());
            let message = format!("the line has {has} fields, but there are {can} columns");
            let found = Found::error(Code::Value, place(whole), message).label("this line");
            self.findings.push(found.help("put a field with a separator in it in quotes"));
            return None;
        }
        let cells: BTreeMap<Column, &Field> =
            columns.iter().zip(fields).filter_map(|(c, field)| Some(((*c)?, field))).collect();
        let id = self.id(cells.get(&Column::Id).copied(), place(whole), seen)?;
        let mut profile = AgentProfile::new(id);
        for (column, field) in cells {
            self.fill(&mut profile, column, field);
        }
        Some(profile)
    }

    fn id(
        &mut self,
        field: Option<&Field>,
        whole: Place,
        seen: &mut BTreeMap<AgentId, Place>,
    ) -> Option<AgentId> {
        let at = field.map_or(whole, |field| place(field.span.clone()));
        let id = field.map_or("", |field| field.text.trim());
        let fits = !id.is_empty()
            && id.chars().count() <= ID_LENGTH_MAX
            && !id.chars().any(char::is_control);
        if !fits {
            let message = format!("`{id}` cannot be the id of an agent");
            let found = Found::error(Code::Value, at, message).label("not as an id");
            let help = format!("write 1 to {ID_LENGTH_MAX} characters that can be shown");
            self.findings.push(found.help(help));
            return None;
        }
        let id = Name::new(id);
        if let Some(first) = seen.insert(id.clone(), at) {
            let found = Found::error(Code::Twice, at, format!("agent `{id}` is there twice"));
            let found = found.label("again here").related(first, "first here");
            self.findings.push(found.help("an agent stands in one line; leave the other out"));
        }
        Some(id)
    }

    fn fill(&mut self, profile: &mut AgentProfile, column: Column, field: &Field) {
        let config = self.config;
        let routing = config.map(|spec| &spec.routing);
        match column {
            Column::Id => {}
            Column::Name => field.text.trim().clone_into(&mut profile.name),
            Column::Skills => {
                let skills = self.numbers(field, "skill", LEVEL_MAX, "sales=9;legacy=2");
                self.known(&skills, "skill", config.map(|spec| spec.skills.iter()));
                profile.skills =
                    skills.into_iter().map(|(_, skill, level)| (skill, level as u8)).collect();
            }
            Column::Groups => {
                let groups = self.names(field);
                self.known(&groups, "group", config.map(|spec| spec.groups.iter()));
                profile.groups = groups.into_iter().map(|(_, group, ())| group).collect();
            }
            Column::Capacity => {
                let media = self.numbers(field, "media type", CAPACITY_MAX, "workitem=2");
                if !media.is_empty() {
                    profile.capacity =
                        media.into_iter().map(|(_, media, count)| (media, count)).collect();
                }
            }
            Column::CapacityRule => {
                let rule = self.names(field);
                let rules = routing.map(|routing| routing.capacity_rules.keys());
                self.known(&rule, "capacity rule", rules);
                profile.capacity_rule = rule.into_iter().next().map(|(_, rule, ())| rule);
            }
            Column::InactiveQueues => {
                let queues = self.names(field);
                self.known(&queues, "queue", routing.map(|routing| routing.processes.keys()));
                profile.inactive_queues = queues.into_iter().map(|(_, queue, ())| queue).collect();
            }
            Column::Answer => profile.answer = self.answer(field),
            Column::Attributes => {
                let pairs = self.pairs(field, "location=Lisbon;team=A");
                let pairs = pairs.into_iter().map(|(_, name, text)| (name, text.to_owned()));
                profile.attributes = pairs.collect();
            }
        }
    }

    fn answer(&mut self, field: &Field) -> Option<Answer> {
        let word = field.text.trim();
        if word.is_empty() {
            return None;
        }
        let found = ANSWERS.iter().find(|(name, _)| *name == word).map(|(_, answer)| *answer);
        if found.is_none() {
            let place = place(field.span.clone());
            let wrong = Found::error(Code::Value, place, format!("`{word}` is no way to answer"));
            let wrong = wrong.label("not one of the choices");
            self.findings.push(wrong.suggest(word, ANSWERS.iter().map(|(name, _)| *name)));
        }
        found
    }

    /// The parts of a cell, with their places; empty ones are left out.
    fn parts<'f>(&self, field: &'f Field) -> Vec<(Place, &'f str)> {
        let raw = self.text.get(field.span.clone()).unwrap_or_default();
        let mut parts = Vec::new();
        let mut at = 0;
        for part in field.text.split(';') {
            let start = at + (part.len() - part.trim_start().len());
            let text = part.trim();
            at += part.len() + 1;
            if !text.is_empty() {
                let [from, to] = [start, start + text.len()]
                    .map(|offset| field.span.start + csv::raw_offset(raw, offset));
                parts.push((place(from..to.max(from)), text));
            }
        }
        parts
    }

    fn names(&self, field: &Field) -> Vec<(Place, Name, ())> {
        let parts = self.parts(field).into_iter();
        parts.map(|(place, name)| (place, Name::new(name), ())).collect()
    }

    fn pairs<'f>(&mut self, field: &'f Field, example: &str) -> Vec<(Place, Name, &'f str)> {
        let mut pairs = Vec::new();
        for (place, part) in self.parts(field) {
            let pair = part.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
            let pair = pair.filter(|(name, value)| !name.is_empty() && !value.is_empty());
            let Some((name, value)) = pair else {
                let message = format!("`{part}` has no value");
                let found = Found::error(Code::Value, place, message).label("not name=value");
                self.findings.push(found.help(format!("write it as in {example}")));
                continue;
            };
            pairs.push((place, Name::new(name), value));
        }
        pairs
    }

    fn numbers(
        &mut self,
        field: &Field,
        what: &str,
        most: u16,
        example: &str,
    ) -> Vec<(Place, Name, u16)> {
        let mut numbers = Vec::new();
        for (place, name, value) in self.pairs(field, example) {
            match u16::from_str(value) {
                Ok(number) if number <= most => numbers.push((place, name, number)),
                _ => {
                    let message = format!("`{value}` of {what} `{name}` is out of range");
                    let found = Found::error(Code::Value, place, message).label("out of range");
                    self.findings.push(found.help(format!("write a whole number, 0 to {most}")));
                }
            }
        }
        numbers
    }

    /// Reports names that the config does not have.
    fn known<'n, T>(
        &mut self,
        names: &[(Place, Name, T)],
        what: &str,
        known: Option<impl Iterator<Item = &'n Name> + Clone>,
    ) {
        let Some(known) = known else { return };
        for (place, name, _) in names {
            if known.clone().any(|known| known == name) {
                continue;
            }
            let message = format!("there is no {what} `{name}`");
            let found = Found::error(Code::UnknownName, *place, message).label("not in the config");
            self.findings.push(found.suggest(name, known.clone().map(Name::as_str)));
        }
    }
}

fn place(span: std::ops::Range<usize>) -> Place {
    Place { file: 0, start: span.start, end: span.end }
}
