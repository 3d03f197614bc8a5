//! Response to a head that cannot be read. hyper has no request to answer in that case, so this
//! module writes the response.

use std::convert::Infallible;
use std::io;

use bytes::Buf;
use http::{HeaderMap, Response};
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use crate::server::inbound::Inbound;
use crate::server::outbound::Liveness;
use crate::server::service::Unreadable;

/// Writes a response and closes the connection. Where the service has none, the response is hyper's
/// own, or else the status alone.
pub(super) async fn write<I, B>(
    mut socket: Inbound<I>,
    refused: Unreadable,
    response: Option<Response<B>>,
) -> io::Result<()>
where
    I: AsyncRead + AsyncWrite + Liveness + Unpin,
    B: Body<Data: Buf, Error = Infallible> + Unpin,
{
    let bare = socket.take_refusal();
    if let Some(response) = response {
        let (parts, mut body) = response.into_parts();
        socket.write_all(&head(refused, &parts.headers, body.size_hint().lower())).await?;
        if let Some(Ok(frame)) = body.frame().await
            && let Ok(mut data) = frame.into_data()
        {
            socket.write_all_buf(&mut data).await?;
        }
    } else {
        let bare = bare.unwrap_or_else(|| head(refused, &HeaderMap::new(), 0));
        socket.write_all(&bare).await?;
    }
    socket.shutdown().await
}

/// Returns the head of a response that ends its connection.
fn head(refused: Unreadable, fields: &HeaderMap, length: u64) -> Vec<u8> {
    let status = refused.status();
    let mut head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n").into_bytes();
    for (name, value) in fields {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    if !fields.contains_key(http::header::CONNECTION) {
        head.extend_from_slice(b"connection: close\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::{Context, Poll};

    use bytes::Bytes;
    use http::HeaderValue;
    use http::header::{CONNECTION, DATE};
    use http_body_util::Full;
    use tokio::io::{AsyncReadExt as _, DuplexStream};

    use super::*;

    impl Liveness for DuplexStream {
        fn poll_broken(&self, _context: &mut Context<'_>) -> Poll<io::Error> {
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn a_service_without_a_response_of_its_own_refuses_with_the_status_alone() {
        let (server, mut client) = tokio::io::duplex(1000);
        let socket = Inbound::new(server, Arc::default());
        let written = tokio::spawn(write::<_, Full<Bytes>>(socket, Unreadable::TimedOut, None));
        let mut received = String::new();
        client.shutdown().await.unwrap();
        client.read_to_string(&mut received).await.unwrap();
        written.await.unwrap().unwrap();
        let expected =
            "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        assert_eq!(received, expected);
    }

    #[test]
    fn the_head_of_a_refusal_says_once_that_the_connection_ends() {
        let mut fields = HeaderMap::new();
        fields.insert(DATE, HeaderValue::from_static("now"));
        let expected = "HTTP/1.1 408 Request Timeout\r\ncontent-length: 2\r\ndate: now\r\n\
                        connection: close\r\n\r\n";
        assert_eq!(head(Unreadable::TimedOut, &fields, 2), expected.as_bytes());
        fields.insert(CONNECTION, HeaderValue::from_static("close"));
        assert_eq!(head(Unreadable::TimedOut, &fields, 2), expected.as_bytes());
    }
}
