//! A process of a test's own, that is gone when the test ends, however it ends.

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
        // Ours, by its handle, paused or not; it may have ended already.
        _ = self.0.kill();
        _ = self.0.wait();
    }
}
