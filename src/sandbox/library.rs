//! In-memory file store of the sandbox: a fixed set at the start, changed only under `/_sandbox`.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::object::{FileInfo, Media, Version, VersionObject};
use crate::file_id::FileId;

/// Id of an image that exists at the start of the sandbox, with three versions.
pub const IMAGE_WITH_VERSIONS: &str = "64a1b2c3d4e5f60718293a4b";

/// Maximum number of versions of a file at ImageKit.
const VERSIONS_MAX: usize = 100;
/// Maximum number of files in the sandbox. This many take about 100 MiB.
const FILES_MAX: usize = 100_000;

/// Creation time of the first file, in Unix time: the seconds at the start of its `ObjectId`.
const FIRST_CREATED: Duration = Duration::from_secs(0x64a1_b2c3);

/// Files by id, and their versions.
pub(super) struct Library {
    files: BTreeMap<String, File>,
    /// Number of version ids made so far. It makes each id unique.
    ids_made: u64,
}

struct File {
    name: String,
    media: Media,
    private: bool,
    /// Versions, the newest first. Never empty.
    versions: Vec<Version>,
}

/// Reason why a version could not be added.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum AddError {
    Full(&'static str),
    Id,
}

/// Entry in the list of all files.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileSummary {
    file_id: String,
    name: String,
    is_private_file: bool,
    versions: usize,
}

/// Result of a removal: the removed version, and the number of versions left.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RemovedVersion {
    pub(super) version_id: String,
    pub(super) versions_left: usize,
}

/// Returns whether the sandbox accepts `text` as an id. ImageKit does not document the rule.
pub(super) fn is_id(text: &str) -> bool {
    FileId::parse(text).is_ok()
}

impl Library {
    /// Returns the file store with the files of the start.
    pub(super) fn seeded() -> Self {
        let mut library = Self { files: BTreeMap::new(), ids_made: 0 };
        let seeds = [
            (IMAGE_WITH_VERSIONS, "harbour.jpg", Media::Image, false, 3),
            ("64a1b2c3d4e5f60718293a4c", "portrait.jpg", Media::Image, false, 1),
            ("64a1b2c3d4e5f60718293a4d", "trailer.mp4", Media::Video, false, 2),
            ("64a1b2c3d4e5f60718293a4e", "terms.pdf", Media::Document, false, 1),
            ("64a1b2c3d4e5f60718293a4f", "logo.jpg", Media::Image, false, VERSIONS_MAX),
            ("64a1b2c3d4e5f60718293a50", "draft.jpg", Media::Image, true, 2),
        ];
        for (id, name, media, private, versions) in seeds {
            let file = File { name: name.to_owned(), media, private, versions: Vec::new() };
            library.files.insert(id.to_owned(), file);
            for number in 1..=versions {
                let days = u32::try_from(number).unwrap_or_default();
                let created =
                    SystemTime::UNIX_EPOCH + FIRST_CREATED + Duration::from_hours(24) * days;
                library.push_version(id, created);
            }
        }
        library
    }

    /// Returns the versions of a file as ImageKit lists them, the newest first.
    pub(super) fn versions(&self, id: &str) -> Option<Vec<VersionObject>> {
        let file = self.files.get(id)?;
        let info = file.info(id);
        let objects = file.versions.iter().enumerate();
        Some(
            objects.map(|(index, version)| VersionObject::new(info, version, index == 0)).collect(),
        )
    }

    pub(super) fn summary(&self) -> Vec<FileSummary> {
        let summary = |(id, file): (&String, &File)| FileSummary {
            file_id: id.clone(),
            name: file.name.clone(),
            is_private_file: file.private,
            versions: file.versions.len(),
        };
        self.files.iter().map(summary).collect()
    }

