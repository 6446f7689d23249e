//! What is wrong with a config: a stable code, the place, and what to do about it.

use std::ops::Range;

use serde::Serialize;

/// A mistake, or something worth a second look, in a config.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The kind of mistake; its page in the error reference says more.
    pub code: Code,
    /// Whether the config can be used all the same.
    pub severity: Severity,
    /// The file, relative to the folder of the main one.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The wrong part, in bytes of the file.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What the wrong part is, in a few words.
    pub label: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Another place that has to do with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub related: Option<Related>,
}

/// Another place that a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Related {
    /// The file, relative to the folder of the main one.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The place, in bytes of the file.
    pub span: Range<usize>,
    /// What is there.
    pub label: String,
}

/// Whether a config with the finding can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// No.
    Error,
    /// Yes, but it is hardly what was meant.
    Warning,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal,)+) => {
        /// The kinds of findings. Codes are stable: a number is never used for something else.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[doc = $doc])+ #[serde(rename = $code)] $name,)+
        }

        impl Code {
            /// The code as people see it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// All codes, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];
        }
    };
}

codes! {
    /// A file cannot be read.
    File = "GANTRY-C001",
    /// A file is not TOML.
    Syntax = "GANTRY-C002",
    /// A key that does not exist.
    UnknownKey = "GANTRY-C003",
    /// A value of the wrong type.
    Type = "GANTRY-C004",
    /// A key that is needed and not there.
    MissingKey = "GANTRY-C005",
    /// A value that is not allowed.
    Value = "GANTRY-C006",
    /// A duration or share of the SLA that cannot be read.
    Unit = "GANTRY-C007",
    /// A name that is defined twice.
    Twice = "GANTRY-C008",
    /// A name that is not defined anywhere.
    UnknownName = "GANTRY-C009",
    /// A mistake in an expression.
    Expression = "GANTRY-C010",
    /// A mistake in a skill expression.
    SkillExpression = "GANTRY-C011",
    /// A priority curve that does not hold together.
    Curve = "GANTRY-C012",
    /// A stage that would never be over.
    Stage = "GANTRY-C013",
    /// A not-ready reason that the hub keeps for itself.
    ReservedReason = "GANTRY-C014",
    /// A mapping without external id.
    NoExternalId = "GANTRY-C015",
    /// A schedule that is missing, or that nothing uses.
    Schedule = "GANTRY-C016",
    /// A plug-in that is not there.
    UnknownPlugin = "GANTRY-C017",
    /// A plug-in that cannot do what it is asked to.
    Role = "GANTRY-C018",
    /// Settings that the plug-in does not take.
    PluginSettings = "GANTRY-C019",
    /// A secret in plain text, or a reference where none is expected.
    Secret = "GANTRY-C020",
    /// Something that this version does not have yet.
    NotYet = "GANTRY-C021",
    /// Completions that nothing could ever confirm.
    Unconfirmed = "GANTRY-C022",
    /// A rule that can never hit.
    Unreachable = "GANTRY-C023",
    /// Rows of a decision table that can both hit, where only one may.
    Overlap = "GANTRY-C024",
    /// A file of a decision table that is no CSV.
    Csv = "GANTRY-C025",
    /// A business calendar that does not hold together.
    Calendar = "GANTRY-C026",
    /// A file of holidays that cannot be used.
    Ics = "GANTRY-C027",
    /// An escalation that does not hold together.
    Escalation = "GANTRY-C028",
    /// Business time without a calendar.
    NoCalendar = "GANTRY-C029",
    /// Dates of validity that run backwards.
    Validity = "GANTRY-C030",
    /// A capacity rule that cannot work.
    Capacity = "GANTRY-C031",
    /// Something that can never have an effect.
    NoEffect = "GANTRY-C032",
    /// A secret that is not there, or the file of one that everybody can read.
    NoSecret = "GANTRY-C033",
    /// A part that its plug-in tried, and that does not work.
    Trial = "GANTRY-C034",
}

/// The files that were read, for pointing into them.
#[derive(Clone, Debug, Default)]
pub struct Sources(pub(crate) Vec<Source>);

#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: String,
    /// The rows of a decision table, not TOML.
    pub(crate) csv: bool,
}

impl Sources {
    /// The text of a file, by the name that findings give it.
    pub fn text(&self, file: &str) -> Option<&str> {
        self.0.iter().find(|source| source.name == file).map(|source| source.text.as_str())
    }

    /// Line and column of a byte, both from 1, the column in characters.
    fn position(&self, file: usize, byte: usize) -> (usize, usize) {
        let text = self.0.get(file).map_or("", |source| source.text.as_str());
        let before = text.get(..byte).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.matches('\n').count() + 1;
        (line, before[line_start..].chars().count() + 1)
    }

    fn name(&self, file: usize) -> String {
        self.0.get(file).map_or_else(String::new, |source| source.name.clone())
    }
}

/// A part of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// A finding before its place is put into words.
#[derive(Debug)]
pub(crate) struct Found {
    code: Code,
    severity: Severity,
    place: Place,
    message: String,
    label: String,
    help: Option<String>,
    related: Option<(Place, String)>,
}

impl Found {
    pub(crate) fn error(code: Code, place: Place, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            place,
            message: message.into(),
            label: "here".into(),
            help: None,
            related: None,
        }
    }

    pub(crate) fn warning(code: Code, place: Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, place, message) }
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    pub(crate) fn related(mut self, place: Place, label: impl Into<String>) -> Self {
        self.related = Some((place, label.into()));
        self
    }

    /// Puts it into words.
    pub(crate) fn located(self, sources: &Sources) -> Finding {
        let Place { file, start, end } = self.place;
        let (line, column) = sources.position(file, start);
        Finding {
            code: self.code,
            severity: self.severity,
            file: sources.name(file),
            line,
            column,
            span: start..end,
            message: self.message,
            label: self.label,
            help: self.help,
            related: self.related.map(|(place, label)| {
                let (line, column) = sources.position(place.file, place.start);
                let file = sources.name(place.file);
                Related { file, line, column, span: place.start..place.end, label }
            }),
        }
    }

    /// "did you mean", or else what there is to choose from.
    pub(crate) fn suggest<'a>(
        self,
        name: &str,
        known: impl Iterator<Item = &'a str> + Clone,
    ) -> Self {
        let near = gantry_rules::suggest(name, known.clone());
        let help = near.map(|near| format!("did you mean `{near}`?")).or_else(|| {
            let known: Vec<&str> = known.take(CHOICES_MAX).collect();
            (!known.is_empty()).then(|| format!("there are: {}", known.join(", ")))
        });
        self.maybe_help(help)
    }
}

/// How many known names a help lists.
const CHOICES_MAX: usize = 30;

/// All findings so far.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Found>);

impl Findings {
    pub(crate) fn push(&mut self, found: Found) {
        self.0.push(found);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn extend(&mut self, other: impl IntoIterator<Item = Found>) {
        self.0.extend(other);
    }

    /// All but those of one kind.
    pub(crate) fn without(self, code: Code) -> impl Iterator<Item = Found> {
        self.0.into_iter().filter(move |found| found.code != code)
    }

    /// Puts the findings into words, in the order of the files.
    pub(crate) fn located(mut self, sources: &Sources) -> Vec<Finding> {
        self.0.sort_by_key(|found| (found.place.file, found.place.start, found.code));
        self.0.into_iter().map(|found| found.located(sources)).collect()
    }
}

impl IntoIterator for Findings {
    type Item = Found;
    type IntoIter = std::vec::IntoIter<Found>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
