//! What a plug-in logs comes out of the hub's log, with its instance and without its secrets.

use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use tracing_subscriber::fmt::MakeWriter;

use super::support::{Folder, misbehaving, told};

/// Keeps what is logged. Plug-ins log from threads of their own, so it must be the process's log.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    fn the() -> &'static Self {
        static THE: OnceLock<Kept> = OnceLock::new();
        THE.get_or_init(|| {
            let kept = Self::default();
            let subscriber = tracing_subscriber::fmt().json().with_writer(kept.clone());
            subscriber.with_max_level(tracing::Level::INFO).init();
            kept
        })
    }

    fn lines(&self, containing: &str) -> Vec<serde_json::Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().filter(|line| line.contains(containing));
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Kept {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn log_lines_have_the_instance_and_no_secret() {
    let kept = Kept::the();
    let folder = Folder::with(&["misbehaving"]);
    let library = folder.load("misbehaving");
    let config = r#"{"password": "correct-horse", "behaviour": "tell"}"#;
    let instance = misbehaving(&library, config).await;
    let lookup = instance.attach_lookup("whisper", told("tell")).await.unwrap();
    let queries = [gantry_plugin_api::Query::default()];
    let error = lookup.lookup(&queries).await.unwrap_err();

    let chain: Vec<String> =
        std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source())
            .map(ToString::to_string)
            .collect();
    let expected = ["cannot lookup with `whisper`", "cannot keep ***", "inside: ***"];
    assert_eq!(chain, expected);

    let bridged = kept.lines("the password is");
    let fields = |line: &serde_json::Value| line["fields"].clone();
    let line = bridged.iter().map(fields).find(|f| f["target"] == "gantry_test_misbehaving");
    let line = line.expect("the line by way of tracing");
    assert_eq!(line["message"], "the password is ***");
    assert_eq!(line["plugin"], "misbehaving");
    assert_eq!(line["instance"], "crm");
    let own: serde_json::Value = serde_json::from_str(line["fields"].as_str().unwrap()).unwrap();
    assert_eq!(own["span"], "telling");
    assert_eq!(own["whom"], "everybody");
    assert_eq!(own["password"], "***");
    assert_eq!(kept.lines("log: the password is ***").len(), 1, "the line by way of log");
    assert!(kept.lines("correct-horse").is_empty());
}

#[tokio::test]
async fn a_panic_is_logged_with_its_place() {
    let kept = Kept::the();
    let folder = Folder::with(&["misbehaving"]);
    let library = folder.load("misbehaving");
    let instance = library.create("panicking", told("panic"), &[]).await.unwrap();
    instance.check().await.unwrap_err();
    let lines = kept.lines("plug-in panicked: told to panic");
    let line = lines.iter().find(|line| line["fields"]["instance"] == "panicking").expect("a line");
    assert_eq!(line["level"], "ERROR");
    let fields = line["fields"]["fields"].as_str().unwrap();
    assert!(fields.contains("misbehaving/src/lib.rs:"), "{fields}");
}
