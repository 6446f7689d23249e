//! How byte strings travel: as CBOR byte strings, not as arrays of numbers.

/// For `Bytes`.
pub(crate) mod bytes {
    use ::bytes::Bytes;
    use minicbor::{Decoder, Encoder};

    pub(crate) fn encode<C, W: minicbor::encode::Write>(
        bytes: &Bytes,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(bytes)?.ok()
    }

    pub(crate) fn decode<C>(
        d: &mut Decoder<'_>,
        _: &mut C,
    ) -> Result<Bytes, minicbor::decode::Error> {
        d.bytes().map(Bytes::copy_from_slice)
    }
}

/// For `Option<Bytes>`.
pub(crate) mod optional_bytes {
    use ::bytes::Bytes;
    use minicbor::data::Type;
    use minicbor::{Decoder, Encoder};

    #[expect(clippy::ref_option, reason = "the signature is the codec's")]
    pub(crate) fn encode<C, W: minicbor::encode::Write>(
        bytes: &Option<Bytes>,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match bytes {
            Some(bytes) => e.bytes(bytes)?.ok(),
            None => e.null()?.ok(),
        }
    }

    pub(crate) fn decode<C>(
        d: &mut Decoder<'_>,
        _: &mut C,
    ) -> Result<Option<Bytes>, minicbor::decode::Error> {
        if d.datatype()? == Type::Null {
            d.null()?;
            return Ok(None);
        }
        d.bytes().map(|bytes| Some(Bytes::copy_from_slice(bytes)))
    }

    #[expect(clippy::ref_option, reason = "the signature is the codec's")]
    pub(crate) fn is_nil(bytes: &Option<Bytes>) -> bool {
        bytes.is_none()
    }

    #[expect(clippy::option_option, clippy::unnecessary_wraps, reason = "as above")]
    pub(crate) fn nil() -> Option<Option<Bytes>> {
        Some(None)
    }
}

/// How byte strings stand in JSON: `"text"`, or `{"base64": "…"}` if they are not UTF-8. Whoever
/// writes them by hand may also put `{"json": …}`, which stands for the text of that value.
pub(crate) mod json_bytes {
    use std::fmt;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use bytes::Bytes;
    use serde::de::{Error as _, MapAccess, Visitor};
    use serde::ser::SerializeMap as _;
    use serde::{Deserializer, Serializer};
    use serde_json::value::RawValue;

    pub(crate) fn serialize<S: Serializer>(bytes: &Bytes, s: S) -> Result<S::Ok, S::Error> {
        if let Ok(text) = std::str::from_utf8(bytes) {
            return s.serialize_str(text);
        }
        let mut map = s.serialize_map(Some(1))?;
        map.serialize_entry("base64", &STANDARD.encode(bytes))?;
        map.end()
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Bytes, D::Error> {
        d.deserialize_any(BytesVisitor)
    }

    struct BytesVisitor;

    impl<'de> Visitor<'de> for BytesVisitor {
        type Value = Bytes;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text, {\"base64\": …} or {\"json\": …}")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Bytes, E> {
            Ok(Bytes::copy_from_slice(text.as_bytes()))
        }

        fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Bytes, E> {
            Ok(Bytes::from(text))
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Bytes, A::Error> {
            let one = || A::Error::custom("expected one key, `base64` or `json`");
            let bytes = match map.next_key::<String>()?.as_deref() {
                Some("base64") => {
                    let text: String = map.next_value()?;
                    STANDARD.decode(text).map_err(A::Error::custom)?.into()
                }
                Some("json") => {
                    let value: Box<RawValue> = map.next_value()?;
                    Bytes::from(String::from(Box::<str>::from(value)))
                }
                _ => return Err(one()),
            };
            if map.next_key::<String>()?.is_some() {
                return Err(one());
            }
            Ok(bytes)
        }
    }
}

/// As [`json_bytes`], for `Option<Bytes>`.
pub(crate) mod optional_json_bytes {
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Wrapped(#[serde(with = "super::json_bytes")] Bytes);

    #[expect(clippy::ref_option, reason = "the signature is serde's")]
    pub(crate) fn serialize<S: Serializer>(bytes: &Option<Bytes>, s: S) -> Result<S::Ok, S::Error> {
        bytes.clone().map(Wrapped).serialize(s)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Bytes>, D::Error> {
        Ok(Option::<Wrapped>::deserialize(d)?.map(|wrapped| wrapped.0))
    }
}

/// JSON inside JSON: bytes that are a JSON text stand as that value.
pub(crate) mod json_value {
    use bytes::Bytes;
    use serde::ser::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};
    use serde_json::value::RawValue;

    pub(crate) fn serialize<S: Serializer>(bytes: &Bytes, s: S) -> Result<S::Ok, S::Error> {
        let value: &RawValue = serde_json::from_slice(bytes).map_err(S::Error::custom)?;
        value.serialize(s)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Bytes, D::Error> {
        let value = Box::<RawValue>::deserialize(d)?;
        Ok(Bytes::from(String::from(Box::<str>::from(value))))
    }
}

/// A 64-bit number as text, for languages whose numbers are doubles; a plain number is read too.
pub(crate) mod text_u64 {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Text(String),
        Number(u64),
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
    pub(crate) fn serialize<S: Serializer>(number: &u64, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(number)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
        match Either::deserialize(d)? {
            Either::Text(text) => text.parse().map_err(D::Error::custom),
            Either::Number(number) => Ok(number),
        }
    }
}
