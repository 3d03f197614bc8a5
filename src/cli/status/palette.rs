//! Styles of the screen. Without colours, bold and dim text still tell the parts apart.

use ratatui::style::{Color, Modifier, Style};

use crate::admin::Severity;

/// Styles, with or without colours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Palette {
    pub(super) has_colours: bool,
}

impl Palette {
    pub(super) fn good(self) -> Style {
        self.coloured(Color::Green)
    }

    pub(super) fn warn(self) -> Style {
        self.coloured(Color::Yellow)
    }

    pub(super) fn bad(self) -> Style {
        self.coloured(Color::Red).add_modifier(Modifier::BOLD)
    }

    pub(super) fn title(self) -> Style {
        self.coloured(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    pub(super) fn severity(self, severity: Severity) -> Style {
        match severity {
            Severity::Critical => self.bad(),
            Severity::Warning => self.warn(),
        }
    }

    /// Style of a value: good as it is, or bad.
    pub(super) fn good_if(self, is_good: bool) -> Style {
        if is_good { self.good() } else { self.bad() }
    }

    /// Style of a value that is normal, or worth a look.
    pub(super) fn warn_if(self, is_odd: bool) -> Style {
        if is_odd { self.warn() } else { Style::new() }
    }

    fn coloured(self, colour: Color) -> Style {
        if self.has_colours { Style::new().fg(colour) } else { Style::new() }
    }
}
