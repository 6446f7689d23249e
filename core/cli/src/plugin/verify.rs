//! `gantry plugin verify`: whether what lies in the folders may run, and what it may then do.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use gantry_model::spec::{Isolation, Spec};
use gantry_plugin_host::{Enforcement, Inspected, Lock, Refusal, Signature};
use gantry_server::plugins::{self, Folders};
use serde_json::{Value, json};

use super::permits;
use super::{enforced, refused_view, say_refused};
use crate::{Global, table};

pub(super) const EXAMPLE: &str = "Example:\n  gantry plugin verify\n  \
    gantry plugin verify counter --json\n\n\
    It ends with 0 if everything may run, 1 if the hub would refuse something. None of their code \
    runs.";

#[derive(Args)]
pub(crate) struct Options {
    /// Only this plug-in, by its name.
    name: Option<String>,
    /// A folder with plug-ins, instead of the config's; may be given several times.
    #[arg(long)]
    plugins: Vec<PathBuf>,
}

pub(super) fn verify(global: &Global, options: Options) -> Result<bool> {
    let Options { name, plugins } = options;
    let folders = Folders::planned(&global.config, plugins)?;
    let lock_file = folders.lock_file();
    let lock =
        Lock::read(&lock_file).with_context(|| format!("reading {}", lock_file.display()))?;
    let spec = plugins::check(&global.config, folders.clone())?.0.spec;
    let scan = folders.host_without_lock().scan();
    let wanted = |said: &Inspected| name.as_ref().is_none_or(|name| said.manifest.name == *name);
    let found: Vec<_> = scan.found.iter().map(|found| &found.inspected).collect();
    let found: Vec<_> = found.into_iter().filter(|said| wanted(said)).collect();
    if let Some(name) = name.as_ref().filter(|_| found.is_empty()) {
        say_refused(&scan.refused);
        anyhow::bail!("there is no plug-in `{name}` that can be read");
    }
    // Of one plug-in, what else lies there says nothing.
    let refused = if name.is_some() { &[][..] } else { &scan.refused[..] };
    let verdicts: Vec<_> =
        found.iter().map(|said| Verdict::of(said, lock.as_ref(), spec.as_ref())).collect();
    if global.json {
        table::json(&json!({
            "lock": lock.as_ref().map(|_| &lock_file),
            "plugins": verdicts.iter().map(Verdict::view).collect::<Vec<_>>(),
            "refused": refused.iter().map(refused_view).collect::<Vec<_>>(),
            "enforced": enforced(),
        }));
    } else {
        for verdict in &verdicts {
            verdict.say();
        }
        say_refused(refused);
        if lock.is_none() {
            say!("\nthere is no {}: `gantry plugin lock` writes it", lock_file.display());
        }
    }
    Ok(refused.is_empty() && verdicts.iter().all(|verdict| verdict.refusal.is_none()))
}

/// What there is to say of one plug-in.
struct Verdict<'a> {
    said: &'a Inspected,
    hash: &'static str,
    /// Who signed it, as the operator calls them, or their key; or what is wrong.
    signature: String,
    refusal: Option<Refusal>,
    /// Sources by name, and whether the hub's own process runs them.
    sources: Vec<(String, bool)>,
    /// Who else may write to it, if its owner is neither root nor this user.
    owner: Option<u32>,
}

impl<'a> Verdict<'a> {
    fn of(said: &'a Inspected, lock: Option<&Lock>, spec: Option<&Spec>) -> Self {
        let refusal = lock.and_then(|lock| lock.check(said).err());
        let name = &said.manifest.name;
        let hash = match (lock, &refusal) {
            (None, _) => "not pinned",
            (Some(_), Some(Refusal::NotPinned { .. })) => "not in plugins.lock",
            (Some(_), Some(Refusal::PinMismatch { .. })) => "not the one in plugins.lock",
            (Some(_), _) => "as in plugins.lock",
        };
        let wanted = lock.and_then(|lock| lock.pin(name)?.publisher.as_deref());
        let sources = spec.iter().flat_map(|spec| &spec.sources);
        let sources = sources.filter(|(_, source)| source.plugin.as_str() == name);
        let in_hub = |isolation: Isolation| isolation == Isolation::InProcess;
        Self {
            said,
            hash,
            signature: signature(said, lock, wanted),
            refusal,
            sources: sources.map(|(name, s)| (name.to_string(), in_hub(s.isolation))).collect(),
            owner: foreign_owner(said),
        }
    }

