//! From words to values. The errors here are for the person who typed them.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use strongroom::{
    Error,
    kinds::Kind,
    vault::{At, Selection, SnapshotId},
};

/// A kind, and a path below it: empty for all of it.
#[derive(Clone)]
pub(crate) struct What {
    pub(crate) kind: Kind,
    pub(crate) path: String,
}

impl What {
    pub(crate) fn selection(&self) -> strongroom::Result<Selection> {
        Selection::path(self.kind.clone(), self.path.as_str())
    }
}

pub(crate) fn parse_kind(text: &str) -> Result<Kind, String> {
    let known = || format!("a kind is one of {}", Kind::ALL.each_ref().map(Kind::name).join(", "));
    Kind::parse(text).map_err(|_| known())
}

pub(crate) fn parse_what(text: &str) -> Result<What, String> {
    let (kind, path) = text.split_once(':').unwrap_or((text, ""));
    Ok(What { kind: parse_kind(kind)?, path: path.to_owned() })
}

pub(crate) fn parse_at(text: &str) -> Result<At, String> {
    if text == "latest" {
        return Ok(At::Latest);
    }
    SnapshotId::parse(text).map(At::Snapshot).map_err(|error| match error {
        Error::InvalidArgument(reason) => reason.to_owned(),
        error => error.to_string(),
    })
}

/// Milliseconds since the Unix epoch.
pub(crate) fn parse_since(text: &str) -> Result<i64, String> {
    if let Ok(ms) = text.parse() {
        return Ok(ms);
    }
    let date = || text.parse::<Date>().and_then(|date| date.to_zoned(TimeZone::UTC)).map(|at| at.timestamp());
    let time = text.parse::<Timestamp>().or_else(|_| date());
    let forms = "a time is 2026-11-22, 2026-11-22T10:00:00Z, or milliseconds since 1970";
    time.map(Timestamp::as_millisecond).map_err(|_| forms.to_owned())
}

/// A time for people, in UTC; `-` when there is none.
pub(crate) fn show_time(time_ms: Option<i64>) -> String {
    let time = time_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| "-".to_owned(), |time| format!("{time:.0}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_three_forms() {
        for (text, ms) in [
            ("1795341600000", 1_795_341_600_000),
            ("2026-11-22", 1_795_305_600_000),
            ("2026-11-22T10:00:00Z", 1_795_341_600_000),
            ("2026-11-22T12:00:00+02:00", 1_795_341_600_000),
        ] {
            assert_eq!(parse_since(text), Ok(ms), "{text}");
        }
        assert!(parse_since("yesterday").is_err());
        assert_eq!(show_time(Some(1_795_341_600_999)), "2026-11-22T10:00:00Z");
    }

    #[test]
    fn a_path_may_hold_colons_and_a_kind_must_be_known() {
        let what = parse_what("files:docs/a:b").unwrap();
        assert_eq!((what.kind, what.path.as_str()), (Kind::FILES, "docs/a:b"));
        assert!(parse_what("movies").is_err());
    }
}
