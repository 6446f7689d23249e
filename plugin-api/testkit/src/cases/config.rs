//! What operators write: schemas, faults with their place, and nothing that panics.
#![expect(clippy::unused_async, reason = "a case is asynchronous, also one that waits for nothing")]

use gantry_plugin_host::api::message::{ConfigFault, RoleName};
use gantry_plugin_host::api::{ErrorClass, secret};
use serde_json::{Map, Value, json};

use crate::bench::{Bench, laid_over};
use crate::case::{Outcome, Stop, Works as _, ensure, fail, in_words, skip};

cases! {
    "config/example", "The test file's config and settings are without fault",
    "correct the test file, or what `validate` and `validate_settings` find", example;
    "config/closed", "Schemas allow no keys but their own, so that a mistyped key is found",
    "put `#[serde(deny_unknown_fields)]` on config and settings, or `additionalProperties: false`", closed;
    "config/described", "Each key has a description for the operator",
    "write a doc comment, or a description, for each key", described;
    "config/unknown_key", "A key that it does not know is a fault that names it",
    "put `#[serde(deny_unknown_fields)]` on config and settings", unknown_key;
    "config/missing_key", "A required key that is missing is a fault that names it",
    "let the fault's path or message name the key", missing_key;
    "config/wrong_type", "A value of another type is a fault that names its key",
    "let the fault's path name the key", wrong_type;
    "config/odd_values", "No value panics, whatever it is",
    "check values before you use them; give a fault instead of `unwrap`", odd_values;
    "config/create_refuses", "`create` refuses a config without a required key, with class `config`",
    "return `Error::config` with the path of the key", create_refuses;
    "config/validate_is_pure", "`validate` gives the same each time and connects nothing",
    "look at nothing but the config in `validate`; connect in `check`", validate_is_pure;
    "config/secrets_marked", "Keys that are named like secrets are secrets",
    "make the type of the key `Secret<String>`, so that it is given by reference", secrets_marked;
}

/// The source's config, or the settings of a role.
struct Part {
    role: Option<RoleName>,
    schema: Value,
    example: Map<String, Value>,
}

impl Part {
    fn name(&self) -> &'static str {
        self.role.map_or("config", RoleName::name)
    }

    fn properties(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.schema["properties"].as_object().into_iter().flatten()
    }

    fn required(&self) -> impl Iterator<Item = &str> {
        self.schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str)
    }
}

fn parts(bench: &Bench) -> Vec<Part> {
    let manifest = bench.manifest();
    let capture = manifest.capture.as_ref().map(|role| role.settings.clone().to_value());
    let lookup = manifest.lookup.as_ref().map(|role| role.settings.clone().to_value());
    let callback = manifest.callback.as_ref().map(|role| role.settings.clone().to_value());
    let roles =
        [(RoleName::Capture, capture), (RoleName::Lookup, lookup), (RoleName::Callback, callback)];
    let config = Part {
        role: None,
        schema: manifest.config.clone().to_value(),
        example: bench.script.source.config.clone(),
    };
    let of_role = |(role, schema): (RoleName, Option<Value>)| {
        let example = bench.settings(role);
        schema.map(|schema| Part { role: Some(role), schema, example })
    };
    std::iter::once(config).chain(roles.into_iter().filter_map(of_role)).collect()
}

async fn faults(
    bench: &Bench,
    part: &Part,
    table: &Map<String, Value>,
) -> Result<Vec<ConfigFault>, Stop> {
    let json = laid_over(table, None).into_bytes();
    let faults = bench.library.validate(part.role, json, &[]).await;
    faults.works(&format!("`validate` of the {} gives faults, and no error", part.name()))
}

fn told(faults: &[ConfigFault]) -> String {
    match faults {
        [] => "no fault".to_owned(),
        faults => faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    }
}

