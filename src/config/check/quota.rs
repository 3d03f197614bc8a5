//! Check of quotas, in every section.

use super::super::given::Given;
use super::super::section::Section;
use crate::limit::Quota;

/// Highest rate and burst. One cell of a higher rate would be shorter than a microsecond.
const RATE_MAX: u32 = 1_000_000;

/// Reads the quota under `key`. A member that is absent has the value of the declared default.
pub(super) fn quota(section: &mut Section, key: &str) -> Quota {
    let rate = |given: &Given| given.integer(&(1..=RATE_MAX));
    let mut quota = section.section(key);
    let (per_second, burst) = (quota.get("per_second", rate), quota.get("burst", rate));
    Quota::new(per_second, burst).expect("the range has no zero")
}
