//! JSON object of one file version: the fields of ImageKit's `FileDetails`, in the order of its
//! examples. A field that a kind of file does not have is left out.

use std::time::{Duration, SystemTime};

use serde::Serialize;

/// Kind of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Media {
    Document,
    Image,
    Video,
}

/// Stored data of one version, from which its JSON object is made.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) id: String,
    pub(super) number: u32,
    pub(super) created: SystemTime,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VersionObject {
    pub(super) file_id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    name: String,
    file_path: String,
    tags: Option<Vec<&'static str>>,
    #[serde(rename = "AITags")]
    ai_tags: Option<Vec<AiTag>>,
    pub(super) version_info: VersionInfo,
    is_private_file: bool,
    is_published: bool,
    custom_coordinates: Option<&'static str>,
    url: String,
    thumbnail: String,
    file_type: &'static str,
    mime: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
    size: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    has_alpha: Option<bool>,
    #[serde(flatten)]
    video: Option<VideoFields>,
    custom_metadata: CustomMetadata,
    embedded_metadata: Option<()>,
    description: String,
    created_at: String,
    updated_at: String,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct VersionInfo {
    pub(super) id: String,
    name: String,
}

#[derive(Clone, Debug, Serialize)]
struct AiTag {
    name: &'static str,
    confidence: f32,
    source: &'static str,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct VideoFields {
    bit_rate: u32,
    duration: u32,
    audio_codec: &'static str,
    video_codec: &'static str,
}

#[derive(Clone, Debug, Serialize)]
struct CustomMetadata {
    campaign: &'static str,
    revision: u32,
}

/// Data that all versions of a file share.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileInfo<'a> {
    pub(super) file_id: &'a str,
    pub(super) name: &'a str,
    pub(super) media: Media,
    pub(super) private: bool,
}

impl VersionObject {
    /// Makes the JSON object of a version. `current` is true for the newest version of its file.
    pub(super) fn new(file: FileInfo<'_>, version: &Version, current: bool) -> Self {
        let path = format!("/sandbox/{}", file.name);
        let query = if current {
            String::new()
        } else {
            // ImageKit addresses old versions by an opaque id. Only its alphabet is known.
            format!("?ik-obj-version={}", version.id.chars().rev().collect::<String>())
        };
        let (file_type, mime) = match file.media {
            Media::Document => ("non-image", "application/pdf"),
            Media::Image => ("image", "image/jpeg"),
            Media::Video => ("non-image", "video/mp4"),
        };
        let dimensions = (file.media != Media::Document).then_some((1600, 900));
        let updated = version.created + Duration::from_secs(90);
        Self {
            file_id: file.file_id.to_owned(),
            kind: if current { "file" } else { "file-version" },
            name: file.name.to_owned(),
            file_path: path.clone(),
            tags: (file.media == Media::Image).then(|| vec!["sandbox", "summer"]),
            ai_tags: (file.media == Media::Image).then(ai_tags),
            version_info: VersionInfo {
                id: version.id.clone(),
                name: format!("Version {}", version.number),
            },
            is_private_file: file.private,
            is_published: true,
            custom_coordinates: (file.media == Media::Image).then_some("10,10,40,40"),
            url: format!("https://ik.imagekit.io/sandbox{path}{query}"),
            thumbnail: format!("https://ik.imagekit.io/sandbox/tr:n-ik_ml_thumbnail{path}{query}"),
            file_type,
            mime,
            width: dimensions.map(|(width, _)| width),
            height: dimensions.map(|(_, height)| height),
            size: 120_000 + version.number * 137,
            has_alpha: dimensions.map(|_| false),
            video: (file.media == Media::Video).then_some(VideoFields {
                bit_rate: 1_453_966,
                duration: 7,
                audio_codec: "aac",
                video_codec: "h264",
            }),
            custom_metadata: CustomMetadata { campaign: "sandbox", revision: version.number },
            embedded_metadata: None,
            description: format!("Version {} of {}", version.number, file.name),
            created_at: humantime::format_rfc3339_millis(version.created).to_string(),
            updated_at: humantime::format_rfc3339_millis(updated).to_string(),
        }
    }
}

fn ai_tags() -> Vec<AiTag> {
    vec![
        AiTag { name: "Sky", confidence: 98.5, source: "google-auto-tagging" },
        AiTag { name: "Sky", confidence: 97.25, source: "aws-auto-tagging" },
    ]
}
