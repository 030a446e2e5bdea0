//! The kinds of data, by name.

use std::fmt;

use crate::{Error, Result};

/// A kind of data that its owner switches on or off as a whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(std::borrow::Cow<'static, str>);

impl Kind {
    /// Text and multimedia messages.
    pub const MESSAGES: Self = Self(std::borrow::Cow::Borrowed("messages"));
    /// The call log.
    pub const CALLS: Self = Self(std::borrow::Cow::Borrowed("calls"));
    /// Notes: folders of Markdown with attachments.
    pub const NOTES: Self = Self(std::borrow::Cow::Borrowed("notes"));
    /// Photos and videos.
    pub const PHOTOS: Self = Self(std::borrow::Cow::Borrowed("photos"));
    /// Contacts.
    pub const CONTACTS: Self = Self(std::borrow::Cow::Borrowed("contacts"));
    /// Any folder.
    pub const FILES: Self = Self(std::borrow::Cow::Borrowed("files"));

    /// The six built-in kinds.
    pub const ALL: [Self; 6] =
        [Self::MESSAGES, Self::CALLS, Self::NOTES, Self::PHOTOS, Self::CONTACTS, Self::FILES];

    /// A kind of an app's own, `app:NAME`; NAME is 1 to 60 lower-case letters, digits, `-`, `_` or `.`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for any other name.
    pub fn app(name: &str) -> Result<Self> {
        let allowed = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
        if (1..=60).contains(&name.len()) && name.bytes().all(allowed) {
            return Ok(Self(format!("app:{name}").into()));
        }
        Err(Error::InvalidArgument("an app's kind has 1 to 60 lower-case letters, digits, -, _ or ."))
    }

    /// Reads a kind's name: a built-in one, or `app:NAME`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for any other text.
    pub fn parse(name: &str) -> Result<Self> {
        if let Some(app) = name.strip_prefix("app:") {
            return Self::app(app);
        }
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or(Error::InvalidArgument("unknown kind of data"))
    }

    /// Whether it is an app's own.
    #[must_use]
    pub fn is_app(&self) -> bool {
        self.0.starts_with("app:")
    }

    /// Its name, in lower-case ASCII.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
