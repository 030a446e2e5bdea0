//! What entries say that were written at once, and what somebody who was cut off can make of them. No test
//! needs a store: whoever holds the store decides only which entries arrive, and all of them do here.

mod attacks;

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
