//! What a device that was cut off, or whoever has a code that was replaced, does to a roster.

use super::*;

/// Device 0 cuts device 2 off and begins an epoch; device 2 goes on from before, as if it did not know.
fn revoked() -> (Roster, Roster) {
    let start = account(3);
    let mut honest = start.clone();
    write(&mut honest, person(0), &person(2).revoke());
    begin(&mut honest, person(0), 50);
    (honest, start)
}

#[test]
fn attack_d6_a_revoked_device_adds_nobody_whatever_it_pretends_not_to_know() {
    let (honest, mut forked) = revoked();
    write(&mut forked, person(2), &person(10).add());
    write(&mut forked, person(10), &person(11).add());
    let all = united(&[&honest, &forked]);
    assert!(!is_device(&all, person(10)) && !is_device(&all, person(11)));
    assert!(!all.state().device(person(2).id).unwrap().is_active());
    // Nor does its new device speak later, on top of everything.
    let late = try_write(&mut all.clone(), SignerId::Device(person(10).id), person(10), &person(12).add());
    assert!(late.is_err());
}

#[test]
fn attack_d6_a_revoked_device_sets_no_code_and_the_code_brings_in_nobody() {
    let (honest, mut forked) = revoked();
    set(&mut forked, person(2), person(22), Change::SetRecovery);
    try_write(&mut forked, SignerId::Recovery, person(22), &person(10).add()).unwrap();
    write(&mut forked, person(10), &person(11).add());
    let all = united(&[&honest, &forked]);
    assert_eq!(recovery(&all), Some(person(20).id.0), "the owner's code stays until one that counts");
    assert!(!is_device(&all, person(10)), "by the code that does not count");
    assert!(!is_device(&all, person(11)), "by whom that code brought in");
    for (code, is_let_in) in [(20, true), (22, false)] {
        let late = try_write(&mut all.clone(), SignerId::Recovery, person(code), &person(12).add());
        assert_eq!(late.is_ok(), is_let_in, "code {code}");
    }
}

#[test]
fn attack_d6_whoever_a_revoked_device_lets_in_takes_no_code_from_its_owner() {
    let (mut honest, mut forked) = revoked();
    set(&mut honest, person(0), person(24), Change::SetPassword);
    let start = honest.clone();
    write(&mut forked, person(2), &person(10).add());
    set(&mut forked, person(10), person(22), Change::SetRecovery);
    set(&mut forked, person(10), person(23), Change::SetPassword);
    // Meanwhile the owner comes in with his code, and with his password.
    try_write(&mut honest, SignerId::Recovery, person(20), &person(5).add()).unwrap();
    try_write(&mut honest, SignerId::Password, person(24), &person(6).add()).unwrap();
    let all = united(&[&honest, &forked]);
    assert!(is_device(&all, person(5)) && is_device(&all, person(6)));
    assert_eq!((recovery(&all), password(&all)), (recovery(&start), password(&start)));
}

#[test]
fn attack_d6_a_revoked_device_sets_no_password_and_the_password_brings_in_nobody() {
    let (honest, mut forked) = revoked();
    set(&mut forked, person(2), person(22), Change::SetPassword);
    try_write(&mut forked, SignerId::Password, person(22), &person(10).add()).unwrap();
    let all = united(&[&honest, &forked]);
    assert_eq!(password(&all), None);
    assert!(!is_device(&all, person(10)));
}

#[test]
fn attack_d6_a_revoked_device_does_not_speak_under_the_name_of_another() {
    // Device 5 is added after the fork; the revoked device invents one with the same id and its own key.
    let (mut honest, mut forked) = revoked();
    write(&mut honest, person(0), &person(5).add());
    for n in 12..16 {
        write(&mut forked, person(2), &person(n).add());
    }
    let double = Member { id: person(5).id, ..person(10).member() };
    write(&mut forked, person(2), &Change::AddDevice(double));
    try_write(&mut forked, SignerId::Device(person(5).id), person(10), &person(11).add()).unwrap();
    let all = united(&[&honest, &forked]);
    let known = all.state().device(person(5).id).unwrap().signing_key().as_bytes().to_vec();
    assert_eq!(known, person(5).signing.verifying_key().as_bytes());
    assert!(!is_device(&all, person(11)));
}

