//! What is read from photos: which files are media, and when a picture was taken.
//!
//! A picture is never changed, and a picture that cannot be understood is backed up all the same: nothing
//! here fails, allocates beyond a small multiple of [`PHOTO_HEAD_BYTES`], or looks further than that.

use std::io::Cursor;

use exif::{DateTime, Exif, In, Tag, Value};

/// How much of a file's beginning [`taken_ms`] looks at. A picture's metadata nearly always lies there.
pub const PHOTO_HEAD_BYTES: usize = 1024 * 1024;

/// When the picture was taken, in milliseconds since 1970, from the first bytes of its file (JPEG, HEIF,
/// AVIF, PNG, WebP, TIFF, DNG): EXIF `DateTimeOriginal` with its fraction and time zone (CIPA DC-008). Most
/// cameras record no zone: their local time is then read as if it were UTC.
#[must_use]
pub fn taken_ms(head: &[u8]) -> Option<i64> {
    let head = before_scan(head.get(..PHOTO_HEAD_BYTES).unwrap_or(head));
    let exif = exif::Reader::new()
        .continue_on_error(true)
        .read_from_container(&mut Cursor::new(head))
        .or_else(|error| error.distill_partial_result(|_| {}))
        .ok()?;
    let mut time = DateTime::from_ascii(ascii(&exif, Tag::DateTimeOriginal)?).ok()?;
    // A fraction or zone that cannot be read leaves the time as it is.
    for (tag, part) in [(Tag::SubSecTimeOriginal, Part::Fraction), (Tag::OffsetTimeOriginal, Part::Zone)] {
        let Some(text) = ascii(&exif, tag) else { continue };
        let _ = match part {
            Part::Fraction => time.parse_subsec(text),
            Part::Zone => time.parse_offset(text),
        };
    }
    to_ms(&time)
}

/// A JPEG up to its first scan (ITU-T T.81, B.1.1.4 and B.2.3); else all of it. Exif lies right behind the start of the
/// image (CIPA DC-008); a picture without any would be searched to its end.
fn before_scan(head: &[u8]) -> &[u8] {
    if !head.starts_with(&[0xff, 0xd8]) {
        return head;
    }
    let mut at = 2_usize;
    while let Some([0xff, marker, high, low]) = head.get(at..).and_then(|rest| rest.first_chunk()) {
        at += match marker {
            // Start of scan.
            0xda => return head.get(..at).unwrap_or(head),
            // Fill.
            0xff => 1,
            // Those that stand alone.
            0x00 | 0x01 | 0xd0..=0xd9 => 2,
            _ => 2 + usize::from(u16::from_be_bytes([*high, *low])),
        };
    }
    head
}

enum Part {
    Fraction,
    Zone,
}

fn ascii(exif: &Exif, tag: Tag) -> Option<&[u8]> {
    match &exif.get_field(tag, In::PRIMARY)?.value {
        Value::Ascii(lines) => lines.first().map(Vec::as_slice),
        _ => None,
    }
}

fn to_ms(time: &DateTime) -> Option<i64> {
    let DateTime { year, month, day, hour, minute, second, nanosecond, offset } = time;
    let in_range = *year > 0 && (1..=12).contains(month) && (1..=31).contains(day);
    // 60 is a leap second.
    if !in_range || *hour > 23 || *minute > 59 || *second > 60 {
        return None;
    }
    let days = days_since_1970(i64::from(*year), i64::from(*month), i64::from(*day));
    let minutes = (days * 24 + i64::from(*hour)) * 60 + i64::from(*minute) - i64::from(offset.unwrap_or(0));
    let fraction_ms = i64::from(nanosecond.unwrap_or(0) / 1_000_000);
    Some((minutes * 60 + i64::from(*second)) * 1000 + fraction_ms)
}

/// Days in the Gregorian calendar; years begin in March, so that the leap day is the last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

/// Whether a file with this name is a photo or a video.
#[must_use]
pub fn is_media_name(name: &[u8]) -> bool {
    let mut parts = name.rsplitn(2, |byte| *byte == b'.');
    let (Some(extension), Some(_)) = (parts.next(), parts.next()) else { return false };
    MEDIA_EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known.as_bytes()))
}

