//! What entries say that were written at once, and what somebody who was cut off can make of them. No test
//! needs a store: whoever holds the store decides only which entries arrive, and all of them do here.

use std::sync::OnceLock;

use proptest::prelude::*;

use super::*;
use crate::{
    crypto::{FORMAT_VERSION, HybridSecretKey, PasswordParameters, Random, Secret, SeededRandom, SigningKey},
    keys::{DeviceId, EpochRoot, Recipient},
};

/// Somebody with a signing key: a device, or the holder of a code or password.
struct Person {
    id: DeviceId,
    signing: SigningKey,
    hybrid: HybridSecretKey,
}

impl Person {
    fn new(seed: u64) -> Self {
        let random: &mut dyn Random = &mut SeededRandom::new(seed);
        Self {
            id: DeviceId(random.bytes().unwrap()),
            signing: SigningKey::generate(random).unwrap(),
            hybrid: HybridSecretKey::from_seed(Secret::generate(random).unwrap()),
        }
    }

    fn member(&self) -> Member {
        Member {
            id: self.id,
            signing_key: self.signing.verifying_key(),
            recipient: Recipient::device(self.hybrid.public().clone(), self.id.0),
            name: "device".to_owned(),
        }
    }

    fn code(&self) -> Recipient {
        Recipient::recovery(self.hybrid.public().clone(), self.id.0, self.signing.verifying_key())
    }

    fn password(&self) -> Recipient {
        let parameters = PasswordParameters::default_with([1; 32]);
        Recipient::password(self.hybrid.public().clone(), self.id.0, self.signing.verifying_key(), parameters)
    }

    fn add(&self) -> Change {
        Change::AddDevice(self.member())
    }

    fn revoke(&self) -> Change {
        Change::RevokeDevice { device: self.id, last_sequence: 3, last_hash: [3; 32] }
    }
}

/// Making X-Wing pairs is slow: each person is made once.
fn person(n: usize) -> &'static Person {
    static PEOPLE: [OnceLock<Person>; 40] = [const { OnceLock::new() }; 40];
    PEOPLE[n].get_or_init(|| Person::new(n as u64))
}

fn write(roster: &mut Roster, by: &Person, change: &Change) {
    try_write(roster, SignerId::Device(by.id), by, change).unwrap();
}

fn try_write(roster: &mut Roster, id: SignerId, by: &Person, change: &Change) -> crate::Result<()> {
    roster.append(&Signer { id, key: &by.signing }, change, None, 0)
}

/// A code or password that its new holder agrees to.
fn set(roster: &mut Roster, by: &Person, to: &Person, change: fn(Recipient) -> Change) {
    let recipient = match change(to.code()) {
        Change::SetPassword(_) => to.password(),
        _ => to.code(),
    };
    let accepted = recipient.accept(roster.account(), &to.signing);
    let signer = Signer { id: SignerId::Device(by.id), key: &by.signing };
    roster.append(&signer, &change(recipient), Some(&accepted), 0).unwrap();
}

fn root(roster: &Roster, seed: u64) -> EpochRoot {
    let epoch = roster.state().next_epoch().unwrap();
    EpochRoot::generate(epoch, &mut SeededRandom::new(seed)).unwrap()
}

fn begin(roster: &mut Roster, by: &Person, seed: u64) -> EpochRoot {
    let root = root(roster, seed);
    write(roster, by, &Change::BeginEpoch(root.epoch(), root.id()));
    root
}

/// An account with the devices 0 to `count` - 1; its recovery code is person 20's.
fn account(count: usize) -> Roster {
    account_of(person(0), count)
}

fn account_of(first: &Person, count: usize) -> Roster {
    let genesis = Change::Genesis {
        salt: [7; 16],
        device: first.member(),
        recovery: person(20).code(),
        format_version: FORMAT_VERSION,
        root_id: [9; 16],
    };
    let mut roster = Roster::begin(&genesis, &first.signing, &person(20).signing, 0).unwrap();
    (1..count).for_each(|n| write(&mut roster, first, &person(n).add()));
    roster
}

/// What a state says, in a form that can be compared.
fn said(roster: &Roster) -> String {
    let state = roster.state();
    let devices: Vec<_> = state.devices().iter().map(|device| (device.id(), device.state())).collect();
    let locator = |recipient: Option<&Recipient>| recipient.map(Recipient::locator);
    let secrets = (locator(state.recovery()), locator(state.password()));
    format!("{devices:?} {secrets:?} {:?} {}", state.epoch(), state.is_rotation_due())
}

