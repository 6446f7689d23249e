//! Tests of what permissions and a config mean together.

use serde_json::json;

use super::*;

fn permissions(network: &[&str], read: &[&str]) -> Permissions {
    let list = |entries: &[&str]| entries.iter().map(|entry| (*entry).to_owned()).collect();
    Permissions { network: list(network), read: list(read), ..Permissions::default() }
}

#[test]
fn ports_are_known_if_each_host_says_its_own() {
    #[track_caller]
    fn check(network: &[&str], expected: (bool, Option<&[u16]>)) {
        let config = json!({ "url": "https://api.example/v2", "host": "db.example", "tls": {} });
        let allowed = Allowed::new(&permissions(network, &[]), &config, Path::new("/"));
        let ports = expected.1.map(|ports| ports.iter().copied().collect());
        assert_eq!((allowed.network, allowed.ports), (expected.0, ports));
    }
    check(&[], (false, None));
    check(&["api.example:443", "*:8080"], (true, Some(&[443, 8080])));
    check(&["config:url"], (true, Some(&[443])));
    check(&["http://[::1]:81/x"], (true, Some(&[81])));
    check(&["api.example:443", "config:host"], (true, None));
    // The config does not have it, so nobody is to be talked to.
    check(&["config:other"], (false, None));
}

#[test]
fn paths_count_from_the_hubs_folder() {
    let read = ["/etc/shop", "config:tls.ca", "config:absent"];
    let permissions = permissions(&[], &read);
    let config = json!({ "tls": { "ca": "ca.pem" }, "name": "a.pem" });
    let allowed = Allowed::new(&permissions, &config, Path::new("/hub"));
    let read: Vec<_> = allowed.read.iter().map(|path| path.to_str().unwrap()).collect();
    assert_eq!(read, ["/etc/shop", "/hub/ca.pem"]);

    let json = absolute_paths(config.to_string().into_bytes(), &permissions, Path::new("/hub"));
    let config: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(config, json!({ "tls": { "ca": "/hub/ca.pem" }, "name": "a.pem" }));
    assert_eq!(absolute_paths(b"{".to_vec(), &permissions, Path::new("/hub")), b"{");
}
