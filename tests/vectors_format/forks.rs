//! Proofs that a device's history forks, and what looks like one and is none.

use prost::Message as _;
use serde_json::{Value, json};
use strongroom::crypto::{Label, SeededRandom, SigningKey};
use strongroom::history::{Commit, CommitBody, ForkProof, Head};
use strongroom::keys::DeviceId;
use strongroom::wire::{decode_strict, messages};
use strongroom::{Error, Part};

use crate::rosters::{Person, graph};
use crate::world::{DEVICE, World, base64, frozen, hex, root_of, unbase64, world};

/// What says something in this account.
struct Speaker {
    id: DeviceId,
    key: SigningKey,
}

impl Speaker {
    fn first() -> Self {
        Self { id: DEVICE, key: SigningKey::from_seed(world().signing.seed().duplicate()) }
    }

    fn other(id: u8) -> Self {
        let Person { signing, member } = Person::new(id);
        Self { id: member.id, key: signing }
    }

    /// A commit with that number; `edit` makes it say something else.
    fn says(&self, sequence: u64, edit: &dyn Fn(&mut CommitBody)) -> Commit {
        let World { roster, root, objects, .. } = world();
        let device = roster.state().device(DEVICE).unwrap();
        let mut body =
            Commit::parse(roster.account(), device, 0, 7, &objects["commit"].1).unwrap().body().clone();
        body.previous = (sequence > 1).then_some(Head { sequence: sequence - 1, hash: [0x66; 32] });
        body.seen.clear();
        body.kinds.iter_mut().for_each(|state| state.since = state.since.min(sequence));
        edit(&mut body);
        let random = &mut SeededRandom::new(60);
        Commit::seal(roster.account(), (self.id, &self.key), body, &root_of(root), random).unwrap().0
    }
}

fn proof(commit: &Commit, witness: &Commit) -> messages::ForkProof {
    let roster = graph();
    messages::ForkProof {
        account: roster.account().0.to_vec(),
        roster: roster.encode(),
        commit: commit.signed().to_vec(),
        witness: witness.signed().to_vec(),
    }
}

fn cases() -> (Vec<Value>, Vec<Value>) {
    let (first, second, revoked) = (Speaker::first(), Speaker::other(0xd2), Speaker::other(0xd3));
    let one = first.says(7, &|_| {});
    let two = first.says(7, &|body| body.nonce = [0x78; 16]);
    let next = |of: &Commit| {
        let head = of.head();
        first.says(8, &move |body| body.previous = Some(head))
    };
    let saw = |of: &Commit, sequence| {
        let head = Head { sequence, ..of.head() };
        second.says(1, &move |body| body.seen = vec![(DEVICE, head)])
    };
    let (late, later) = (revoked.says(9, &|_| {}), revoked.says(9, &|body| body.nonce = [0x78; 16]));
    let holds = [
        ("two commits with one number", proof(&one, &two)),
        ("the next commit follows another one", proof(&one, &next(&two))),
        ("another device saw another one", proof(&one, &saw(&two, 7))),
        ("a revoked device, after its last commit", proof(&late, &later)),
    ];
    let whole = proof(&one, &two);
    let with = |edit: &dyn Fn(&mut messages::ForkProof)| {
        let mut wire = whole.clone();
        edit(&mut wire);
        wire
    };
    let mut forged: messages::SignedCommit = decode_strict(two.signed(), 1 << 20, Part::Commit).unwrap();
    forged.signature = Speaker::other(0xd2).key.sign(Label::SIGN_COMMIT, &forged.commit).as_bytes().to_vec();
    let stranger = Speaker::other(0xd5);
    let refused = [
        ("a commit and itself", proof(&one, &one)),
        ("the next commit follows this one", proof(&one, &next(&one))),
        ("the commit after the next", proof(&one, &first.says(9, &|_| {}))),
        ("another device saw this one", proof(&one, &saw(&one, 7))),
        ("another device saw one with another number", proof(&one, &saw(&two, 6))),
        ("two devices with one number", proof(&one, &second.says(7, &|_| {}))),
        ("the witness is not signed by its device", with(&|wire| wire.witness = forged.encode_to_vec())),
        (
            "a device that nobody let in",
            proof(&stranger.says(7, &|_| {}), &stranger.says(7, &|body| body.nonce = [0x78; 16])),
        ),
        ("another account", with(&|wire| wire.account[0] ^= 1)),
        ("no roster", with(&|wire| wire.roster.clear())),
        ("no witness", with(&|wire| wire.witness.clear())),
    ];
    let holding = |(name, wire): &(&str, messages::ForkProof)| {
        let proof = ForkProof::verify(&wire.encode_to_vec()).unwrap();
        json!({
            "name": name,
            "proof": base64(proof.bytes()),
            "device": hex(&proof.device().0),
            "sequence": proof.sequence(),
            "witness": hex(&proof.witness().0),
        })
    };
    let case = |name: &str, bytes: &[u8]| json!({ "name": name, "proof": base64(bytes) });
    let mut refused: Vec<Value> =
        refused.iter().map(|(name, wire)| case(name, &wire.encode_to_vec())).collect();
    let plain = whole.encode_to_vec();
    refused.push(case("an unknown field", &[&plain[..], &[0xf8, 0x07, 0x01]].concat()));
    refused.push(case("cut off", &plain[..plain.len() - 1]));
    (holds.iter().map(holding).collect(), refused)
}

#[test]
fn fork_proofs_are_frozen() {
    let (holds, refused) = cases();
    let vectors = frozen(
        "fork_proof.json",
        &json!({
            "about": "Proofs of forks in the account of roster.json, and what proves nothing.",
            "account": hex(&world().roster.account().0),
            "holds": holds,
            "refused": refused,
        }),
    );
    for case in vectors["holds"].as_array().unwrap() {
        let proof = ForkProof::verify(&unbase64(&case["proof"])).unwrap();
        assert_eq!(case["sequence"], proof.sequence());
    }
    for case in vectors["refused"].as_array().unwrap() {
        let verified = ForkProof::verify(&unbase64(&case["proof"]));
        assert!(matches!(verified, Err(Error::Damaged { .. })), "{}", case["name"]);
    }
}
