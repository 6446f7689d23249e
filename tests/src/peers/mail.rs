//! Mail servers. Dovecot: a private IMAP server with two mailboxes, `support@hub.test` and
//! `bob@hub.test`, and LMTP to put mail in. Postfix: takes mail for them by SMTP.

mod postfix;
pub mod pymap;
pub mod tokens;

pub use postfix::Postfix;
pub use pymap::Pymap;
pub use tokens::Tokens;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::process::{Process, free_port};

/// The mailbox that the hub reads.
pub const SUPPORT: &str = "support@hub.test";
/// Its password.
pub const SUPPORT_PASSWORD: &str = "support-Pa\"ss\\word";
/// A customer's mailbox.
pub const BOB: &str = "bob@hub.test";
/// What a test waits for has to happen within this time.
const WITHIN: Duration = Duration::from_secs(30);
/// How often something is asked that is not announced.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Whom Dovecot's own processes become.
const NOBODY: u32 = 65534;

/// A running Dovecot. Dropping it ends it and removes its mail.
#[derive(Debug)]
pub struct Dovecot {
    /// IMAP in the clear, and with STARTTLS, on 127.0.0.1.
    pub imap: u16,
    /// IMAP over TLS.
    pub imaps: u16,
    /// LMTP.
    pub lmtp: u16,
    /// For an SMTP server: who may sign in.
    pub auth: u16,
    server: Option<Process>,
    folder: TempDir,
}

impl Dovecot {
    /// Starts a server; `None` where Dovecot is not installed.
    ///
    /// # Errors
    /// If it is installed and does not start.
    pub async fn start() -> Result<Option<Self>> {
        Self::start_with(None).await
    }

    /// The same, where users sign in with tokens only: this server says whether one is good.
    ///
    /// # Errors
    /// As [`Dovecot::start`].
    pub async fn start_with(tokens: Option<&Tokens>) -> Result<Option<Self>> {
        if !Path::new("/usr/sbin/dovecot").exists() {
            eprintln!("SKIPPED: Dovecot is not installed");
            return Ok(None);
        }
        let folder = tempfile::Builder::new().prefix("gantry-mail-").tempdir()?;
        let mut dovecot = Self {
            imap: free_port()?,
            imaps: free_port()?,
            lmtp: free_port()?,
            auth: free_port()?,
            server: None,
            folder,
        };
        dovecot.lay_out(tokens)?;
        dovecot.run().await?;
        Ok(Some(dovecot))
    }

    fn lay_out(&self, tokens: Option<&Tokens>) -> Result<()> {
        // Its processes are several users.
        fs::set_permissions(self.folder.path(), fs::Permissions::from_mode(0o755))?;
        for name in ["run", "state", "boxes"] {
            fs::create_dir(self.path(name))?;
        }
        chown(self.path("boxes"), Some(NOBODY), Some(NOBODY))?;
        let escaped = SUPPORT_PASSWORD;
        let users = format!("{SUPPORT}:{{PLAIN}}{escaped}\n{BOB}:{{PLAIN}}bobpw\n");
        fs::write(self.path("users"), users)?;
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"])
            .args(["-subj", "/CN=localhost", "-addext"])
            .arg("subjectAltName=DNS:localhost,IP:127.0.0.1")
            .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
            .arg(self.path("key.pem"))
            .arg("-out")
            .arg(self.certificate())
            .output()
            .context("starting openssl")?;
        ensure!(made.status.success(), "no certificate: {}", String::from_utf8_lossy(&made.stderr));
        let (mut mechanisms, mut oauth) = ("plain login", String::new());
        if let Some(tokens) = tokens {
            let at = self.path("oauth2.conf.ext");
            mechanisms = "xoauth2";
            oauth = format!(
                "passdb {{\n  driver = oauth2\n  mechanisms = xoauth2\n  args = {}\n}}",
                at.display()
            );
            let text = format!(
                "introspection_mode = post\nintrospection_url = {}\nusername_attribute = username\n\
                 active_attribute = active\nactive_value = true\n",
                tokens.address("introspect")
            );
            fs::write(at, text)?;
        }
        let values = [
            ("@FOLDER@", self.folder.path().display().to_string()),
            ("@MECHANISMS@", mechanisms.to_owned()),
            ("@OAUTH@", oauth),
            ("@IMAP@", self.imap.to_string()),
            ("@IMAPS@", self.imaps.to_string()),
            ("@LMTP@", self.lmtp.to_string()),
            ("@AUTH@", self.auth.to_string()),
        ];
        fill_in("dovecot.conf", &self.path("dovecot.conf"), &values)
    }

    /// Starts it again after [`Dovecot::kill`].
    ///
    /// # Errors
    /// If it does not greet.
    pub async fn run(&mut self) -> Result<()> {
        self.unlock()?;
        let mut command = Command::new("/usr/sbin/dovecot");
        command.arg("-F").arg("-c").arg(self.path("dovecot.conf"));
        let mut server = Process::start(&mut command, &self.path("output"))?;
        server.greets(self.imap).await.with_context(|| self.log())?;
        server.greets(self.lmtp).await.with_context(|| self.log())?;
        self.server = Some(server);
        Ok(())
    }

