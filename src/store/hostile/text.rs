//! A script as text: one item a line, `WHEN: ACT`, so that what failed can be printed and played again.
//!
//! | WHEN | |
//! |---|---|
//! | `at 17` | the 17th request of all |
//! | `nth 3 get of 1 in commits/` | the third that matches; `of` and `in` may be left out, `any` is any method |
//! | `each line in objects/` | all that match |
//!
//! | ACT | |
//! |---|---|
//! | `none` `deny` `drop` `accept` `overwrite` `length 5` `shuffle 3` `flip 70` `cut 63` `serve HEX` `fail KIND` `doubt KIND` | a [`Fault`] |
//! | `delay 9` `duplicate 9` `reorder 9` | of a put |
//! | `swap #1 #2 for 0,1` `relabel #1 as #2+ for all` `inject #2+ copy #1 for all`, or `noise 16384`, or `hex 00ff` | objects: `#1` the second ever created, `#1+` the name beside it, or a name |
//! | `replay 12 for 0` `freeze for 0` `fork for 0,1` `heal for all` | views |

use std::{fmt, str::FromStr};

use super::{Act, Content, Devices, Item, Pattern, Pick, Script, When};
use crate::store::{
    ObjectName, StoreError, StoreErrorKind,
    faults::{Fault, Method},
};

const METHODS: [(&str, Method); 8] = [
    ("put", Method::Put),
    ("get", Method::Get),
    ("range", Method::GetRange),
    ("length", Method::Length),
    ("list", Method::List),
    ("line", Method::Line),
    ("delete", Method::Delete),
    ("delete-many", Method::DeleteMany),
];
const KINDS: [(&str, StoreErrorKind); 7] = [
    ("not-found", StoreErrorKind::NotFound),
    ("already-exists", StoreErrorKind::AlreadyExists),
    ("no-space", StoreErrorKind::NoSpace),
    ("refused", StoreErrorKind::Refused),
    ("transient", StoreErrorKind::Transient),
    ("outcome-unknown", StoreErrorKind::OutcomeUnknown),
    ("malformed", StoreErrorKind::Malformed),
];

fn word_of<T: PartialEq>(table: &[(&'static str, T)], value: &T) -> &'static str {
    table.iter().find(|(_, other)| other == value).map_or("?", |(word, _)| word)
}

fn of_word<T: Copy>(table: &[(&str, T)], word: &str) -> Option<T> {
    table.iter().find(|(other, _)| *other == word).map(|(_, value)| *value)
}

pub(super) fn method_name(method: Method) -> &'static str {
    word_of(&METHODS, &method)
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|item| writeln!(f, "{item}"))
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.when {
            When::At(time) => write!(f, "at {time}")?,
            When::Nth(n, pattern) => write!(f, "nth {n} {pattern}")?,
            When::Each(pattern) => write!(f, "each {pattern}")?,
        }
        write!(f, ": {}", self.act)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.method.map_or("any", method_name))?;
        if let Some(device) = self.device {
            write!(f, " of {device}")?;
        }
        self.prefix.as_ref().map_or(Ok(()), |prefix| write!(f, " in {prefix}"))
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => write_fault(f, fault),
            Self::Delay(n) => write!(f, "delay {n}"),
            Self::Duplicate(n) => write!(f, "duplicate {n}"),
            Self::Reorder(n) => write!(f, "reorder {n}"),
            Self::Swap(a, b, devices) => write!(f, "swap {a} {b} for {devices}"),
            Self::Relabel { object, under, devices } => {
                write!(f, "relabel {object} as {under} for {devices}")
            }
            Self::Inject { name, content, devices } => write!(f, "inject {name} {content} for {devices}"),
            Self::Replay(time, devices) => write!(f, "replay {time} for {devices}"),
            Self::Freeze(devices) => write!(f, "freeze for {devices}"),
            Self::Fork(devices) => write!(f, "fork for {devices}"),
            Self::Heal(devices) => write!(f, "heal for {devices}"),
        }
    }
}

