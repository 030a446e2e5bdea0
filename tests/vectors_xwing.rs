//! X-Wing against the draft's published vectors, and against a second implementation put together here
//! from ML-KEM, X25519 and a Keccak of our own (V6, V7).

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use ml_kem::{Decapsulate as _, FromSeed as _, KeyExport as _, MlKem768, ml_kem_768};
use strongroom::{
    Error, Part, Result,
    crypto::{
        HYBRID_CIPHERTEXT_BYTES, HYBRID_PUBLIC_KEY_BYTES, HybridPublicKey, HybridSecretKey, Random, Secret,
    },
};
use x25519_dalek::{PublicKey, StaticSecret};

const ML_KEM_CIPHERTEXT_BYTES: usize = 1088;

struct Vector {
    secret_key: [u8; 32],
    coins: Vec<u8>,
    public_key: Vec<u8>,
    ciphertext: Vec<u8>,
    shared: Vec<u8>,
}

fn vectors() -> Vec<Vector> {
    let file: serde_json::Value = serde_json::from_str(include_str!("vectors/xwing.json")).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 3);
    let field = |vector: &serde_json::Value, name: &str| unhex(vector[name].as_str().unwrap());
    let read = |vector| Vector {
        secret_key: field(vector, "sk").try_into().unwrap(),
        coins: field(vector, "eseed"),
        public_key: field(vector, "pk"),
        ciphertext: field(vector, "ct"),
        shared: field(vector, "ss"),
    };
    vectors.iter().map(read).collect()
}

#[test]
fn the_published_vectors_hold() {
    for vector in vectors() {
        let secret = HybridSecretKey::from_seed(Secret::take(&mut vector.secret_key.clone()));
        assert_eq!(secret.seed().expose(), &vector.secret_key);
        assert_eq!(secret.public().as_bytes().as_slice(), vector.public_key);
        let public = HybridPublicKey::from_bytes(&vector.public_key, Part::Roster).unwrap();
        assert!(&public == secret.public());
        let (ciphertext, shared) = public.encapsulate(&mut Fixed(vector.coins)).unwrap();
        assert_eq!(ciphertext.as_slice(), vector.ciphertext);
        assert_eq!(shared.expose().as_slice(), vector.shared);
        assert_eq!(secret.decapsulate(&vector.ciphertext).unwrap().expose().as_slice(), vector.shared);
    }
}

#[test]
fn a_second_implementation_agrees() {
    for round in 0..16_u8 {
        let [seed, coins] = [round, round + 100].map(|start| (start..start + 64).collect::<Vec<u8>>());
        let seed: [u8; 32] = seed[..32].try_into().unwrap();
        let ours = HybridSecretKey::from_seed(Secret::take(&mut seed.clone()));
        let model = Model::new(&seed);
        assert_eq!(ours.public().as_bytes().as_slice(), model.public_key());
        let (ciphertext, shared) = ours.public().encapsulate(&mut Fixed(coins)).unwrap();
        let halves = model.open_halves(ciphertext.as_slice());
        assert_eq!(shared.expose(), &model.combine(&halves, ciphertext.as_slice()));
    }
}

