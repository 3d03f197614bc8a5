//! Connection events for the metrics: refused connections and deadlines, as numbers.

/// Reason why a connection was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Refused {
    /// The address already has its maximum of open connections.
    PerAddress,
    /// The process is out of file descriptors, or of memory for sockets.
    OutOfFiles,
    /// The bytes were not a TLS handshake, or not one that this server accepts.
    Handshake,
}

/// Deadline that ended a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Deadline {
    /// The TLS handshake took too long.
    Handshake,
    /// A head took too long.
    Header,
    /// No request arrived.
    Idle,
    /// The client does not read its responses.
    WriteStall,
    /// The connection reached its longest age.
    Age,
    /// HTTP/2: the client abandoned over 200 requests more than were answered.
    Abandoned,
}

impl Refused {
    pub const ALL: [Self; 3] = [Self::PerAddress, Self::OutOfFiles, Self::Handshake];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::PerAddress => "per_ip",
            Self::OutOfFiles => "out_of_files",
            Self::Handshake => "handshake",
        }
    }

    pub(super) fn emit(self) {
        tracing::info!(target: "ikgate.connection_refused", reason = self as u64);
    }
}

impl Deadline {
    pub const ALL: [Self; 6] =
        [Self::Handshake, Self::Header, Self::Idle, Self::WriteStall, Self::Age, Self::Abandoned];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Header => "header",
            Self::Idle => "idle",
            Self::WriteStall => "write_stall",
            Self::Age => "age",
            Self::Abandoned => "abandoned",
        }
    }

    pub(super) fn emit(self) {
        tracing::info!(target: "ikgate.connection_deadline", deadline = self as u64);
    }
}