fn write_fault(f: &mut fmt::Formatter<'_>, fault: &Fault) -> fmt::Result {
    match fault {
        Fault::None => f.write_str("none"),
        Fault::Deny => f.write_str("deny"),
        Fault::Drop => f.write_str("drop"),
        Fault::Accept => f.write_str("accept"),
        Fault::Overwrite => f.write_str("overwrite"),
        Fault::Length(length) => write!(f, "length {length}"),
        Fault::Shuffle(seed) => write!(f, "shuffle {seed}"),
        Fault::Flip(at) => write!(f, "flip {at}"),
        Fault::Cut(length) => write!(f, "cut {length}"),
        Fault::Replace(bytes) => write!(f, "serve {}", Hex(bytes)),
        Fault::Before(kind) => write!(f, "fail {}", word_of(&KINDS, kind)),
        Fault::After(kind) => write!(f, "doubt {}", word_of(&KINDS, kind)),
    }
}

impl fmt::Display for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created(n) => write!(f, "#{n}"),
            Self::Beside(n) => write!(f, "#{n}+"),
            Self::Named(name) => write!(f, "{name}"),
        }
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Copy(other) => write!(f, "copy {other}"),
            Self::Noise(length) => write!(f, "noise {length}"),
            Self::Bytes(bytes) => write!(f, "hex {}", Hex(bytes)),
        }
    }
}

impl fmt::Display for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ALL {
            return f.write_str("all");
        }
        let mut comma = "";
        self.numbers().try_for_each(|number| write!(f, "{}{number}", std::mem::replace(&mut comma, ",")))
    }
}

/// Hexadecimal; a dash for nothing.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("-");
        }
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Script {
    type Err = StoreError;

    /// Reads a script; blank lines and lines that begin with `//` are skipped.
    fn from_str(text: &str) -> Result<Self, StoreError> {
        let lines = text.lines().map(str::trim).enumerate();
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with("//"));
        let items = lines.map(|(number, line)| {
            let wrong = || StoreError::new(StoreErrorKind::Malformed, format!("script line {}", number + 1));
            Words::read_item(line).ok_or_else(wrong)
        });
        items.collect::<Result<_, _>>().map(Self)
    }
}

/// The words of a line, read one by one.
struct Words<'a>(std::iter::Peekable<std::str::SplitWhitespace<'a>>);

impl<'a> Words<'a> {
    fn read_item(line: &'a str) -> Option<Item> {
        let (when, act) = line.split_once(": ")?;
        let item = Item { when: Self::read_all(when, Self::when)?, act: Self::read_all(act, Self::act)? };
        Some(item)
    }

    /// Everything in `text`, or nothing.
    fn read_all<T>(text: &'a str, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let mut words = Self(text.split_whitespace().peekable());
        let value = read(&mut words)?;
        words.0.next().is_none().then_some(value)
    }

    fn number<T: FromStr>(&mut self) -> Option<T> {
        self.0.next()?.parse().ok()
    }

    /// Passes over `word`, which has to be next.
    fn keyword(&mut self, word: &str) -> Option<()> {
        self.0.next_if_eq(&word).map(|_| ())
    }

    fn when(&mut self) -> Option<When> {
        Some(match self.0.next()? {
            "at" => When::At(self.number()?),
            "nth" => When::Nth(self.number()?, self.pattern()?),
            "each" => When::Each(self.pattern()?),
            _ => return None,
        })
    }

    fn pattern(&mut self) -> Option<Pattern> {
        let method = match self.0.next()? {
            "any" => None,
            word => Some(of_word(&METHODS, word)?),
        };
        let device = if self.keyword("of").is_some() { Some(self.number()?) } else { None };
        let prefix = if self.keyword("in").is_some() { Some(self.0.next()?.to_owned()) } else { None };
        Some(Pattern { method, device, prefix })
    }

