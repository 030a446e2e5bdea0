//! Commits.

use prost::Message as _;
use strongroom::{crypto::Label, history::Commit, wire::messages};

use super::{
    input::Counted,
    world::{DEVICE, device_key, root, world},
};

/// A signed commit as it comes, and the same bytes as the body of one that is signed here. What is read is
/// sealed again into the same commit.
pub fn commit(data: &[u8]) {
    let body = messages::SignedCommit::decode(data).map(|signed| signed.commit).unwrap_or_default();
    read(data, &body);
    let signature = device_key(DEVICE).sign(Label::SIGN_COMMIT, data).as_bytes().to_vec();
    read(&messages::SignedCommit { commit: data.to_vec(), signature }.encode_to_vec(), data);
}

fn read(plain: &[u8], body: &[u8]) {
    let claimed = messages::Commit::decode(body).unwrap_or_default();
    let (account, epoch, sequence) = (world().account(), claimed.epoch, claimed.sequence);
    let Ok(commit) = Commit::parse(account, world().device(), epoch, sequence, plain) else { return };
    assert_eq!(
        commit.body().previous.is_none(),
        sequence == 1,
        "the first commit, and no other, has none before"
    );
    let key = device_key(DEVICE);
    let body = commit.body().clone();
    let (again, _) =
        Commit::seal(account, (DEVICE, &key), body, &root(epoch), &mut Counted::from(6)).unwrap();
    assert!(again == commit);
}
