//! The scripts, each run by the server as one step.

use redis::Script;

/// They run on a server that is full, too: what they add is small, and ends by itself.
const ALWAYS: &str = "#!lua flags=allow-oom\n";

pub(super) struct Scripts {
    pub(super) beat: Script,
    pub(super) join: Script,
    pub(super) purge: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            beat: always(include_str!("beat.lua")),
            join: always(include_str!("join.lua")),
            purge: always(include_str!("purge.lua")),
        }
    }
}

fn always(body: &str) -> Script {
    Script::new(&format!("{ALWAYS}{}{body}", include_str!("common.lua")))
}
