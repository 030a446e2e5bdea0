//! Attribute values: references resolved, white space normalized as XML says, surrogate halves joined.

use crate::kinds::record::is_xml_char;

/// The value that a raw attribute stands for; `None` for a reference that XML does not know.
pub(super) fn unescape(raw: &str) -> Option<String> {
    let mut out = String::with_capacity(raw.len());
    let mut high: Option<u32> = None;
    let mut rest = raw;
    while let Some(position) = rest.find(['&', '\t', '\n', '\r']) {
        let (plain, from) = rest.split_at(position);
        if !plain.is_empty() {
            flush(&mut high, &mut out);
            plain.chars().for_each(|c| out.push(allowed(c)));
        }
        if let Some(reference) = from.strip_prefix('&') {
            let (name, after) = reference.split_once(';')?;
            append(resolve(name)?, &mut high, &mut out);
            rest = after;
        } else {
            flush(&mut high, &mut out);
            out.push(' ');
            rest = from.strip_prefix("\r\n").or_else(|| from.get(1..)).unwrap_or_default();
        }
    }
    if !rest.is_empty() {
        flush(&mut high, &mut out);
        rest.chars().for_each(|c| out.push(allowed(c)));
    }
    flush(&mut high, &mut out);
    Some(out)
}

/// The code a reference names.
fn resolve(name: &str) -> Option<u32> {
    let numeric = name.strip_prefix('#').map(|number| match number.strip_prefix(['x', 'X']) {
        Some(hex) => (hex, 16),
        None => (number, 10),
    });
    match (name, numeric) {
        (_, Some((digits, radix))) => {
            let sound = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
            sound.then(|| u32::from_str_radix(digits, radix).unwrap_or(u32::MAX))
        }
        ("amp", _) => Some(u32::from('&')),
        ("lt", _) => Some(u32::from('<')),
        ("gt", _) => Some(u32::from('>')),
        ("quot", _) => Some(u32::from('"')),
        ("apos", _) => Some(u32::from('\'')),
        _ => None,
    }
}

/// Appends a code; a high surrogate waits for its other half.
fn append(code: u32, high: &mut Option<u32>, out: &mut String) {
    match (code, *high) {
        (0xd800..=0xdbff, _) => {
            flush(high, out);
            *high = Some(code);
        }
        (0xdc00..=0xdfff, Some(first)) => {
            *high = None;
            let joined = 0x1_0000 + ((first - 0xd800) << 10) + (code - 0xdc00);
            out.push(char::from_u32(joined).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        _ => {
            flush(high, out);
            out.push(char::from_u32(code).map_or(char::REPLACEMENT_CHARACTER, allowed));
        }
    }
}

/// A half that stayed alone.
fn flush(high: &mut Option<u32>, out: &mut String) {
    if high.take().is_some() {
        out.push(char::REPLACEMENT_CHARACTER);
    }
}

fn allowed(c: char) -> char {
    if is_xml_char(c) { c } else { char::REPLACEMENT_CHARACTER }
}

#[cfg(test)]
mod tests {
    use super::unescape;

    #[test]
    fn references_become_what_they_stand_for() {
        for (raw, value) in [
            ("plain", "plain"),
            ("a&amp;b&lt;c&gt;&quot;&apos;", "a&b<c>\"'"),
            ("&#55357;&#56838;", "\u{1f606}"),
            ("&#xD83D;&#xde06;!", "\u{1f606}!"),
            ("&#55357;x", "\u{fffd}x"),
            ("&#56838;", "\u{fffd}"),
            ("&#55357;&#55357;&#56838;", "\u{fffd}\u{1f606}"),
            ("&#0;&#1114112;", "\u{fffd}\u{fffd}"),
            ("a\nb\tc\r\nd&#10;e", "a b c d\ne"),
            ("&#10;&#9;&#13;", "\n\t\r"),
            ("ž&#382;", "žž"),
        ] {
            assert_eq!(unescape(raw).as_deref(), Some(value), "{raw}");
        }
        for raw in ["&", "&;", "&foo;", "&#;", "&#x;", "a & b", "&#-1;"] {
            assert_eq!(unescape(raw), None, "{raw}");
        }
    }
}
