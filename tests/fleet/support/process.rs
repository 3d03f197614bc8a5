//! Child process of a fleet test with a log file, which is killed when the test ends in any way.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::shared::Owned;

pub(crate) struct Process {
    child: Owned,
    log: PathBuf,
}

impl Process {
    /// Starts the process. Its output goes to a file, because a pipe without a reader would block
    /// it in the end.
    pub(crate) fn start(mut command: Command, log: &Path) -> Self {
        let output = File::create(log).unwrap();
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        let child = command.spawn().unwrap_or_else(|error| panic!("{error}: {command:?}"));
        Self { child: Owned(child), log: log.to_owned() }
    }

    /// Returns the output so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.0.try_wait().unwrap().is_some()
    }

    /// Pauses the process. It keeps its connections.
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
