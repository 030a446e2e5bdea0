//! What a member of the account can do to the others by what its commits claim.

use super::*;
use crate::{
    store::MemoryStore,
    vault::{At, NewDevice},
};

fn put(vault: &Vault, path: &str) {
    vault.records(&Kind::NOTES).unwrap().put(path, path.as_bytes()).unwrap();
}

fn paths(vault: &Vault) -> Vec<String> {
    let mut paths = Vec::new();
    vault
        .list(&Kind::NOTES, "", &At::Latest, &mut |entry| {
            paths.push(entry.path);
            Ok(())
        })
        .unwrap();
    paths
}

#[test]
fn attack_f5_a_device_that_claims_to_have_merged_what_is_not_written_yet_hides_nothing() {
    let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let device = |name: &str| NewDevice::named(name).unwrap();
    let (first, code) = Vault::create(store.clone(), folder.path().join("first"), device("first")).unwrap();
    let join = |name| Vault::recover(store.clone(), folder.path().join(name), &code, device(name)).unwrap();
    let [second, malicious] = ["second", "malicious"].map(join);
    let all = [&first, &second, &malicious];
    all.iter().for_each(|vault| vault.consent().grant(&Kind::NOTES).unwrap());
    put(&first, "n/first");
    put(&malicious, "n/malicious");
    for vault in all.iter().chain(&all) {
        vault.sync(&Job::new()).unwrap();
    }
    put(&malicious, "n/bait");
    malicious.sync(&Job::new()).unwrap();
    {
        let work = &mut *malicious.work();
        let mut view = malicious.refresh(work).unwrap();
        let mut kinds = malicious.own_kinds(&view);
        for (_, sequence) in kinds.iter_mut().flat_map(|state| &mut state.merged) {
            *sequence = u64::MAX;
        }
        malicious.commit(work, &mut view, kinds).unwrap();
    }
    first.sync(&Job::new()).unwrap();
    first.revoke(malicious.device()).unwrap();
    put(&second, "n/second");
    second.sync(&Job::new()).unwrap();
    put(&first, "n/later");
    for vault in [&first, &second, &first] {
        vault.sync(&Job::new()).unwrap();
    }
    let wanted = ["n/bait", "n/first", "n/later", "n/malicious", "n/second"];
    assert_eq!((paths(&first), paths(&second)), (wanted.map(str::to_owned).into(), paths(&first)));
    let new = join("new");
    assert_eq!(paths(&new), wanted, "a recovery finds all of it");
}