    fn say(&self) {
        let Self { said, hash, signature, refusal, sources, owner } = self;
        let manifest = &said.manifest;
        say!("{} {}  {}", manifest.name, manifest.version, said.path.display());
        say!("  hash         {hash}: sha256 {}", said.sha256);
        say!("  signature    {signature}");
        say!("  files        nobody but their owners may write to them or the folders above");
        if let Some(owner) = owner {
            say!("  owner        user {owner}, who is neither root nor you, may write to it");
        }
        let rows = permits::of(&manifest.permissions, Enforcement::of_this_kernel());
        let rows: Vec<_> = rows.iter().map(permits::Permit::row).collect();
        for (at, row) in table::columns(&rows).iter().enumerate() {
            say!("  {:<11}  {row}", if at == 0 { "permissions" } else { "" });
        }
        let in_hub = sources.iter().filter(|(_, in_hub)| *in_hub).map(|(name, _)| name.as_str());
        let in_hub: Vec<_> = in_hub.collect();
        if !in_hub.is_empty() {
            let names = in_hub.join(", ");
            say!("  in the hub   {names}: in the hub's own process all of them are declared only");
        }
        if let Some(refusal) = refusal {
            say!(
                "  REFUSED      {refusal} ({})\n               {}",
                refusal.code(),
                refusal.remedy()
            );
        }
        say!("");
    }

    fn view(&self) -> Value {
        let Self { said, hash, signature, refusal, sources, owner } = self;
        let permits = permits::of(&said.manifest.permissions, Enforcement::of_this_kernel());
        let isolation = |in_hub: bool| if in_hub { "in-process" } else { "process" };
        let sources = sources.iter().map(|(name, in_hub)| (name, json!(isolation(*in_hub))));
        json!({
            "name": said.manifest.name,
            "version": said.manifest.version,
            "path": said.path,
            "sha256": said.sha256,
            "hash": hash,
            "signature": signature,
            "foreign_owner": owner,
            "permissions": permits.iter().map(permits::Permit::view).collect::<Vec<_>>(),
            "sources": sources.collect::<std::collections::BTreeMap<_, _>>(),
            "ok": refusal.is_none(),
            "code": refusal.as_ref().map(Refusal::code),
            "reason": refusal.as_ref().map(ToString::to_string),
            "remedy": refusal.as_ref().map(Refusal::remedy),
        })
    }
}

/// Who signed a plug-in, in words.
pub(super) fn signature(said: &Inspected, lock: Option<&Lock>, wanted: Option<&str>) -> String {
    let need = wanted.map_or(String::new(), |wanted| format!(", and `{wanted}` should have"));
    let signer = Signature::of(&said.path).and_then(|signature| match signature {
        Some(signature) => signature.signer(&said.path, &said.sha256).cloned().map(Some),
        None => Ok(None),
    });
    match signer {
        Ok(None) => format!("none{need}"),
        Ok(Some(key)) => match lock.and_then(|lock| lock.publisher_of(&key)) {
            Some(name) if wanted == Some(name) => format!("valid, by `{name}`"),
            Some(name) => format!("valid, by `{name}`{need}"),
            None => format!("valid, by {key}, whom plugins.lock does not know{need}"),
        },
        Err(refusal) => format!("not valid: {refusal}"),
    }
}

/// The owner of a plug-in's file or folder, if that is neither root nor who asks.
fn foreign_owner(said: &Inspected) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let owner = std::fs::metadata(&said.path).ok()?.uid();
    let this = std::fs::metadata("/proc/self").ok()?.uid();
    (owner != 0 && owner != this).then_some(owner)
}

/// Agrees to plug-ins as they are.
#[derive(Args)]
pub(crate) struct LockOptions {
    /// Agree to these as they are now, whatever the file says of them; without names, to all that
    /// are not in the file yet.
    names: Vec<String>,
    /// The names have to be signed by this publisher, now and in future: `NAME=KEY`, or `NAME` if
    /// the file knows the key. The key is what `gantry plugin keygen` printed.
    #[arg(long, value_name = "NAME=KEY", requires = "names")]
    publisher: Option<String>,
    /// A folder with plug-ins, instead of the config's; may be given several times.
    #[arg(long)]
    plugins: Vec<PathBuf>,
}

