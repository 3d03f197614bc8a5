//! Command line of the program: the commands, their arguments and the exit codes.

mod admin_client;
mod beside;
mod completions;
mod demo;
mod healthcheck;
mod keygen;
mod man;
mod purge;
mod sandbox;
mod serve;
mod service_manager;
mod token;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::config::{self, Problems, Settings};

/// Version of the program, with the git commit of the build if it is known.
const VERSION: &str = env!("IKGATE_VERSION");

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
    Completions(completions::Completions),
    /// Try everything on this machine: a sandbox and the gateway in front of it.
    ///
    /// Needs no account and no configuration. Prints commands to paste.
    #[command(after_help = "Example:\n  ikgate demo --listen 127.0.0.1:8081")]
    Demo(demo::Demo),
    /// Ask a running gateway whether it is ready. Exit code 0 if so, else 1.
    #[command(after_help = "Example:\n  ikgate healthcheck --admin http://127.0.0.1:9090")]
    Healthcheck(healthcheck::Healthcheck),
    /// Make a key for a new caller.
    ///
    /// Prints the key, once, and the configuration that lets it in. Only its digest is kept.
    #[command(after_help = "Example:\n  ikgate keygen --caller web-team")]
    Keygen(keygen::Keygen),
    /// Write manual pages into a directory.
    #[command(after_help = "Example:\n  ikgate man ~/.local/share/man/man1")]
    Man(man::Man),
    /// Purge files, or all of them, from the cache of a running gateway.
    #[command(after_help = "Examples:\n  ikgate purge 64a1b2c3d4e5f60718293a4b\n  \
                            ikgate purge --all --soft --token-file admin.token")]
    Purge(purge::Purge),
    /// Run the stand-in for ImageKit alone.
    ///
    /// It answers version lists like the real API, and lets you add and remove versions.
    #[command(after_help = "Examples:\n  ikgate sandbox --listen 127.0.0.1:8090\n  \
                            curl -u private_sandbox=: \
                            http://127.0.0.1:8090/v1/files/64a1b2c3d4e5f60718293a4b/versions\n  \
                            curl -X POST \
                            http://127.0.0.1:8090/_sandbox/files/64a1b2c3d4e5f60718293a4b/versions")]
    Sandbox(sandbox::SandboxCommand),
    /// Run the gateway.
    #[command(after_help = "Example:\n  \
                            IMAGEKIT_PRIVATE_KEY=private_... ikgate serve --config ikgate.toml")]
    Serve(ConfigFile),
    /// Sign a token for a page, as a team's own back end would.
    ///
    /// Reads only the `jwt` section of the configuration. The token goes to standard output.
    #[command(
        after_help = "Examples:\n  ikgate token --config ikgate.toml --sub user-1 --key jwt.pem\n  \
                            ikgate token --config ikgate.toml --sub user-1 \
                            --files 64a1b2c3d4e5f60718293a4b --ttl 15m"
    )]
    Token(token::Token),
}

#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// Configuration file, in TOML. Relative paths in it start at its own directory.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Reason why a command failed.
#[derive(Debug)]
enum Failure {
    /// The configuration is not valid. Nothing was started.
    Config(Problems),
    /// The command could not start or complete.
    Run(String),
}

/// `EX_USAGE` and `EX_CONFIG` of sysexits.h.
const EXIT_USAGE: u8 = 64;
const EXIT_CONFIG: u8 = 78;

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
        Command::Sandbox(sandbox) => sandbox.run(),
        Command::Serve(file) => serve::run(&file),
        Command::Token(token) => token.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Config(problems)) => {
            complain(&format!("the configuration cannot be used:\n{problems}"));
            ExitCode::from(EXIT_CONFIG)
        }
        Err(Failure::Run(message)) => {
            complain(&message);
            ExitCode::FAILURE
        }
    }
}

fn load(file: &ConfigFile) -> Result<Settings, Failure> {
    config::load(&file.config, environment()).map_err(Failure::Config)
}

/// Returns the environment variables that are UTF-8. The names and values of the gateway's own
/// variables always are.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn check(file: &ConfigFile) -> ExitCode {
    match config::load(&file.config, environment()) {
        Ok(_) => {
            say("ok");
            ExitCode::SUCCESS
        }
        Err(problems) => {
            say(&problems.to_string());
            ExitCode::from(EXIT_CONFIG)
        }
    }
}

/// Prints the result of a command to standard output. It ignores a reader that has closed the pipe.
fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "ikgate: {text}");
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    // On one core, a pool of one thread only adds the cost of handing tasks over.
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut builder = match cores {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder.enable_all().build();
    runtime.map_err(|error| Failure::Run(format!("cannot start the runtime: {error}")))
}
