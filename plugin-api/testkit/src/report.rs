//! What a run of the suite has shown: for people, as JUnit XML, as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::case::Case;
use crate::transport::Transport;

/// How a case has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The plug-in does what is asked.
    Passed,
    /// It does not.
    Failed {
        /// What should have been seen.
        expected: String,
        /// What was seen.
        seen: String,
    },
    /// It could not be asked: the reason.
    Skipped(String),
    /// It does not, and the test file says why that is right.
    Waived {
        /// What the test file says.
        reason: String,
        /// What was seen.
        seen: String,
    },
}

impl Verdict {
    /// The word for it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed { .. } => "failed",
            Self::Skipped(_) => "skipped",
            Self::Waived { .. } => "waived",
        }
    }
}

/// One case on one transport.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The case.
    pub case: &'static Case,
    /// How the plug-in was reached.
    pub transport: Transport,
    /// How it ended.
    pub verdict: Verdict,
    /// How long that took.
    pub took: Duration,
    /// A figure beside the verdict.
    pub note: Option<String>,
}

/// The plug-in that was tested.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The hash of its file or folder; empty if it is linked in.
    pub sha256: String,
    /// Lowest and highest ABI version it speaks; none if it is a program.
    pub abi: Option<(String, String)>,
}

/// A run of the suite.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was tested.
    pub subject: Subject,
    /// Each case on each transport, in the order they were run.
    pub ended: Vec<Ended>,
    /// Waivers of cases that did not fail: the test file is to be corrected.
    pub needless_waivers: Vec<String>,
}

impl Report {
    /// Whether nothing failed and no waiver is needless.
    pub fn passed(&self) -> bool {
        self.count("failed") == 0 && self.needless_waivers.is_empty()
    }

    /// How many cases ended in this way.
    pub fn count(&self, verdict: &str) -> usize {
        self.ended.iter().filter(|ended| ended.verdict.name() == verdict).count()
    }

    /// The last lines for people.
    pub fn summary(&self) -> String {
        let Self { subject, needless_waivers, .. } = self;
        let mut text = String::new();
        for case in needless_waivers {
            let _ = writeln!(text, "  waiver of {case} is needless: it did not fail; remove it");
        }
        let counts = ["passed", "failed", "skipped", "waived"]
            .map(|verdict| format!("{} {verdict}", self.count(verdict)));
        let verdict = if self.passed() { "conforms" } else { "DOES NOT CONFORM" };
        let _ =
            write!(text, "{} {} {verdict}: {}", subject.name, subject.version, counts.join(", "));
        text
    }

    /// All of it for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut before = None;
        for ended in &self.ended {
            text.push_str(&ended.text(before));
            before = Some(ended);
        }
        text + &self.summary()
    }

    /// The certificate: what was tested with which result.
    pub fn certificate(&self) -> Value {
        let Subject { name, version, sha256, abi } = &self.subject;
        let mut transports: Vec<_> = self.ended.iter().map(|ended| ended.transport).collect();
        transports.dedup();
        json!({ "certificate": {
            "plugin": { "name": name, "version": version, "sha256": sha256, "abi": abi },
            "suite": { "version": env!("CARGO_PKG_VERSION"), "cases": crate::cases().count() },
            "transports": transports.iter().map(|transport| transport.name()).collect::<Vec<_>>(),
            "passed": self.count("passed"),
            "failed": self.count("failed"),
            "skipped": self.count("skipped"),
            "waived": self.count("waived"),
            "needless_waivers": self.needless_waivers,
            "conforms": self.passed(),
        }})
    }

    /// As JUnit XML, one suite a transport.
    pub fn junit(&self) -> String {
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
        let mut transports: Vec<_> = self.ended.iter().map(|ended| ended.transport).collect();
        transports.dedup();
        for transport in transports {
            let of = self.ended.iter().filter(|ended| ended.transport == transport);
            let of: Vec<_> = of.collect();
            let count = |name| of.iter().filter(|ended| ended.verdict.name() == name).count();
            let took: f64 = of.iter().map(|ended| ended.took.as_secs_f64()).sum();
            let _ = writeln!(
                xml,
                "  <testsuite name=\"{} ({transport})\" tests=\"{}\" failures=\"{}\" \
                 skipped=\"{}\" time=\"{took:.3}\">",
                escape(&self.subject.name),
                of.len(),
                count("failed"),
                count("skipped") + count("waived"),
            );
            for ended in of {
                ended.junit(&mut xml);
            }
            xml.push_str("  </testsuite>\n");
        }
        xml + "</testsuites>\n"
    }
}

