//! Field values that are written for each response, on the stack and without formatting machinery.

use http::HeaderValue;

/// Longest value in bytes: more than a caller's name of 64 and a few numbers.
const CAPACITY: usize = 160;

/// Field value under construction, on the stack. Turned into a `HeaderValue`, it is copied once, at
/// its exact size.
pub struct FieldText {
    bytes: [u8; CAPACITY],
    len: usize,
}

impl FieldText {
    /// Starts a value with this text.
    pub fn new(text: &str) -> Self {
        let mut new = Self { bytes: [0; CAPACITY], len: 0 };
        new.text(text);
        new
    }

    /// Appends visible ASCII or blanks. Text that does not fit is dropped.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    /// Appends bytes that are known to be visible ASCII or blanks. Bytes that do not fit are
    /// dropped.
    pub fn bytes(&mut self, text: &[u8]) -> &mut Self {
        let end = self.len + text.len();
        if let Some(free) = self.bytes.get_mut(self.len..end) {
            free.copy_from_slice(text);
            self.len = end;
        }
        self
    }

    pub fn number(&mut self, number: u64) -> &mut Self {
        self.text(itoa::Buffer::new().format(number))
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Returns the value.
    ///
    /// # Panics
    ///
    /// If anything but visible ASCII and blanks was appended.
    pub fn to_value(&self) -> HeaderValue {
        HeaderValue::from_bytes(self.as_bytes())
            .expect("only visible ASCII and blanks are appended")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_numbers_follow_each_other_and_never_overflow() {
        assert_eq!(FieldText::new("a; t=").number(7).text(";").to_value(), "a; t=7;");
        let long = FieldText::new(&"x".repeat(150)).text(&"y".repeat(20)).number(1).to_value();
        assert_eq!(long.len(), 151);
    }
}
