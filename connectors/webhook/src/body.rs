//! What is a record in a JSON body. Records are cut out of it as they came, byte for byte.

use std::collections::BTreeMap;

use gantry_plugin_api::{ConfigFault, HttpRequest, Record};
use serde_json::value::RawValue;

/// More levels of arrays and objects than anybody means; readers that recurse would run out of
/// stack.
const DEPTH_MAX: usize = 64;

/// So many records are committed together without holding up others.
pub(crate) const N_RECORDS_MAX: usize = 10_000;

/// Why a body cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Fault {
    #[error("body must be `application/json`, in UTF-8 and not compressed")]
    MediaType,
    #[error("body is not UTF-8 from byte {0} on")]
    NotUtf8(usize),
    #[error("body is more than {DEPTH_MAX} levels deep")]
    TooDeep,
    #[error("body is not JSON: {0}")]
    NotJson(#[from] serde_json::Error),
    #[error("body must be an object or an array of objects")]
    NoRecord,
    #[error("body has no array at `{0}`")]
    NoArray(String),
    #[error("body has more than {N_RECORDS_MAX} records")]
    TooMany,
}

impl Fault {
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::MediaType => 415,
            Self::TooMany => 413,
            _ => 400,
        }
    }
}

/// What is wrong with a pointer to the records.
pub(crate) fn pointer_fault(pointer: &str) -> Option<ConfigFault> {
    let escapes = pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    let fits = pointer.starts_with('/') && escapes;
    let message = "must be a JSON pointer such as `/items`, with `~0` for `~` and `~1` for `/`";
    (!fits).then(|| ConfigFault::new("records", message))
}

/// The records of a request. One of many has the message's id with its index behind it.
pub(crate) fn records(
    pointer: Option<&str>,
    request: &HttpRequest,
    message_id: Option<&str>,
) -> Result<Vec<Record>, Fault> {
    let whole = whole(request)?;
    let found = pointer.map_or(Some(whole), |pointer| resolve(whole, pointer));
    let elements = found.filter(|found| found.get().starts_with('['));
    let cut = |raw: &RawValue, message_id: Option<String>| {
        let bytes = request.body.slice_ref(raw.get().as_bytes());
        let mut record = if raw.get().starts_with('{') {
            Record::json(bytes)
        } else {
            Record::unreadable(bytes, "not a JSON object")
        };
        record.message_id = message_id;
        record.traceparent = request.header("traceparent").map(ToOwned::to_owned);
        record
    };
    match (elements, pointer) {
        (Some(elements), _) => {
            let elements: Vec<&RawValue> = serde_json::from_str(elements.get())?;
            if elements.len() > N_RECORDS_MAX {
                return Err(Fault::TooMany);
            }
            let id = |index| message_id.map(|id| format!("{id}/{index}"));
            Ok(elements.into_iter().enumerate().map(|(n, raw)| cut(raw, id(n))).collect())
        }
        (None, Some(pointer)) => Err(Fault::NoArray(pointer.to_owned())),
        (None, None) if whole.get().starts_with('{') => {
            Ok(vec![cut(whole, message_id.map(ToOwned::to_owned))])
        }
        (None, None) => Err(Fault::NoRecord),
    }
}

/// The body as one JSON value.
pub(crate) fn whole(request: &HttpRequest) -> Result<&RawValue, Fault> {
    check_media_type(request)?;
    let text = std::str::from_utf8(&request.body)
        .map_err(|error| Fault::NotUtf8(error.valid_up_to() + 1))?;
    check_depth(text)?;
    Ok(serde_json::from_str(text)?)
}

fn check_media_type(request: &HttpRequest) -> Result<(), Fault> {
    let encoding = request.header("content-encoding").unwrap_or("identity");
    let media_type = request.header("content-type").unwrap_or_default().to_ascii_lowercase();
    let mut parts = media_type.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let json = essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"));
    let utf8 = parts
        .filter_map(|parameter| parameter.strip_prefix("charset="))
        .all(|charset| ["utf-8", "\"utf-8\""].contains(&charset));
    let plain = encoding.eq_ignore_ascii_case("identity");
    if json && utf8 && plain { Ok(()) } else { Err(Fault::MediaType) }
}

/// Counts brackets outside of text, without recursion, before anything that recurses sees the body.
fn check_depth(text: &str) -> Result<(), Fault> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return Err(Fault::TooDeep);
        }
    }
    Ok(())
}

/// What a pointer points to, as the bytes it came in.
fn resolve<'a>(whole: &'a RawValue, pointer: &str) -> Option<&'a RawValue> {
    pointer.split('/').skip(1).try_fold(whole, |value, token| {
        let token = token.replace("~1", "/").replace("~0", "~");
        if value.get().starts_with('[') {
            let elements: Vec<&RawValue> = serde_json::from_str(value.get()).ok()?;
            elements.get(token.parse::<usize>().ok()?).copied()
        } else {
            let mut members: BTreeMap<String, &RawValue> =
                serde_json::from_str(value.get()).ok()?;
            members.remove(&token)
        }
    })
}
