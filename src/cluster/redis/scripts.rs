//! Lua scripts of the fleet. Redis runs each one atomically.

use redis::Script;

/// Header of scripts that also run on a server that is full. What they add is small, and expires by
/// itself.
const ALWAYS: &str = "#!lua flags=allow-oom\n";

/// The scripts, loaded once per client.
pub(super) struct Scripts {
    pub(super) append: Script,
    pub(super) debit: Script,
    pub(super) join: Script,
    pub(super) keep: Script,
    pub(super) lookup: Script,
    pub(super) purge: Script,
    pub(super) release: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            append: always(include_str!("append.lua")),
            debit: always(include_str!("debit.lua")),
            join: always(include_str!("join.lua")),
            keep: script("#!lua\n", include_str!("keep.lua")),
            lookup: always(include_str!("lookup.lua")),
            purge: always(include_str!("purge.lua")),
            release: always(include_str!("release.lua")),
        }
    }
}

fn always(body: &str) -> Script {
    script(ALWAYS, body)
}

fn script(head: &str, body: &str) -> Script {
    Script::new(&format!("{head}{}{body}", include_str!("common.lua")))
}
