//! Header fields whose value never changes.

use crate::message::{ConstantField, constant_field};

pub(super) static JSON: ConstantField =
    constant_field!(ContentType, "content-type", "application/json; charset=utf-8");
pub(super) static NOSNIFF: ConstantField =
    constant_field!(ContentTypeOptions, "x-content-type-options", "nosniff");
pub(super) static NO_STORE: ConstantField =
    constant_field!(CacheControl, "cache-control", "no-store");
pub(super) static VARY: ConstantField = constant_field!(Vary, "vary", "Origin, Accept-Encoding");
/// `Vary` of a response that a browser may store: it must not give one user's response to the next
/// user.
pub(super) static VARY_BY_USER: ConstantField =
    constant_field!(Vary, "vary", "Origin, Accept-Encoding, Authorization");
