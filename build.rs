//! Build script: puts the version and the git commit, if known, into `VERSION_WITH_COMMIT`.

use std::path::Path;
use std::process::Command;

fn main() {
    // A commit changes one of these files. Cargo rebuilds each time for a path that does not exist,
    // so only existing paths are listed.
    for path in
        ["HEAD", "logs/HEAD"].iter().filter_map(|name| git(&["rev-parse", "--git-path", name]))
    {
        if Path::new(&path).exists() {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=GIT_COMMIT");
    let version = env!("CARGO_PKG_VERSION");
    let given = std::env::var("GIT_COMMIT").ok().filter(|commit| !commit.is_empty());
    // An image is built without the repository, and its builder says the commit.
    let version = match git(&["rev-parse", "--short=12", "HEAD"]).or(given) {
        Some(commit) => format!("{version} ({commit})"),
        None => version.to_owned(),
    };
    println!("cargo:rustc-env=VERSION_WITH_COMMIT={version}");
}

/// Returns the output of a git command. `None` if this directory is not the root of a repository,
/// git is missing, or the command fails.
fn git(arguments: &[&str]) -> Option<String> {
    if !Path::new(".git").exists() {
        return None;
    }
    let said = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(said.stdout).ok()?;
    said.status.success().then(|| text.trim().to_owned())
}
