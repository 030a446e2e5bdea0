//! What makes two calls the same call: number, type and date. The duration and names do not count, since
//! phones and apps disagree about them.

use super::key::Identity;
use crate::wire::messages::XmlElement;

/// Fields of a `<call>`.
pub(super) fn call_identity(call: &XmlElement) -> Identity {
    Identity::of("call").text(call, "number").text(call, "type").text(call, "date")
}
