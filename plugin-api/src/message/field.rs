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
