//! HTTP/1.1 response reader for tests: reads one response with its whole body.

use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Response with its whole body.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    /// Body as received.
    pub(crate) bytes: Vec<u8>,
    /// Body as text.
    pub(crate) body: String,
}

impl Answer {
    /// Returns the value of a field. Panics if the field is not present exactly once.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.find(name).unwrap_or_else(|| panic!("no field {name} in {self:#?}"))
    }

    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        let (_, value) = values.next()?;
        assert!(values.next().is_none(), "two fields {name} in {self:#?}");
        Some(value)
    }
}

/// Reads one response to `method`. `None` if the connection ended before one began.
pub(crate) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    method: &str,
) -> Result<Option<Answer>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) if head.is_empty() => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    let head = String::from_utf8(head).map_err(|_| Error::from(ErrorKind::InvalidData))?;
    let mut lines = head.trim_end().lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let status: u16 = status.ok_or(ErrorKind::InvalidData)?;
    let fields = lines
        .map(|line| line.split_once(": ").unwrap_or((line, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let mut answer = Answer { status, fields, bytes: Vec::new(), body: String::new() };
    if method != "HEAD" && !matches!(status, 100..=199 | 204 | 304) {
        answer.bytes = vec![0; answer.field("content-length").parse().unwrap()];
        stream.read_exact(&mut answer.bytes).await?;
        answer.body = String::from_utf8_lossy(&answer.bytes).into_owned();
    }
    Ok(Some(answer))
}