/// Whoever knows one half's secret, all public values and all but one bit of the other half's secret
/// still has another key.
#[test]
fn attack_v6_either_half_alone_keeps_the_secret_closed() {
    let vector = vectors().remove(0);
    let model = Model::new(&vector.secret_key);
    let right = model.open_halves(&vector.ciphertext);
    assert_eq!(model.combine(&right, &vector.ciphertext).as_slice(), vector.shared);
    for bit in 0..256 {
        let mut without_ml_kem = right;
        without_ml_kem.ml_kem[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(model.combine(&without_ml_kem, &vector.ciphertext).as_slice(), vector.shared);
        let mut without_x25519 = right;
        without_x25519.x25519[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(model.combine(&without_x25519, &vector.ciphertext).as_slice(), vector.shared);
    }
}

#[test]
fn attack_v6_halves_of_two_ciphertexts_do_not_mix() {
    let vector = vectors().remove(0);
    let secret = HybridSecretKey::from_seed(Secret::take(&mut vector.secret_key.clone()));
    let [a, b] = [1, 2].map(|coin| secret.public().encapsulate(&mut Fixed(vec![coin; 64])).unwrap());
    let mix = |head: &[u8], tail: &[u8]| {
        let ciphertext = [&head[..ML_KEM_CIPHERTEXT_BYTES], &tail[ML_KEM_CIPHERTEXT_BYTES..]].concat();
        *secret.decapsulate(&ciphertext).unwrap().expose()
    };
    assert_eq!(&mix(a.0.as_slice(), a.0.as_slice()), a.1.expose());
    for mixed in [mix(a.0.as_slice(), b.0.as_slice()), mix(b.0.as_slice(), a.0.as_slice())] {
        assert!(&mixed != a.1.expose() && &mixed != b.1.expose());
    }
}

/// Every bit of a ciphertext counts: in the ML-KEM half by implicit rejection, in the other by the hash.
#[test]
fn attack_k3_every_flipped_bit_of_a_ciphertext_gives_another_secret() {
    let vector = vectors().remove(0);
    let secret = HybridSecretKey::from_seed(Secret::take(&mut vector.secret_key.clone()));
    for bit in 0..HYBRID_CIPHERTEXT_BYTES * 8 {
        let mut flipped = vector.ciphertext.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(secret.decapsulate(&flipped).unwrap().expose().as_slice(), vector.shared, "bit {bit}");
    }
}

/// X-Wing as the draft's section 5 has it.
struct Model {
    ml_kem: ml_kem_768::DecapsulationKey,
    ml_kem_public: ml_kem_768::EncapsulationKey,
    x25519: StaticSecret,
}

#[derive(Clone, Copy)]
struct Halves {
    ml_kem: [u8; 32],
    x25519: [u8; 32],
}

impl Model {
    fn new(seed: &[u8; 32]) -> Self {
        let expanded: [u8; 96] = sponge::<96>(136, 0x1f, seed);
        let (ml_kem, ml_kem_public) = MlKem768::from_seed(expanded.first_chunk::<64>().unwrap().into());
        let x25519 = StaticSecret::from(*expanded.last_chunk::<32>().unwrap());
        Self { ml_kem, ml_kem_public, x25519 }
    }

    fn public_key(&self) -> Vec<u8> {
        let bytes =
            [self.ml_kem_public.to_bytes().as_slice(), PublicKey::from(&self.x25519).as_bytes()].concat();
        assert_eq!(bytes.len(), HYBRID_PUBLIC_KEY_BYTES);
        bytes
    }

    fn open_halves(&self, ciphertext: &[u8]) -> Halves {
        let (ml_kem, x25519) = ciphertext.split_at(ML_KEM_CIPHERTEXT_BYTES);
        let ml_kem = self.ml_kem.decapsulate(&ml_kem.try_into().unwrap()).0;
        let peer = PublicKey::from(<[u8; 32]>::try_from(x25519).unwrap());
        Halves { ml_kem, x25519: self.x25519.diffie_hellman(&peer).to_bytes() }
    }

    fn combine(&self, halves: &Halves, ciphertext: &[u8]) -> [u8; 32] {
        let (_, share) = ciphertext.split_at(ML_KEM_CIPHERTEXT_BYTES);
        let own = PublicKey::from(&self.x25519).to_bytes();
        let input = [&halves.ml_kem, &halves.x25519, share, &own, br"\.//^\"].concat();
        sponge::<32>(136, 0x06, &input)
    }
}

/// FIPS 202 for inputs and outputs shorter than one block: SHAKE256 (suffix 0x1f) and SHA3-256 (0x06).
fn sponge<const N: usize>(rate: usize, suffix: u8, input: &[u8]) -> [u8; N] {
    let mut state = [0_u64; 25];
    let mut padded = input.to_vec();
    padded.push(suffix);
    padded.resize(padded.len().next_multiple_of(rate), 0);
    *padded.last_mut().unwrap() |= 0x80;
    for block in padded.chunks(rate) {
        for (lane, bytes) in state.iter_mut().zip(block.chunks(8)) {
            *lane ^= u64::from_le_bytes(bytes.try_into().unwrap());
        }
        keccak_f(&mut state);
    }
    let out: Vec<u8> = state.iter().flat_map(|lane| lane.to_le_bytes()).take(N.min(rate)).collect();
    out.try_into().unwrap()
}

fn keccak_f(state: &mut [u64; 25]) {
    let mut register = 1_u8;
    for _ in 0..24 {
        let column = |x: usize| (0..5).fold(0, |sum, y| sum ^ state[x + 5 * y]);
        let columns: [u64; 5] = std::array::from_fn(column);
        for (place, lane) in state.iter_mut().enumerate() {
            *lane ^= columns[(place + 4) % 5] ^ columns[(place + 1) % 5].rotate_left(1);
        }
        let (mut x, mut y, mut moved) = (1, 0, state[1]);
        for step in 0..24_u32 {
            (x, y) = (y, (2 * x + 3 * y) % 5);
            let turned = moved.rotate_left((step + 1) * (step + 2) / 2 % 64);
            moved = std::mem::replace(&mut state[x + 5 * y], turned);
        }
        for row in state.chunks_mut(5) {
            let old: [u64; 5] = (&*row).try_into().unwrap();
            for (x, lane) in row.iter_mut().enumerate() {
                *lane = old[x] ^ (!old[(x + 1) % 5] & old[(x + 2) % 5]);
            }
        }
        for power in 0..7 {
            if register & 1 == 1 {
                state[0] ^= 1 << ((1_u32 << power) - 1);
            }
            register = (register << 1) ^ if register >> 7 == 1 { 0x71 } else { 0 };
        }
    }
}

#[test]
fn the_model_keccak_is_sha3() {
    let empty = sponge::<32>(136, 0x06, b"");
    assert_eq!(empty.as_slice(), unhex("a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a"));
}

/// Gives these bytes, once.
struct Fixed(Vec<u8>);

impl Random for Fixed {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        if self.0.len() != bytes.len() {
            return Err(Error::Randomness);
        }
        bytes.copy_from_slice(&std::mem::take(&mut self.0));
        Ok(())
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().map(|digit| digit.to_digit(16).unwrap().try_into().unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
