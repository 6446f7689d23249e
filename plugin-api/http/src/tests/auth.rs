//! Signing in: what is sent, when tokens are got, and what a refusal means.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gantry_plugin_api::{Error, ErrorClass, Secret};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;

use super::server::{Asked, NOW_MS, Reply, Server, reply};
use crate::{Auth, Client, Grant, OAuth, Request, TokenSource};

const KEY: &str = include_str!("key.pem");

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn oauth(grant: Grant) -> Auth {
    let scope = Some("api".to_owned());
    let (token_url, base_field) = ("/oauth2/token".to_owned(), Some("instance_url"));
    Auth::OAuth(OAuth { token_url, grant, scope, base_field })
}

fn client_credentials() -> Auth {
    let client_secret = secret("hush & more");
    oauth(Grant::ClientCredentials { client_id: "app".to_owned(), client_secret })
}

async fn send(client: &Client) -> Result<u16, Error> {
    Ok(client.send(Request::get("x")).await?.status().as_u16())
}

/// A token server whose tokens are `t0`, `t1`, …, and a source that knows the last one only.
fn tokens(n: usize, more: &str) -> Reply {
    reply(200, &[], &format!(r#"{{"access_token": "t{n}", "token_type": "Bearer"{more}}}"#))
}

fn wants_token(asked: &Asked) -> bool {
    asked.line == "POST /oauth2/token"
}

#[tokio::test]
async fn fixed_credentials_are_sent() {
    let server = Server::start(|_, _| reply(200, &[], "")).await;
    let basic = Auth::Basic { user: "me".to_owned(), password: secret("pa:ss") };
    let key = Auth::Header { name: "X-Api-Key".to_owned(), value: secret("k") };
    for auth in [basic, Auth::Bearer(secret("t")), key] {
        send(&Client::new(server.options().auth(auth)).unwrap()).await.unwrap();
    }
    let asked = server.asked();
    assert_eq!(asked[0].authorization, "Basic bWU6cGE6c3M=");
    assert_eq!(asked[1].authorization, "Bearer t");
    assert!(asked[2].headers.contains(&("x-api-key".to_owned(), "k".to_owned())));
}

#[tokio::test]
async fn fixed_credentials_that_were_good_have_expired_others_are_denied() {
    let server = Server::start(|n, _| reply(if n == 1 { 200 } else { 401 }, &[], "")).await;
    let auth = Auth::Basic { user: "me".to_owned(), password: secret("hush") };
    let client = Client::new(server.options().auth(auth)).unwrap();
    let denied = send(&client).await.unwrap_err();
    assert_eq!(denied.class(), ErrorClass::AuthDenied);
    let text = "GET /api/x was answered 401 Unauthorized; check the user and the password";
    assert_eq!(denied.message(), text);
    assert_eq!(send(&client).await.unwrap(), 200);
    assert_eq!(send(&client).await.unwrap_err().class(), ErrorClass::AuthExpired);
    assert_eq!(send(&client).await.unwrap_err().class(), ErrorClass::AuthDenied);
}

fn refresh(refresh_token: &str) -> Grant {
    Grant::RefreshToken {
        client_id: "app".to_owned(),
        client_secret: None,
        refresh_token: secret(refresh_token),
        field: "oauth.refresh_token",
    }
}

#[tokio::test]
async fn a_refresh_token_is_used_until_the_server_replaces_it() {
    let server = Server::start(|n, asked| match () {
        () if asked.body.contains("refresh_token=r2") => {
            reply(400, &[], r#"{"error": "invalid_grant"}"#)
        }
        () if n == 1 => tokens(n, r#", "refresh_token": "r2""#),
        () => tokens(n, r#", "expires_in": 3600"#),
    })
    .await;
    let oauth = OAuth {
        token_url: "/oauth2/token".to_owned(),
        grant: refresh("r 1"),
        scope: None,
        base_field: None,
    };
    let source = TokenSource::new(server.options(), oauth).unwrap();
    let first = source.get().await.unwrap();
    assert_eq!(source.get().await.unwrap().value.expose(), "t0");
    source.refused(&first).await;
    let second = source.get().await.unwrap();
    assert_eq!(second.value.expose(), "t1");
    // What was refused before the one in use says nothing of that.
    source.refused(&first).await;
    assert_eq!(source.get().await.unwrap().value.expose(), "t1");
    source.refused(&second).await;
    let denied = source.get().await.unwrap_err();
    assert_eq!(denied.class(), ErrorClass::AuthDenied);
    let text = denied.message();
    assert!(text.contains("invalid_grant") && text.contains("sign in again"), "{text}");
    let bodies: Vec<_> = server.asked().into_iter().map(|asked| asked.body).collect();
    let body = |token| format!("grant_type=refresh_token&client_id=app&refresh_token={token}");
    assert_eq!(bodies, [body("r+1"), body("r+1"), body("r2")]);
}

#[tokio::test]
async fn one_token_serves_all_who_wait_for_it() {
    let server =
        Server::start(
            |n, asked| if wants_token(asked) { tokens(n, "") } else { reply(200, &[], "") },
        )
        .await;
    let client = Client::new(server.options().auth(client_credentials())).unwrap();
    let all = tokio::join!(send(&client), send(&client), send(&client));
    assert_eq!([all.0.unwrap(), all.1.unwrap(), all.2.unwrap()], [200, 200, 200]);
    let (got, sent): (Vec<_>, Vec<_>) = server.asked().into_iter().partition(wants_token);
    let body = "grant_type=client_credentials&client_id=app&client_secret=hush+%26+more&scope=api";
    assert_eq!(got.iter().map(|asked| &*asked.body).collect::<Vec<_>>(), [body]);
    assert!(sent.iter().all(|asked| asked.authorization == "Bearer t0"), "{sent:?}");
}

#[tokio::test]
async fn a_token_refused_is_got_anew_once_and_the_request_sent_again() {
    let server = Server::start(|n, asked| match (wants_token(asked), &*asked.authorization) {
        (true, _) => tokens(n, ""),
        // The first token is good once, then it has expired.
        (_, "Bearer t0") if n > 1 => reply(401, &[], r#"[{"errorCode": "INVALID_SESSION_ID"}]"#),
        _ => reply(200, &[], ""),
    })
    .await;
    let client = Client::new(server.options().auth(client_credentials())).unwrap();
    assert_eq!(send(&client).await.unwrap(), 200);
    assert_eq!(send(&client).await.unwrap(), 200);
    let lines = server.lines();
    let (token, x) = ("POST /oauth2/token", "GET /api/x");
    assert_eq!(lines, [token, x, x, token, x]);
}

#[tokio::test]
async fn a_fresh_token_refused_is_a_denial() {
    let server =
        Server::start(
            |n, asked| if wants_token(asked) { tokens(n, "") } else { reply(401, &[], "") },
        )
        .await;
    let client = Client::new(server.options().auth(client_credentials())).unwrap();
    let error = send(&client).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::AuthDenied);
    assert_eq!(server.lines().len(), 4);
}

#[tokio::test]
async fn a_token_is_got_anew_before_it_ends() {
    // The first is over at once, the second lives for an hour.
    let server = Server::start(|n, asked| match (wants_token(asked), n) {
        (true, 0) => tokens(n, r#", "expires_in": 0"#),
        (true, _) => tokens(n, r#", "expires_in": "3600""#),
        _ => reply(200, &[], ""),
    })
    .await;
    let client = Client::new(server.options().auth(client_credentials())).unwrap();
    for _ in 0..3 {
        send(&client).await.unwrap();
    }
    let sent: Vec<_> = server.asked().into_iter().filter(|asked| !wants_token(asked)).collect();
    let with: Vec<_> = sent.iter().map(|asked| &*asked.authorization).collect();
    assert_eq!(with, ["Bearer t0", "Bearer t2", "Bearer t2"]);
}

#[tokio::test]
async fn requests_go_where_the_token_server_points() {
    let home = Server::start(|_, _| reply(200, &[], "home")).await;
    let base = format!(r#", "instance_url": "{}""#, home.url);
    let login = Server::start(move |n, _| tokens(n, &base)).await;
    let client = Client::new(login.options().auth(client_credentials())).unwrap();
    send(&client).await.unwrap();
    assert_eq!(home.lines(), ["GET /api/x"]);
}

#[tokio::test]
async fn refusals_of_the_token_server_say_what_to_do() {
    let denied = r#"{"error": "invalid_client", "error_description": "no such app"}"#;
    let busy = r#"{"error": "temporarily_unavailable"}"#;
    for (status, body, class, text) in [
        (
            400,
            denied,
            ErrorClass::AuthDenied,
            "cannot get a token: the token server answered 400, invalid_client, no such app; \
             check the client id and secret, and what the application may do",
        ),
        (401, "", ErrorClass::AuthDenied, "cannot get a token: the token server answered 401"),
        (400, busy, ErrorClass::Transient, "POST /oauth2/token was answered 400 Bad Request"),
        (500, "", ErrorClass::Transient, "POST /oauth2/token was answered 500"),
        (429, "", ErrorClass::Throttled, "POST /oauth2/token was answered 429"),
    ] {
        let server = Server::start(move |_, _| reply(status, &[], body)).await;
        let client = Client::new(server.options().auth(client_credentials())).unwrap();
        let error = send(&client).await.unwrap_err();
        assert_eq!(error.class(), class, "{status} {body}");
        assert!(error.message().starts_with(text), "{error}");
        assert!(!format!("{error:?} {client:?}").contains("hush"), "{error:?} {client:?}");
    }
}

fn jwt_bearer(private_key: &str) -> Auth {
    oauth(Grant::JwtBearer {
        issuer: "app".to_owned(),
        subject: "gantry@crm.example".to_owned(),
        audience: "https://login.crm.example".to_owned(),
        private_key: secret(private_key),
    })
}

#[tokio::test]
async fn an_assertion_is_signed_and_short_lived() {
    let server =
        Server::start(
            |n, asked| if wants_token(asked) { tokens(n, "") } else { reply(200, &[], "") },
        )
        .await;
    let client = Client::new(server.options().auth(jwt_bearer(KEY))).unwrap();
    send(&client).await.unwrap();
    let body = server.asked().remove(0).body;
    let mut fields = url::form_urlencoded::parse(body.as_bytes());
    let grant_type = fields.next().unwrap().1;
    assert_eq!(grant_type, "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let assertion = fields.next().unwrap().1.into_owned();
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let json = |text: &str| serde_json::from_slice::<Value>(&decoded(text)).unwrap();
    assert_eq!(json(header)["alg"], "RS256");
    let claims = json(claims);
    assert_eq!(claims["exp"], NOW_MS / 1000 + 120);
    assert_eq!((&claims["iss"], &claims["sub"]), (&"app".into(), &"gantry@crm.example".into()));
    assert_eq!(claims["aud"], "https://login.crm.example");
    let der = PrivatePkcs8KeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public());
    public.verify(signed.as_bytes(), &decoded(signature)).unwrap();
}

#[tokio::test]
async fn a_key_that_is_none_is_the_operators_mistake() {
    let server = Server::start(|_, _| reply(200, &[], "")).await;
    let public = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
    let broken = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for key in ["", "hush", public, broken] {
        let client = Client::new(server.options().auth(jwt_bearer(key))).unwrap();
        let error = send(&client).await.unwrap_err();
        assert_eq!((error.class(), error.field()), (ErrorClass::Config, Some("private_key")));
    }
    assert_eq!(server.lines().len(), 0);
}
