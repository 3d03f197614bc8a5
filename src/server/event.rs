//! What is told of connections, for the metrics: numbers, as all counted events are.

/// Why somebody was not let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Refused {
    /// As many connections as one address may have are open.
    PerAddress,
    /// The process is out of file descriptors, or of memory for sockets.
    OutOfFiles,
    /// What should have been a TLS handshake was none, or not one of ours.
    Handshake,
}

/// Why a connection was ended that had not ended itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Deadline {
    /// The TLS handshake took too long.
    Handshake,
    /// A head took too long.
    Header,
    /// Nothing was asked for.
    Idle,
    /// The other side does not take what it asked for.
    WriteStall,
    /// It was open for long enough.
    Age,
    /// HTTP/2: more requests were given up by whoever made them than answered.
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
