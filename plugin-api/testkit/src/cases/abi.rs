//! The border itself: versions, numbers and bytes that no hub of this version sends.
#![expect(clippy::unused_async, reason = "a case is asynchronous, also one that waits for nothing")]

use std::fs;

use futures_util::future::join_all;
use gantry_plugin_host::api::abi::{ABI_MAX, SECTION, Version};
use gantry_plugin_host::api::message::{Attach, Create, Opcode, Query, RoleName, encode};
use gantry_plugin_host::api::{ErrorClass, Json};
use gantry_plugin_host::{Host, Isolated, Limits, Options, Refusal, inspect};
use object::{Object as _, ObjectSection as _};
use serde_json::Value;

use crate::bench::{Bench, Copies, Operation, laid_over};
use crate::case::{Outcome, Stop, Works as _, ensure, fail, skip};
use crate::transport::Transport;

cases! {
    "abi/manifest", "The manifest has a version, a description and at least one role",
    "give the package a `description` and name a role in the build script", manifest;
    "abi/newer_minor", "It loads beside a hub that speaks a later minor version too",
    "build with a released `gantry-plugin-api`, and leave its header alone", newer_minor;
    "abi/newer_major", "It is refused, not run, by a hub whose ABI is older",
    "build with a released `gantry-plugin-api`, and leave its header alone", newer_major;
    "abi/older_major", "It is refused, not run, by a hub whose ABI is newer",
    "build with a released `gantry-plugin-api`, and leave its header alone", older_major;
    "abi/unknown_feature", "It is refused, not run, by a hub without a feature it needs",
    "build with a released `gantry-plugin-api`, and leave its header alone", unknown_feature;
    "abi/unknown_opcode", "An operation that it does not know is answered with `unsupported`",
    "complete unknown opcodes with status 12", unknown_opcode;
    "abi/unknown_target", "An instance or attachment that it does not know is answered with `protocol`",
    "complete operations on unknown targets with status 13", unknown_target;
    "abi/garbage", "A request that cannot be read is an error, and no panic",
    "read requests with a decoder that gives errors, and answer with status 13", garbage;
    "abi/longer_messages", "A message with places of a later version is read all the same",
    "skip places of a message that you do not know", longer_messages;
    "abi/foreign_role", "A role that it does not have is answered with `unsupported`",
    "complete `attach` for a role you do not have with status 12", foreign_role;
    "abi/foreign_operation", "An operation of another role than the attachment's is answered with `unsupported`",
    "look at the role of the attachment before you run an operation of a role", foreign_operation;
    "abi/destroyed_twice", "Destroying what is gone does no harm",
    "complete `destroy` of an unknown target with status 13, or as done", destroyed_twice;
    "abi/many_at_once", "A hundred operations at once are all answered",
    "take operations concurrently; do not hold a lock while you wait", many_at_once;
    "abi/ends_once", "Each operation is completed exactly once, also one that is called off",
    "complete an operation once, and a canceled one too", ends_once;
}

/// Targets that no host has given.
const NOBODY: u64 = 4_000_000_000;

async fn manifest(bench: &Bench) -> Outcome {
    let manifest = bench.manifest();
    ensure(!manifest.version.is_empty(), "a version", || "it is empty".to_owned())?;
    ensure(!manifest.description.is_empty(), "a description", || "it is empty".to_owned())?;
    let roles = [RoleName::Capture, RoleName::Lookup, RoleName::Callback];
    ensure(roles.iter().any(|role| bench.has(*role)), "a role", || "it has none".to_owned())
}

/// Fields of the header that a changed copy has other values in, by their offset.
enum Change {
    Versions(Version, Version),
    FeaturesRequired(u64),
}

/// The place of a changed copy of the library, in a folder of its own.
fn copy(copies: &Copies, name: &str, change: &Change) -> Result<Options, Stop> {
    let failed =
        |error: std::io::Error| fail("a copy of the library can be made", error.to_string());
    let mut bytes = fs::read(&copies.file).map_err(failed)?;
    let at = {
        let file = object::File::parse(&*bytes)
            .map_err(|error| fail("the library is an ELF file", error.to_string()))?;
        let section = file.section_by_name(SECTION).and_then(|section| section.file_range());
        section.ok_or_else(|| fail("the library has a manifest section", "it has none"))?.0 as usize
    };
    let mut put = |offset: usize, value: &[u8]| {
        if let Some(place) = bytes.get_mut(at + offset..at + offset + value.len()) {
            place.copy_from_slice(value);
        }
    };
    match change {
        Change::Versions(min, max) => {
            put(12, &bits(*min).to_ne_bytes());
            put(16, &bits(*max).to_ne_bytes());
        }
        Change::FeaturesRequired(features) => put(24, &features.to_ne_bytes()),
    }
    let folder = copies.options.cache_dir.with_file_name(name);
    fs::create_dir_all(&folder).map_err(failed)?;
    fs::write(folder.join("libcopy.so"), bytes).map_err(failed)?;
    Ok(Options { folders: vec![folder], ..copies.options.clone() })
}