    /// Adds a version to a file, and creates the file if it does not exist. Returns the version,
    /// and whether it is the first one of the file.
    pub(super) fn add_version(
        &mut self,
        id: &str,
        now: SystemTime,
    ) -> Result<(VersionObject, bool), AddError> {
        if !is_id(id) {
            return Err(AddError::Id);
        }
        let first = !self.files.contains_key(id);
        if let Some(file) = self.files.get(id) {
            if file.versions.len() >= VERSIONS_MAX {
                return Err(AddError::Full("A file has at most 100 versions."));
            }
        } else {
            if self.files.len() >= FILES_MAX {
                return Err(AddError::Full("The sandbox holds at most 100,000 files."));
            }
            let name = format!("{id}.jpg");
            let file = File { name, media: Media::Image, private: false, versions: Vec::new() };
            self.files.insert(id.to_owned(), file);
        }
        self.push_version(id, now);
        let newest = self.versions(id).and_then(|versions| versions.into_iter().next());
        newest.map(|object| (object, first)).ok_or(AddError::Id)
    }

    /// Removes the oldest version of a file. With the last version it removes the file.
    pub(super) fn remove_version(&mut self, id: &str) -> Option<RemovedVersion> {
        let file = self.files.get_mut(id)?;
        let oldest = file.versions.pop()?;
        let versions_left = file.versions.len();
        if versions_left == 0 {
            self.files.remove(id);
        }
        Some(RemovedVersion { version_id: oldest.id, versions_left })
    }

    fn push_version(&mut self, id: &str, created: SystemTime) {
        self.ids_made += 1;
        let since = created.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // The form of an ObjectId: four bytes of seconds, then eight bytes that make it unique.
        let version_id =
            format!("{:08x}{:016x}", since.as_secs(), 0x5ab0_0000_0000_0000 + self.ids_made);
        if let Some(file) = self.files.get_mut(id) {
            let number = file.versions.first().map_or(1, |newest| newest.number + 1);
            file.versions.insert(0, Version { id: version_id, number, created });
        }
    }
}

impl File {
    fn info<'a>(&'a self, id: &'a str) -> FileInfo<'a> {
        FileInfo { file_id: id, name: &self.name, media: self.media, private: self.private }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_hold_every_kind_of_list() {
        let library = Library::seeded();
        let counts: Vec<_> = library.summary().iter().map(|file| file.versions).collect();
        assert_eq!(counts, [3, 1, 2, 1, 100, 2]);
        let video = library.versions("64a1b2c3d4e5f60718293a4d").unwrap();
        let video = serde_json::to_value(&video[1]).unwrap();
        assert_eq!(video["type"], "file-version");
        assert_eq!(video["videoCodec"], "h264");
        assert_eq!(video["createdAt"], "2023-07-03T17:24:19.000Z");
        let document = library.versions("64a1b2c3d4e5f60718293a4e").unwrap();
        let document = serde_json::to_value(&document[0]).unwrap();
        assert!(document.get("width").is_none() && document.get("bitRate").is_none());
    }

    #[test]
    fn versions_come_newest_first_and_go_oldest_first() {
        let mut library = Library::seeded();
        let (added, first) = library.add_version("new", SystemTime::UNIX_EPOCH).unwrap();
        assert!(first);
        library.add_version("new", SystemTime::UNIX_EPOCH).unwrap();
        let ids = |library: &Library| -> Option<Vec<String>> {
            let versions = library.versions("new")?;
            Some(versions.into_iter().map(|version| version.version_info.id).collect())
        };
        assert_eq!(ids(&library).unwrap()[1], added.version_info.id);
        assert_eq!(library.remove_version("new").unwrap().version_id, added.version_info.id);
        assert_eq!(library.remove_version("new").unwrap().versions_left, 0);
        assert!(ids(&library).is_none() && library.remove_version("new").is_none());
    }

    #[test]
    fn a_file_has_at_most_100_versions() {
        let mut library = Library::seeded();
        let full = library.add_version("64a1b2c3d4e5f60718293a4f", SystemTime::UNIX_EPOCH);
        assert!(matches!(full, Err(AddError::Full(_))));
        assert!(matches!(library.add_version("a b", SystemTime::UNIX_EPOCH), Err(AddError::Id)));
    }
}
