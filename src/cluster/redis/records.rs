//! Encoding of records as fields of a Redis stream entry.

use std::time::Duration;

use redis::streams::StreamId;

use crate::cache::{PurgeMode, Target};
use crate::cluster::bus::{NodeId, Position, Record, What};
use crate::file_id::FileId;
use crate::invalidation::{InvalidationSource, Purge};

/// Target of a purge of every file. No file has this id.
const ALL: &str = "*";

/// Returns the fields of a record, except epoch and sequence number.
pub(super) fn fields(node: NodeId, what: &What) -> Vec<String> {
    let mut fields = vec!["node".to_owned(), node.to_string()];
    let mut put = |name: &str, value: &str| fields.extend([name.to_owned(), value.to_owned()]);
    match what {
        What::Beat { sent } => {
            put("kind", "beat");
            put("sent", &sent.as_nanos().to_string());
        }
        What::Leave => put("kind", "leave"),
        // These are never written.
        What::Stray | What::Unknown => {}
        What::Purge(Purge { target, mode, source }) => {
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
    let place = text("epoch").zip(text("seq").and_then(|seq| seq.parse().ok()));
    let (node, what) = match (&place, read(entry)) {
        (Some(_), Some(read)) => read,
        (Some(_), None) => (NodeId(0), What::Unknown),
        (None, _) => (NodeId(0), What::Stray),
    };
    let (epoch, seq) = place.unwrap_or_default();
    Record { position: Position { epoch, seq, id: entry.id.clone() }, node, what }
}

fn read(entry: &StreamId) -> Option<(NodeId, What)> {
    let text = |name: &str| entry.get::<String>(name);
    let node = NodeId::parse(&text("node")?)?;
    let kind = text("kind")?;
    let what = match kind.as_str() {
        "beat" => What::Beat { sent: Duration::from_nanos(text("sent")?.parse().ok()?) },
        "leave" => What::Leave,
        kind => {
            let mode = PurgeMode::ALL.into_iter().find(|mode| mode.as_str() == kind)?;
            let target = match text("target")?.as_str() {
                ALL => Target::All,
                file => Target::File(FileId::parse(file).ok()?),
            };
            let source = text("source")?;
            let known = InvalidationSource::ALL.into_iter();
            let source = known.into_iter().find(|known| known.as_str() == source)?;
            What::Purge(Purge { target, mode, source })
        }
    };
    Some((node, what))
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
    fn what_is_written_is_what_is_read() {
        let file = Target::File(FileId::parse("a-b_C9").unwrap());
        let purges = [file, Target::All].into_iter().flat_map(|target| {
            PurgeMode::ALL.map(|mode| Purge { target, mode, source: InvalidationSource::Webhook })
        });
        let beat = What::Beat { sent: Duration::from_nanos(u64::MAX) };
        for what in purges.map(What::Purge).chain([beat, What::Leave]) {
            let record = parse(&entry(&fields(NodeId(0xab), &what)));
            assert_eq!((record.node, record.what), (NodeId(0xab), what));
            let position = Position { epoch: "e".to_owned(), seq: 7, id: "5-0".to_owned() };
            assert_eq!(record.position, position);
        }
    }

    #[test]
    fn what_cannot_be_read_has_its_place_all_the_same() {
        let good = fields(NodeId(1), &What::Leave);
        let purge = ["node", "1", "kind", "hard", "target", "../x", "source", "admin"];
        let later = ["node", "1", "kind", "rename", "target", "*", "source", "admin"];
        for fields in [&good[..2], &purge.map(str::to_owned), &later.map(str::to_owned)] {
            let record = parse(&entry(fields));
            assert_eq!((record.what, record.position.seq), (What::Unknown, 7), "{fields:?}");
        }
        let mut stray = entry(&good);
        stray.map.remove("seq");
        let record = parse(&stray);
        assert_eq!((record.what, record.position.id.as_str()), (What::Stray, "5-0"));
    }
}
