//! Output of the commands on the standard streams.

use std::io::{self, Write as _};

/// Prints the result of a command to standard output. It ignores a reader that has closed the pipe.
pub(super) fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

pub(super) fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "ikgate: {text}");
}
