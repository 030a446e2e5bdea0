//! One name below a restored folder, checked.
//!
//! A backup may name anything, also when one of the owner's own devices made it (M5). A [`Component`] is the
//! proof that a name can only mean a direct child of the folder it is used in (M3). A name that this platform
//! cannot hold is refused and reported; it is never changed in silence.

use std::ffi::{OsStr, OsString};
use std::fmt;

/// Longest name of one component, in bytes.
const COMPONENT_BYTES_MAX: usize = 255;

/// What every file is called to which a restore has given no name of its own yet, around a number.
const UNFINISHED: (&str, &str) = (".strongroom-", ".part");

/// A name for such a file. Short enough for a Linux kernel to keep it without extra memory.
pub(super) fn unfinished_name(number: u64) -> String {
    const BITS: u32 = 56;
    let (before, after) = UNFINISHED;
    let number = number & ((1 << BITS) - 1);
    format!("{before}{number:014x}{after}")
}

/// Whether something has such a name.
pub(super) fn is_unfinished(name: &OsStr) -> bool {
    let (before, after) = UNFINISHED;
    let name = name.as_encoded_bytes();
    name.starts_with(before.as_bytes()) && name.ends_with(after.as_bytes())
}

/// One path component: never empty, never a way up, never a path of several parts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Component(OsString);

impl Component {
    /// Checks a name by the rules of the platform this runs on.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub fn parse(name: &[u8]) -> Result<Self, BadName> {
        Self::check_for(Platform::HERE, name)?;
        os_string(name).map(Self).ok_or(BadName::Encoding)
    }

    /// Checks every part of a path.
    ///
    /// # Errors
    /// The first rule that a part breaks.
    pub fn parse_all<N: AsRef<[u8]>>(names: &[N]) -> Result<Vec<Self>, BadName> {
        names.iter().map(|name| Self::parse(name.as_ref())).collect()
    }

    /// Checks every part of a path that has much in common with one that was checked, and makes that one it:
    /// a component is the proof of its own bytes.
    pub(super) fn parse_next(checked: &mut Vec<Self>, names: &[&[u8]]) -> Result<(), BadName> {
        let common = checked.iter().zip(names).take_while(|(known, name)| known.as_bytes() == **name).count();
        checked.truncate(common);
        for name in names.iter().skip(common) {
            checked.push(Self::parse(name)?);
        }
        Ok(())
    }

    /// Checks a name by the rules of `platform`, whichever this one is.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub fn check_for(platform: Platform, name: &[u8]) -> Result<(), BadName> {
        check_everywhere(name)?;
        match platform {
            Platform::Unix => Ok(()),
            Platform::Windows => check_windows(name),
        }
    }

    /// The name, byte for byte.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_encoded_bytes()
    }

    pub(super) fn as_os_str(&self) -> &OsStr {
        &self.0
    }
}

/// A name is private: only its length is shown.
impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Component({} bytes)", self.0.len())
    }
}

/// Whose rules a name must obey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Platform {
    /// Any bytes but `/` and NUL.
    Unix,
    /// Win32: no device names, no streams, nothing that Win32 would strip or read as a path.
    Windows,
}

impl Platform {
    /// The platform this runs on.
    pub const HERE: Self = if cfg!(windows) { Self::Windows } else { Self::Unix };
}

/// Why a name cannot be one component here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadName {
    /// It has no bytes.
    #[error("the name is empty")]
    Empty,
    /// It has more than 255 bytes.
    #[error("the name is too long")]
    TooLong,
    /// It means the folder itself or the one above.
    #[error("the name is a step, not a name")]
    Step,
    /// It has a separator, a NUL, or a character that the platform gives a meaning.
    #[error("the name has a character that names cannot have here")]
    Character,
    /// It ends in a dot or a space, which the platform would strip.
    #[error("the name ends in a dot or a space")]
    Ending,
    /// It means a device, whatever its extension.
    #[error("the name means a device here")]
    Device,
    /// It is not text, and the platform only has names that are text.
    #[error("the name is not valid text")]
    Encoding,
}

