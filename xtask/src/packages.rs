//! What the tests need from Debian, installed when it is missing.

use std::path::Path;
use std::process::{Command, Stdio};

/// A Debian package, and a file or program by which one sees that it is there.
struct Package {
    name: &'static str,
    installed: fn() -> bool,
    needed_for: &'static str,
}

const PACKAGES: &[Package] = &[
    Package {
        name: "postgresql",
        installed: || {
            Path::new("/usr/lib/postgresql").read_dir().is_ok_and(|versions| {
                versions.flatten().any(|version| version.path().join("bin/initdb").exists())
            })
        },
        needed_for: "capture from and callbacks into a real PostgreSQL",
    },
    Package {
        name: "mariadb-server",
        installed: || Path::new("/usr/sbin/mariadbd").exists(),
        needed_for: "capture from and callbacks into a real MariaDB",
    },
    Package {
        name: "chromium",
        installed: || Path::new("/usr/bin/chromium").exists(),
        needed_for: "the pages in a real browser",
    },
    Package {
        name: "chromium-driver",
        installed: || Path::new("/usr/bin/chromedriver").exists(),
        needed_for: "the pages in a real browser",
    },
    Package {
        name: "dovecot-imapd",
        installed: || Path::new("/usr/lib/dovecot/imap").exists(),
        needed_for: "mail from a real IMAP server",
    },
    Package {
        name: "dovecot-lmtpd",
        installed: || Path::new("/usr/lib/dovecot/lmtp").exists(),
        needed_for: "mail from a real IMAP server",
    },
    Package {
        name: "postfix",
        installed: || Path::new("/usr/sbin/postfix").exists(),
        needed_for: "replies by a real SMTP server",
    },
    Package {
        name: "default-jdk-headless",
        installed: || Path::new("/usr/bin/javac").exists(),
        needed_for: "process engines",
    },
    Package {
        name: "maven",
        installed: || Path::new("/usr/bin/mvn").exists(),
        needed_for: "process engines",
    },
    Package {
        name: "python3",
        installed: || Path::new("/usr/bin/python3").exists(),
        needed_for: "plug-ins in Python",
    },
    Package {
        name: "python3-venv",
        installed: || runs("python3", &["-c", "import ensurepip"]),
        needed_for: "client libraries in Python",
    },
    Package {
        name: "nodejs",
        installed: || Path::new("/usr/bin/node").exists(),
        needed_for: "plug-ins in JavaScript",
    },
    Package {
        name: "npm",
        installed: || runs("npm", &["--version"]),
        needed_for: "client libraries in JavaScript",
    },
];

/// Installs what is missing. Where that cannot be done, the tests that need it say loudly that
/// they were skipped.
pub(crate) fn install_missing() {
    let missing: Vec<_> = PACKAGES.iter().filter(|package| !(package.installed)()).collect();
    if missing.is_empty() {
        return;
    }
    for package in &missing {
        eprintln!("Installing {} for {} …", package.name, package.needed_for);
    }
    let names = missing.iter().map(|package| package.name);
    let updated = apt(&["update"]);
    let mut install = vec!["install", "--yes", "--no-install-recommends"];
    install.extend(names);
    if !(updated && apt(&install)) {
        for package in missing {
            eprintln!(
                "COULD NOT INSTALL {}: tests of {} will be skipped",
                package.name, package.needed_for
            );
        }
    }
}

fn runs(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|end| end.success())
}

fn apt(arguments: &[&str]) -> bool {
    Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
