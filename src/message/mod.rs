//! HTTP heads as RFC 9110 and 9112 have them: pure functions of what was received.

pub mod entity_tag;
pub mod head;

pub use entity_tag::EntityTag;
pub use head::HeadFault;
