//! A second device is invited, joins and is admitted, on one store.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and prepares files"
)]

mod attack_support;

use std::path::Path;

use attack_support::{Phone, backup, device, files, names, restore_all};
use strongroom::{
    Error, Result,
    history::Freshness,
    keys::{CheckCode, Invitation},
    kinds::Kind,
    store::{
        MemoryStore, StoreErrorKind,
        faults::{Fault, FaultStore, Method},
    },
    vault::{Job, Vault},
};

/// Invites, joins and admits as two people would who look at both screens.
fn enroll(phone: &Phone, state: &Path) -> Result<Vault> {
    enroll_with(&phone.vault, &phone.store, state)
}

fn enroll_with(inviter: &Vault, store: &MemoryStore, state: &Path) -> Result<Vault> {
    let mut inviting = inviter.invite()?;
    let typed = Invitation::parse(&inviting.text())?;
    let mut joining = Vault::join(store.clone(), state, &typed, device("laptop"))?;
    inviting.wait(&Job::new())?;
    let shown = joining.check_code(&Job::new())?;
    assert_eq!(inviting.applicant_name(), Some("laptop"));
    inviting.admit(&CheckCode::parse(&shown.to_string())?)?;
    joining.finish(&Job::new())
}

#[test]
fn an_invited_device_reads_and_writes_and_everybody_knows_it() {
    let phone = Phone::new();
    phone.write("letter", "from the phone");
    phone.backup(&Kind::FILES).unwrap();
    let laptop = enroll(&phone, &phone.path("laptop")).unwrap();
    assert_eq!(laptop.account(), phone.vault.account());
    assert_eq!(laptop.freshness().unwrap(), Freshness::Fresh);
    assert_eq!(names(&phone.store, "enroll/").len(), 0, "nothing stays at the rendezvous");

    restore_all(&laptop, &phone.path("out")).unwrap();
    assert_eq!(files(&phone.path("out"))["files/source/letter"], b"from the phone");

    laptop.consent().grant(&Kind::NOTES).unwrap();
    backup(&laptop, &Kind::NOTES, &phone.path("source")).unwrap();
    for vault in [&phone.vault, &laptop] {
        let devices = vault.devices().unwrap();
        assert_eq!(
            devices.iter().map(|device| device.name.as_str()).collect::<Vec<_>>(),
            ["phone", "laptop"]
        );
        assert_eq!(devices[1].id, laptop.device());
        assert!(devices[1].last_commit_ms.is_some());
    }
    restore_all(&phone.vault, &phone.path("back")).unwrap();
    assert_eq!(files(&phone.path("back"))["notes/source/letter"], b"from the phone");
}

#[test]
fn an_invited_device_opens_again_and_invites_another() {
    let phone = Phone::new();
    drop(enroll(&phone, &phone.path("laptop")).unwrap());
    let laptop = Vault::open(phone.store.clone(), phone.path("laptop")).unwrap();
    assert_eq!(laptop.freshness().unwrap(), Freshness::Fresh);
    let mut inviting = laptop.invite().unwrap();
    let state = phone.path("tablet");
    let joining = Vault::join(phone.store.clone(), state, inviting.invitation(), device("tablet"));
    let mut joining = joining.unwrap();
    inviting.wait(&Job::new()).unwrap();
    let shown = joining.check_code(&Job::new()).unwrap();
    inviting.admit(&shown).unwrap();
    let tablet = joining.finish(&Job::new()).unwrap();
    for vault in [&phone.vault, &laptop, &tablet] {
        assert_eq!(vault.devices().unwrap().len(), 3);
    }
}

#[test]
fn a_new_epoch_reaches_a_device_that_was_invited() {
    let phone = Phone::new();
    phone.vault.new_recovery_code().unwrap();
    let laptop = enroll(&phone, &phone.path("laptop")).unwrap();
    phone.write("letter", "written later");
    phone.vault.new_recovery_code().unwrap();
    phone.backup(&Kind::FILES).unwrap();
    restore_all(&laptop, &phone.path("out")).unwrap();
    assert_eq!(files(&phone.path("out"))["files/source/letter"], b"written later");
}

#[test]
fn the_phone_works_on_while_it_waits_for_the_laptop() {
    let phone = Phone::new();
    let mut inviting = phone.vault.invite().unwrap();
    for text in ["one", "two", "three"] {
        phone.write("letter", text);
        phone.backup(&Kind::FILES).unwrap();
    }
    let state = phone.path("laptop");
    let joining = Vault::join(phone.store.clone(), state, inviting.invitation(), device("laptop"));
    let mut joining = joining.unwrap();
    inviting.wait(&Job::new()).unwrap();
    let shown = joining.check_code(&Job::new()).unwrap();
    phone.write("letter", "four");
    phone.backup(&Kind::FILES).unwrap();
    inviting.admit(&shown).unwrap();
    phone.write("letter", "five");
    phone.backup(&Kind::FILES).unwrap();
    let laptop = joining.finish(&Job::new()).unwrap();
    assert_eq!(laptop.freshness().unwrap(), Freshness::Fresh);
    restore_all(&laptop, &phone.path("out")).unwrap();
    assert_eq!(files(&phone.path("out"))["files/source/letter"], b"five");
}

