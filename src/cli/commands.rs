//! Commands of the program with their help texts; parses the arguments and runs one command.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use super::completions::Completions;
use super::config_file::{ConfigFile, check};
use super::demo::Demo;
use super::healthcheck::Healthcheck;
use super::keygen::Keygen;
use super::man::Man;
use super::purge::Purge;
use super::reference::Reference;
use super::report::EXIT_USAGE;
use super::sandbox::SandboxCommand;
use super::serve;
use super::status::{Status, Top};
use super::token::Token;

/// Version of the program, with the git commit of the build if it is known.
const VERSION: &str = env!("VERSION_WITH_COMMIT");

/// A caching gateway in front of ImageKit's Media API.
#[derive(Debug, Parser)]
#[command(version = VERSION, arg_required_else_help = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a configuration file and the secret files that it names.
    ///
    /// Prints `ok`, or every problem with the key that it is about.
    #[command(after_help = "Example:\n  ikgate check --config ikgate.toml")]
    Check(ConfigFile),
    /// Print the completion script for a shell.
    #[command(after_help = "Example:\n  ikgate completions bash > \
                            ~/.local/share/bash-completion/completions/ikgate")]
    Completions(Completions),
    /// Try everything on this machine: a sandbox and the gateway in front of it.
    ///
    /// Needs no account and no configuration. Prints commands to paste.
    ///
    /// Variables apply as in `serve`, such as `IKGATE_CACHE__TTL=5s`. An argument wins over its
    /// variable. The demo sets `upstream.url`, the private key, `server.tls` and `webhooks` itself.
    #[command(after_help = "Examples:\n  ikgate demo --listen 127.0.0.1:8081\n  \
                            ikgate demo --origin http://localhost:3000")]
    Demo(Demo),
    /// Ask a running gateway whether it is ready. Exit code 0 if so, else 1.
    #[command(after_help = "Example:\n  ikgate healthcheck --admin http://127.0.0.1:9090")]
    Healthcheck(Healthcheck),
    /// Make a key for a new caller.
    ///
    /// Prints the key once, to standard error, and the configuration that lets it in, which holds
    /// only its digest, to standard output.
    #[command(after_help = "Example:\n  ikgate keygen --caller web-team >> ikgate.toml")]
    Keygen(Keygen),
    /// Write manual pages into a directory.
    #[command(after_help = "Example:\n  ikgate man ~/.local/share/man/man1")]
    Man(Man),
    /// Purge files, or all of them, from the cache of a running gateway.
    ///
    /// Prints what was purged, a line for each file.
    #[command(after_help = "Examples:\n  ikgate purge 64a1b2c3d4e5f60718293a4b\n  \
                            ikgate purge --all --soft --token-file admin.token")]
    Purge(Purge),
    /// Print the reference of configuration keys, metrics, events or error codes.
    ///
    /// The tables of the pages and the commented configuration file are this output.
    #[command(after_help = "Examples:\n  ikgate reference config --format toml > ikgate.toml\n  \
                            ikgate reference metrics")]
    Reference(Reference),
    /// Run the stand-in for ImageKit alone.
    ///
    /// It answers version lists like the real API, and lets you add and remove versions.
    #[command(after_help = "Examples:\n  ikgate sandbox --listen 127.0.0.1:8090\n  \
                            curl -u private_sandbox=: \
                            http://127.0.0.1:8090/v1/files/64a1b2c3d4e5f60718293a4b/versions\n  \
                            curl -X POST \
                            http://127.0.0.1:8090/_sandbox/files/64a1b2c3d4e5f60718293a4b/versions")]
    Sandbox(SandboxCommand),
    /// Run the gateway.
    #[command(after_help = "Example:\n  \
                            IMAGEKIT_PRIVATE_KEY=private_... ikgate serve --config ikgate.toml")]
    Serve(ConfigFile),
    /// Show the state of a running gateway on one screen. Exit code 0 if it is ready, else 1.
    ///
    /// Problems come first, each with its cause and its remedy. Text is plain if standard output is
    /// no terminal, and without colours if `NO_COLOR` is set.
    #[command(after_help = "Examples:\n  ikgate status\n  \
                            ikgate status --admin http://10.0.0.7:9090 --token-file admin.token\n  \
                            ikgate status --json")]
    Status(Status),
    /// Sign a token for a page, as a team's own back end would.
    ///
    /// Reads only the `jwt` section of the configuration. The token goes to standard output.
    #[command(
        after_help = "Examples:\n  ikgate token --config ikgate.toml --sub user-1 --key jwt.pem\n  \
                            ikgate token --config ikgate.toml --sub user-1 \
                            --files 64a1b2c3d4e5f60718293a4b --ttl 15m"
    )]
    Token(Token),
    /// Show the state of a running gateway live, in the terminal. Press q, Esc or Ctrl-C to quit.
    #[command(after_help = "Example:\n  ikgate top --admin http://127.0.0.1:9090")]
    Top(Top),
}

/// Parses the arguments, runs the command and returns its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // This fails only if the output cannot be written. Then the error cannot be reported.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS };
        }
    };
    let done = match cli.command {
        Command::Check(file) => return check(&file),
        Command::Completions(completions) => {
            completions.run(Cli::command());
            Ok(())
        }
        Command::Demo(demo) => demo.run(),
        Command::Healthcheck(healthcheck) => healthcheck.run(),
        Command::Keygen(keygen) => keygen.run(),
        Command::Man(man) => man.run(Cli::command()),
        Command::Purge(purge) => purge.run(),
        Command::Reference(reference) => reference.run(),
        Command::Sandbox(sandbox) => sandbox.run(),
        Command::Serve(file) => serve::run(&file),
        Command::Status(status) => status.run(),
        Command::Token(token) => token.run(),
        Command::Top(top) => top.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
