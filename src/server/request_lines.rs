//! Filter that makes hyper refuse fragments in request targets. hyper's parser drops a fragment
//! silently, although no target may have one (RFC 9112 section 3.2). The filter replaces a `#` in a
//! request line by an octet that the parser refuses.

use memchr::{memchr, memchr3};

/// Control character, which no target may have (RFC 3986 section 2) and which hyper refuses.
const CONTROL: u8 = 0x01;

/// Fields that announce a body.
const LENGTH: &[u8] = b"content-length:";
const CODING: &[u8] = b"transfer-encoding:";

/// Bytes kept from the beginning of a field line: room for a length of 20 digits.
const KEPT_BYTES: usize = 40;

/// Position in the stream of requests, kept from one read to the next.
#[derive(Debug)]
pub(super) struct RequestLines {
    at: At,
    /// Beginning of a field line that arrives in several reads.
    kept: [u8; KEPT_BYTES],
    /// Body that the current head has announced.
    body: Body,
}

/// Body behind a head.
#[derive(Clone, Copy, Debug, Default)]
enum Body {
    #[default]
    None,
    Bytes(u64),
    /// Only hyper knows where it ends.
    Unknown,
}

#[derive(Clone, Copy, Debug)]
enum At {
    /// In a request line, or in the line ends before it.
    RequestLine(Part),
    /// In a field line of which `begun` bytes have arrived.
    Field { begun: usize },
    /// In a body of which this many bytes are left.
    Body(u64),
    /// Behind a head whose body ends where only hyper knows. Nothing is replaced from here on.
    Unknown,
}

/// Part of the request line that was reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    /// Only line ends so far.
    Empty,
    /// In the method, which may have a `#`.
    Method,
    Target,
}

impl Default for At {
    fn default() -> Self {
        Self::RequestLine(Part::Empty)
    }
}

impl At {
    const FIELD: Self = Self::Field { begun: 0 };
}

impl Default for RequestLines {
    fn default() -> Self {
        Self { at: At::default(), kept: [0; KEPT_BYTES], body: Body::None }
    }
}

impl RequestLines {
    /// Follows received bytes, and replaces each `#` in a request line.
    pub(super) fn follow(&mut self, received: &mut [u8]) {
        let mut rest = received;
        while !rest.is_empty() {
            let taken = match self.at {
                At::RequestLine(part) => self.request_line(rest, part),
                At::Field { begun } => self.field(rest, begun),
                At::Body(left) => self.body(rest.len(), left),
                At::Unknown => return,
            };
            rest = rest.get_mut(taken..).unwrap_or_default();
        }
    }

    /// Follows a request line to its end. Returns the number of bytes.
    fn request_line(&mut self, rest: &mut [u8], mut part: Part) -> usize {
        let is_line_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let mut from = 0;
        while let Some(place) = rest.get(from..).and_then(|rest| memchr3(b' ', b'#', b'\n', rest)) {
            let line_so_far = rest.get(from..=from + place).unwrap_or_default();
            if part == Part::Empty && !line_so_far.iter().all(is_line_end) {
                part = Part::Method;
            }
            from += place + 1;
            match (rest.get_mut(from - 1), part) {
                (Some(octet @ b'#'), Part::Target) => *octet = CONTROL,
                (Some(b' '), _) => part = Part::Target,
                (Some(b'\n'), _) => {
                    let is_empty = part == Part::Empty;
                    self.at = if is_empty { At::default() } else { At::FIELD };
                    return from;
                }
                _ => {}
            }
        }
        let last = rest.get(from..).unwrap_or_default();
        if part == Part::Empty && !last.iter().all(is_line_end) {
            part = Part::Method;
        }
        self.at = At::RequestLine(part);
        rest.len()
    }

    /// Follows a field line to its end. Returns the number of its bytes.
    fn field(&mut self, rest: &[u8], begun: usize) -> usize {
        let Some(end) = memchr(b'\n', rest) else {
            self.keep(rest, begun);
            self.at = At::Field { begun: begun + rest.len() };
            return rest.len();
        };
        let line = rest.get(..end).unwrap_or_default();
        if begun == 0 {
            self.end_field(line, line.len());
        } else {
            self.keep(line, begun);
            let (kept, length) = (self.kept, begun + end);
            self.end_field(kept.get(..length).unwrap_or(&kept), length);
        }
        end + 1
    }

    /// Keeps the beginning of a line that comes in several reads.
    fn keep(&mut self, part: &[u8], begun: usize) {
        let room = self.kept.get_mut(begun..).unwrap_or_default();
        for (to, from) in room.iter_mut().zip(part) {
            *to = *from;
        }
    }

