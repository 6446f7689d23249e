//! `gantry plugin new`: a project that builds and passes its tests at once, from the templates in
//! `core/cli/templates`.
//!
//! In a template `@name@` stands for the plug-in's name, and lines between `@if KIND …` and `@end`
//! are for these kinds only. The packages of Python and JavaScript are laid into the project, so
//! that nothing has to be fetched.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, ValueEnum};
use rust_embed::{EmbeddedFile, RustEmbed};
use serde_json::json;

use crate::{Global, table};

pub(super) const EXAMPLE: &str = "Example:\n  gantry plugin new shop --kind capture,lookup\n  \
    gantry plugin new shop --lang python --kind callback --path ~/plugins/shop\n\n\
    Then `gantry plugin dev` in the folder runs it in a hub.";

#[derive(Args)]
pub(crate) struct Options {
    /// What operators will write in `plugin = "…"`: small letters, digits, `_`.
    name: String,
    /// What it is for; several are separated by commas.
    #[arg(long, value_delimiter = ',', default_value = "capture")]
    kind: Vec<Kind>,
    /// The language to write it in.
    #[arg(long, default_value = "rust")]
    lang: Language,
    /// The folder to make; it must not be there yet. Default: the name, in this folder.
    #[arg(long)]
    path: Option<PathBuf>,
    /// Rust: the folder of the crate `gantry-plugin-api`, such as `~/gantry/plugin-api`, instead
    /// of a released version.
    #[arg(long, env = "GANTRY_PLUGIN_API")]
    api: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Kind {
    /// Gets records that become work items.
    Capture,
    /// Answers questions about an item.
    Lookup,
    /// Hears what happens to items.
    Callback,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    /// A shared library.
    Rust,
    /// A program for Python 3.10 or later.
    Python,
    /// A program for Node.js 18 or later, in JavaScript.
    Node,
}

#[derive(RustEmbed)]
#[folder = "templates"]
struct Templates;

#[derive(RustEmbed)]
#[folder = "../../plugin-api/python/gantry_plugin"]
struct PythonPackage;

#[derive(RustEmbed)]
#[folder = "../../plugin-api/node"]
struct NodePackage;

const NAME_LEN_MAX: usize = 64;

/// Names that a package in Rust cannot have, or that one that it depends on has.
const TAKEN: [&str; 14] = [
    "alloc",
    "build",
    "core",
    "deps",
    "examples",
    "gantry_plugin_api",
    "proc_macro",
    "reqwest",
    "schemars",
    "serde",
    "serde_json",
    "std",
    "test",
    "tokio",
];

/// Keywords that are plain names otherwise; cargo takes none of them.
const KEYWORDS: [&str; 51] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate",
    "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl",
    "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref",
    "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

pub(super) fn new(global: &Global, options: Options) -> Result<()> {
    let Options { name, mut kind, lang, path, api } = options;
    check_name(&name, lang)?;
    kind.sort();
    kind.dedup();
    let folder = path.unwrap_or_else(|| PathBuf::from(&name));
    ensure!(
        !folder.exists(),
        "`{}` is there already: give another folder by --path, or remove it",
        folder.display()
    );
    let released = format!("version = \"{}\"", env!("CARGO_PKG_VERSION"));
    let (api, testkit) = match (lang, api) {
        (Language::Rust, Some(api)) => {
            let api = local_api(&api)?;
            (format!("path = {}", json!(api)), format!("path = {}", json!(api.join("testkit"))))
        }
        _ => (released.clone(), released),
    };
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
    // All of it or nothing is there.
    let draft = tempfile::Builder::new().prefix(".gantry-new-").tempdir_in(parent)?;
    let template = Template { name: &name, lang, kinds: &kind, api: &api, testkit: &testkit };
    let files = template.files()?;
    for (path, text) in &files {
        write(&draft.path().join(path), text)?;
    }
    let n_files = files.len();
    let draft = draft.keep();
    fs::set_permissions(&draft, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    fs::rename(&draft, &folder).with_context(|| format!("making {}", folder.display()))?;
    if global.json {
        table::json(&json!({ "name": name, "folder": folder, "files": n_files }));
    } else {
        let shown = folder.display();
        say!("{shown} is there, with {n_files} files: its README.md says what is what.");
        say!("  cd {shown} && gantry plugin dev");
    }
    Ok(())
}

fn check_name(name: &str, lang: Language) -> Result<()> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    ensure!(
        name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(plain)
            && name.len() <= NAME_LEN_MAX,
        "cannot name a plug-in `{name}`: use a small letter, then small letters, digits and `_`, \
         {NAME_LEN_MAX} at most"
    );
    if lang == Language::Rust && (TAKEN.contains(&name) || KEYWORDS.contains(&name)) {
        bail!(
            "cannot name a package in Rust `{name}`, which means something else there: try \
               `{name}_source`"
        );
    }
    Ok(())
}

/// The folder of the crate on this machine.
fn local_api(folder: &Path) -> Result<PathBuf> {
    let missing = || format!("`{}` is not the folder of gantry-plugin-api", folder.display());
    let folder = fs::canonicalize(folder).with_context(missing)?;
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).with_context(missing)?;
    ensure!(manifest.contains("name = \"gantry-plugin-api\""), missing());
    Ok(folder)
}

