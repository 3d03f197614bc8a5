//! Pseudo-terminal that runs the program as a user's terminal does, and shows its screen.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use ikgate::clock::Clock;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::shared::Owned;

const PATIENCE: Duration = Duration::from_secs(20);

/// Text that is written to the terminal after the program has ended. All output is before it.
const END: &str = "END OF OUTPUT";

pub(crate) struct Terminal {
    child: Owned,
    keyboard: File,
    /// Side of the pseudo-terminal that the program has.
    program_side: OwnedFd,
    modes: LocalModes,
    chunks: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    /// Everything that was written to the terminal.
    pub(crate) output: String,
}

impl Terminal {
    /// Starts the program in a terminal of 80x24.
    pub(crate) fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        let master = openpt(flags).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let program_side = ioctl_tiocgptpeer(&master, flags).unwrap();
        tcsetwinsize(&program_side, window(24, 80)).unwrap();
        let modes = tcgetattr(&program_side).unwrap().local_modes;
        let stdio = || Stdio::from(program_side.try_clone().unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_ikgate"));
        command.args(arguments).env_clear().env("TERM", "xterm-256color");
        command.envs(environment.iter().copied()).stdin(stdio()).stdout(stdio()).stderr(stdio());
        let child = Owned(command.spawn().unwrap());
        let keyboard = File::from(master);
        let mut screen = keyboard.try_clone().unwrap();
        let (sender, chunks) = channel();
        // The thread ends with the test, when both ends of the terminal are closed.
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(length @ 1..) = screen.read(&mut chunk) {
                if sender.send(chunk[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        let screen = vt100::Parser::new(size(24), size(80), 0);
        Self { child, keyboard, program_side, modes, chunks, screen, output: String::new() }
    }

    /// Waits until the screen shows this text.
    pub(crate) fn shows(&mut self, text: &str) {
        self.waits_for(text, |screen| screen.contents().contains(text));
    }

    /// Waits until the screen does not show this text.
    pub(crate) fn hides(&mut self, text: &str) {
        self.waits_for(text, |screen| !screen.contents().contains(text));
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    pub(crate) fn signal(&self, name: &str) {
        self.child.signal(name);
    }

    pub(crate) fn resize(&mut self, rows: u16, columns: u16) {
        tcsetwinsize(&self.program_side, window(rows, columns)).unwrap();
        self.screen.screen_mut().set_size(size(rows), size(columns));
        // The terminal does not control the program's session, so that the kernel tells nothing.
        self.signal("WINCH");
    }

    /// Returns the text on the screen.
    pub(crate) fn text(&self) -> String {
        self.screen.screen().contents()
    }

    /// Waits for the end of the program, and returns its exit code. The terminal must be as it was
    /// before the program.
    pub(crate) fn is_left_as_it_was(&mut self) -> Option<i32> {
        let code = self.child.0.wait().unwrap().code();
        let mut program_side = File::from(self.program_side.try_clone().unwrap());
        program_side.write_all(END.as_bytes()).unwrap();
        self.shows(END);
        assert_eq!(tcgetattr(&self.program_side).unwrap().local_modes, self.modes);
        let screen = self.screen.screen();
        assert!(!screen.alternate_screen() && !screen.hide_cursor(), "{:?}", self.output);
        code
    }

    fn waits_for(&mut self, text: &str, holds: impl Fn(&vt100::Screen) -> bool) {
        let clock = Clock::system();
        let deadline = clock.monotonic() + PATIENCE;
        while !holds(self.screen.screen()) {
            let left = deadline.saturating_sub(clock.monotonic());
            let Ok(chunk) = self.chunks.recv_timeout(left) else {
                panic!("waits for {text:?}:\n{}\n{:?}", self.text(), self.output)
            };
            self.screen.process(&chunk);
            self.output.push_str(&String::from_utf8_lossy(&chunk));
        }
    }
}

fn window(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

fn size(length: u16) -> NonZeroU16 {
    NonZeroU16::new(length).unwrap()
}