const MEDIA_EXTENSIONS: &[&str] = &[
    "jpg", "jpeg", "jpe", "png", "gif", "webp", "bmp", "heic", "heif", "hif", "avif", "jxl", "tif", "tiff",
    "svg", "dng", "raw", "arw", "cr2", "cr3", "nef", "nrw", "orf", "raf", "rw2", "pef", "srw", "x3f", "mp4",
    "m4v", "mov", "3gp", "3g2", "mkv", "webm", "avi", "mpg", "mpeg", "mts", "m2ts", "wmv", "insv", "insp",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// A little-endian TIFF whose Exif folder holds these ASCII fields.
    fn tiff(fields: &[(u16, &str)]) -> Vec<u8> {
        let mut out = b"II\x2a\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x1a\0\0\0\0\0\0\0".to_vec();
        out.extend(u16::try_from(fields.len()).unwrap().to_le_bytes());
        let mut place = out.len() + fields.len() * 12 + 4;
        let mut values = Vec::new();
        for (tag, text) in fields {
            let mut value = text.as_bytes().to_vec();
            value.push(0);
            out.extend(tag.to_le_bytes());
            out.extend(2u16.to_le_bytes());
            out.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
            if value.len() <= 4 {
                value.resize(4, 0);
                out.extend(value);
            } else {
                out.extend(u32::try_from(place).unwrap().to_le_bytes());
                place += value.len();
                values.extend(value);
            }
        }
        out.extend([0; 4]);
        out.extend(values);
        out
    }

    fn jpeg(tiff: &[u8]) -> Vec<u8> {
        let mut out = b"\xff\xd8\xff\xe1".to_vec();
        out.extend(u16::try_from(tiff.len() + 8).unwrap().to_be_bytes());
        out.extend(b"Exif\0\0");
        out.extend(tiff);
        out.extend(b"\xff\xda\0\x02 pixels \xff\xd9");
        out
    }

    #[test]
    fn time_fraction_and_zone_are_read() {
        let plain = tiff(&[(0x9003, "2024:02:29 12:34:56")]);
        assert_eq!(taken_ms(&plain), Some(1_709_210_096_000));
        assert_eq!(taken_ms(&jpeg(&plain)), Some(1_709_210_096_000));
        let full = tiff(&[(0x9003, "2024:02:29 12:34:56"), (0x9011, "+02:00"), (0x9291, "789")]);
        assert_eq!(taken_ms(&jpeg(&full)), Some(1_709_202_896_789));
        let odd = tiff(&[(0x9003, "1969:12:31 23:59:59"), (0x9011, "east"), (0x9291, "x")]);
        assert_eq!(taken_ms(&odd), Some(-1000));
    }

    #[test]
    fn nothing_is_looked_for_behind_the_start_of_the_scan() {
        let tiff = tiff(&[(0x9003, "2024:02:29 12:34:56")]);
        let exif = &jpeg(&tiff)[2..];
        let other = b"\xff\xe0\0\x06\xff\xda\0\0";
        let before = [b"\xff\xd8\xff".as_slice(), other, b"\xff\x01\xff\xff", exif].concat();
        assert!(taken_ms(&before).is_some());
        assert!(before_scan(&before).ends_with(&tiff));
        let behind = [b"\xff\xd8\xff\xda\0\x02".as_slice(), other, exif].concat();
        assert_eq!((before_scan(&behind).len(), taken_ms(&behind)), (2, None));
        assert_eq!(before_scan(&tiff), tiff);
    }

    #[test]
    fn senseless_times_are_none() {
        for text in [
            "0000:00:00 00:00:00",
            "    :  :     :  :  ",
            "2024:13:01 00:00:00",
            "2024",
            "2024:01:01 24:00:00",
        ] {
            assert_eq!(taken_ms(&tiff(&[(0x9003, text)])), None, "{text}");
        }
        assert_eq!(taken_ms(b""), None);
        assert_eq!(taken_ms(b"GIF89a"), None);
    }

    #[test]
    fn attack_r6_no_damaged_picture_panics() {
        let whole = jpeg(&tiff(&[(0x9003, "2024:02:29 12:34:56"), (0x9291, "789")]));
        for end in 0..whole.len() {
            let _ = taken_ms(&whole[..end]);
        }
        for place in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut damaged = whole.clone();
                damaged[place] = value;
                let _ = taken_ms(&damaged);
                let _ = taken_ms(&damaged[12..]);
            }
        }
        let heif = b"\0\0\0\x14ftypheic\0\0\0\0mif1\xff\xff\xff\xffmeta\0\0\0\0";
        assert_eq!(taken_ms(heif), None);
        assert_eq!(taken_ms(b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffeXIf"), None);
    }

    #[test]
    fn media_is_known_by_extension() {
        for name in ["IMG_1.JPG", "a.b.heic", "VID.mp4", "PXL.MP.jpg", ".x.png"] {
            assert!(is_media_name(name.as_bytes()), "{name}");
        }
        for name in ["notes.md", "jpg", "a.jpg.json", "", ".", "x."] {
            assert!(!is_media_name(name.as_bytes()), "{name}");
        }
    }
}