/// A name from bytes, if this platform can hold them.
pub(super) fn os_string(name: &[u8]) -> Option<OsString> {
    #[cfg(unix)]
    let made = Some(<OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(name).to_owned());
    #[cfg(not(unix))]
    let made = std::str::from_utf8(name).ok().map(OsString::from);
    made
}

fn check_everywhere(name: &[u8]) -> Result<(), BadName> {
    match name {
        [] => Err(BadName::Empty),
        [b'.'] | [b'.', b'.'] => Err(BadName::Step),
        _ if name.len() > COMPONENT_BYTES_MAX => Err(BadName::TooLong),
        _ if name.iter().any(|byte| matches!(byte, b'/' | 0)) => Err(BadName::Character),
        _ => Ok(()),
    }
}

fn check_windows(name: &[u8]) -> Result<(), BadName> {
    let name = std::str::from_utf8(name).map_err(|_| BadName::Encoding)?;
    if name.chars().any(|c| c < ' ' || r#"<>:"\|?*"#.contains(c)) {
        return Err(BadName::Character);
    }
    if name.ends_with(['.', ' ']) {
        return Err(BadName::Ending);
    }
    if is_device(name) { Err(BadName::Device) } else { Ok(()) }
}

/// Win32 ignores everything from the first dot on, and spaces before it; any white space is taken for one. The superscript digits count as
/// digits there (the hole of RUSTSEC-2024-0445 in cap-std).
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") {
        return true;
    }
    let number = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    let mut number = number.unwrap_or_default().chars();
    matches!((number.next(), number.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(name: &str) -> Result<(), BadName> {
        Component::check_for(Platform::Windows, name.as_bytes())
    }

    #[test]
    fn attack_m3_steps_and_paths_are_no_names_anywhere() {
        for platform in [Platform::Unix, Platform::Windows] {
            let check = |name: &[u8]| Component::check_for(platform, name);
            assert_eq!(check(b""), Err(BadName::Empty));
            assert_eq!(check(b"."), Err(BadName::Step));
            assert_eq!(check(b".."), Err(BadName::Step));
            assert_eq!(check(b"a/b"), Err(BadName::Character));
            assert_eq!(check(b"a\0b"), Err(BadName::Character));
            assert_eq!(check(&[b'x'; 256]), Err(BadName::TooLong));
            assert_eq!(check(&[b'x'; 255]), Ok(()));
            assert_eq!(check("notes … é.md".as_bytes()), Ok(()));
        }
    }

    #[test]
    fn attack_m3_device_names_are_refused_with_any_extension_and_any_digit() {
        for device in [
            "con",
            "PRN",
            "Aux",
            "nul",
            "COM1",
            "lpt9",
            "COM0",
            "COM¹",
            "LPT²",
            "com³",
            "CONOUT$",
            "NUL\u{2000}.x",
        ] {
            for ending in ["", ".txt", ".tar.gz", " .txt", "  .x"] {
                assert_eq!(windows(&format!("{device}{ending}")), Err(BadName::Device), "{device}{ending}");
            }
        }
        for name in ["CONSOLE", "COM10", "COM", "COMA", "LPT¹²", "COM⁴", "xCON", "con-1", "nulls.txt"] {
            assert_eq!(windows(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn attack_m3_windows_rules_refuse_what_win32_would_reinterpret() {
        for name in
            [r"a\b", r"\\host\share", "C:", "c:evil", "file:stream", "a<b", "a>b", "a\"b", "a|b", "a?", "*"]
        {
            assert_eq!(windows(name), Err(BadName::Character), "{name}");
        }
        for name in ["a.", "a ", "a. .", "...", " "] {
            assert_eq!(windows(name), Err(BadName::Ending), "{name}");
        }
        assert_eq!(windows("a\u{1}b"), Err(BadName::Character));
        assert_eq!(Component::check_for(Platform::Windows, b"\xff"), Err(BadName::Encoding));
        assert_eq!(Component::check_for(Platform::Unix, b"\xff"), Ok(()));
    }

    #[test]
    fn a_name_is_not_shown_by_debug() {
        let name = Component::parse(b"secret").unwrap();
        assert_eq!(format!("{name:?}"), "Component(6 bytes)");
        assert_eq!(name.as_bytes(), b"secret");
    }
}
