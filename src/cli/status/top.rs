//! `ikgate top`: the screen of `ikgate status`, live.

use std::io;
use std::pin::pin;
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use tokio::sync::mpsc;

use super::output::{is_terminal, palette};
use super::snapshot::{Snapshot, Unavailable, fetch};
use super::view::View;
use super::watch::Watch;
use crate::cli::admin_client::{AdminClient, AdminOptions};
use crate::cli::report::Failure;
use crate::cli::runtime::runtime;
use crate::cli::serve::StopSignals;
use crate::clock::Clock;

/// Pause between two polls. The gateway takes a sample every 5 s; its problems are of the moment.
const PERIOD: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Top {
    #[command(flatten)]
    admin: AdminOptions,
}

impl Top {
    pub(in crate::cli) fn run(&self) -> Result<(), Failure> {
        let client = self.admin.client()?;
        if !is_terminal() {
            let message = "standard output is no terminal: use `ikgate status`, which prints once";
            return Err(Failure::Usage(message.to_owned()));
        }
        runtime()?.block_on(watch(&client))
    }
}

/// Shows the gateway until the user or a signal ends it.
async fn watch(client: &AdminClient) -> Result<(), Failure> {
    let (url, palette, clock) = (client.url(), palette(), Clock::system());
    let mut stop = StopSignals::listen()?;
    let mut screen = Screen::open().map_err(|error| terminal_failed(&error))?;
    let mut events = terminal_events();
    let mut watch = Watch::default();
    let mut polled = pin!(poll(client, Duration::ZERO));
    loop {
        let drawn = screen.draw(&watch.view(&url, palette));
        drawn.map_err(|error| terminal_failed(&error))?;
        tokio::select! {
            answer = &mut polled => {
                watch.note(answer, clock.unix_time().as_secs())?;
                polled.set(poll(client, PERIOD));
            }
            event = events.recv() => match event {
                Some(Ok(event)) if quits(&event) => return Ok(()),
                // The next turn of the loop draws, in the new size if that has changed.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(terminal_failed(&error)),
                None => return Ok(()),
            },
            () = stop.next() => return Ok(()),
        }
    }
}

async fn poll(client: &AdminClient, pause: Duration) -> Result<Snapshot, Unavailable> {
    tokio::time::sleep(pause).await;
    fetch(client).await
}

fn quits(event: &Event) -> bool {
    event.as_key_press_event().is_some_and(|key| match key.code {
        KeyCode::Char('q') | KeyCode::Esc => true,
        KeyCode::Char('c') => key.modifiers.contains(KeyModifiers::CONTROL),
        _ => false,
    })
}

/// Reads keys and changes of size on a thread that ends with the process: a read of the terminal
/// cannot be cancelled.
fn terminal_events() -> mpsc::Receiver<io::Result<Event>> {
    let (sender, receiver) = mpsc::channel(16);
    std::thread::spawn(move || {
        loop {
            let event = event::read();
            let is_last = event.is_err();
            if sender.blocking_send(event).is_err() || is_last {
                return;
            }
        }
    });
    receiver
}

fn terminal_failed(error: &io::Error) -> Failure {
    Failure::Run(format!("the terminal cannot be used: {error}"))
}

/// Terminal in raw mode, on its alternate screen. When dropped, it is as before.
struct Screen(DefaultTerminal);

impl Screen {
    /// Also restores the terminal in a panic, before the panic's message is printed.
    fn open() -> io::Result<Self> {
        Ok(Self(ratatui::try_init()?))
    }

    fn draw(&mut self, view: &View<'_>) -> io::Result<()> {
        self.0.draw(|frame| view.draw(frame.area(), frame.buffer_mut()))?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // In a panic, ratatui's hook has restored it. A second time would move the cursor.
        if !std::thread::panicking() {
            // This fails only if the terminal is gone.
            let _ = self.0.show_cursor();
            let _ = ratatui::try_restore();
        }
    }
}