#[test]
fn waiting_is_cancelled_on_both_sides_and_goes_on() {
    let phone = Phone::new();
    let mut inviting = phone.vault.invite().unwrap();
    let cancelled = Job::new();
    cancelled.cancel();
    assert!(matches!(inviting.wait(&cancelled), Err(Error::Cancelled)));
    assert!(inviting.check_code().is_none() && inviting.applicant_name().is_none());
    let text = inviting.text();
    let invitation = Invitation::parse(&text).unwrap();
    let join = |name| Vault::join(phone.store.clone(), phone.path(name), &invitation, device("laptop"));
    let mut joining = join("laptop").unwrap();
    assert!(matches!(joining.check_code(&cancelled), Err(Error::Cancelled)));
    inviting.wait(&Job::new()).unwrap();
    inviting.wait(&cancelled).unwrap();
    let shown = joining.check_code(&Job::new()).unwrap();
    assert_eq!(inviting.check_code().unwrap().to_string(), shown.to_string());
    assert!(matches!(joining.finish(&cancelled), Err(Error::Cancelled)));
    assert!(matches!(Vault::open(phone.store.clone(), phone.path("laptop")), Err(Error::NoVault)));
    drop(inviting);
    enroll(&phone, &phone.path("laptop")).unwrap();
}

#[test]
fn admitting_before_anybody_asked_is_a_mistake_of_the_caller() {
    let phone = Phone::new();
    let code = CheckCode::parse("1234 5678").unwrap();
    let refused = phone.vault.invite().unwrap().admit(&code);
    assert!(matches!(refused, Err(Error::InvalidArgument(_))));
}

#[test]
fn a_folder_that_holds_a_vault_does_not_join_another() {
    let phone = Phone::new();
    let inviting = phone.vault.invite().unwrap();
    let store = phone.store.clone();
    let refused = Vault::join(store, phone.path("state"), inviting.invitation(), device("laptop"));
    assert!(matches!(refused, Err(Error::VaultExists)));
    assert_eq!(names(&phone.store, "enroll/").len(), 0);
}

/// A store that fails for good at the `n`-th write.
fn failing(store: &MemoryStore, n: u64) -> FaultStore<MemoryStore> {
    FaultStore::new(store.clone(), move |request| match request.method {
        Method::Put if request.call_of_method == n => Fault::Before(StoreErrorKind::Refused),
        _ => Fault::None,
    })
}

#[test]
fn a_join_interrupted_at_any_write_begins_again() {
    for n in 1.. {
        let phone = Phone::new();
        let state = phone.path("laptop");
        if let Ok(vault) = join_and_finish(&phone, failing(&phone.store, n), &state) {
            assert!(n > 2, "there is a request and a commit");
            assert_eq!(vault.devices().unwrap().len(), 2);
            return;
        }
        assert!(matches!(Vault::open(phone.store.clone(), &state), Err(Error::NoVault)), "{n}");
        let laptop = enroll(&phone, &state).unwrap();
        assert_eq!(laptop.freshness().unwrap(), Freshness::Fresh);
    }
}

fn join_and_finish(phone: &Phone, store: FaultStore<MemoryStore>, state: &Path) -> Result<Vault> {
    let mut inviting = phone.vault.invite()?;
    let mut joining = Vault::join(store, state, inviting.invitation(), device("laptop"))?;
    inviting.wait(&Job::new())?;
    let shown = joining.check_code(&Job::new())?;
    inviting.admit(&shown)?;
    joining.finish(&Job::new())
}

#[test]
fn an_admission_interrupted_at_any_write_is_invited_again() {
    for n in 2.. {
        let (work, store) = (tempfile::tempdir().unwrap(), MemoryStore::new());
        drop(Vault::create(store.clone(), work.path().join("state"), device("phone")).unwrap());
        let vault = Vault::open(failing(&store, n), work.path().join("state")).unwrap();
        let mut inviting = vault.invite().unwrap();
        let first = work.path().join("first");
        let mut joining = Vault::join(store.clone(), first, inviting.invitation(), device("laptop")).unwrap();
        inviting.wait(&Job::new()).unwrap();
        let shown = joining.check_code(&Job::new()).unwrap();
        if inviting.admit(&shown).is_ok() {
            assert!(n > 6, "share, roster, three envelopes, commit and answer");
            joining.finish(&Job::new()).unwrap();
            return;
        }
        assert!(names(&store, "enroll/").is_empty(), "nothing was answered");
        drop(vault);
        let vault = Vault::open(store.clone(), work.path().join("state")).unwrap();
        let laptop = enroll_with(&vault, &store, &work.path().join("second")).unwrap();
        assert_eq!(laptop.freshness().unwrap(), Freshness::Fresh);
    }
}

#[test]
fn a_share_that_could_not_be_shown_is_shown_when_asked_again() {
    let (work, store) = (tempfile::tempdir().unwrap(), MemoryStore::new());
    drop(Vault::create(store.clone(), work.path().join("state"), device("phone")).unwrap());
    let vault = Vault::open(failing(&store, 1), work.path().join("state")).unwrap();
    let mut inviting = vault.invite().unwrap();
    let state = work.path().join("laptop");
    let mut joining = Vault::join(store, state, inviting.invitation(), device("laptop")).unwrap();
    assert!(matches!(inviting.wait(&Job::new()), Err(Error::Store(_))));
    inviting.wait(&Job::new()).unwrap();
    inviting.admit(&joining.check_code(&Job::new()).unwrap()).unwrap();
    joining.finish(&Job::new()).unwrap();
}
