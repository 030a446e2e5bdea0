//! The language of attacks: when something happens, and what.
//!
//! A script is data: it is printed, read, made from a seed, and shortened by removing items.

use crate::store::{
    ObjectName,
    faults::{Fault, Method},
};

/// What goes wrong, item by item. All items whose time has come act, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Script(pub Vec<Item>);

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// At which request.
    pub when: When,
    /// What.
    pub act: Act,
}

/// At which request something happens: just before it is served.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum When {
    /// The request of this number, counted from 1 over all devices.
    At(u64),
    /// The request of this number, counted from 1 among those that match.
    Nth(u64, Pattern),
    /// Every request that matches.
    Each(Pattern),
}

/// Which requests; what is `None` does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pattern {
    /// Of this method. A line of a listing has to be asked for by name.
    pub method: Option<Method>,
    /// Of this device.
    pub device: Option<u8>,
    /// For a name, or a listing, that begins so.
    pub prefix: Option<String>,
}

/// What an attacker does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Act {
    /// The request is answered with a fault.
    Fault(Fault),
    /// What is put becomes visible to other devices after so many requests.
    Delay(u64),
    /// What is put is put once more after so many requests, when it has been deleted meanwhile.
    Duplicate(u64),
    /// What is put becomes visible to other devices after a number of requests below this, another one for
    /// each object: not in the order of the writes.
    Reorder(u64),
    /// Each of two objects is served under the other's name.
    Swap(Pick, Pick, Devices),
    /// The object is served under another name too.
    Relabel {
        /// What is served.
        object: Pick,
        /// Under which name.
        under: Pick,
        /// To whom.
        devices: Devices,
    },
    /// An object appears that nobody wrote, in place of what may be there.
    Inject {
        /// Its name.
        name: Pick,
        /// Its bytes.
        content: Content,
        /// Whose store it appears in.
        devices: Devices,
    },
    /// The devices have a store of their own from now on: the one that was theirs after so many requests.
    Replay(u64, Devices),
    /// Nothing that others write or delete from now on becomes visible to the devices.
    Freeze(Devices),
    /// The devices have a store of their own from now on: a copy of the present one.
    Fork(Devices),
    /// The devices see again what everybody sees, and everybody what they wrote, as far as its names are free.
    Heal(Devices),
}

/// An object, or a name, that a script speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pick {
    /// The object that was created as the n-th, counted from 0, and from there again when there are fewer.
    Created(u64),
    /// The name beside it: a device's next commit, or another random-looking name in the same place.
    Beside(u64),
    /// This name.
    Named(ObjectName),
}

/// The bytes of an object that nobody wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// Those of another object.
    Copy(Pick),
    /// So many that look random.
    Noise(usize),
    /// These.
    Bytes(Vec<u8>),
}

/// A set of devices, by the numbers of their handles: 0 to 63.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Devices(pub(super) u64);

impl Devices {
    /// All that there are and will be.
    pub const ALL: Self = Self(u64::MAX);

    /// These; numbers above 63 are nobody's.
    #[must_use]
    pub fn of(numbers: &[u8]) -> Self {
        let bits = numbers.iter().filter_map(|number| 1_u64.checked_shl((*number).into()));
        Self(bits.fold(0, |set, bit| set | bit))
    }

    /// Whether a device is one of them.
    #[must_use]
    pub fn contains(self, number: u8) -> bool {
        self.0.checked_shr(number.into()).is_some_and(|bits| bits & 1 == 1)
    }

    /// Their numbers, ascending.
    pub fn numbers(self) -> impl Iterator<Item = u8> {
        (0..64).filter(move |number| self.contains(*number))
    }
}

impl Pattern {
    pub(super) fn matches(&self, method: Method, device: u8, name: &str) -> bool {
        self.method.map_or(method != Method::Line, |only| only == method)
            && self.device.is_none_or(|only| only == device)
            && self.prefix.as_deref().is_none_or(|prefix| name.starts_with(prefix))
    }
}

impl Act {
    /// Whether it concerns one request only, and no other device's view.
    pub(super) fn is_of_request(&self) -> bool {
        matches!(self, Self::Fault(_) | Self::Delay(_) | Self::Duplicate(_) | Self::Reorder(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_devices() {
        let some = Devices::of(&[0, 5, 5, 63, 64]);
        assert_eq!(some.numbers().collect::<Vec<_>>(), [0, 5, 63]);
        assert!(!some.contains(1) && !some.contains(64) && Devices::ALL.contains(63));
    }
}