fn bits(version: Version) -> u32 {
    u32::from(version.major()) << 16 | u32::from(version.minor())
}

fn copies(bench: &Bench) -> Result<&Copies, Stop> {
    bench.copies.as_ref().ok_or_else(|| skip("only a library file has an ABI of its own"))
}

/// Whether a copy is refused without anything of it being run.
fn refused(bench: &Bench, name: &str, change: &Change, code: &str) -> Outcome {
    let options = copy(copies(bench)?, name, change)?;
    let path = options.folders[0].join("libcopy.so");
    let refusal = inspect(&path).and_then(|said| said.refusal().map_or(Ok(()), Err));
    let seen = refusal.as_ref().err().map_or("nothing", Refusal::code);
    ensure(seen == code, &format!("it is refused with {code}"), || format!("refused with {seen}"))
}

async fn newer_minor(bench: &Bench) -> Outcome {
    let newer = Version::new(ABI_MAX.major(), ABI_MAX.minor() + 1);
    let said = bench.library.inspected().library.as_ref();
    let lowest = said.map_or(ABI_MAX, |library| library.abi.0);
    let options = copy(copies(bench)?, "newer-minor", &Change::Versions(lowest, newer))?;
    let (host, name) = (Host::new(options), &bench.manifest().name);
    let config = Value::Object(bench.script.source.config.clone());
    let loaded = match bench.transport {
        Transport::Process => {
            let isolated = Isolated { source: "newer", config: &config, limits: Limits::default() };
            host.load_isolated(name, &isolated)
        }
        _ => host.load(name),
    };
    let expected = "it loads and answers";
    let library = loaded.map_err(|refusal| fail(expected, refusal.to_string()))?;
    library.validate(None, config.to_string().into_bytes(), &[]).await.works(expected)?;
    Ok(())
}

async fn newer_major(bench: &Bench) -> Outcome {
    let newer = Version::new(ABI_MAX.major() + 1, 0);
    refused(bench, "newer-major", &Change::Versions(newer, newer), "GANTRY-P010")
}

async fn older_major(bench: &Bench) -> Outcome {
    let older = Version::new(0, 9);
    refused(bench, "older-major", &Change::Versions(older, older), "GANTRY-P010")
}

async fn unknown_feature(bench: &Bench) -> Outcome {
    refused(bench, "unknown-feature", &Change::FeaturesRequired(1 << 63), "GANTRY-P011")
}

/// Asks what should be answered with an error of a class.
async fn answers(
    bench: &Bench,
    code: u32,
    target: u64,
    request: &[u8],
    class: ErrorClass,
) -> Outcome {
    let expected = format!("operation {code} is answered with an error of class `{class}`");
    match bench.library.probe(code, target, request).await {
        Err(error) if error.class() == class => Ok(()),
        Err(error) => Err(fail(expected, format!("class `{}`: {error}", error.class()))),
        Ok(reply) => Err(fail(expected, format!("a reply of {} bytes", reply.len()))),
    }
}

async fn unknown_opcode(bench: &Bench) -> Outcome {
    for code in [0, 15, 31, 999, 65_535] {
        answers(bench, code, 0, &[], ErrorClass::Unsupported).await?;
    }
    Ok(())
}

async fn unknown_target(bench: &Bench) -> Outcome {
    let queries: Vec<Query> = Vec::new();
    for opcode in [Opcode::Check, Opcode::CheckSettings, Opcode::Stop] {
        answers(bench, opcode as u32, NOBODY, &[], ErrorClass::Protocol).await?;
    }
    answers(bench, Opcode::Lookup as u32, NOBODY, &encode(&queries), ErrorClass::Protocol).await
}

async fn garbage(bench: &Bench) -> Outcome {
    let (instance, capture, _) = made(bench, first_role(bench)).await?;
    let with_request = [
        (Opcode::Validate, 0),
        (Opcode::Create, NOBODY),
        (Opcode::Attach, NOBODY),
        (Opcode::Poll, capture),
        (Opcode::Http, capture),
        (Opcode::Acknowledge, capture),
        (Opcode::Lookup, capture),
        (Opcode::Deliver, capture),
    ];
    for (opcode, target) in with_request {
        for bytes in [&[][..], b"\xff\xff\xff\xff", b"\x9f\x9f\x9f", b"{\"json\":", b"\x83\x01"] {
            let answer = bench.library.probe(opcode as u32, target, bytes).await;
            let told = match &answer {
                Ok(_) => "as if it had been understood".to_owned(),
                Err(error) => format!("class `{}`: {error}", error.class()),
            };
            let class = answer.err().map(|error| error.class());
            let is_error = class
                .is_some_and(|class| !matches!(class, ErrorClass::Panic | ErrorClass::Transient));
            let expected = format!("`{}` of nonsense is an error, and no panic", opcode.name());
            ensure(is_error, &expected, || told)?;
        }
    }
    let _ = bench.library.probe(Opcode::Destroy as u32, instance, &[]).await;
    works(bench).await
}