pub(super) const LOCK_EXAMPLE: &str = "Example:\n  gantry plugin lock\n  \
    gantry plugin lock counter\n  \
    gantry plugin lock counter --publisher \
    acme=ed25519:LdS1Pszdxq9zqUgLRmKSJYFWiPJHs3TkPH8G2tuOSMU=\n\n\
    The file is plugins.lock beside the config. Once it is there, the hub runs no other \
    plug-ins. It ends with 1 if something in the folders is not what the file says.";

pub(super) fn lock(global: &Global, options: LockOptions) -> Result<bool> {
    let LockOptions { names, publisher, plugins } = options;
    let folders = Folders::planned(&global.config, plugins)?;
    let file = folders.lock_file();
    let scan = folders.host_without_lock().scan();
    let mut lock = Lock::read(&file)?.unwrap_or_default();
    let found: Vec<_> = scan.found.iter().map(|found| &found.inspected).collect();
    let known: Vec<_> = found.iter().map(|said| said.manifest.name.as_str()).collect();
    if let Some(missing) = names.iter().find(|name| !known.contains(&name.as_str())) {
        say_refused(&scan.refused);
        anyhow::bail!("there is no plug-in `{missing}`; there are: {}", known.join(", "));
    }
    let publisher = publisher.map(|publisher| know(&mut lock, &publisher)).transpose()?;
    let mut rows = Vec::new();
    let mut differ = Vec::new();
    let is_new_file = !file.exists();
    for said in &found {
        let name = said.manifest.name.as_str();
        let named = names.iter().any(|wanted| wanted == name);
        if !(named || names.is_empty()) {
            continue;
        }
        let result = if named || lock.pin(name).is_none() {
            let before = lock.pin(name).cloned();
            super::refusable(lock.accept(said, publisher.as_deref()))?;
            if lock.pin(name) == before.as_ref() { "as before" } else { "agreed" }
        } else if let Err(refusal) = lock.check(said) {
            differ.push(refusal);
            "not as agreed"
        } else {
            "as before"
        };
        rows.push([name, &said.manifest.version, result, &said.sha256].map(str::to_owned).to_vec());
    }
    let gone = lock.names().filter(|name| !known.contains(name));
    let gone = gone.filter(|_| names.is_empty());
    rows.extend(gone.map(|name| vec![name.to_owned(), "–".into(), "not there".into(), "–".into()]));
    lock.write(&file).with_context(|| format!("writing {}", file.display()))?;
    if global.json {
        let rows =
            rows.iter().map(|row| json!({"name": row[0], "version": row[1], "result": row[2]}));
        let refused = scan.refused.iter().map(refused_view).collect::<Vec<_>>();
        table::json(
            &json!({"lock": file, "plugins": rows.collect::<Vec<_>>(), "refused": refused}),
        );
    } else {
        table::print(&["NAME", "VERSION", "", "SHA256"], &rows);
        for refusal in &differ {
            say!("\n{refusal} ({})\n  {}", refusal.code(), refusal.remedy());
        }
        say_refused(&scan.refused);
        say!("\n{}", file.display());
        if is_new_file && rows.len() < found.len() {
            say!("the others are refused from now on; `gantry plugin lock` agrees to them, too");
        }
    }
    Ok(differ.is_empty())
}

/// Takes a publisher's key into the lock, and gives the name.
fn know(lock: &mut Lock, text: &str) -> Result<String> {
    let (name, key) = text.split_once('=').map_or((text, None), |(name, key)| (name, Some(key)));
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    ensure!(
        !name.is_empty() && name.chars().all(plain),
        "use letters, digits, `-` and `_` for the name of a publisher, not `{name}`"
    );
    match key {
        Some(key) => lock.set_publisher(name, key.parse().with_context(|| format!("`{key}`"))?),
        None => ensure!(
            lock.publisher(name).is_some(),
            "plugins.lock does not know `{name}`: give the key, too, as `--publisher {name}=KEY`"
        ),
    }
    Ok(name.to_owned())
}
