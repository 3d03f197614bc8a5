//! Tables of the screen: traffic, sizes, callers, files and recent events.

use ratatui::layout::{Alignment, Constraint};
use ratatui::style::Style;
use ratatui::text::Text;
use ratatui::widgets::{Cell, Row, Table};

use super::numbers::{UNKNOWN, bytes, clock_time, number, percent, real};
use super::palette::Palette;
use super::traffic::{Traffic, ratio};
use crate::admin::{Stats, TopFile};
use crate::telemetry::{CallerRow, FileCount, RecentEvent};

/// Hit ratio from which traffic counts as normal.
const HIT_RATIO_MIN: f64 = 0.5;

/// Returns what callers get, in the last interval and in the whole history.
pub(super) fn traffic(stats: &Stats, palette: Palette) -> Table<'static> {
    let last = stats.points.len().saturating_sub(1);
    let periods = [stats.points.get(last..).unwrap_or_default(), &stats.points[..]];
    let [now, all] = periods.map(|points| Traffic::of(points, stats.interval_seconds));
    let per_second = |rate: Option<f64>| told(rate, |rate| format!("{}/s", number(rate)));
    let row = |label, value: fn(&Traffic) -> Option<f64>, text: &dyn Fn(Option<f64>) -> String| {
        row_of(label, [text(value(&now)), text(value(&all))])
    };
    let share = |share| told(share, percent);
    let is_low = now.hit_ratio().is_some_and(|ratio| ratio < HIT_RATIO_MIN);
    let failed = now.failed_share().unwrap_or_default();
    let failed_style = if failed > 0.0 { palette.bad() } else { Style::new() };
    let throttles = now.throttled_rate().unwrap_or_default() > 0.0;
    let rows = [
        row("Requests", Traffic::request_rate, &per_second),
        row("Errors (5xx)", Traffic::failed_share, &share).style(failed_style),
        row("Hit ratio", Traffic::hit_ratio, &share).style(palette.warn_if(is_low)),
        row("Upstream calls saved", Traffic::saved_rate, &per_second),
        row("Throttled", Traffic::throttled_rate, &per_second).style(palette.warn_if(throttles)),
    ];
    let header = row_of("Traffic", [&now, &all].map(last_seconds)).style(palette.title());
    let widths = [Constraint::Length(20), Constraint::Length(10), Constraint::Length(12)];
    Table::new(rows, widths).header(header)
}

/// Returns sizes and counts at the end of the last interval.
pub(super) fn sizes(stats: &Stats, palette: Palette) -> Table<'static> {
    let point = stats.points.last();
    let most = &stats.most;
    let rows = [
        (
            "Cache size",
            point.map(|point| {
                format!("{} of {}", bytes(point.cache_bytes), bytes(most.cache_bytes))
            }),
        ),
        ("Cache entries", point.map(|point| number(real(point.cache_entries)))),
        (
            "Connections",
            point.map(|point| format!("{} of {}", point.connections, most.connections)),
        ),
        ("Memory", point.map(|point| format!("{} resident", bytes(point.resident_bytes)))),
        ("Fills", point.map(|point| format!("{} in progress", point.fills_in_progress))),
    ];
    let rows = rows.map(|(label, value)| {
        let value = value.unwrap_or_else(|| UNKNOWN.to_owned());
        Row::new([Cell::from(label), Cell::from(value)])
    });
    let widths = [Constraint::Length(13), Constraint::Fill(1)];
    Table::new(rows, widths).header(Row::new(["Now", ""]).style(palette.title()))
}

/// Returns the callers with the most requests, on this number of lines below the title.
pub(super) fn callers(stats: &Stats, lines: u16, palette: Palette) -> Table<'static> {
    let period = Traffic::of(&stats.points, stats.interval_seconds);
    let title = format!("Top callers, {}", last_seconds(&period));
    let rows = stats.callers.iter().map(|CallerRow { caller, counts }| {
        let hit_ratio = told(ratio(counts.hits, counts.lookups), percent);
        let failures = [counts.throttled, counts.unauthorized, counts.failed];
        let style = palette.warn_if(failures != [0; 3]);
        let [throttled, unauthorized, failed] = failures.map(|count| number(real(count)));
        let requests = number(real(counts.requests));
        row_of(caller, [requests, hit_ratio, throttled, unauthorized, failed]).style(style)
    });
    let header = ["Requests", "Hit ratio", "Throttled", "401", "5xx"].map(str::to_owned);
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(6),
        Constraint::Length(6),
    ];
    Table::new(cut(rows, lines), widths).header(row_of(&title, header).style(palette.title()))
}

/// Columns of a count and the space before it.
const COUNT_WIDTH: usize = 10;

/// Returns the most frequent files on this number of lines below the title, with their paths if
/// those fit into `width` columns.
pub(super) fn files(
    title: &str,
    count: &str,
    files: &[TopFile],
    (width, lines): (usize, u16),
    palette: Palette,
) -> Table<'static> {
    let rows = files.iter().map(|TopFile { count: FileCount { file, count, error }, path }| {
        let approximate = if *error > 0 { "≈ " } else { "" };
        let label = path.as_ref().map(|path| format!("{file}  {path}"));
        let label = label.filter(|label| label.chars().count() + COUNT_WIDTH < width);
        row_of(label.as_ref().unwrap_or(file), [format!("{approximate}{}", number(real(*count)))])
    });
    let widths = [Constraint::Fill(1), Constraint::Length(9)];
    Table::new(cut(rows, lines), widths)
        .header(row_of(title, [count.to_owned()]).style(palette.title()))
}

/// Returns the recent events, newest first.
pub(super) fn events(events: &[RecentEvent], palette: Palette) -> Table<'static> {
    let rows = events.iter().rev().map(|RecentEvent { at, level, text }| {
        let style = match level.as_ref() {
            "error" => palette.bad(),
            "warn" => palette.warn(),
            _ => Style::new(),
        };
        Row::new([clock_time(*at), level.to_string(), text.clone()]).style(style)
    });
    let widths = [Constraint::Length(9), Constraint::Length(5), Constraint::Fill(1)];
    let header = Row::new(["Time", "Level", "Recent events"]).style(palette.title());
    Table::new(rows, widths).header(header)
}

/// Returns as many rows of a list as there are lines. The last line says how many rows are left
/// out, or that the list is empty. If there is one line only, it is the first row.
fn cut<'a>(rows: impl ExactSizeIterator<Item = Row<'a>>, lines: u16) -> Vec<Row<'a>> {
    let (total, lines) = (rows.len(), usize::from(lines));
    let (shown, last) = match total {
        0 => (0, Some("none".to_owned())),
        _ if total <= lines || lines < 2 => (lines, None),
        _ => (lines - 1, Some(format!("… {} more", total - (lines - 1)))),
    };
    rows.take(shown).chain(last.map(|text| Row::new([text]))).collect()
}

/// Returns a row of a label and right-aligned values.
fn row_of<const COUNT: usize>(label: &str, values: [String; COUNT]) -> Row<'static> {
    let values =
        values.into_iter().map(|value| Cell::from(Text::from(value).alignment(Alignment::Right)));
    Row::new(std::iter::once(Cell::from(label.to_owned())).chain(values))
}

fn told(value: Option<f64>, text: impl Fn(f64) -> String) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), text)
}

fn last_seconds(traffic: &Traffic) -> String {
    match traffic.seconds() {
        0 => UNKNOWN.to_owned(),
        seconds @ 0..60 => format!("last {seconds} s"),
        seconds => format!("last {} min", seconds / 60),
    }
}
