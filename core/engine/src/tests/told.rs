//! Commands as lines of a case file: what went wrong in a random world can be told, read, kept
//! and played again.

use std::fmt::Write as _;

use gantry_model::command::{Capture, Classified, Holder, Verdict};
use gantry_model::spec::{OnChange, RoutingSpec};
use gantry_model::{
    AgentProfile, Command, ItemId, Presence, Requirement, Target, Timestamp, Workbin,
};

use super::script::{VARIANTS, World, varied};

/// The line of a command, without the `>`. The command must be one that lines can say.
pub(super) fn line(world: &World, command: &Command) -> String {
    let teller = Teller { now: world.now };
    match command {
        Command::Capture(capture) => teller.capture(capture),
        Command::Update { .. } | Command::EndRun { .. } => teller.change(command),
        Command::Hold { item, reason } => format!("hold {} {reason}", number(*item)),
        Command::Resume { item } => format!("resume {}", number(*item)),
        Command::Cancel { item, reason } => format!("cancel {} {reason}", number(*item)),
        Command::Complete { item, .. } => format!("complete {}", number(*item)),
        Command::Restart { item, force } => {
            format!("restart {}{}", number(*item), flag("force", *force))
        }
        Command::Confirm { item, epoch } => format!("confirm {} epoch={epoch}", number(*item)),
        Command::PutAgent(profile) => agent(profile),
        Command::RemoveAgent(agent) => format!("remove {agent}"),
        Command::SetPresence { agent, presence } => match presence {
            Presence::Ready => format!("ready {agent}"),
            Presence::FinishSoon => format!("finish {agent}"),
            Presence::SignedOff => format!("off {agent}"),
            Presence::NotReady { reason } => format!("not_ready {agent} {reason}"),
        },
        Command::ReportLoad { agent, media, count } => format!("load {agent} {media} {count}"),
        Command::Activate { version, routing } => activate(*version, routing),
        Command::Alert { alert, raised, value } => {
            format!("{} {alert} {value}", if *raised { "alert" } else { "all_clear" })
        }
        Command::ClockStepped { by } => format!("clock_stepped {}", by.0),
        Command::Boot { down } => format!("reboot {down}"),
        Command::Tick => "pass 0s".into(),
        _ => teller.by_hand(command),
    }
}

fn number(item: ItemId) -> u64 {
    item.counter()
}

fn flag(word: &str, set: bool) -> String {
    if set { format!(" {word}") } else { String::new() }
}

fn pair(key: &str, value: Option<impl std::fmt::Display>) -> String {
    value.map_or(String::new(), |value| format!(" {key}={value}"))
}

fn by(holder: Option<&Holder>) -> String {
    holder.map_or(String::new(), |it| format!(" by={} epoch={}", it.agent, it.epoch))
}

fn workbin(workbin: &Workbin) -> String {
    match workbin {
        Workbin::Agent(agent) => agent.to_string(),
        Workbin::Group(group) => format!("group:{group}"),
        Workbin::Supervisor(group) => format!("supervisor:{group}"),
    }
}

fn target(target: &Target) -> String {
    match target {
        Target::Agent(agent) => agent.to_string(),
        Target::Group(group) => format!("group:{group}"),
        Target::Skills(Requirement::Skill { skill, level, .. }) => format!("skill:{skill}:{level}"),
        Target::Skills(other) => panic!("no line says {other}"),
        Target::Queue(queue) => format!("queue:{queue}"),
        Target::Workbin(bin) => format!("workbin:{}", workbin(bin)),
    }
}

fn agent(profile: &AgentProfile) -> String {
    let mut text = format!("agent {}", profile.id);
    for (skill, level) in &profile.skills {
        let _ = write!(text, " {skill}={level}");
    }
    for group in &profile.groups {
        let _ = write!(text, " group={group}");
    }
    for (media, word) in [("workitem", "capacity"), ("chat", "chats")] {
        text += &pair(word, profile.capacity.get(media));
    }
    for queue in &profile.inactive_queues {
        let _ = write!(text, " inactive={queue}");
    }
    text + &pair("rule", profile.capacity_rule.as_ref())
}

/// Names the variants that the config is made of.
fn activate(version: u32, routing: &RoutingSpec) -> String {
    let all = 0..1_u32 << VARIANTS.len();
    let chosen = all.into_iter().find(|chosen| varied(*chosen) == *routing);
    let chosen = chosen.expect("the config is one of the variants");
    let names = VARIANTS.iter().enumerate().filter(|(at, _)| chosen >> at & 1 == 1);
    let names: Vec<&str> = names.map(|(_, (name, _))| *name).collect();
    let with = (!names.is_empty()).then(|| names.join(","));
    format!("activate version={version}{}", pair("with", with))
}

struct Teller {
    now: Timestamp,
}

impl Teller {
    /// An instant as a duration from now.
    fn at(&self, key: &str, at: Option<Timestamp>) -> String {
        pair(key, at.map(|at| at.since(self.now)))
    }

