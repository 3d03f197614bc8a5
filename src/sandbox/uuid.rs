//! Random UUIDs for the ids of requests and events.

/// Returns a random UUID (version 4).
pub(super) fn uuid() -> String {
    let [a, b, c, d] = [(); 4].map(|()| fastrand::u32(..));
    let (b_high, b_low) = (b >> 16, (b & 0x0fff) | 0x4000);
    let (c_high, c_low) = ((c >> 16 & 0x3fff) | 0x8000, c & 0xffff);
    format!("{a:08x}-{b_high:04x}-{b_low:04x}-{c_high:04x}-{c_low:04x}{d:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_its_version_and_variant() {
        for _ in 0..100 {
            let uuid = uuid();
            assert_eq!(uuid.len(), 36, "{uuid}");
            assert_eq!(uuid.as_bytes()[14], b'4', "{uuid}");
            assert!(b"89ab".contains(&uuid.as_bytes()[19]), "{uuid}");
        }
    }
}