    /// Removes the lock files of a server that was killed. The next one would wait two minutes for
    /// each before it calls them stale, and leave whoever asks without an answer so long.
    fn unlock(&self) -> Result<()> {
        let mut folders = vec![self.path("boxes")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "lock") {
                    fs::remove_file(path)?;
                }
            }
        }
        Ok(())
    }

    /// Kills it, with all that it started.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// The certificate that its TLS shows: valid for `localhost`.
    pub fn certificate(&self) -> PathBuf {
        self.path("cert.pem")
    }

    /// Puts mails into a mailbox, in this order.
    ///
    /// # Errors
    /// If one is not taken.
    pub async fn deliver(&self, to: &str, mails: &[String]) -> Result<()> {
        let stream = TcpStream::connect(("127.0.0.1", self.lmtp)).await?;
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        let mut expect = async |code: &str| -> Result<()> {
            loop {
                let line = lines.next_line().await?.context("LMTP ended")?;
                ensure!(line.starts_with(code), "LMTP said {line}");
                if line.as_bytes().get(3) != Some(&b'-') {
                    return Ok(());
                }
            }
        };
        expect("220").await?;
        write.write_all(b"LHLO test\r\n").await?;
        expect("250").await?;
        for mail in mails {
            let start = format!("MAIL FROM:<bob@hub.test>\r\nRCPT TO:<{to}>\r\nDATA\r\n");
            write.write_all(start.as_bytes()).await?;
            expect("250").await?;
            expect("250").await?;
            expect("354").await?;
            let mail = mail.replace("\r\n", "\n").replace('\n', "\r\n").replace("\r\n.", "\r\n..");
            write.write_all(format!("{mail}\r\n.\r\n").as_bytes()).await?;
            expect("250").await?;
        }
        Ok(())
    }

    /// Puts so many mails at once, numbered from 1, where the server keeps an inbox that nobody has
    /// opened yet: for a mailbox that is filled in seconds.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn store(&self, user: &str, n_mails: u64, mail: impl Fn(u64) -> String) -> Result<()> {
        let owned = |path: &Path| chown(path, Some(NOBODY), Some(NOBODY));
        let mut folder = self.path("boxes");
        for name in [user, "Maildir"] {
            folder.push(name);
            fs::create_dir(&folder)?;
            owned(&folder)?;
        }
        for name in ["cur", "new", "tmp"] {
            fs::create_dir(folder.join(name))?;
            owned(&folder.join(name))?;
        }
        for n in 1..=n_mails {
            let mail = mail(n);
            let (size, n_lines) = (mail.len(), mail.lines().count());
            // Its size as it lies there, and as IMAP tells it, stand in the name.
            let name = format!("{}.M1P1.test,S={size},W={}:2,", 1_767_268_800 + n, size + n_lines);
            let path = folder.join("cur").join(name);
            fs::write(&path, mail)?;
            owned(&path)?;
        }
        Ok(())
    }

    /// Runs `doveadm`, the administrator's tool, and gives what it prints.
    ///
    /// # Errors
    /// If it fails.
    pub async fn doveadm(&self, arguments: &[&str]) -> Result<String> {
        let ran = tokio::process::Command::new("/usr/bin/doveadm")
            .arg("-c")
            .arg(self.path("dovecot.conf"))
            .args(arguments)
            .output()
            .await?;
        let error = String::from_utf8_lossy(&ran.stderr);
        ensure!(ran.status.success(), "doveadm {arguments:?}: {error}");
        Ok(String::from_utf8(ran.stdout)?)
    }

    /// Asks until so many mails of a mailbox match a query of `doveadm`. Only for what is not
    /// announced.
    ///
    /// # Errors
    /// If it never are so many.
    pub async fn until(&self, user: &str, query: &str, n: usize) -> Result<()> {
        let mut look = tokio::time::interval(LOOK_EVERY);
        let arguments: Vec<_> =
            ["search", "-u", user].into_iter().chain(query.split(' ')).collect();
        let mut found = 0;
        let asked = async {
            while found != n {
                look.tick().await;
                found = self.doveadm(&arguments).await?.lines().count();
            }
            anyhow::Ok(())
        };
        let asked = tokio::time::timeout(WITHIN, asked).await;
        asked
            .with_context(|| format!("{query} of {user} gives {found}, not {n}: {}", self.log()))?
    }

    /// Its log.
    pub fn log(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.path(name)).unwrap_or_default();
        format!("Dovecot: {}{}", read("dovecot.log"), read("output"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Writes a file of `tests/peers/mail` with values in place of its marks.
fn fill_in(template: &str, to: &Path, values: &[(&str, String)]) -> Result<()> {
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/mail").join(template);
    let mut text =
        fs::read_to_string(&template).with_context(|| format!("reading {}", template.display()))?;
    for (mark, value) in values {
        text = text.replace(mark, value);
    }
    fs::write(to, text).with_context(|| format!("writing {}", to.display()))
}
