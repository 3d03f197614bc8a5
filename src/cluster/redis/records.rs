//! Encoding of records as fields of a Redis stream entry.

use std::time::Duration;

use redis::streams::StreamId;

use crate::cache::{PurgeMode, Target};
use crate::cluster::protocol::{NodeId, Record, RecordKind, StreamPosition};
use crate::file_id::FileId;
use crate::invalidation::{InvalidationSource, Purge};

/// Text for a purge of every file. No file has this id.
const ALL: &str = "*";

/// Returns the fields of a record, except epoch and sequence number.
pub(super) fn fields(node: NodeId, kind: &RecordKind) -> Vec<String> {
    let mut fields = vec!["node".to_owned(), node.to_string()];
    let mut put = |name: &str, value: &str| fields.extend([name.to_owned(), value.to_owned()]);
    match kind {
        RecordKind::Heartbeat { sent } => {
            put("kind", "beat");
            put("sent", &sent.as_nanos().to_string());
        }
        RecordKind::Leave => put("kind", "leave"),
        // These are never written.
        RecordKind::Stray | RecordKind::Unknown => {}
        RecordKind::Purge(Purge { target, mode, source }) => {
            put("kind", mode.as_str());
            put(
                "target",
                match target {
                    Target::All => ALL,
                    Target::File(file) => file.as_str(),
                },
            );
            put("source", source.as_str());
        }
    }
    fields
}

/// Parses a stream entry. An entry that cannot be read keeps its position: a node of another
/// version may have written it.
pub(super) fn parse(entry: &StreamId) -> Record {
    let text = |name: &str| entry.get::<String>(name);
    let number = text("epoch").zip(text("seq").and_then(|seq| seq.parse().ok()));
    let (node, kind) = match (&number, read(entry)) {
        (Some(_), Some(read)) => read,
        (Some(_), None) => (NodeId(0), RecordKind::Unknown),
        (None, _) => (NodeId(0), RecordKind::Stray),
    };
    let (epoch, seq) = number.unwrap_or_default();
    Record { position: StreamPosition { epoch, seq, id: entry.id.clone() }, node, kind }
}

fn read(entry: &StreamId) -> Option<(NodeId, RecordKind)> {
    let text = |name: &str| entry.get::<String>(name);
    let node = NodeId::parse(&text("node")?)?;
    let name = text("kind")?;
    let kind = match name.as_str() {
        "beat" => RecordKind::Heartbeat { sent: Duration::from_nanos(text("sent")?.parse().ok()?) },
        "leave" => RecordKind::Leave,
        name => {
            let mode = PurgeMode::ALL.into_iter().find(|mode| mode.as_str() == name)?;
            let target = match text("target")?.as_str() {
                ALL => Target::All,
                file => Target::File(FileId::parse(file).ok()?),
            };
            let source = text("source")?;
            let mut sources = InvalidationSource::ALL.into_iter();
            let source = sources.find(|known| known.as_str() == source)?;
            RecordKind::Purge(Purge { target, mode, source })
        }
    };
    Some((node, kind))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use redis::Value;

    use super::*;

    fn entry(fields: &[String]) -> StreamId {
        let text = |text: &String| Value::BulkString(text.clone().into_bytes());
        let of_server = ["epoch", "e", "seq", "7"].map(str::to_owned);
        let all = [&of_server[..], fields].concat();
        let map = all.chunks(2).map(|pair| (pair[0].clone(), text(&pair[1])));
        StreamId {
            id: "5-0".to_owned(),
            map: map.collect::<HashMap<_, _>>(),
            milliseconds_elapsed_from_delivery: None,
            delivered_count: None,
        }
    }

    #[test]
    fn written_fields_are_read_as_the_same_record() {
        let file = Target::File(FileId::parse("a-b_C9").unwrap());
        let purges = [file, Target::All].into_iter().flat_map(|target| {
            PurgeMode::ALL.map(|mode| Purge { target, mode, source: InvalidationSource::Webhook })
        });
        let heartbeat = RecordKind::Heartbeat { sent: Duration::from_nanos(u64::MAX) };
        for kind in purges.map(RecordKind::Purge).chain([heartbeat, RecordKind::Leave]) {
            let record = parse(&entry(&fields(NodeId(0xab), &kind)));
            assert_eq!((record.node, record.kind), (NodeId(0xab), kind));
            let position = StreamPosition { epoch: "e".to_owned(), seq: 7, id: "5-0".to_owned() };
            assert_eq!(record.position, position);
        }
    }

    #[test]
    fn an_unreadable_record_keeps_its_position() {
        let readable = fields(NodeId(1), &RecordKind::Leave);
        let purge = ["node", "1", "kind", "hard", "target", "../x", "source", "admin"];
        let later = ["node", "1", "kind", "rename", "target", "*", "source", "admin"];
        for fields in [&readable[..2], &purge.map(str::to_owned), &later.map(str::to_owned)] {
            let record = parse(&entry(fields));
            assert_eq!((record.kind, record.position.seq), (RecordKind::Unknown, 7), "{fields:?}");
        }
        let mut stray = entry(&readable);
        stray.map.remove("seq");
        let record = parse(&stray);
        assert_eq!((record.kind, record.position.id.as_str()), (RecordKind::Stray, "5-0"));
    }
}
