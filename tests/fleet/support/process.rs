//! A process of a test's own, that is gone when the test ends, however it ends.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::shared::Owned;

pub(crate) struct Process {
    child: Owned,
    log: PathBuf,
}

impl Process {
    /// What it says goes into a file: a pipe that nobody reads would stop it in the end.
    pub(crate) fn start(mut command: Command, log: &Path) -> Self {
        let output = File::create(log).unwrap();
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        let child = command.spawn().unwrap_or_else(|error| panic!("{error}: {command:?}"));
        Self { child: Owned(child), log: log.to_owned() }
    }

    /// What it has said so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.0.try_wait().unwrap().is_some()
    }

    /// It keeps its connections and does nothing.
    pub(crate) fn pause(&self) {
        self.child.signal("STOP");
    }

    pub(crate) fn resume(&self) {
        self.child.signal("CONT");
    }

    pub(crate) fn kill(&mut self) {
        _ = self.child.0.kill();
        _ = self.child.0.wait();
    }

    pub(crate) fn signal(&self, name: &str) {
        self.child.signal(name);
    }
}
