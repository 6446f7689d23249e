//! Postfix: a private SMTP server that takes mail of Dovecot's users for Dovecot's mailboxes. It
//! answers for `grey@hub.test` as a greylist does, and for `moved@hub.test` that nobody is there.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::{Dovecot, fill_in};
use crate::peers::process::{Process, free_port};

/// A running Postfix. Dropping it ends it and removes its queue.
#[derive(Debug)]
pub struct Postfix {
    /// Submission in the clear, and with STARTTLS, on 127.0.0.1.
    pub submission: u16,
    /// Submission over TLS.
    pub submissions: u16,
    _server: Process,
    folder: TempDir,
}

impl Postfix {
    /// Starts a server beside a Dovecot; `None` where Postfix is not installed.
    ///
    /// # Errors
    /// If it is installed and does not start.
    pub async fn start(dovecot: &Dovecot) -> Result<Option<Self>> {
        if !Path::new("/usr/sbin/postfix").exists() {
            eprintln!("SKIPPED: Postfix is not installed");
            return Ok(None);
        }
        let folder = tempfile::Builder::new().prefix("gantry-smtp-").tempdir()?;
        let at = folder.path();
        // Its processes are several users.
        fs::set_permissions(at, fs::Permissions::from_mode(0o755))?;
        fs::create_dir(at.join("spool"))?;
        fs::create_dir(at.join("data"))?;
        let id = Command::new("id").args(["-u", "postfix"]).output()?;
        let id = String::from_utf8(id.stdout)?;
        chown(at.join("data"), Some(id.trim().parse().context("no user `postfix`")?), None)?;
        let (submission, submissions) = (free_port()?, free_port()?);
        let values = [
            ("@FOLDER@", at.display().to_string()),
            ("@CERTIFICATES@", dovecot.folder.path().display().to_string()),
            ("@LMTP@", dovecot.lmtp.to_string()),
            ("@AUTH@", dovecot.auth.to_string()),
            ("@SUBMISSION@", submission.to_string()),
            ("@SUBMISSIONS@", submissions.to_string()),
        ];
        for name in ["main", "master"] {
            let to = at.join(format!("{name}.cf"));
            fill_in(&format!("postfix-{name}.cf"), &to, &values)?;
        }
        // Makes the folders of the queue.
        let laid_out = Command::new("/usr/sbin/postfix").arg("-c").arg(at).arg("check").output()?;
        let error = String::from_utf8_lossy(&laid_out.stderr);
        ensure!(laid_out.status.success(), "postfix check: {error}");
        let mut master = Command::new("/usr/lib/postfix/sbin/master");
        // Not detached: in the process group that ends with it.
        master.arg("-c").arg(at).arg("-d").env("MAIL_CONFIG", at);
        let mut server = Process::start(&mut master, &at.join("output"))?;
        let log = || fs::read_to_string(at.join("postfix.log")).unwrap_or_default();
        server.greets(submission).await.with_context(log)?;
        Ok(Some(Self { submission, submissions, _server: server, folder }))
    }

    /// Its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("postfix.log")).unwrap_or_default()
    }
}
