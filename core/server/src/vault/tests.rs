//! What was replaced counts while the operator's own stays what it was, and only the hub reads it.

use std::os::unix::fs::PermissionsExt as _;

use gantry_pipeline::Vault as _;
use serde_json::json;

use super::*;

fn rotates() -> Vec<String> {
    vec!["auth.token".into()]
}

fn token(vault: &Vault, given: &str) -> String {
    let mut config = json!({"auth": {"token": given, "user": "ann"}});
    let (replaces, secrets) = vault.apply("shop", &rotates(), &mut config).unwrap();
    assert_eq!(replaces["auth.token"], hash(given));
    let token = config["auth"]["token"].as_str().unwrap().to_owned();
    assert!(token == given || secrets == [token.as_str()], "it is scrubbed, too");
    token
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_source_gave_counts_until_the_operator_gives_another() {
    let folder = std::env::temp_dir().join(format!("gantry-vault-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("gantry.db.credentials");
    let vault = Vault::new(path.clone());
    assert_eq!(token(&vault, "t-1"), "t-1");
    let keep = async |value: &str| {
        let value = Secret::new(value.to_owned());
        vault.keep("shop", "auth.token", &hash("t-1"), &value).await.unwrap();
    };
    keep("t-2").await;
    keep("t-3").await;
    assert_eq!(token(&Vault::new(path.clone()), "t-1"), "t-3");
    assert_eq!(token(&vault, "t-9"), "t-9", "the operator gave another one");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let mut other = json!({"auth": {"token": "t-1"}});
    vault.apply("another", &rotates(), &mut other).unwrap();
    assert_eq!(other["auth"]["token"], "t-1");

    fs::write(&path, "{").unwrap();
    let error = vault.apply("shop", &rotates(), &mut other).unwrap_err();
    assert!(error.to_string().contains("gantry.db.credentials"), "{error}");
    fs::remove_dir_all(folder).unwrap();
}
