//! Variables of processes, typed in the engine, plain in records and attributes.

use gantry_plugin_api::Error;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::client::Engine;
use crate::config::{Type, Written};

/// The engine's variables as plain JSON by name. Files, bytes and serialised Java objects are left
/// out: nothing could be done with them.
pub(crate) fn plain(engine: &Engine, variables: &Map<String, Value>) -> Result<Value, Error> {
    let mut all = Map::new();
    for (name, variable) in variables {
        all.extend(plain_one(engine, variable)?.map(|value| (name.clone(), value)));
    }
    Ok(all.into())
}

/// The value of one variable; none if it is left out.
pub(crate) fn plain_one(engine: &Engine, variable: &Value) -> Result<Option<Value>, Error> {
    let (kind, value) = (variable["type"].as_str().unwrap_or_default(), &variable["value"]);
    let is_json = variable["valueInfo"]["serializationDataFormat"] == "application/json";
    Ok(match (kind, value.as_str()) {
        ("File" | "Bytes", _) => None,
        (_, None) => Some(value.clone()),
        ("Date", Some(text)) => Some(engine.instant(text)?.to_string().into()),
        ("Json", Some(text)) => Some(parsed(text)),
        ("Object", Some(text)) => is_json.then(|| parsed(text)),
        (_, Some(text)) => Some(text.into()),
    })
}

/// Makes dates of the engine's RFC 3339, as the hub's attributes read them.
pub(crate) fn dates(
    engine: &Engine,
    object: &mut Map<String, Value>,
    names: &[&str],
) -> Result<(), Error> {
    for name in names {
        if let Some(value) = object.get_mut(*name)
            && let Some(text) = value.as_str()
        {
            *value = engine.instant(text)?.to_string().into();
        }
    }
    Ok(())
}

/// A value of the hub's as the engine's variable.
///
/// # Errors
/// Of class `permanent`, naming the variable, if the value is not of its type.
pub(crate) fn typed(
    engine: &Engine,
    name: &str,
    value: &Value,
    written: &Written,
) -> Result<Value, Error> {
    let kind = written.kind.unwrap_or_else(|| kind_of(value));
    let typed = if value.is_null() { Some(Value::Null) } else { converted(engine, value, kind) };
    let Some(typed) = typed else {
        let from = &written.from;
        let message = format!("cannot write variable `{name}`: {value} of `{from}` is no {kind:?}");
        return Err(Error::permanent(message));
    };
    let mut variable = json!({ "value": typed, "type": kind });
    if kind == Type::Object {
        let class = written.class.as_deref().unwrap_or("java.util.LinkedHashMap");
        variable["valueInfo"] =
            json!({ "objectTypeName": class, "serializationDataFormat": "application/json" });
    }
    Ok(variable)
}

fn kind_of(value: &Value) -> Type {
    match value {
        Value::Bool(_) => Type::Boolean,
        Value::Number(number) => match number.as_i64() {
            Some(integer) if i32::try_from(integer).is_ok() => Type::Integer,
            Some(_) => Type::Long,
            None => Type::Double,
        },
        Value::Array(_) | Value::Object(_) => Type::Json,
        Value::String(_) | Value::Null => Type::String,
    }
}

fn converted(engine: &Engine, value: &Value, kind: Type) -> Option<Value> {
    let text = value.as_str();
    let integer = || value.as_i64().or_else(|| text?.parse().ok());
    match kind {
        Type::String => Some(text.map_or_else(|| value.to_string(), str::to_owned).into()),
        Type::Boolean => value.as_bool().or_else(|| text?.parse().ok()).map(Value::Bool),
        Type::Short => Some(i16::try_from(integer()?).ok()?.into()),
        Type::Integer => Some(i32::try_from(integer()?).ok()?.into()),
        Type::Long => integer().map(Value::from),
        Type::Double => value.as_f64().or_else(|| text?.parse().ok()).map(Value::from),
        Type::Date => Some(engine.date(text?.parse::<Timestamp>().ok()?).into()),
        Type::Json | Type::Object => Some(value.to_string().into()),
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}
