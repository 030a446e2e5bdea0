//! Names of stored objects: the four places of a vault, nothing else (FORMAT F-2).

use std::fmt;

use crate::{Error, Result};

/// A valid object name: `objects/HEX`, `commits/HEX/SEQUENCE`, `envelopes/HEX/HEX`, `enroll/HEX/request` or
/// `enroll/HEX/answer`.
///
/// HEX is 32 lower-case hexadecimal digits, SEQUENCE is 20 decimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName(String);

impl ObjectName {
    /// A pack, index fragment, roster or keyring: 16 random bytes.
    #[must_use]
    pub fn object(id: &[u8; 16]) -> Self {
        Self(format!("objects/{}", Hex(id)))
    }

    /// The commit with `sequence` of the device `pseudonym`.
    #[must_use]
    pub fn commit(pseudonym: &[u8; 16], sequence: u64) -> Self {
        Self(format!("commits/{}/{sequence:020}", Hex(pseudonym)))
    }

    /// An epoch root sealed to the recipient that `locator` points at.
    #[must_use]
    pub fn envelope(locator: &[u8; 16], id: &[u8; 16]) -> Self {
        Self(format!("envelopes/{}/{}", Hex(locator), Hex(id)))
    }

    /// The prefix under which all envelopes of one recipient lie.
    #[must_use]
    pub fn envelope_prefix(locator: &[u8; 16]) -> String {
        format!("envelopes/{}/", Hex(locator))
    }

    /// What a new device says at a rendezvous.
    #[must_use]
    pub fn enroll_request(rendezvous: &[u8; 16]) -> Self {
        Self(format!("enroll/{}/request", Hex(rendezvous)))
    }

    /// What the inviting device says there.
    #[must_use]
    pub fn enroll_answer(rendezvous: &[u8; 16]) -> Self {
        Self(format!("enroll/{}/answer", Hex(rendezvous)))
    }

    /// Which share the inviting device has.
    #[must_use]
    pub fn enroll_reveal(rendezvous: &[u8; 16]) -> Self {
        Self(format!("enroll/{}/reveal", Hex(rendezvous)))
    }

    /// Reads a name that a store listed; any other form is refused.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when it is not one of these forms.
    pub fn parse(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let valid = match parts.as_slice() {
            ["objects", id] => is_hex(id),
            ["commits", device, sequence] => is_hex(device) && is_sequence(sequence),
            ["envelopes", locator, id] => is_hex(locator) && is_hex(id),
            ["enroll", rendezvous, "request" | "reveal" | "answer"] => is_hex(rendezvous),
            _ => false,
        };
        if valid { Ok(Self(text.to_owned())) } else { Err(Error::InvalidArgument("not an object name")) }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last 32 hexadecimal digits as bytes; `None` for a commit and for what lies at a rendezvous.
    #[must_use]
    pub fn id(&self) -> Option<[u8; 16]> {
        let hex = self.0.rsplit('/').next().filter(|part| part.len() == 32)?;
        let mut id = [0; 16];
        for (byte, pair) in id.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(id)
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_hex(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// 20 digits that are a number a commit can have.
fn is_sequence(text: &str) -> bool {
    text.len() == 20 && text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u64>().is_ok()
}

struct Hex<'a>(&'a [u8; 16]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_four_forms_and_read_back() {
        let id = [0xab; 16];
        for name in [
            ObjectName::object(&id),
            ObjectName::commit(&id, 7),
            ObjectName::envelope(&id, &id),
            ObjectName::enroll_request(&id),
            ObjectName::enroll_reveal(&id),
            ObjectName::enroll_answer(&id),
        ] {
            assert_eq!(ObjectName::parse(name.as_str()).unwrap(), name);
        }
        assert_eq!(ObjectName::enroll_request(&id).id(), None);
        assert_eq!(ObjectName::object(&id).id(), Some(id));
        assert_eq!(ObjectName::commit(&id, 7).id(), None);
        assert_eq!(
            ObjectName::commit(&id, 7).as_str(),
            "commits/abababababababababababababababab/00000000000000000007"
        );
    }

    #[test]
    fn other_names_are_refused() {
        for text in [
            "",
            "objects/",
            "objects/AB",
            "objects/../x",
            "x/abababababababababababababababab",
            "objects/ABABABABABABABABABABABABABABABAB",
            "commits/abababababababababababababababab/7",
            "enroll/abababababababababababababababab",
            "enroll/abababababababababababababababab/other",
            "commits/abababababababababababababababab/18446744073709551616",
        ] {
            assert!(ObjectName::parse(text).is_err(), "{text}");
        }
    }
}
