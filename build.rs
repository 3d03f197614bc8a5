//! Tells the program which commit it was built from, where that can be known.

use std::path::Path;
use std::process::Command;

fn main() {
    // Commits move one of these; what is not there would be looked at in every build.
    for path in [".git/HEAD", ".git/logs/HEAD"].map(Path::new) {
        if path.exists() {
            println!("cargo:rerun-if-changed={}", path.display());
        }
    }
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=IKGATE_COMMIT");
    let version = env!("CARGO_PKG_VERSION");
    let version = match std::env::var("IKGATE_COMMIT").ok().or_else(commit) {
        Some(commit) => format!("{version} ({commit})"),
        None => version.to_owned(),
    };
    println!("cargo:rustc-env=IKGATE_VERSION={version}");
}

/// `None`: not built from a repository of its own, or without git.
fn commit() -> Option<String> {
    if !Path::new(".git").exists() {
        return None;
    }
    let said = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output().ok()?;
    let commit = String::from_utf8(said.stdout).ok()?;
    said.status.success().then(|| commit.trim().to_owned())
}
