//! Standard output: whether it is a terminal, its size, and a drawn screen as text.

use std::io::{self, IsTerminal as _};

use ratatui::backend::IntoCrossterm as _;
use ratatui::buffer::{Buffer, Cell};
use ratatui::crossterm::style::{Attribute, Attributes, ContentStyle, StyledContent};
use ratatui::crossterm::terminal;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};

use super::palette::Palette;

/// Size of a terminal that does not tell it.
const TERMINAL: Rect = Rect::new(0, 0, 80, 24);

/// Size of the text if standard output is no terminal: as wide as a page, and as long as the lists.
const PAGE: Rect = Rect::new(0, 0, 80, 80);

pub(super) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Returns the styles for standard output: colours if it is a terminal and `NO_COLOR` is not set
/// (<https://no-color.org>).
pub(super) fn palette() -> Palette {
    let is_off = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    Palette { has_colours: is_terminal() && !is_off }
}

/// Returns the area that `ikgate status` may fill, without the line of the prompt.
pub(super) fn area() -> Rect {
    if !is_terminal() {
        return PAGE;
    }
    match terminal::size() {
        Ok((width, height)) if width > 0 && height > 1 => Rect::new(0, 0, width, height - 1),
        _ => TERMINAL,
    }
}

/// Returns a drawn screen as lines of text, without blanks at their ends and empty lines at the end
/// of the screen. `has_styles`: with the escape sequences of a terminal.
pub(super) fn text(buffer: &Buffer, has_styles: bool) -> String {
    let width = usize::from(buffer.area.width).max(1);
    let lines = buffer.content.chunks(width).map(|cells| {
        let length = cells.iter().rposition(|cell| cell.symbol() != " ").map_or(0, |last| last + 1);
        line(cells.get(..length).unwrap_or_default(), has_styles)
    });
    let lines: Vec<_> = lines.collect();
    lines.join("\n").trim_end().to_owned()
}

fn line(cells: &[Cell], has_styles: bool) -> String {
    let runs = cells.chunk_by(|one, next| (one.fg, one.modifier) == (next.fg, next.modifier));
    let run = |cells: &[Cell]| {
        let text: String = cells.iter().map(Cell::symbol).collect();
        match cells.first() {
            Some(cell) if has_styles => StyledContent::new(style(cell), text).to_string(),
            _ => text,
        }
    };
    runs.map(run).collect()
}

fn style(cell: &Cell) -> ContentStyle {
    let has_colour = cell.fg != Color::Reset;
    let is_bold = cell.modifier.contains(Modifier::BOLD);
    ContentStyle {
        foreground_color: has_colour.then(|| cell.fg.into_crossterm()),
        attributes: if is_bold { Attribute::Bold.into() } else { Attributes::none() },
        ..ContentStyle::default()
    }
}
