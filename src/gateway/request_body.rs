//! Bodies of requests: read into memory, or read and discarded, each within a size and a time.

use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::error::GatewayError;
use crate::message::HeadFault;

/// Request body. A webhook's body is read; any other body is discarded.
pub trait GatewayBody: Body<Data: Send, Error: Into<BodyError>> + Unpin + Send + 'static {}

type BodyError = Box<dyn std::error::Error + Send + Sync>;

impl<B: Body<Data: Send, Error: Into<BodyError>> + Unpin + Send + 'static> GatewayBody for B {}

/// Reads a body of at most `max` bytes.
///
/// # Errors
///
/// A body that is too long, malformed, cut off, or late.
pub(super) async fn read<B: GatewayBody>(
    body: B,
    max: usize,
    within: Duration,
) -> Result<Bytes, GatewayError> {
    let body = limited(body, max)?;
    in_time(within, async { Ok(body.collect().await?.to_bytes()) }).await
}

/// Reads and discards a body that has no use, so that the connection can be used again.
///
/// # Errors
///
/// As [`read`].
pub(super) async fn discard<B: GatewayBody>(
    body: B,
    max: usize,
    within: Duration,
) -> Result<(), GatewayError> {
    let mut body = limited(body, max)?;
    let read_all = async {
        while let Some(frame) = body.frame().await {
            frame?;
        }
        Ok(())
    };
    in_time(within, read_all).await
}

/// Limits a body to `max` bytes. A declared length that is longer is refused before it is read.
fn limited<B: GatewayBody>(body: B, max: usize) -> Result<Limited<B>, GatewayError> {
    if body.size_hint().lower() > max as u64 {
        return Err(GatewayError::Head(HeadFault::BodyTooLarge));
    }
    Ok(Limited::new(body, max))
}

async fn in_time<T>(
    within: Duration,
    reading: impl Future<Output = Result<T, BodyError>>,
) -> Result<T, GatewayError> {
    match tokio::time::timeout(within, reading).await {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(GatewayError::Head(HeadFault::BodyTooLarge))
        }
        Ok(Err(_)) => Err(GatewayError::BodyBroken),
        Err(_elapsed) => Err(GatewayError::BodyTimeout),
    }
}
