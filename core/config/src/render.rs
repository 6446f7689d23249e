//! Findings for people: the line, the part underlined, the code and the remedy.

use std::fmt;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode,
};

use crate::finding::{Code, Finding, Severity, Sources};

/// Columns of the text.
const WIDTH: usize = 100;

/// Renders findings as text for a terminal, without colours; empty if there are none.
///
/// Secrets that stand in plain text in the config are shown as stars: this text ends up in logs.
pub fn render_human(findings: &[Finding], sources: &Sources) -> String {
    let sources = &starred(findings, sources);
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(WIDTH)
        .with_context_lines(1)
        .with_links(false);
    let mut text = String::new();
    for (at, finding) in findings.iter().enumerate() {
        if at > 0 {
            text.push('\n');
        }
        handler
            .render_report(&mut text, &Report::of(finding, sources))
            .expect("invariant: writing to memory cannot fail");
    }
    text
}

/// The files with every secret in plain text replaced by as many stars as it has bytes, so that
/// all places stay where they are.
fn starred(findings: &[Finding], sources: &Sources) -> Sources {
    let mut sources = sources.clone();
    for finding in findings.iter().filter(|finding| finding.code == Code::Secret) {
        let source = sources.0.iter_mut().find(|source| source.name == finding.file);
        let Some(source) = source else { continue };
        if let Some(secret) = source.text.get(finding.span.clone()) {
            let stars: String =
                secret.bytes().map(|b| if b == b'\n' { '\n' } else { '*' }).collect();
            source.text.replace_range(finding.span.clone(), &stars);
        }
    }
    sources
}

/// A finding as miette wants it.
struct Report<'f> {
    finding: &'f Finding,
    source: NamedSource<String>,
    /// The other place, if it is in another file.
    elsewhere: Vec<Elsewhere>,
}

/// The other place that a finding is about, in its own file.
struct Elsewhere {
    label: String,
    source: NamedSource<String>,
    span: LabeledSpan,
}

impl<'f> Report<'f> {
    fn of(finding: &'f Finding, sources: &Sources) -> Self {
        let related = finding.related.iter().filter(|related| related.file != finding.file);
        let elsewhere = related.map(|related| Elsewhere {
            label: format!("{} ({}:{})", related.label, related.file, related.line),
            source: named(&related.file, sources),
            span: LabeledSpan::new_with_span(Some(related.label.clone()), related.span.clone()),
        });
        Self { finding, source: named(&finding.file, sources), elsewhere: elsewhere.collect() }
    }
}

fn named(file: &str, sources: &Sources) -> NamedSource<String> {
    NamedSource::new(file, sources.text(file).unwrap_or_default().to_owned())
}

impl fmt::Debug for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.finding, f)
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.finding.message)
    }
}

impl std::error::Error for Report<'_> {}

impl Diagnostic for Report<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.finding.code.as_str()))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.finding.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.finding.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let finding = self.finding;
        let own =
            LabeledSpan::new_primary_with_span(Some(finding.label.clone()), finding.span.clone());
        let related = finding.related.iter().filter(|related| related.file == finding.file);
        let related = related.map(|related| {
            LabeledSpan::new_with_span(Some(related.label.clone()), related.span.clone())
        });
        Some(Box::new([own].into_iter().chain(related)))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.elsewhere.iter().map(|other| other as &dyn Diagnostic)))
    }
}

impl fmt::Debug for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}

impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}

impl std::error::Error for Elsewhere {}

impl Diagnostic for Elsewhere {
    fn severity(&self) -> Option<miette::Severity> {
        Some(miette::Severity::Advice)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new([self.span.clone()].into_iter()))
    }
}