#[test]
fn attack_d7_a_revoked_device_begins_no_epoch_that_anybody_writes_under() {
    let (honest, mut forked) = revoked();
    let current = honest.state().epoch();
    for seed in 60..64 {
        begin(&mut forked, person(2), seed);
    }
    let all = united(&[&honest, &forked]);
    assert_eq!(all.state().epoch(), current, "its numbers are higher, and do not count");
    assert!(!all.state().is_rotation_due());
    assert_eq!(all.state().next_epoch(), Some(5), "a number is not used twice");
    // Announced again under the honest epoch's own name: that does not make a rotation due for ever.
    let mut forked = account(3);
    write(&mut forked, person(2), &Change::BeginEpoch(current.0, current.1));
    let all = united(&[&honest, &forked]);
    assert_eq!((all.state().epoch(), all.state().is_rotation_due()), (current, false));
}

#[test]
fn attack_d6_whom_a_revoked_device_revoked_stays_revoked_and_its_code_revives_nothing() {
    let (honest, mut forked) = revoked();
    write(&mut forked, person(2), &person(1).revoke());
    set(&mut forked, person(2), person(20), Change::SetRecovery);
    let all = united(&[&honest, &forked]);
    assert!(!all.state().device(person(1).id).unwrap().is_active(), "a cut always counts");
    assert_eq!(recovery(&all), Some(person(20).id.0), "set by its owner, not by him");
    assert!(all.state().device(person(0).id).unwrap().is_active());
    assert!(all.state().is_rotation_due());
}

#[test]
fn attack_d6_what_a_device_granted_before_and_its_revoker_knew_stays() {
    let mut start = account(3);
    write(&mut start, person(2), &person(5).add());
    set(&mut start, person(2), person(21), Change::SetRecovery);
    let root = begin(&mut start, person(2), 1);
    let mut all = start.clone();
    write(&mut all, person(0), &person(2).revoke());
    assert!(is_device(&all, person(5)));
    assert_eq!(recovery(&all), Some(person(21).id.0));
    assert_eq!(all.state().epoch(), (1, root.id()));
    write(&mut all, person(5), &person(6).add());
    assert!(is_device(&all, person(6)));
}

#[test]
fn attack_d10_a_replaced_code_adds_no_device_and_does_not_come_back() {
    let start = account(2);
    let mut honest = start.clone();
    set(&mut honest, person(0), person(21), Change::SetRecovery);
    begin(&mut honest, person(0), 1);
    // Whoever has the old code goes on from before, and so does the device that he brings in.
    let mut forked = start.clone();
    try_write(&mut forked, SignerId::Recovery, person(20), &person(10).add()).unwrap();
    set(&mut forked, person(10), person(23), Change::SetRecovery);
    let all = united(&[&honest, &forked]);
    assert!(!is_device(&all, person(10)));
    assert_ne!(recovery(&all), Some(person(20).id.0), "the old code");
    assert_ne!(recovery(&all), Some(person(23).id.0), "a code of his");
    // The same device once more, set by the new code, is let in: nothing else is against it.
    let mut again = honest.clone();
    try_write(&mut again, SignerId::Recovery, person(21), &person(10).add()).unwrap();
    assert!(is_device(&again, person(10)));
    assert!(try_write(&mut honest, SignerId::Recovery, person(20), &person(11).add()).is_err());
}

#[test]
fn attack_d10_whoever_comes_in_with_a_replaced_code_undoes_nothing_by_revoking_who_replaced_it() {
    let start = account(3);
    let mut honest = start.clone();
    set(&mut honest, person(0), person(21), Change::SetRecovery);
    set(&mut honest, person(0), person(24), Change::SetPassword);
    begin(&mut honest, person(0), 1);
    let mut forked = start.clone();
    try_write(&mut forked, SignerId::Recovery, person(20), &person(10).add()).unwrap();
    write(&mut forked, person(10), &person(0).revoke());
    let all = united(&[&honest, &forked]);
    assert!(!is_device(&all, person(10)), "brought in by a code that was replaced");
    assert_eq!(recovery(&all), None, "the old one is dead, whoever set the new one was cut off");
    let late = try_write(&mut all.clone(), SignerId::Recovery, person(20), &person(11).add());
    assert!(late.is_err(), "the old code");
}

