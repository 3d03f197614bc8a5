//! Content codings, and the choice of one by `Accept-Encoding` (RFC 9110 sections 8.4.1 and
//! 12.5.3).

use super::request::{FieldName, RequestFields};

/// Coding that a list can be sent in. The preferred coding comes first.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Coding {
    Brotli,
    Gzip,
    /// No coding.
    Identity,
}

impl Coding {
    pub const ALL: [Self; 3] = [Self::Brotli, Self::Gzip, Self::Identity];

    /// Returns the name as `Content-Encoding` has it. Identity is not named in that field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
            Self::Identity => "identity",
        }
    }
}

/// Weight that a request gives to each coding, in thousandths. 0: not acceptable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AcceptedCodings {
    brotli: u16,
    gzip: u16,
    identity: u16,
}

pub(super) const WEIGHT_MAX: u16 = 1000;
/// Weight of an identity coding that the request does not name: acceptable, after all others.
const WEIGHT_LEAST: u16 = 1;

impl AcceptedCodings {
    /// Reads `Accept-Encoding`. A member that breaks the grammar is ignored. If a coding is named
    /// twice, the later mention counts.
    ///
    /// Without the field every coding is acceptable; a client that does not ask for one gets
    /// identity.
    pub fn of(fields: &RequestFields<'_>) -> Self {
        let (mut brotli, mut gzip, mut identity, mut others) = (None, None, None, None);
        let lines = fields.all(FieldName::AcceptEncoding);
        for member in lines.flat_map(|value| value.split(|&byte| byte == b',')) {
            let Some((name, weight)) = member_of(member) else { continue };
            if name.eq_ignore_ascii_case(b"br") {
                brotli = Some(weight);
            } else if name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip") {
                gzip = Some(weight);
            } else if name.eq_ignore_ascii_case(b"identity") {
                identity = Some(weight);
            } else if name == b"*" {
                others = Some(weight);
            }
        }
        Self {
            brotli: brotli.or(others).unwrap_or(0),
            gzip: gzip.or(others).unwrap_or(0),
            identity: identity.or(others).unwrap_or(WEIGHT_LEAST),
        }
    }

    /// Returns the best coding that is available. Identity always is. It is sent if no other coding
    /// is acceptable, even if the caller refuses it: that serves the caller better than a 406.
    pub fn best(self, is_available: impl Fn(Coding) -> bool) -> Coding {
        let mut best = (Coding::Identity, 0);
        for (coding, weight) in [
            (Coding::Brotli, self.brotli),
            (Coding::Gzip, self.gzip),
            (Coding::Identity, self.identity),
        ] {
            if weight > best.1 && is_available(coding) {
                best = (coding, weight);
            }
        }
        best.0
    }
}

/// Parses `codings [ ";" "q=" qvalue ]`, with optional white space around each part.
fn member_of(member: &[u8]) -> Option<(&[u8], u16)> {
    let mut parts = member.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    let name = parts.next()?;
    let weight = match parts.next() {
        None => WEIGHT_MAX,
        Some(parameter) => {
            qvalue(parameter.strip_prefix(b"q=").or(parameter.strip_prefix(b"Q="))?)?
        }
    };
    parts.next().is_none().then_some((name, weight))
}

/// Parses a weight of at most three decimals, in thousandths (RFC 9110 section 12.4.2).
pub(super) fn qvalue(text: &[u8]) -> Option<u16> {
    let (whole, decimals) = match text {
        [whole @ (b'0' | b'1')] => (*whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', decimals @ ..] if decimals.len() <= 3 => (*whole, decimals),
        _ => return None,
    };
    let mut thousandths = if whole == b'1' { WEIGHT_MAX } else { 0 };
    for (digit, place) in decimals.iter().zip([100, 10, 1]) {
        thousandths += u16::from(digit.is_ascii_digit().then(|| digit - b'0')?) * place;
    }
    (thousandths <= WEIGHT_MAX).then_some(thousandths)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::request::tests::{fields, map};

    fn accepted(lines: &[&str]) -> AcceptedCodings {
        let lines: Vec<_> = lines.iter().map(|line| ("accept-encoding", line.as_bytes())).collect();
        AcceptedCodings::of(&fields(&map(&lines)))
    }

    fn best(line: &str) -> Coding {
        accepted(&[line]).best(|_| true)
    }

    #[test]
    fn weights_decide_and_brotli_wins_a_draw() {
        let table = [
            ("gzip, deflate, br, zstd", Coding::Brotli),
            ("gzip, deflate", Coding::Gzip),
            ("x-gzip", Coding::Gzip),
            ("GZIP;Q=0.5", Coding::Gzip),
            ("br;q=0.9, gzip", Coding::Gzip),
            ("br ; q=0.900 ,gzip;q=0.9", Coding::Brotli),
            ("br;q=0, gzip;q=0.001", Coding::Gzip),
            ("identity, br;q=0.5", Coding::Identity),
            ("identity;q=0.5, br;q=0.5", Coding::Brotli),
            ("*", Coding::Brotli),
            ("br;q=0, *", Coding::Gzip),
            ("*;q=0", Coding::Identity),
            ("identity;q=0", Coding::Identity),
            ("br;q=0, gzip;q=0, identity;q=0", Coding::Identity),
            ("", Coding::Identity),
            (" , ,", Coding::Identity),
            ("deflate", Coding::Identity),
            // `Accept-Encoding` of older Java and Ruby SDKs.
            ("application/json", Coding::Identity),
            ("br;q=1.1", Coding::Identity),
            ("br;q=0.1234", Coding::Identity),
            ("br;q=", Coding::Identity),
            ("br;q=.5", Coding::Identity),
            ("br;level=1", Coding::Identity),
            ("br;q=1;q=1", Coding::Identity),
            ("br;q=1.", Coding::Brotli),
        ];
        for (line, expected) in table {
            assert_eq!(best(line), expected, "{line:?}");
        }
    }

    #[test]
    fn without_the_field_identity_is_sent_and_lines_are_one_list() {
        assert_eq!(accepted(&[]).best(|_| true), Coding::Identity);
        assert_eq!(accepted(&["gzip;q=0.5", "br;q=0.4"]).best(|_| true), Coding::Gzip);
    }

    #[test]
    fn what_is_not_there_is_not_chosen() {
        let accepted = accepted(&["br, gzip;q=0.5"]);
        assert_eq!(accepted.best(|coding| coding != Coding::Brotli), Coding::Gzip);
        assert_eq!(accepted.best(|coding| coding == Coding::Identity), Coding::Identity);
    }

    proptest! {
        #[test]
        fn any_value_is_read_without_panic_and_never_chooses_what_has_weight_0(
            line in "[ -~\t]{0,60}",
        ) {
            let accepted = accepted(&[&line]);
            let weight = match accepted.best(|_| true) {
                Coding::Brotli => accepted.brotli,
                Coding::Gzip => accepted.gzip,
                Coding::Identity => WEIGHT_LEAST,
            };
            prop_assert!((1..=WEIGHT_MAX).contains(&weight));
        }
    }
}