/// That it goes on.
async fn works(bench: &Bench) -> Outcome {
    let config = laid_over(&bench.script.source.config, None).into_bytes();
    bench.library.validate(None, config, &[]).await.works("it answers afterwards").map(drop)
}

async fn longer_messages(bench: &Bench) -> Outcome {
    let config = laid_over(&bench.script.source.config, None);
    let mut encoder = minicbor::Encoder::new(Vec::new());
    let encoded = encoder
        .array(4)
        .and_then(|e| e.null())
        .and_then(|e| e.bytes(config.as_bytes()))
        .and_then(|e| e.u64(7))
        .and_then(|e| e.str("of a later version"));
    encoded.expect("invariant: writing to memory cannot fail");
    let request = encoder.into_writer();
    let answer = bench.library.probe(Opcode::Validate as u32, 0, &request).await;
    answer.map(drop).map_err(|error| fail("`validate` answers as always", error.to_string()))
}

/// The first role the plug-in has.
fn first_role(bench: &Bench) -> RoleName {
    let roles = [RoleName::Capture, RoleName::Lookup, RoleName::Callback];
    roles.into_iter().find(|role| bench.has(*role)).unwrap_or(RoleName::Capture)
}

/// An instance and an attachment made by bare messages, and why the latter could not be.
async fn made(
    bench: &Bench,
    role: RoleName,
) -> Result<(u64, u64, Option<gantry_plugin_host::api::Error>), Stop> {
    let instance = NOBODY + 2 + 2 * bench.number() as u64;
    let config = laid_over(&bench.script.source.config, None).into();
    let create = encode(&Create { name: "bare".to_owned(), config });
    let created = bench.library.probe(Opcode::Create as u32, instance, &create).await;
    created.map_err(|error| skip(format!("needs a config that is taken: {error}")))?;
    let settings = laid_over(&bench.settings(role), None).into();
    let attach = encode(&Attach { instance, role, name: "bare".to_owned(), settings });
    let attached = bench.library.probe(Opcode::Attach as u32, instance + 1, &attach).await;
    Ok((instance, instance + 1, attached.err()))
}

async fn foreign_role(bench: &Bench) -> Outcome {
    let roles = [RoleName::Capture, RoleName::Lookup, RoleName::Callback];
    let Some(role) = roles.into_iter().find(|role| !bench.has(*role)) else {
        return Err(skip("the plug-in has all roles"));
    };
    let (.., refused) = made(bench, role).await?;
    let class = refused.map(|error| error.class());
    let expected = format!("`attach` for a {role} is answered with class `unsupported`");
    ensure(class == Some(ErrorClass::Unsupported), &expected, || format!("{class:?}"))
}

async fn foreign_operation(bench: &Bench) -> Outcome {
    let role = first_role(bench);
    let (_, attachment, refused) = made(bench, role).await?;
    if let Some(error) = refused {
        return Err(skip(format!("needs settings that are taken: {error}")));
    }
    let (opcode, request) = match role {
        RoleName::Lookup => (Opcode::Deliver, encode(&Vec::<Query>::new())),
        _ => (Opcode::Lookup, encode(&vec![Query::new(Json::default())])),
    };
    answers(bench, opcode as u32, attachment, &request, ErrorClass::Unsupported).await
}

async fn destroyed_twice(bench: &Bench) -> Outcome {
    let (instance, ..) = made(bench, first_role(bench)).await?;
    for _ in 0..2 {
        if let Err(error) = bench.library.probe(Opcode::Destroy as u32, instance, &[]).await {
            let class = error.class();
            let seen = format!("class `{class}`: {error}");
            let expected = "`destroy` is done, or answered with class `protocol`";
            ensure(class == ErrorClass::Protocol, expected, || seen)?;
        }
    }
    works(bench).await
}

async fn many_at_once(bench: &Bench) -> Outcome {
    let config = laid_over(&bench.script.source.config, None).into_bytes();
    let asked = (0..100).map(|_| bench.library.validate(None, config.clone(), &[]));
    for answer in join_all(asked).await {
        answer.works("each of a hundred is answered")?;
    }
    Ok(())
}

async fn ends_once(bench: &Bench) -> Outcome {
    let before = bench.library.n_violations();
    for operation in Operation::ALL {
        let (instance, call) = match bench.operation(operation, None).await {
            Ok(made) => made,
            Err(Stop::Skip(_)) => continue,
            Err(stop) => return Err(stop),
        };
        // One to its end, one called off at once.
        let ended = call.run().await;
        let called_off = std::pin::pin!(call.run());
        let _ = futures_util::poll!(called_off);
        let drained = instance.drain(std::time::Duration::from_secs(5)).await;
        drop((ended, drained));
    }
    let violations = bench.library.n_violations() - before;
    let seen = || format!("{violations} answers to operations that had none under way");
    ensure(violations == 0, "exactly one completion each", seen)
}