#[test]
fn attack_d10_whoever_comes_in_with_a_replaced_code_voids_nothing_that_the_new_one_grants() {
    let start = account(2);
    let mut honest = start.clone();
    set(&mut honest, person(0), person(21), Change::SetRecovery);
    let mut forked = start.clone();
    try_write(&mut forked, SignerId::Recovery, person(20), &person(10).add()).unwrap();
    set(&mut forked, person(10), person(23), Change::SetRecovery);
    try_write(&mut honest, SignerId::Recovery, person(21), &person(5).add()).unwrap();
    let all = united(&[&honest, &forked]);
    assert!(is_device(&all, person(5)) && !is_device(&all, person(10)));
    assert_eq!(recovery(&all), Some(person(21).id.0));
}

#[test]
fn attack_d6_a_revoked_device_does_not_bring_a_replaced_code_back() {
    // Device and code were stolen together. The owner cuts both off; a third device hears of all at once.
    let (mut honest, mut forked) = revoked();
    set(&mut honest, person(0), person(21), Change::SetRecovery);
    write(&mut forked, person(2), &person(0).revoke());
    try_write(&mut forked, SignerId::Recovery, person(20), &person(10).add()).unwrap();
    let all = united(&[&honest, &forked]);
    assert!(!is_device(&all, person(10)), "brought in by the stolen code");
    assert_ne!(recovery(&all), Some(person(20).id.0));
    assert!(try_write(&mut all.clone(), SignerId::Recovery, person(20), &person(11).add()).is_err());
}

#[test]
fn attack_d6_a_revoked_device_cuts_off_nobody_whom_it_did_not_know() {
    // A device's id shows in the store: the revoked one lets in another under that id and revokes it.
    let (mut honest, mut forked) = revoked();
    write(&mut honest, person(0), &person(5).add());
    write(&mut honest, person(5), &person(6).add());
    set(&mut honest, person(5), person(21), Change::SetRecovery);
    let start = honest.clone();
    let double = Member { id: person(5).id, ..person(10).member() };
    write(&mut forked, person(2), &Change::AddDevice(double));
    write(&mut forked, person(2), &person(5).revoke());
    let mut all = united(&[&honest, &forked]);
    assert!(all.state().device(person(5).id).unwrap().is_active());
    assert!(is_device(&all, person(6)), "whom it let in");
    assert_eq!(recovery(&all), recovery(&start), "the code that it set");
    // Who knows it cuts it off, as ever.
    write(&mut all, person(0), &person(5).revoke());
    assert!(!all.state().device(person(5).id).unwrap().is_active());
}

#[test]
fn attack_d10_a_replaced_or_removed_password_adds_no_device_and_does_not_come_back() {
    for replace in [true, false] {
        let mut start = account(2);
        set(&mut start, person(0), person(21), Change::SetPassword);
        let (mut honest, mut forked) = (start.clone(), start.clone());
        match replace {
            true => set(&mut honest, person(0), person(22), Change::SetPassword),
            false => write(&mut honest, person(0), &Change::RemovePassword),
        }
        try_write(&mut forked, SignerId::Password, person(21), &person(10).add()).unwrap();
        let all = united(&[&honest, &forked]);
        assert!(!is_device(&all, person(10)));
        assert_eq!(password(&all), replace.then_some(person(22).id.0));
        assert!(all.state().is_rotation_due());
    }
}

#[test]
fn attack_d10_a_code_that_was_used_and_then_replaced_knowingly_keeps_its_device() {
    let mut roster = account(1);
    try_write(&mut roster, SignerId::Recovery, person(20), &person(5).add()).unwrap();
    set(&mut roster, person(5), person(21), Change::SetRecovery);
    begin(&mut roster, person(5), 1);
    assert!(is_device(&roster, person(5)));
    assert_eq!(recovery(&roster), Some(person(21).id.0));
    try_write(&mut roster, SignerId::Recovery, person(21), &person(6).add()).unwrap();
    assert!(is_device(&roster, person(6)));
}
