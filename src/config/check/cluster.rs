//! Check of `[cluster]`: Redis URL and key namespace of the fleet.

use super::super::section::Section;
use crate::cluster::{ClusterSettings, FillLimits, RedisUrl};

const NAMESPACE_MAX: usize = 64;

pub(super) fn cluster(cluster: &mut Section, limits: FillLimits) -> Option<ClusterSettings> {
    let url = cluster.require("redis_url", |given| {
        RedisUrl::parse(given.text().map_err(str::to_owned)?).map_err(|error| error.to_string())
    });
    let namespace = cluster.get("namespace", |given| {
        let text = given.text().map_err(str::to_owned)?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if text.is_empty() || text.len() > NAMESPACE_MAX || !text.bytes().all(is_plain) {
            return Err(format!("must be 1 to {NAMESPACE_MAX} of A-Z a-z 0-9 - _ ."));
        }
        Ok(text.to_owned())
    });
    url.map(|url| ClusterSettings { url, namespace, limits })
}
