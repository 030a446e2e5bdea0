//! What makes two text or multimedia messages the same message.
//!
//! After sms-ie's README: address, type, date and body of an SMS; date, box and the network's id of an MMS.
//! Attributes that vary by phone or by app (read, contact_name, readable_date …) do not count.

use super::key::Identity;
use crate::wire::messages::XmlElement;

/// Fields of an `<sms>`.
pub(super) fn sms_identity(sms: &XmlElement) -> Identity {
    Identity::of("sms").text(sms, "address").text(sms, "type").text(sms, "date").text(sms, "body")
}

/// Fields of an `<mms>`: the network's message id, else where its content lay, else what its parts say.
pub(super) fn mms_identity(mms: &XmlElement) -> Identity {
    let base = Identity::of("mms").text(mms, "date").text(mms, "msg_box");
    for name in ["m_id", "ct_l"] {
        if super::key::meaningful(mms, name).is_some() {
            return base.name(name).text(mms, name);
        }
    }
    parts_of(mms).fold(base.name("text"), |identity, part| identity.text(part, "text"))
}

fn parts_of(mms: &XmlElement) -> impl Iterator<Item = &XmlElement> {
    mms.children
        .iter()
        .filter(|child| child.name == "parts")
        .flat_map(|parts| &parts.children)
        .filter(|part| part.name == "part")
}
