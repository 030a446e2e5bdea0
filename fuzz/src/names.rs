//! Names: of files below a restored folder, of tree entries, of stored objects, of devices.

use strongroom::{
    keys::DeviceId,
    kinds::{file_key, parse_file_key},
    limits::KEY_BYTES_MAX,
    store::ObjectName,
    vault::{Component, Platform},
};

/// A name that passes means a direct child on its platform; a key that is read is the key of its parts.
pub fn path_names(data: &[u8]) {
    check_name(data);
    let Ok((source, parts)) = parse_file_key(data) else { return };
    assert!(Component::check_for(Platform::Unix, source.as_bytes()).is_ok());
    parts.iter().for_each(|part| check_name(part));
    match file_key(source, &parts) {
        Ok(key) => assert!(key == data),
        Err(_) => assert!(data.len() > KEY_BYTES_MAX),
    }
    assert_eq!(Component::parse_all(&parts).is_ok(), parts.iter().all(|part| Component::parse(part).is_ok()));
}

fn check_name(name: &[u8]) {
    let unix = Component::check_for(Platform::Unix, name).is_ok();
    let windows = Component::check_for(Platform::Windows, name).is_ok();
    assert_eq!(Component::parse(name).is_ok(), if cfg!(windows) { windows } else { unix });
    if let Ok(component) = Component::parse(name) {
        assert_eq!(component.as_bytes(), name);
    }
    assert!(unix || !windows, "Windows has every rule of Unix");
    if unix {
        assert!((1..=255).contains(&name.len()) && !name.contains(&b'/') && !name.contains(&0));
        assert!(name != b"." && name != b"..");
    }
    if windows {
        let text = std::str::from_utf8(name).unwrap();
        assert!(!text.contains(['\\', ':', '*', '?', '"', '<', '>', '|']) && !text.chars().any(|c| c < ' '));
        assert!(!text.ends_with('.') && !text.ends_with(' '));
        let upper = text.to_uppercase();
        let stem = upper.split('.').next().unwrap().trim_end();
        assert!(!["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "COM1", "LPT9", "COM²"].contains(&stem));
    }
}

/// A name that is read has one of the known forms, and is the one that its parts give.
pub fn store_name(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(device) = DeviceId::parse(text) {
        assert_eq!(device.to_string(), text.to_ascii_lowercase());
    }
    let Ok(name) = ObjectName::parse(text) else { return };
    assert_eq!(name.as_str(), text);
    let parts: Vec<_> = text.split('/').collect();
    let id = |text: &str| DeviceId::parse(text).unwrap().0;
    let again = match parts.as_slice() {
        ["objects", object] => Some(ObjectName::object(&id(object))),
        ["envelopes", locator, envelope] => Some(ObjectName::envelope(&id(locator), &id(envelope))),
        ["commits", device, number] => {
            number.parse().ok().map(|number| ObjectName::commit(&id(device), number))
        }
        ["enroll", rendezvous, "request"] => Some(ObjectName::enroll_request(&id(rendezvous))),
        ["enroll", rendezvous, "reveal"] => Some(ObjectName::enroll_reveal(&id(rendezvous))),
        ["enroll", rendezvous, "answer"] => Some(ObjectName::enroll_answer(&id(rendezvous))),
        _ => panic!("another form"),
    };
    assert!(again.is_some_and(|again| again == name), "no object can have this name");
    assert_eq!(name.id().is_some(), !["commits", "enroll"].contains(&parts[0]));
}