/// Parts whose example is without fault; what is asked of them can be blamed on one change.
async fn sound(bench: &Bench) -> Result<Vec<Part>, Stop> {
    let mut sound = Vec::new();
    for part in parts(bench) {
        if faults(bench, &part, &part.example).await?.is_empty() {
            sound.push(part);
        }
    }
    if sound.is_empty() {
        return Err(skip("the test file gives no config and no settings without fault"));
    }
    Ok(sound)
}

async fn example(bench: &Bench) -> Outcome {
    let mut n = 0;
    for part in parts(bench) {
        let faults = faults(bench, &part, &part.example).await?;
        let expected = format!("the test file's {} is without fault", part.name());
        // What is not there can be wrong only where something has to be.
        if !part.example.is_empty() || part.required().next().is_none() {
            n += 1;
            ensure(faults.is_empty(), &expected, || told(&faults))?;
        }
    }
    if n == 0 { Err(skip("the test file gives no config and no settings")) } else { Ok(()) }
}

async fn closed(bench: &Bench) -> Outcome {
    for part in parts(bench) {
        let expected =
            format!("the schema of the {} has `additionalProperties: false`", part.name());
        let closed = part.schema["additionalProperties"] == false;
        ensure(closed, &expected, || part.schema["additionalProperties"].to_string())?;
    }
    Ok(())
}

async fn described(bench: &Bench) -> Outcome {
    for part in parts(bench) {
        for (key, schema) in part.properties() {
            let text = schema["description"].as_str().unwrap_or_default();
            let expected = format!("key `{key}` of the {} has a description", part.name());
            ensure(!text.trim().is_empty(), &expected, || "it has none".to_owned())?;
        }
    }
    Ok(())
}

fn names(faults: &[ConfigFault], key: &str) -> bool {
    faults.iter().any(|fault| fault.path.contains(key) || fault.message.contains(key))
}

async fn unknown_key(bench: &Bench) -> Outcome {
    const KEY: &str = "unknown_to_everybody";
    for part in sound(bench).await? {
        let mut table = part.example.clone();
        table.insert(KEY.to_owned(), json!(1));
        let faults = faults(bench, &part, &table).await?;
        let expected = format!("a fault in the {} that names `{KEY}`", part.name());
        ensure(names(&faults, KEY), &expected, || told(&faults))?;
    }
    Ok(())
}

async fn missing_key(bench: &Bench) -> Outcome {
    let mut n = 0;
    for part in sound(bench).await? {
        for key in part.required() {
            let mut table = part.example.clone();
            table.remove(key);
            let faults = faults(bench, &part, &table).await?;
            let expected = format!("a fault in the {} that names `{key}`", part.name());
            ensure(names(&faults, key), &expected, || told(&faults))?;
            n += 1;
        }
    }
    if n == 0 { Err(skip("no key is required")) } else { Ok(()) }
}

/// A value that the schema of a key does not allow; none if it allows about everything.
fn wrong_for(schema: &Value) -> Option<Value> {
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    [("object", json!({ "wrong": [1] })), ("array", json!([[1]])), ("boolean", json!(true))]
        .into_iter()
        .find(|(name, _)| !types.contains(name))
        .map(|(_, value)| value)
}

async fn wrong_type(bench: &Bench) -> Outcome {
    let mut n = 0;
    for part in sound(bench).await? {
        for (key, schema) in part.properties() {
            let Some(wrong) = wrong_for(schema) else { continue };
            let mut table = part.example.clone();
            table.insert(key.clone(), wrong.clone());
            let faults = faults(bench, &part, &table).await?;
            let expected = format!("a fault in the {} for `{key} = {wrong}`", part.name());
            ensure(names(&faults, key), &expected, || told(&faults))?;
            n += 1;
        }
    }
    if n == 0 { Err(skip("no key has a type in its schema")) } else { Ok(()) }
}