/// What the templates are filled with.
struct Template<'a> {
    name: &'a str,
    lang: Language,
    kinds: &'a [Kind],
    api: &'a str,
    testkit: &'a str,
}

impl Template<'_> {
    /// The files of a project, with their paths in it.
    fn files(&self) -> Result<Vec<(String, String)>> {
        let prefix = match self.lang {
            Language::Rust => "rust/",
            Language::Python => "python/",
            Language::Node => "node/",
        };
        let mut files = Vec::new();
        for path in Templates::iter() {
            // What lies beside the languages' folders is for all.
            let own = path.strip_prefix(prefix).or_else(|| (!path.contains('/')).then_some(&path));
            if let Some(own) = own.filter(|own| self.wants(own)) {
                let own = own.strip_suffix(".in").unwrap_or(own).replace("gitignore", ".gitignore");
                files.push((own, self.render(&text(Templates::get(&path))?)));
            }
        }
        let (package, folder) = match self.lang {
            Language::Rust => return Ok(files),
            Language::Python => (package::<PythonPackage>()?, "plugin/gantry_plugin"),
            Language::Node => (package::<NodePackage>()?, "plugin/node_modules/gantry-plugin"),
        };
        files.extend(package.into_iter().map(|(path, text)| (format!("{folder}/{path}"), text)));
        Ok(files)
    }

    /// A file with the name of a kind is for that kind.
    fn wants(&self, path: &str) -> bool {
        let stem = Path::new(path).file_stem().unwrap_or_default();
        let kind = stem.to_str().and_then(|stem| Kind::from_str(stem, false).ok());
        kind.is_none_or(|kind| self.kinds.contains(&kind))
    }

    /// How the fake upstream is started.
    fn upstream(&self) -> serde_json::Value {
        match self.lang {
            Language::Rust => {
                let example = format!("{}_upstream", self.name);
                json!(["cargo", "run", "--quiet", "--example", example])
            }
            Language::Python => json!(["python3", "upstream.py"]),
            Language::Node => json!(["node", "upstream.js"]),
        }
    }

    fn render(&self, template: &str) -> String {
        let names: Vec<String> = self.kinds.iter().map(|kind| kind.name()).collect();
        let mut text = String::with_capacity(template.len());
        let mut keep = true;
        for line in template.lines() {
            let marker = line.trim_start().trim_start_matches(['/', '#']);
            if let Some(kinds) = marker.strip_prefix("@if ") {
                keep = kinds.split(' ').any(|kind| names.iter().any(|name| name == kind));
            } else if marker == "@end" {
                keep = true;
            } else if keep {
                text.push_str(line);
                text.push('\n');
            }
        }
        text.replace("@name@", self.name)
            .replace("@Name@", &type_name(self.name))
            .replace("@api@", self.api)
            .replace("@testkit@", self.testkit)
            .replace("@upstream@", &self.upstream().to_string())
            .replace("@roles@", &names.join(", "))
            .replace("@kinds@", &names.join(", "))
    }
}

/// The files that authors import, by their paths in the package.
fn package<P: RustEmbed>() -> Result<Vec<(String, String)>> {
    let used = |path: &str| {
        let is_test = path.starts_with("test") || path.contains("__pycache__");
        let extension = Path::new(path).extension().unwrap_or_default();
        let is_import = extension == "py" || path == "py.typed";
        !is_test && (is_import || path.starts_with("src/") || path == "package.json")
    };
    let paths = P::iter().filter(|path| used(path));
    paths.map(|path| Ok((path.to_string(), text(P::get(&path))?))).collect()
}

fn text(file: Option<EmbeddedFile>) -> Result<String> {
    let file = file.context("a file of the templates vanished")?;
    String::from_utf8(file.data.into_owned()).context("a file of the templates is no text")
}

/// `my_shop` as `MyShop`, or `ConfigPlugin` where the templates mean something else by `Config`.
fn type_name(name: &str) -> String {
    const TAKEN: [&str; 24] = [
        "Answer",
        "Any",
        "Batch",
        "Callback",
        "Capture",
        "Client",
        "Config",
        "Context",
        "Delivery",
        "Duration",
        "Error",
        "Events",
        "Json",
        "Lookup",
        "Map",
        "Owners",
        "Page",
        "Permissions",
        "Plugin",
        "Position",
        "Query",
        "Record",
        "Secret",
        "Things",
    ];
    let words = name.split('_').filter_map(|word| {
        let first = word.get(..1)?.to_ascii_uppercase();
        Some(first + &word[1..])
    });
    let name: String = words.collect();
    if TAKEN.contains(&name.as_str()) { format!("{name}Plugin") } else { name }
}

impl Kind {
    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    let writing = || format!("writing {}", path.display());
    path.parent().map_or(Ok(()), fs::create_dir_all).with_context(writing)?;
    fs::write(path, text).with_context(writing)
}
