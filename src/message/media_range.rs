//! Media ranges of `Accept`, and the weight that a client gives to a media type (RFC 9110 sections
//! 12.4.2 and 12.5.1).

use super::coding::{WEIGHT_MAX, qvalue};

/// Media type that could be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MediaType {
    pub kind: &'static str,
    pub subtype: &'static str,
    /// Value of the parameter `version`. Other parameters are not compared.
    pub version: &'static str,
}

/// Weight that a client gives to a media type.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Acceptance {
    /// Weight in thousandths. 0: the type is not acceptable, or no range covers it.
    pub weight: u16,
    /// Whether a range names the type itself, and not only a wildcard that includes it.
    pub is_named: bool,
}

/// Specificity of a range for a type. The most specific range counts, even if its weight is lower.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Specificity {
    Anything,
    Kind,
    Type,
    Version,
}

struct MediaRange<'a> {
    kind: &'a str,
    subtype: &'a str,
    version: Option<&'a str>,
    weight: u16,
}

/// Reads the lines of `Accept` as one list, and weighs each of these types by it. A member that
/// breaks the grammar is ignored.
pub fn accepted<const N: usize>(lines: &[&[u8]], types: [MediaType; N]) -> [Acceptance; N] {
    let lines = lines.iter().filter_map(|line| std::str::from_utf8(line).ok());
    let members = lines.flat_map(|line| outside_quotes(line, ','));
    let ranges: Vec<_> = members.filter_map(MediaRange::parse).collect();
    types.map(|wanted| {
        let covering =
            ranges.iter().filter_map(|range| Some((range.covers(wanted)?, range.weight)));
        let best = covering.max_by_key(|(specificity, _)| *specificity);
        best.map_or(Acceptance::default(), |(specificity, weight)| Acceptance {
            weight,
            is_named: specificity >= Specificity::Type,
        })
    })
}

impl<'a> MediaRange<'a> {
    fn parse(member: &'a str) -> Option<Self> {
        let mut parts = outside_quotes(member, ';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let mut range = Self { kind, subtype, version: None, weight: WEIGHT_MAX };
        for parameter in parts {
            let (name, value) = parameter.split_once('=')?;
            if name.eq_ignore_ascii_case("q") {
                range.weight = qvalue(value.as_bytes())?;
            } else if name.eq_ignore_ascii_case("version") {
                range.version = Some(value.trim_matches('"'));
            }
        }
        Some(range)
    }

    fn covers(&self, wanted: MediaType) -> Option<Specificity> {
        let kind = self.kind.eq_ignore_ascii_case(wanted.kind);
        let subtype = self.subtype.eq_ignore_ascii_case(wanted.subtype);
        match self.version {
            Some(version) => {
                (kind && subtype && version == wanted.version).then_some(Specificity::Version)
            }
            None if kind && subtype => Some(Specificity::Type),
            None if kind && self.subtype == "*" => Some(Specificity::Kind),
            None if self.kind == "*" && self.subtype == "*" => Some(Specificity::Anything),
            None => None,
        }
    }
}

/// Splits the text at a character that is not between quotes.
fn outside_quotes(text: &str, at: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '"';
        c == at && !quoted
    })
}
