//! HTTP heads (RFC 9110, RFC 9112): parsing, head rules and fields, as pure functions of the
//! received bytes.

pub mod coding;
pub mod entity_tag;
pub mod field_map;
pub mod field_text;
pub mod fields;
pub mod head;
pub mod host;
pub mod media_range;
pub mod plain;
pub mod request;
pub mod response_field;
pub mod trace_context;

pub use coding::{AcceptedCodings, Coding};
pub use entity_tag::{EntityTag, TagMatch};
pub use field_map::FieldMap;
pub use field_text::FieldText;
pub use fields::{Fields, ResponseHead, date_value};
pub use head::HeadFault;
pub use host::{is_host_of_origin, is_loopback};
pub use media_range::{Acceptance, MediaType, accepted};
pub use plain::PlainRequest;
pub use request::{FieldName, RequestFields, RequestHead};
pub(crate) use response_field::constant_field;
pub use response_field::{ConstantField, ResponseField};
pub use trace_context::TraceContext;
