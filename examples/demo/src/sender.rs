//! The web shop: reports abandoned carts by signed webhooks (Standard Webhooks 1.0).

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::hub::Session;
use crate::world::carts;

/// The shared secret of the demo's shop; it guards nothing but the demo.
pub const SECRET: &str = "whsec_ZGVtby1zZWNyZXQtb2YtdGhlLXdlYi1zaG9wIQ==";

/// Sends every cart, and the first one twice, as a sender does that did not see the answer.
pub async fn send_carts(hub: &Session) -> Result<()> {
    for (number, (id, body)) in carts().enumerate() {
        send(hub, &id, body.clone()).await?;
        if number == 0 {
            send(hub, &id, body).await?;
        }
    }
    Ok(())
}

async fn send(hub: &Session, id: &str, body: String) -> Result<()> {
    let headers = sign(id, jiff::Timestamp::now().as_second(), body.as_bytes())?;
    let (status, text) = hub.webhook("/hooks/carts", &headers, body).await?;
    ensure!((200..300).contains(&status), "the hub answered the webhook with {status}: {text}");
    Ok(())
}

/// The headers that sign a message with [`SECRET`], sent at a time in seconds since 1970.
pub fn sign(id: &str, sent_at_s: i64, body: &[u8]) -> Result<[(&'static str, String); 3]> {
    let timestamp = sent_at_s.to_string();
    let key = SECRET.strip_prefix("whsec_").context("the secret has no prefix")?;
    let key = BASE64_STANDARD.decode(key).context("the secret is not base64")?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).context("the secret is no key")?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    let signature = format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()));
    Ok([
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", timestamp),
        ("webhook-signature", signature),
    ])
}