/// All of `rosters` united in this order; every order has to give the same.
fn united(rosters: &[&Roster]) -> Roster {
    let fold = |order: &mut dyn Iterator<Item = &&Roster>| {
        let mut all = (*order.next().unwrap()).clone();
        order.for_each(|other| {
            all.unite(other).unwrap();
        });
        all
    };
    let (forwards, backwards) = (fold(&mut rosters.iter()), fold(&mut rosters.iter().rev()));
    assert_eq!(forwards.encode(), backwards.encode());
    assert_eq!(said(&forwards), said(&backwards));
    let read = Roster::parse(forwards.account(), &forwards.encode()).unwrap();
    assert_eq!((read.encode(), said(&read)), (forwards.encode(), said(&forwards)));
    forwards
}

fn is_device(roster: &Roster, person: &Person) -> bool {
    roster.state().device(person.id).is_some()
}

fn recovery(roster: &Roster) -> Option<[u8; 16]> {
    roster.state().recovery().map(Recipient::locator)
}

fn password(roster: &Roster) -> Option<[u8; 16]> {
    roster.state().password().map(Recipient::locator)
}

#[test]
fn what_two_devices_write_at_once_counts_in_one_order() {
    let start = account(2);
    let (mut one, mut two) = (start.clone(), start.clone());
    write(&mut one, person(0), &person(5).add());
    write(&mut two, person(1), &person(6).add());
    set(&mut two, person(1), person(21), Change::SetPassword);
    let all = united(&[&one, &two]);
    assert!(is_device(&all, person(5)) && is_device(&all, person(6)));
    assert_eq!(password(&all), Some(person(21).id.0));
    assert!(all.includes(&one) && all.includes(&two) && !one.includes(&two));
    let mut again = all.clone();
    assert!(!again.unite(&one).unwrap() && !again.unite(&start).unwrap(), "nothing new");
    // The next entry stands on both.
    write(&mut again, person(0), &person(7).add());
    assert!(is_device(&again, person(7)));
    let other = account_of(person(3), 1);
    assert!(again.unite(&other).is_err() && !again.includes(&other), "another account");
}

#[test]
fn the_last_two_devices_that_there_is_room_for_added_at_once_leave_one() {
    let mut start = account(2);
    let device = |n: u8| Change::AddDevice(Member { id: DeviceId([n; 16]), ..person(5).member() });
    (2..255).for_each(|n| write(&mut start, person(0), &device(n)));
    let (mut one, mut two) = (start.clone(), start.clone());
    write(&mut one, person(0), &device(0));
    write(&mut two, person(1), &device(255));
    let mut all = united(&[&one, &two]);
    assert_eq!(all.state().devices().len(), 256);
    write(&mut all, person(0), &person(1).revoke());
    assert!(try_write(&mut all, SignerId::Device(person(0).id), person(0), &device(1)).is_err());
}

#[test]
fn attack_v1_the_format_floor_never_goes_down_and_never_above_what_is_known() {
    let start = account(2);
    let require = |roster: &mut Roster, version| {
        try_write(roster, SignerId::Device(person(1).id), person(1), &Change::RequireFormat(version))
    };
    for version in 0..=FORMAT_VERSION {
        assert!(
            matches!(require(&mut start.clone(), version), Err(crate::Error::Damaged { .. })),
            "{version}"
        );
    }
    let above = require(&mut start.clone(), FORMAT_VERSION + 1);
    assert!(matches!(above, Err(crate::Error::NewerFormat { .. })));
    let (mut one, mut two) = (start.clone(), start);
    write(&mut one, person(0), &person(5).add());
    begin(&mut two, person(1), 1);
    assert_eq!(united(&[&one, &two]).state().format_version(), FORMAT_VERSION);
}

#[test]
fn two_codes_set_at_once_leave_one_and_so_do_two_passwords() {
    let start = account(2);
    for change in [Change::SetRecovery, Change::SetPassword] {
        let (mut one, mut two) = (start.clone(), start.clone());
        set(&mut one, person(0), person(21), change);
        set(&mut two, person(1), person(22), change);
        let all = united(&[&one, &two]);
        let left = if change(person(21).code()).is_recovery() { recovery(&all) } else { password(&all) };
        assert!(left == Some(person(21).id.0) || left == Some(person(22).id.0), "{left:?}");
    }
}

#[test]
fn of_two_revocations_at_once_the_one_that_believes_less_counts() {
    let start = account(3);
    let revoke =
        |last_sequence| Change::RevokeDevice { device: person(2).id, last_sequence, last_hash: [1; 32] };
    let (mut one, mut two) = (start.clone(), start.clone());
    write(&mut one, person(0), &revoke(5));
    write(&mut two, person(1), &revoke(4));
    let all = united(&[&one, &two]);
    let state = all.state().device(person(2).id).unwrap().state();
    assert_eq!(state, DeviceState::Revoked { last_sequence: 4, last_hash: [1; 32] });
}

