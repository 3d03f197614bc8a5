//! Screen of `ikgate status` and `ikgate top`: the most important first, so that a small terminal
//! cuts off the rest.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Table, Widget as _};

use super::numbers::clock_time;
use super::palette::Palette;
use super::snapshot::Snapshot;
use super::tables;
use super::text::{heading, parts, problem, wrapped};

/// Width from which two tables fit side by side.
const TWO_TABLES_WIDTH_MIN: u16 = 76;

/// Number of lines of the tables of traffic and sizes.
const TRAFFIC_HEIGHT: u16 = 6;

/// Height from which a line says which keys end a live screen.
const KEYS_HEIGHT_MIN: u16 = 12;
const KEYS: &str = "Updated every 2 s. q, Esc or Ctrl-C quits.";

/// Content of a screen.
pub(super) struct View<'a> {
    /// URL of the admin listener.
    pub(super) url: &'a str,
    pub(super) snapshot: Option<&'a Snapshot>,
    /// Present while the gateway does not answer.
    pub(super) silence: Option<&'a Silence>,
    pub(super) palette: Palette,
    /// Whether it is drawn again and again, until a key ends it.
    pub(super) is_live: bool,
}

/// Time without answers. Times are Unix seconds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Silence {
    pub(super) since: u64,
    pub(super) last_seen: Option<u64>,
    pub(super) reason: String,
}

impl View<'_> {
    pub(super) fn draw(&self, mut area: Rect, buffer: &mut Buffer) {
        if self.is_live && area.height >= KEYS_HEIGHT_MIN {
            area.height -= 1;
            let line = Rect { y: area.bottom(), height: 1, ..area };
            Line::raw(KEYS).render(line, buffer);
        }
        let mut rest = Rest { area, buffer };
        if let Some(silence) = self.silence {
            rest.lines(self.told(silence, area.width));
        }
        let old = rest.area;
        match (self.snapshot, self.silence) {
            (Some(snapshot), _) => self.draw_snapshot(snapshot, &mut rest),
            (None, None) => rest.lines(vec![Line::raw(format!("Waiting for {}", self.url))]),
            (None, Some(_)) => {}
        }
        if self.silence.is_some() {
            buffer.set_style(old, Style::new().add_modifier(Modifier::DIM));
        }
    }

    fn told(&self, silence: &Silence, width: u16) -> Vec<Line<'static>> {
        let Silence { since, last_seen, reason } = silence;
        let seen = last_seen.map_or_else(
            || "not seen yet".to_owned(),
            |seen| format!("last seen {}", clock_time(seen)),
        );
        let text = format!("gateway gone since {}, {seen}: {reason}", clock_time(*since));
        wrapped("NO ANSWER", &text, width.into(), self.palette.bad())
    }

    fn draw_snapshot(&self, snapshot: &Snapshot, rest: &mut Rest<'_>) {
        let (stats, palette) = (&snapshot.stats, self.palette);
        let width = rest.area.width;
        rest.lines(vec![heading(snapshot, self.url, palette)]);
        for current in &stats.problems {
            rest.lines(problem(current, width.into(), palette));
        }
        rest.lines(parts(snapshot, width.into(), palette));
        rest.blank();
        rest.pair(
            TRAFFIC_HEIGHT,
            44,
            tables::traffic(stats, palette),
            tables::sizes(stats, palette),
        );
        rest.blank();
        // Callers get half of the lines at most; two lines are titles, one is blank.
        let rows = rest.area.height.saturating_sub(3);
        let callers = shown(stats.callers.len().max(1), rows.div_ceil(2));
        rest.table(callers + 1, tables::callers(stats, callers, palette));
        rest.blank();
        let files = stats.top.requests.len().max(stats.top.fills.len()).max(1);
        let files = shown(files, rest.area.height.saturating_sub(1));
        let half = width.saturating_sub(3) / 2;
        let list = |title, counted, listed| {
            tables::files(title, counted, listed, (half.into(), files), palette)
        };
        rest.pair(
            files + 1,
            half,
            list("Top files by requests", "Requests", &stats.top.requests),
            list("Top files by upstream calls", "Calls", &stats.top.fills),
        );
        if rest.area.height > 2 && !stats.events.is_empty() {
            rest.blank();
            rest.table(rest.area.height, tables::events(&stats.events, palette));
        }
    }
}

/// Returns the number of rows that a list of this length has on `most` lines.
fn shown(length: usize, most: u16) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX).min(most)
}

/// Part of the screen that is still empty.
struct Rest<'a> {
    area: Rect,
    buffer: &'a mut Buffer,
}

impl Rest<'_> {
    /// Takes lines off the top: as many as there are.
    fn take(&mut self, height: u16) -> Rect {
        let height = height.min(self.area.height);
        let taken = Rect { height, ..self.area };
        self.area.y += height;
        self.area.height -= height;
        taken
    }

    fn blank(&mut self) {
        self.take(1);
    }

    fn lines(&mut self, lines: Vec<Line<'_>>) {
        let area = self.take(shown(lines.len(), u16::MAX));
        Paragraph::new(lines).render(area, self.buffer);
    }

    fn table(&mut self, height: u16, table: Table<'_>) {
        let area = self.take(height);
        table.render(area, self.buffer);
    }

    /// Draws two tables side by side, or one below the other on a narrow screen.
    fn pair(&mut self, height: u16, left_width: u16, left: Table<'_>, right: Table<'_>) {
        if self.area.width < TWO_TABLES_WIDTH_MIN {
            self.table(height, left);
            self.table(height, right);
            return;
        }
        let area = self.take(height);
        let x = left_width + 3;
        let right_area = Rect { x: area.x + x, width: area.width - x, ..area };
        left.render(Rect { width: left_width, ..area }, self.buffer);
        right.render(right_area, self.buffer);
    }
}

#[cfg(test)]
mod tests;