impl Ended {
    /// Its lines for people; `before` is the case told before it.
    pub fn text(&self, before: Option<&Self>) -> String {
        let mut text = String::new();
        if before.is_none_or(|before| before.transport != self.transport) {
            let _ = writeln!(text, "{}", self.transport);
        }
        let group = self.case.group();
        if before.is_none_or(|b| b.case.group() != group || b.transport != self.transport) {
            let _ = writeln!(text, "  {group}");
        }
        let name = self.case.id.split_once('/').map_or(self.case.id, |(_, name)| name);
        let word = match &self.verdict {
            Verdict::Passed => "ok",
            Verdict::Failed { .. } => "FAILED",
            Verdict::Skipped(_) => "skipped",
            Verdict::Waived { .. } => "waived",
        };
        let beside = match &self.verdict {
            Verdict::Skipped(reason) | Verdict::Waived { reason, .. } => reason.clone(),
            _ => self.note.clone().unwrap_or_default(),
        };
        let line = format!("    {word:<8} {name:<30} {beside}");
        let _ = writeln!(text, "{}", line.trim_end());
        if let Verdict::Failed { expected, seen } = &self.verdict {
            let Case { about, remedy, .. } = self.case;
            let _ = writeln!(text, "             asked:    {about}");
            let _ = writeln!(text, "             expected: {expected}");
            let _ = writeln!(text, "             seen:     {seen}");
            let _ = writeln!(text, "             remedy:   {remedy}");
        }
        text
    }

    /// As one JSON object.
    pub fn json(&self) -> Value {
        let mut value = json!({
            "case": self.case.id,
            "transport": self.transport.name(),
            "verdict": self.verdict.name(),
            "ms": self.took.as_millis() as u64,
        });
        if let Some(note) = &self.note {
            value["note"] = json!(note);
        }
        match &self.verdict {
            Verdict::Passed => {}
            Verdict::Failed { expected, seen } => {
                value["expected"] = json!(expected);
                value["seen"] = json!(seen);
                value["remedy"] = json!(self.case.remedy);
            }
            Verdict::Skipped(reason) => value["reason"] = json!(reason),
            Verdict::Waived { reason, seen } => {
                value["reason"] = json!(reason);
                value["seen"] = json!(seen);
            }
        }
        value
    }

    fn junit(&self, xml: &mut String) {
        let Case { id, about, remedy, .. } = self.case;
        let (class, name) = id.split_once('/').unwrap_or(("", id));
        let _ = write!(
            xml,
            "    <testcase classname=\"{class}\" name=\"{name}\" time=\"{:.3}\"",
            self.took.as_secs_f64()
        );
        let inner = match &self.verdict {
            Verdict::Passed => String::new(),
            Verdict::Failed { expected, seen } => format!(
                "      <failure message=\"{}\">expected: {}\nseen: {}\nremedy: {}</failure>\n",
                escape(about),
                escape(expected),
                escape(seen),
                escape(remedy)
            ),
            Verdict::Skipped(reason) => {
                format!("      <skipped message=\"{}\"/>\n", escape(reason))
            }
            Verdict::Waived { reason, .. } => {
                format!("      <skipped message=\"waived: {}\"/>\n", escape(reason))
            }
        };
        if inner.is_empty() {
            xml.push_str("/>\n");
        } else {
            let _ = write!(xml, ">\n{inner}    </testcase>\n");
        }
    }
}

/// Text inside XML; what XML cannot hold becomes a question mark.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() || c == '\u{fffe}' || c == '\u{ffff}' => escaped.push('?'),
            c => escaped.push(c),
        }
    }
    escaped
}
