//! Runner of the `ikgate` program as a process, as its users start it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, Command, Output, Stdio};
use std::time::Duration;

use crate::shared::Owned;

/// Returns a temporary directory that is removed when the test ends.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn command(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ikgate"));
    command.args(arguments).env_clear().envs(environment.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the program to its end.
pub(crate) fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    command(arguments, environment).output().unwrap()
}

/// Program that runs until it is stopped or dropped.
pub(crate) struct Program {
    child: Owned,
    /// Unread part of the log; some of it may be in this buffer already.
    log: BufReader<ChildStderr>,
    /// Address of the first public listener.
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Program {
    /// Starts `ikgate serve` and waits until its log says that it is ready.
    pub(crate) fn serve(config: &Path, environment: &[(&str, &str)]) -> Self {
        let config = config.to_str().unwrap();
        Self::started(command(&["serve", "--config", config], environment))
    }

    /// Starts `ikgate serve` with passed sockets, as systemd passes them, see [`passing`].
    pub(crate) fn serve_passed(
        config: &Path,
        environment: &[(&str, &str)],
        variables: &str,
        sockets: &[&dyn AsFd],
    ) -> Self {
        Self::started(passing(config, environment, variables, sockets))
    }

    /// Starts `ikgate serve` with a log that does not show "ready"; the service manager gets it.
    pub(crate) fn serve_quietly(config: &Path, environment: &[(&str, &str)]) -> Self {
        let directory = scratch();
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        manager.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut command = command(&["serve", "--config", config.to_str().unwrap()], environment);
        let mut child = command.env("NOTIFY_SOCKET", &path).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut message = [0; 4096];
        let length = receive(&manager, &mut message).expect("not ready in time");
        let message = String::from_utf8_lossy(&message[..length]);
        let (_, addresses) = message.split_once("answering on [").unwrap();
        let (public, admin) = addresses.split_once("], operators on ").unwrap();
        let admin = admin.lines().next().unwrap().parse().unwrap();
        Self { child: Owned(child), log, public: public.parse().unwrap(), admin }
    }

    fn started(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let ready = loop {
            let mut line = String::new();
            if log.read_line(&mut line).unwrap() == 0 {
                let ended = child.wait().unwrap();
                panic!("it ended before it was ready: {ended}");
            }
            let event: serde_json::Value =
                serde_json::from_str(&line).unwrap_or_else(|_| panic!("not a log line: {line}"));
            if event["message"] == "ready" {
                break event;
            }
        };
        let address = |name: &str| {
            let text = ready[name].as_str().unwrap().trim_matches(['[', ']']);
            text.split(", ").next().unwrap().parse().unwrap()
        };
        let (public, admin) = (address("public"), address("admin"));
        Self { child: Owned(child), log, public, admin }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.0.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        self.child.signal(name);
    }

    /// Waits for the end of the program. Returns the exit code and the rest of the log.
    pub(crate) fn wait(mut self) -> (Option<i32>, String) {
        // Reads the log to its end first, because a program whose pipe is full cannot end.
        let mut log = String::new();
        self.log.read_to_string(&mut log).unwrap();
        let code = self.child.0.wait().unwrap().code();
        (code, log)
    }
}

/// Running `ikgate demo`, until it is dropped.
pub(crate) struct Demo {
    _child: Owned,
    pub(crate) gateway: SocketAddr,
    /// Origin of its page.
    pub(crate) page: String,
}

impl Demo {
    /// Starts the demo and waits until it has printed its addresses.
    pub(crate) fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = command(arguments, environment).stderr(Stdio::null()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut urls = output.lines().map(Result::unwrap).filter_map(|line| {
            let (name, url) = line.split_once(':')?;
            Some((name.to_owned(), url.split_whitespace().next()?.to_owned()))
        });
        let mut url = |wanted: &str| {
            let found = urls.find(|(name, _)| name == wanted);
            found.unwrap_or_else(|| panic!("it ended before it named its {wanted}")).1
        };
        let (page, help) = (url("Page"), url("Help"));
        let address = help.strip_prefix("http://").unwrap().split('/').next().unwrap();
        let gateway = address.parse().unwrap();
        Self { _child: Owned(child), gateway, page: page.trim_end_matches('/').to_owned() }
    }
}

/// Returns a command of `ikgate serve` with one or two passed sockets as descriptors 3 and 4. A
/// shell sets the variables that describe them, so that `$$` is the process id of the program.
fn passing(
    config: &Path,
    environment: &[(&str, &str)],
    variables: &str,
    sockets: &[&dyn AsFd],
) -> Command {
    let of = |socket: &&dyn AsFd| Stdio::from(socket.as_fd().try_clone_to_owned().unwrap());
    let mut command = Command::new("/bin/sh");
    let redirected = match sockets {
        [first] => {
            command.stdin(of(first)).stdout(Stdio::piped());
            "3<&0 0</dev/null"
        }
        [first, second] => {
            command.stdin(of(first)).stdout(of(second));
            "3<&0 4<&1 0</dev/null 1>/dev/null"
        }
        _ => panic!("one socket, or two"),
    };
    let script = format!("export {variables}; exec \"$0\" \"$@\" {redirected}");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_ikgate"), "serve", "--config"]);
    command.arg(config).env_clear().envs(environment.iter().copied()).stderr(Stdio::piped());
    command
}

/// Runs the program with passed sockets to its end, which comes by itself.
pub(crate) fn run_passed(
    config: &Path,
    environment: &[(&str, &str)],
    variables: &str,
    sockets: &[&dyn AsFd],
) -> Output {
    passing(config, environment, variables, sockets).output().unwrap()
}

/// Receives a message, and retries an interrupted call. The end of another test's program is a
/// signal, which interrupts a call that has a timeout.
pub(crate) fn receive(socket: &UnixDatagram, message: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match socket.recv(message) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            received => return received,
        }
    }
}

/// Writes a configuration with an ample quota, and returns its file.
pub(crate) fn config_file(directory: &Path, listen: &str, origin: SocketAddr) -> PathBuf {
    let file = directory.join("ikgate.toml");
    let text = format!(
        "[server]\nlisten = [{listen:?}]\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [limits]\nanonymous = {{ per_second = 100000, burst = 100000 }}\n\
         [upstream]\nurl = \"http://{origin}\""
    );
    std::fs::write(&file, text).unwrap();
    file
}
