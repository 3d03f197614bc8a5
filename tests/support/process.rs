//! Child process of a test, which is killed when the test ends in any way.

use std::process::{Child, Command};

pub(crate) struct Owned(pub(crate) Child);

impl Owned {
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.0.id().to_string()]).status();
        assert!(sent.unwrap().success(), "{name}");
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // Killed by its handle, paused or not. It may have ended already.
        _ = self.0.kill();
        _ = self.0.wait();
    }
}
