//! Scripts from seeds: the same seed gives the same script for ever after in one version of this file.

use super::{Act, Content, Devices, Item, Pattern, Pick, Script, When};
use crate::store::{
    StoreErrorKind,
    faults::{Fault, Method, mix},
};

const PREFIXES: [&str; 4] = ["", "objects/", "commits/", "envelopes/"];
const METHODS: [Method; 6] =
    [Method::Put, Method::Get, Method::GetRange, Method::Length, Method::List, Method::Line];

impl Script {
    /// `length` items for up to 6 devices and 300 requests.
    #[must_use]
    pub fn random(seed: u64, length: usize) -> Self {
        Self::random_for(seed, length, 6, 300)
    }

    /// `length` items for the devices below `devices` and for the first `requests` requests, more or less.
    #[must_use]
    pub fn random_for(seed: u64, length: usize, devices: u8, requests: u64) -> Self {
        let mut dice = Dice { seed, thrown: 0, devices: devices.max(1), requests: requests.max(1) };
        Self((0..length).map(|_| dice.item()).collect())
    }
}

struct Dice {
    seed: u64,
    thrown: u64,
    devices: u8,
    requests: u64,
}

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.thrown += 1;
        mix(self.seed, self.thrown).checked_rem(end).unwrap_or(0)
    }

    fn one_of<T: Clone>(&mut self, choices: &[T], otherwise: T) -> T {
        let index = usize::try_from(self.below(choices.len() as u64)).unwrap_or(0);
        choices.get(index).cloned().unwrap_or(otherwise)
    }

    fn item(&mut self) -> Item {
        let act = if self.below(3) == 0 { self.act_on_store() } else { self.act_on_request() };
        Item { when: self.when(&act), act }
    }

    /// Mostly once; what concerns single requests also for all of a sort.
    fn when(&mut self, act: &Act) -> When {
        match self.below(10) {
            0 if act.is_of_request() => When::Each(self.pattern()),
            1..=4 => When::Nth(1 + self.below(12), self.pattern()),
            _ => When::At(1 + self.below(self.requests)),
        }
    }

    fn pattern(&mut self) -> Pattern {
        let method = self.one_of(&METHODS, Method::Get);
        let device = (self.below(2) == 0).then(|| self.device());
        let prefix = self.one_of(&PREFIXES, "");
        Pattern { method: Some(method), device, prefix: (!prefix.is_empty()).then(|| prefix.to_owned()) }
    }

    fn device(&mut self) -> u8 {
        u8::try_from(self.below(self.devices.into())).unwrap_or(0)
    }

    /// Never nobody.
    fn set(&mut self) -> Devices {
        let first = self.device();
        let more = self.below(u64::MAX) & self.below(u64::MAX);
        let known = 1_u64.checked_shl(self.devices.into()).map_or(u64::MAX, |end| end - 1);
        Devices(Devices::of(&[first]).0 | (more & known))
    }

    fn pick(&mut self) -> Pick {
        Pick::Created(self.below(64))
    }

    fn act_on_request(&mut self) -> Act {
        match self.below(14) {
            0 => Act::Delay(1 + self.below(60)),
            1 => Act::Duplicate(1 + self.below(60)),
            2 => Act::Reorder(2 + self.below(60)),
            _ => Act::Fault(self.fault()),
        }
    }

    fn fault(&mut self) -> Fault {
        const KINDS: [StoreErrorKind; 7] = [
            StoreErrorKind::NotFound,
            StoreErrorKind::AlreadyExists,
            StoreErrorKind::NoSpace,
            StoreErrorKind::Refused,
            StoreErrorKind::Transient,
            StoreErrorKind::OutcomeUnknown,
            StoreErrorKind::Malformed,
        ];
        const CUTS: [usize; 8] = [0, 1, 8, 63, 64, 8192, 16_383, 16_384];
        const LENGTHS: [u64; 6] = [0, 1, 16_383, 16_384, 8 << 20, u64::MAX];
        match self.below(12) {
            0 => Fault::Deny,
            1 | 2 => Fault::Drop,
            3 => Fault::Accept,
            4 => Fault::Overwrite,
            5 => Fault::Length(self.one_of(&LENGTHS, 0)),
            6 => Fault::Shuffle(self.below(1000)),
            7 => Fault::Flip(usize::try_from(self.below(1 << 14)).unwrap_or(0)),
            8 => Fault::Cut(self.one_of(&CUTS, 0)),
            9 => Fault::Replace(Vec::new()),
            10 => Fault::Before(self.one_of(&KINDS, StoreErrorKind::Transient)),
            _ => Fault::After(self.one_of(&KINDS, StoreErrorKind::OutcomeUnknown)),
        }
    }

    fn act_on_store(&mut self) -> Act {
        match self.below(8) {
            0 => Act::Swap(self.pick(), self.pick(), self.set()),
            1 => Act::Relabel { object: self.pick(), under: self.beside(), devices: self.set() },
            2 => Act::Inject { name: self.beside(), content: self.content(), devices: self.set() },
            3 => Act::Replay(self.below(self.requests), self.set()),
            4 => Act::Freeze(self.set()),
            5 | 6 => Act::Fork(self.set()),
            _ => Act::Heal(self.set()),
        }
    }

    fn beside(&mut self) -> Pick {
        if self.below(2) == 0 { Pick::Beside(self.below(64)) } else { self.pick() }
    }

    fn content(&mut self) -> Content {
        match self.below(3) {
            0 => Content::Noise(16_384),
            1 => Content::Bytes(Vec::new()),
            _ => Content::Copy(self.pick()),
        }
    }
}