    fn act(&mut self) -> Option<Act> {
        let word = self.0.next()?;
        Some(match word {
            "delay" => Act::Delay(self.number()?),
            "duplicate" => Act::Duplicate(self.number()?),
            "reorder" => Act::Reorder(self.number()?),
            "swap" => Act::Swap(self.pick()?, self.pick()?, self.devices()?),
            "relabel" => Act::Relabel {
                object: self.pick()?,
                under: self.keyword("as").and_then(|()| self.pick())?,
                devices: self.devices()?,
            },
            "inject" => {
                Act::Inject { name: self.pick()?, content: self.content()?, devices: self.devices()? }
            }
            "replay" => Act::Replay(self.number()?, self.devices()?),
            "freeze" => Act::Freeze(self.devices()?),
            "fork" => Act::Fork(self.devices()?),
            "heal" => Act::Heal(self.devices()?),
            _ => Act::Fault(self.fault(word)?),
        })
    }

    fn fault(&mut self, word: &str) -> Option<Fault> {
        Some(match word {
            "none" => Fault::None,
            "deny" => Fault::Deny,
            "drop" => Fault::Drop,
            "accept" => Fault::Accept,
            "overwrite" => Fault::Overwrite,
            "length" => Fault::Length(self.number()?),
            "shuffle" => Fault::Shuffle(self.number()?),
            "flip" => Fault::Flip(self.number()?),
            "cut" => Fault::Cut(self.number()?),
            "serve" => Fault::Replace(bytes(self.0.next()?)?),
            "fail" => Fault::Before(of_word(&KINDS, self.0.next()?)?),
            "doubt" => Fault::After(of_word(&KINDS, self.0.next()?)?),
            _ => return None,
        })
    }

    fn pick(&mut self) -> Option<Pick> {
        let word = self.0.next()?;
        match word.strip_prefix('#') {
            None => ObjectName::parse(word).ok().map(Pick::Named),
            Some(number) => match number.strip_suffix('+') {
                Some(number) => number.parse().ok().map(Pick::Beside),
                None => number.parse().ok().map(Pick::Created),
            },
        }
    }

    fn content(&mut self) -> Option<Content> {
        Some(match self.0.next()? {
            "copy" => Content::Copy(self.pick()?),
            "noise" => Content::Noise(self.number()?),
            "hex" => Content::Bytes(bytes(self.0.next()?)?),
            _ => return None,
        })
    }

    fn devices(&mut self) -> Option<Devices> {
        self.keyword("for")?;
        match self.0.next()? {
            "all" => Some(Devices::ALL),
            list => {
                let numbers = list.split(',').map(|number| number.parse().ok().filter(|n| *n < 64));
                numbers.collect::<Option<Vec<u8>>>().map(|numbers| Devices::of(&numbers))
            }
        }
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    if hex == "-" {
        return Some(Vec::new());
    }
    if hex.len() % 2 == 1 {
        return None;
    }
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    hex.as_bytes().chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_is_printed_and_read_back() {
        for seed in 0..300 {
            let script = Script::random(seed, 20);
            let text = script.to_string();
            assert_eq!(text.parse::<Script>().unwrap(), script, "{text}");
        }
        let name = ObjectName::commit(&[1; 16], 7);
        let by_hand = format!(
            "// by hand\n\nat 3: inject {name} hex 00ff for all\neach any: serve 0a0b\nnth 2 delete-many of 1: none\n"
        );
        let script: Script = by_hand.parse().unwrap();
        assert_eq!(script.to_string().parse::<Script>().unwrap(), script);
        assert_eq!(script.0.len(), 3);
    }

    #[test]
    fn what_is_not_understood_is_refused_by_its_line() {
        for wrong in [
            "at 3 drop",
            "at x: drop",
            "at 3: drop it",
            "at 3: fail softly",
            "at 3: fork for 64",
            "at 3: fork",
            "each: drop",
            "each get in: drop",
            "at 3: swap #1 2 for all",
            "at 3: serve 0",
        ] {
            let text = format!("at 1: drop\n{wrong}\n");
            let refused = text.parse::<Script>().unwrap_err();
            assert!(refused.to_string().contains("line 2"), "{wrong}");
        }
    }
}