    fn capture(&self, capture: &Capture) -> String {
        let mut text = "capture".to_owned();
        if capture.capture_point != "crm" {
            let _ = write!(text, " point={}", capture.capture_point);
        }
        text += &self.at("activation", capture.activation_at);
        if let Some(known) = &capture.known {
            let _ = write!(text, " again={}", number(known.item));
            text += &flag("same", known.hash == capture.hash);
            text += &flag("seen", known.seen);
            text += match capture.on_change {
                OnChange::Update => "",
                OnChange::Conflict => " policy=conflict",
                OnChange::Ignore => " policy=ignore",
            };
        }
        text + &self.verdict(capture.verdict.as_deref())
    }

    fn change(&self, command: &Command) -> String {
        match command {
            Command::Update { item, base_revision, rerun, verdict, reschedule, by: holder } => {
                format!(
                    "update {} revision={base_revision}{}{}{}{}",
                    number(*item),
                    flag("rerun", *rerun),
                    flag("reschedule", *reschedule),
                    by(holder.as_ref()),
                    self.verdict(verdict.as_deref()),
                )
            }
            Command::EndRun { item, revision, run, enriched, verdict } => format!(
                "end_run {} revision={revision} run={run}{}{}",
                number(*item),
                flag("enriched", *enriched),
                self.verdict(Some(verdict)),
            ),
            other => panic!("no line says {other:?}"),
        }
    }

    fn verdict(&self, verdict: Option<&Verdict>) -> String {
        match verdict {
            None => String::new(),
            Some(Verdict::Rejected { reason }) => format!(" rejected={reason}"),
            Some(Verdict::Failed { reason, retry_at }) => {
                format!(" failed={reason}{}", self.at("retry", *retry_at))
            }
            Some(Verdict::Classified(found)) => self.classified(found),
        }
    }

    fn classified(&self, found: &Classified) -> String {
        let class = found.class.as_ref().expect("a verdict has a class");
        let sla = class.sla.map(|sla| sla.to_string().replace(' ', ""));
        let needs = class.requirement.as_ref().map(|requirement| match requirement {
            Requirement::Group(group) => group.clone(),
            other => panic!("no line says {other}"),
        });
        let mut text = format!(
            " process={} schema={} version={}{}{}{}",
            class.process,
            class.schema,
            class.version,
            pair("sla", sla),
            pair("needs", needs),
            pair("flow", class.flow.as_ref()),
        );
        let media = Some(&class.media_type).filter(|media| **media != "workitem");
        text += &pair("media", media);
        text += &self.at("due", found.due_at);
        text += match found.activation_at {
            Some(_) => self.at("active", found.activation_at),
            // Else the date that the record itself brought would be taken for it.
            None => pair("active", Some("never")),
        }
        .as_str();
        text += &self.at("expires", found.expires_at);
        text += &pair("priority", found.priority);
        text += &pair("preferred", found.preferred_agent.as_ref());
        text += &pair("required", found.required_agent.as_ref());
        let bounds = found.bounds.as_deref().copied().unwrap_or_default();
        text += &flag("bounds", found.bounds.is_some());
        text += &pair("start", bounds.start);
        text += &pair("min", bounds.min);
        text + &pair("max", bounds.max)
    }

    fn by_hand(&self, command: &Command) -> String {
        match command {
            Command::Accept { item, epoch, agent } => {
                format!("accept {} {agent} epoch={epoch}", number(*item))
            }
            Command::Decline { item, epoch, agent, .. } => {
                format!("decline {} {agent} epoch={epoch}", number(*item))
            }
            Command::MarkDone { item, epoch, agent, disposition, changed_from } => {
                let said = pair("disposition", disposition.as_ref());
                let changed = pair("changed", *changed_from);
                format!("done {} {agent} epoch={epoch}{said}{changed}", number(*item))
            }
            Command::EndWrapUp { item, by, disposition } => {
                let said = pair("disposition", disposition.as_ref());
                format!("wrap_up {} {} epoch={}{said}", number(*item), by.agent, by.epoch)
            }
            Command::Transfer { item, by: holder, to, .. } => {
                format!("transfer {} {}{}", number(*item), target(to), by(holder.as_ref()))
            }
            Command::Park { item, by: holder, workbin: to, until, .. } => {
                let until = self.at("until", *until);
                format!("park {} {}{}{until}", number(*item), workbin(to), by(holder.as_ref()))
            }
            Command::Pull { item, agent, over_capacity } => {
                let because = pair("because", over_capacity.as_ref());
                format!("pull {} {agent}{because}", number(*item))
            }
            Command::Return { item, by: holder, .. } => {
                format!("return {}{}", number(*item), by(holder.as_ref()))
            }
            Command::EmptyWorkbin { workbin: bin } => format!("empty {}", workbin(bin)),
            Command::Retrieve { item, reason } => format!("retrieve {} {reason}", number(*item)),
            Command::Boost { item, points } => format!("boost {} {points}", number(*item)),
            other => panic!("no line says {other:?}"),
        }
    }
}
