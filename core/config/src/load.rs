//! From files to a checked config.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gantry_model::Name;
use gantry_model::spec::{CalendarSpec, HubSpec, Spec};

use crate::finding::{Code, Finding, Findings, Found, Place, Severity, Source, Sources};
use crate::plugin::Manifests;
use crate::tree::{self, Node};
use crate::{check, csv, expressions, ics, plugin, read};

/// Folders beside the main file whose `*.toml` files belong to the config, in this order.
const FOLDERS: [&str; 2] = ["pipelines", "rules"];
/// Largest file, in bytes.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A config that was looked at.
#[derive(Debug)]
pub struct Checked {
    /// The config; none if a finding is an error.
    pub spec: Option<Spec>,
    /// `[hub]` as far as it could be read, also of a config with errors: it says where the
    /// plug-ins are, whose manifests a second look needs.
    pub hub: HubSpec,
    /// The plug-in of each source that names one, also of a config with errors.
    pub source_plugins: BTreeMap<Name, Name>,
    /// The business calendars in which nothing is wrong, also of a config with other errors.
    pub calendars: BTreeMap<Name, CalendarSpec>,
    /// Everything there is to say about it, in the order of the files.
    pub findings: Vec<Finding>,
    /// The files that were read.
    pub sources: Sources,
    /// The folder of the main file; relative paths in the config start there.
    pub folder: PathBuf,
    tree: Node,
}

impl Checked {
    /// What somebody who looked further than the config found at a key of it, such as a plug-in at
    /// one of its own: `field` is a dotted path (`tls.ca`, `columns[2]`) in the table at `part`,
    /// empty for all of it. Of a key that is not there, the place is the nearest table around it.
    pub fn finding(&self, code: Code, part: &[&str], field: &str, message: String) -> Finding {
        let keys = field.split(['.', '[', ']']).filter(|key| !key.is_empty());
        let path: Vec<&str> = part.iter().copied().chain(keys).collect();
        let found = Found::error(code, self.tree.place_of(&path), message);
        found.located(&self.sources)
    }
}

/// Reads and checks `path` and, beside it, `pipelines/*.toml` and `rules/*.toml` in the order of
/// their names.
///
/// Never fails: a file that cannot be read is a finding like any other.
pub fn load(path: &Path, manifests: &Manifests) -> Checked {
    load_with(path, Some(manifests))
}

/// As [`load`], for what needs the rules only: nothing is said of plug-ins and their settings.
pub fn load_rules(path: &Path) -> Checked {
    load_with(path, None)
}

fn load_with(path: &Path, manifests: Option<&Manifests>) -> Checked {
    let mut sources = Sources::default();
    let mut findings = Findings::default();
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    let main = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into());
    read_file(&main, path, &mut sources, &mut findings);
    for name in FOLDERS {
        for file in toml_files(&folder.join(name)) {
            let shown = file.file_name().unwrap_or_default().to_string_lossy();
            read_file(&format!("{name}/{shown}"), &file, &mut sources, &mut findings);
        }
    }
    checked(sources, findings, Some(folder), manifests)
}

/// Checks one text as if it were the whole config.
pub fn check_text(name: &str, text: &str, manifests: &Manifests) -> Checked {
    let (name, text) = (name.to_owned(), text.to_owned());
    let sources = Sources(vec![Source { name, text, csv: false }]);
    checked(sources, Findings::default(), None, Some(manifests))
}

fn toml_files(folder: &Path) -> Vec<PathBuf> {
    // A folder that is not there has no files; one that cannot be read is told by its files.
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    files
}

fn read_file(name: &str, path: &Path, sources: &mut Sources, findings: &mut Findings) {
    let place = Place { file: sources.0.len(), start: 0, end: 0 };
    let text = read_text(path).unwrap_or_else(|error| {
        let message = format!("cannot read {}: {error}", path.display());
        let found = Found::error(Code::File, place, message).label("this file");
        findings.push(found.help("check the path and who may read it"));
        String::new()
    });
    sources.0.push(Source { name: name.to_owned(), text, csv: false });
}

/// Reads a file that is not too large.
pub(crate) fn read_text(path: &Path) -> std::io::Result<String> {
    std::fs::metadata(path).and_then(|meta| {
        if meta.len() > FILE_BYTES_MAX {
            let message = format!("it is larger than {FILE_BYTES_MAX} bytes");
            return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, message));
        }
        std::fs::read_to_string(path)
    })
}

fn checked(
    mut sources: Sources,
    mut findings: Findings,
    beside: Option<PathBuf>,
    manifests: Option<&Manifests>,
) -> Checked {
    let folder = beside.clone().unwrap_or_default();
    let mut trees = Vec::with_capacity(sources.0.len());
    for (file, source) in sources.0.iter().enumerate() {
        trees.extend(tree::parse(file, &source.text, &mut findings));
    }
    let whole = trees.len() == sources.0.len() && findings.is_empty();
    let mut tree = tree::join(trees, &mut findings);
    csv::attach(&mut tree, &folder, &mut sources, &mut findings);
    ics::attach(&mut tree, &folder, &mut sources, &mut findings);
    let mut spec = read_spec(&tree, whole, &mut findings);
    let hub = spec.hub.clone();
    let plugins = spec.sources.iter().map(|(name, source)| (name.clone(), source.plugin.clone()));
    let source_plugins = plugins.filter(|(_, plugin)| !plugin.is_empty()).collect();
    if whole {
        expressions::check(&tree, &sources, &mut spec, &mut findings);
        check::check(&tree, &spec, &mut findings);
        if let Some(manifests) = manifests {
            plugin::check(&tree, &spec, manifests, beside.as_deref(), &mut findings);
        }
    }
    let findings = findings.located(&sources);
    let wrong = findings.iter().any(|finding| finding.severity == Severity::Error);
    let calendars =
        if wrong { read::sound_calendars(&tree) } else { spec.routing.calendars.clone() };
    let spec = (!wrong).then_some(spec);
    Checked { spec, hub, source_plugins, calendars, findings, sources, folder, tree }
}

/// With a file missing, what stands in the others is still read; but nothing is said of keys that
/// are not there, since they may be in the file that is missing.
fn read_spec(tree: &Node, whole: bool, findings: &mut Findings) -> Spec {
    if whole {
        return read::spec(tree, findings);
    }
    let mut found = Findings::default();
    let spec = read::spec(tree, &mut found);
    findings.extend(found.without(Code::MissingKey));
    spec
}