async fn odd_values(bench: &Bench) -> Outcome {
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    let odd = [
        Value::Null,
        json!(""),
        json!("\u{0}\u{feff}\u{1f9ed}"),
        json!("a".repeat(100_000)),
        json!(-1),
        json!(u64::MAX),
        json!(1e300),
        json!(0.5),
        json!([]),
        json!({}),
        deep,
    ];
    for part in parts(bench) {
        for (key, value) in part.properties().flat_map(|(key, _)| odd.iter().map(move |v| (key, v)))
        {
            let mut table = part.example.clone();
            table.insert(key.clone(), value.clone());
            let shown: String = value.to_string().chars().take(40).collect();
            let found = faults(bench, &part, &table).await.map_err(|stop| match stop {
                Stop::Fail { expected, seen } => {
                    fail(expected, format!("`{key} = {shown}`: {seen}"))
                }
                skip @ Stop::Skip(_) => skip,
            })?;
            if part.role.is_none() && found.is_empty() {
                let config = laid_over(&table, None).into_bytes();
                let created = bench.library.create("odd", config, &[]).await;
                let class = created.as_ref().err().map(gantry_plugin_host::CallError::class);
                let seen = || {
                    format!(
                        "`{key} = {shown}`: {}",
                        created.err().map_or_else(String::new, |e| in_words(&e))
                    )
                };
                ensure(class != Some(ErrorClass::Panic), "`create` gives an error", seen)?;
            }
        }
    }
    Ok(())
}

async fn create_refuses(bench: &Bench) -> Outcome {
    let parts = sound(bench).await?;
    let config = parts.iter().find(|part| part.role.is_none());
    let config = config.ok_or_else(|| skip("the test file gives no config without fault"))?;
    let mut n = 0;
    for key in config.required() {
        let mut table = config.example.clone();
        table.remove(key);
        let json = laid_over(&table, None).into_bytes();
        let expected = format!("`create` without `{key}` is an error of class `config`");
        match bench.library.create("without", json, &[]).await {
            Ok(_) => return Err(fail(expected, "an instance")),
            Err(error) => {
                let right = error.class() == ErrorClass::Config;
                ensure(right, &expected, || in_words(&error))?;
            }
        }
        n += 1;
    }
    if n == 0 { Err(skip("no key of the config is required")) } else { Ok(()) }
}

async fn validate_is_pure(bench: &Bench) -> Outcome {
    let taken = || bench.proxy.as_ref().map_or(0, crate::proxy::Proxy::n_taken);
    let before = taken();
    for part in parts(bench) {
        let first = faults(bench, &part, &part.example).await?;
        for _ in 0..20 {
            let again = faults(bench, &part, &part.example).await?;
            let seen = || format!("{}, then {}", told(&first), told(&again));
            ensure(first == again, "the same faults each time", seen)?;
        }
    }
    let n = taken() - before;
    ensure(n == 0, "no connection to the source", || format!("{n} connections"))
}

async fn secrets_marked(bench: &Bench) -> Outcome {
    for part in parts(bench) {
        let name = part.name();
        unmarked(&part.schema, &mut |key| {
            let expected = format!("key `{key}` of the {name} is a secret by its type");
            fail(expected, format!("its schema has no `{}`", secret::SCHEMA_KEYWORD))
        })?;
    }
    Ok(())
}

/// Finds a key that is named like a secret, is text, and is not marked as one.
fn unmarked(schema: &Value, stop: &mut dyn FnMut(&str) -> Stop) -> Outcome {
    const NAMES: [&str; 6] =
        ["password", "passwd", "secret", "api_key", "access_token", "client_secret"];
    for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
        let is_text = inner["type"] == "string";
        if is_text && NAMES.contains(&key.as_str()) && inner[secret::SCHEMA_KEYWORD] != true {
            return Err(stop(key));
        }
    }
    match schema {
        Value::Object(map) => map.values().try_for_each(|inner| unmarked(inner, stop)),
        Value::Array(list) => list.iter().try_for_each(|inner| unmarked(inner, stop)),
        _ => Ok(()),
    }
}