#[test]
fn two_rotations_at_once_have_one_current_epoch_and_both_roots_are_announced() {
    let start = account(2);
    let (mut one, mut two) = (start.clone(), start.clone());
    let roots = [begin(&mut one, person(0), 1), begin(&mut two, person(1), 2)];
    let mut all = united(&[&one, &two]);
    assert_eq!(all.state().epoch(), (1, roots[0].id().max(roots[1].id())));
    assert!(roots.iter().all(|root| all.state().announces(root)));
    assert!(!all.state().is_rotation_due());
    let stranger = EpochRoot::generate(1, &mut SeededRandom::new(3)).unwrap();
    assert!(!all.state().announces(&stranger), "attack D1: a root that nobody announced");
    assert_eq!(begin(&mut all, person(0), 4).epoch(), 2);
}

#[test]
fn attack_d7_a_revocation_and_a_rotation_at_once_leave_a_rotation_due() {
    // Whichever of the two roots is current, no epoch stands on both cuts.
    for seed in 0..6 {
        let start = account(3);
        let (mut one, mut two) = (start.clone(), start.clone());
        write(&mut one, person(0), &person(2).revoke());
        assert!(one.state().is_rotation_due());
        begin(&mut one, person(0), seed);
        assert!(!one.state().is_rotation_due());
        set(&mut two, person(1), person(21), Change::SetPassword);
        begin(&mut two, person(1), seed + 100);
        let mut all = united(&[&one, &two]);
        assert!(all.state().is_rotation_due(), "seed {seed}");
        begin(&mut all, person(1), seed + 200);
        assert!(!all.state().is_rotation_due());
    }
}

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

impl Change {
    fn is_recovery(&self) -> bool {
        matches!(self, Self::SetRecovery(_))
    }
}

/// One step of a program: who acts, what, and on whom.
type Step = (usize, u8, usize);

/// Lets a device act on its own roster; what it may not do there is not done.
fn act(rosters: &mut [Roster], (by, what, on): Step, fresh: &mut usize) {
    let count = rosters.len();
    let (by, on) = (by % count, on % count);
    let roster = &mut rosters[by];
    let may = roster.state().device(person(by).id).is_some_and(Device::is_active);
    if what == 0 {
        let other = rosters[on].clone();
        rosters[by].unite(&other).unwrap();
        return;
    }
    if !may {
        return;
    }
    *fresh += 1;
    let fresh = *fresh;
    let newcomer = person(24 + fresh % 16);
    match what {
        1 if roster.state().device(newcomer.id).is_none() => write(roster, person(by), &newcomer.add()),
        2 if on != by && roster.state().device(person(on).id).is_some_and(Device::is_active) => {
            write(roster, person(by), &person(on).revoke());
        }
        3 => set(roster, person(by), person(20 + fresh % 4), Change::SetPassword),
        4 => set(roster, person(by), person(20 + fresh % 4), Change::SetRecovery),
        5 => drop(begin(roster, person(by), fresh as u64)),
        6 if roster.state().password().is_some() => write(roster, person(by), &Change::RemovePassword),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_devices_write_in_whatever_order_it_comes_together_they_agree(
        count in 2_usize..=5,
        steps in prop::collection::vec((0_usize..5, 0_u8..=6, 0_usize..5), 1..24),
        order in Just((0_usize..5).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let mut rosters = vec![account(count); count];
        let mut fresh = 0;
        steps.into_iter().for_each(|step| act(&mut rosters, step, &mut fresh));
        let in_order: Vec<&Roster> = order.iter().filter_map(|n| rosters.get(*n)).collect();
        let all = united(&in_order);
        let (first, second) = rosters.split_at(count / 2);
        let halves = [united(&first.iter().collect::<Vec<_>>()), united(&second.iter().collect::<Vec<_>>())];
        let paired = united(&[&halves[1], &halves[0]]);
        prop_assert_eq!(paired.encode(), all.encode());
        prop_assert_eq!(said(&paired), said(&all));
        // A cut is never undone: who was cut off anywhere is cut off, and never brought in what he brought in
        // alone.
        for roster in &rosters {
            for device in roster.state().devices().iter().filter(|device| !device.is_active()) {
                prop_assert!(all.state().device(device.id()).is_none_or(|device| !device.is_active()));
            }
        }
    }
}
