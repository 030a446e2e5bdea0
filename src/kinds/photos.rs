//! Photos: which names are media, and when a picture was taken. The bytes themselves are never touched.

use std::io::Cursor;

use exif::{DateTime, In, Tag, Value};

/// Whether a file name is that of a photo or video.
#[must_use]
pub fn is_media_name(name: &[u8]) -> bool {
    const EXTENSIONS: [&[u8]; 17] = [
        b"jpg", b"jpeg", b"png", b"heic", b"heif", b"avif", b"webp", b"gif", b"tif", b"tiff", b"dng", b"mp4",
        b"mov", b"m4v", b"3gp", b"mkv", b"webm",
    ];
    let extension = name.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    extension.len() < name.len() && EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension))
}

/// When a picture was taken, from the EXIF in its first bytes: milliseconds since the Unix epoch, in the
/// camera's own time where it names no offset. `None` where there is no date; never an error.
#[must_use]
pub fn taken_ms(head: &[u8]) -> Option<i64> {
    let exif = exif::Reader::new()
        .continue_on_error(true)
        .read_from_container(&mut Cursor::new(head))
        .or_else(|error| error.distill_partial_result(|_| {}))
        .ok()?;
    let ascii = |tag| match &exif.get_field(tag, In::PRIMARY)?.value {
        Value::Ascii(lines) => lines.first(),
        _ => None,
    };
    let mut date = DateTime::from_ascii(ascii(Tag::DateTimeOriginal)?).ok()?;
    if let Some(text) = ascii(Tag::SubSecTimeOriginal) {
        let _ = date.parse_subsec(text);
    }
    if let Some(text) = ascii(Tag::OffsetTimeOriginal) {
        let _ = date.parse_offset(text);
    }
    epoch_ms(&date)
}

fn epoch_ms(date: &DateTime) -> Option<i64> {
    let in_range = (1..=12).contains(&date.month)
        && (1..=31).contains(&date.day)
        && date.hour < 24
        && date.minute < 60
        && date.second < 61;
    let days = days_from_civil(i64::from(date.year), i64::from(date.month), i64::from(date.day));
    let seconds =
        days * 86_400 + i64::from(date.hour) * 3600 + i64::from(date.minute) * 60 + i64::from(date.second);
    let offset = i64::from(date.offset.unwrap_or(0)) * 60;
    let fraction = i64::from(date.nanosecond.unwrap_or(0)) / 1_000_000;
    in_range.then_some((seconds - offset) * 1000 + fraction)
}

/// Days since 1970-01-01 in the Gregorian calendar, counting years from March.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    365 * year + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (153 * month + 2) / 5
        + day
        - 719_469
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_from_1970() {
        assert_eq!(days_from_civil(1970, 1, 1), 0);
        assert_eq!(days_from_civil(2000, 2, 29), 11_016);
        assert_eq!(days_from_civil(2026, 11, 22), 20_779);
        assert_eq!(days_from_civil(1969, 12, 31), -1);
    }

    #[test]
    fn media_is_known_by_its_extension() {
        assert!(is_media_name(b"IMG_1.JPG"));
        assert!(is_media_name(b"a.b.heic"));
        assert!(!is_media_name(b"jpg"));
        assert!(!is_media_name(b"note.md"));
    }

    #[test]
    fn attack_r6_no_bytes_make_the_date_reader_fail() {
        assert_eq!(taken_ms(b""), None);
        assert_eq!(taken_ms(b"\xff\xd8\xff\xe1\x00\x10Exif\0\0MM\0*\0\0\0\x08"), None);
    }
}