    /// Reads a line that is complete. `start`: its beginning, of `length` bytes at most.
    fn end_field(&mut self, start: &[u8], length: usize) {
        self.at = At::FIELD;
        match start.first() {
            None => self.end_head(),
            Some(b'\r') if length == 1 => self.end_head(),
            Some(b'c' | b'C' | b't' | b'T') => self.announce(start, length),
            Some(_) => {}
        }
    }

    fn end_head(&mut self) {
        self.at = match std::mem::take(&mut self.body) {
            Body::None | Body::Bytes(0) => At::default(),
            Body::Bytes(left) => At::Body(left),
            Body::Unknown => At::Unknown,
        };
    }

    /// Takes note of a field that announces a body. hyper refuses lengths that differ. A transfer
    /// coding takes precedence over a length.
    fn announce(&mut self, start: &[u8], length: usize) {
        if starts_with(start, CODING) {
            self.body = Body::Unknown;
        } else if starts_with(start, LENGTH) {
            let is_whole = length <= KEPT_BYTES;
            let bytes = start.get(LENGTH.len()..).filter(|_| is_whole).and_then(number);
            self.body = match (self.body, bytes) {
                (Body::Unknown, _) | (_, None) => Body::Unknown,
                (_, Some(bytes)) => Body::Bytes(bytes),
            };
        }
    }

    /// Skips bytes of a body. Returns their number.
    fn body(&mut self, received: usize, left: u64) -> usize {
        let taken = usize::try_from(left).map_or(received, |left| left.min(received));
        let left = left.saturating_sub(taken as u64);
        self.at = if left == 0 { At::default() } else { At::Body(left) };
        taken
    }
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text.trim_ascii()).ok()?.parse().ok()
}

fn starts_with(line: &[u8], name: &[u8]) -> bool {
    line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns what hyper receives, if the bytes arrive in pieces of this length.
    fn followed(received: &str, piece: usize) -> String {
        let (mut lines, mut bytes) = (RequestLines::default(), received.as_bytes().to_vec());
        for piece in bytes.chunks_mut(piece) {
            lines.follow(piece);
        }
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_fragment_is_spoilt_in_request_lines_and_nowhere_else() {
        for (received, expected) in [
            ("GET /a#b HTTP/1.1\r\nx: #\r\n\r\n", "GET /a\x01b HTTP/1.1\r\nx: #\r\n\r\n"),
            ("\r\n\nGET /# HTTP/1.1\n\n", "\r\n\nGET /\x01 HTTP/1.1\n\n"),
            (
                "GET / HTTP/1.1\r\na: b\r\n\r\nGET /#/# HTTP/1.1\r\n\r\n",
                "GET / HTTP/1.1\r\na: b\r\n\r\nGET /\x01/\x01 HTTP/1.1\r\n\r\n",
            ),
            ("\r\nG#T / HTTP/1.1\r\n\r\n\r\n# #", "\r\nG#T / HTTP/1.1\r\n\r\n\r\n# \x01"),
        ] {
            for piece in 1..=received.len() {
                assert_eq!(followed(received, piece), expected, "in pieces of {piece}");
            }
        }
    }

    #[test]
    fn a_body_is_left_as_it_is_and_what_follows_one_of_a_known_length_is_not() {
        let request = "POST / HTTP/1.1\r\nHost: a\r\n";
        for (received, expected) in [
            ("Content-Length: 4\r\n\r\n# #\nGET /# HTTP/1.1\r\n\r\n", 1),
            ("content-length:0\r\n\r\nGET /# HTTP/1.1\r\n\r\n", 1),
            ("Content-Length: 2\r\nContent-Length: 2\r\n\r\n #GET /# HTTP/1.1\r\n\r\n", 1),
            ("tRANSFER-eNCODING: chunked\r\n\r\n # #\r\nGET /# HTTP/1.1\r\n\r\n", 0),
            ("Transfer-Encoding: a\r\nContent-Length: 0\r\n\r\n / #\r\n", 0),
            ("Content-Length: 4a\r\n\r\nGET /# HTTP/1.1\r\n\r\n", 0),
            ("Content-Length:                             1\r\n\r\nGET /# HTTP/1.1\r\n\r\n", 0),
        ] {
            let received = format!("{request}{received}");
            let last = received.rfind('#').unwrap();
            for piece in 1..=received.len() {
                let followed = followed(&received, piece);
                assert_eq!(followed.matches('\x01').count(), expected, "{received:?} {piece}");
                assert_eq!(followed.as_bytes()[last] == 1, expected == 1, "{received:?} {piece}");
            }
        }
    }

    proptest! {
        #[test]
        fn how_bytes_are_cut_makes_no_difference(
            received in "([A-Z]{0,3} /#?[a-z]{0,3} HTTP|\r\n|\n|\r|#|content-length: [0-9]|a: b){0,20}",
            piece in 1..20_usize,
        ) {
            prop_assert_eq!(followed(&received, piece), followed(&received, received.len().max(1)));
        }
    }
}
