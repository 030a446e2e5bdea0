//! Password and device secret to a seed: Argon2id (RFC 9106), then HKDF.
//!
//! Parameters come from the store, so they are checked before anything is derived (K4, K5) and are bound
//! into the result (K6). A password alone derives nothing here: the device secret carries the strength
//! (K10).

use argon2::{Algorithm, Argon2, Block, Params, Version};
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use super::{Label, Secret, derive_from_material};
use crate::{
    Error, Result,
    limits::{
        ARGON2_LANES_MAX, ARGON2_MEMORY_KIB_MAX, ARGON2_MEMORY_KIB_MIN, ARGON2_PASSES_MAX, ARGON2_PASSES_MIN,
        PASSWORD_BYTES_MAX,
    },
};

/// Argon2id parameters inside the allowed range. Public: they lie in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordParameters {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: [u8; 32],
}

impl PasswordParameters {
    /// 64 MiB, three passes, one lane (RFC 9106, section 4, second choice but for the lanes: ours run one
    /// after the other). `salt` is fresh randomness, one for each password envelope.
    #[must_use]
    pub fn default_with(salt: [u8; 32]) -> Self {
        Self { memory_kib: ARGON2_MEMORY_KIB_MIN, passes: ARGON2_PASSES_MIN, lanes: 1, salt }
    }

    /// Parameters read from the store.
    ///
    /// # Errors
    /// [`Error::PasswordParameters`] below the floor (K4) or above the ceiling (K5).
    pub fn checked(memory_kib: u32, passes: u32, lanes: u32, salt: [u8; 32]) -> Result<Self> {
        let allowed = (ARGON2_MEMORY_KIB_MIN..=ARGON2_MEMORY_KIB_MAX).contains(&memory_kib)
            && (ARGON2_PASSES_MIN..=ARGON2_PASSES_MAX).contains(&passes)
            && (1..=ARGON2_LANES_MAX).contains(&lanes);
        if allowed { Ok(Self { memory_kib, passes, lanes, salt }) } else { Err(Error::PasswordParameters) }
    }

    /// Memory in KiB.
    #[must_use]
    pub fn memory_kib(&self) -> u32 {
        self.memory_kib
    }

    /// Passes over the memory.
    #[must_use]
    pub fn passes(&self) -> u32 {
        self.passes
    }

    /// Lanes.
    #[must_use]
    pub fn lanes(&self) -> u32 {
        self.lanes
    }

    /// The salt.
    #[must_use]
    pub fn salt(&self) -> &[u8; 32] {
        &self.salt
    }
}

/// What the password and the device secret together give.
pub struct PasswordSeeds {
    /// Of the X-Wing pair.
    pub hybrid: Secret<32>,
    /// Of the signing key.
    pub signing: Secret<32>,
}

/// The seeds that need both the password and the device secret. Takes [`PasswordParameters::memory_kib`]
/// of memory, and about a quarter of a second with the default parameters.
///
/// # Errors
/// [`Error::InvalidArgument`] for an empty or overlong password, [`Error::Io`] if there is not enough
/// memory.
pub fn derive_password_seeds(
    password: &str,
    device_secret: &Secret<16>,
    parameters: &PasswordParameters,
) -> Result<PasswordSeeds> {
    let stretched = stretch(&normalized(password)?, parameters)?;
    Ok(PasswordSeeds {
        hybrid: join(&stretched, device_secret, Label::PASSWORD_SEED, parameters),
        signing: join(&stretched, device_secret, Label::PASSWORD_SIGNING, parameters),
    })
}

/// NFC, so that every keyboard gives the same bytes for the same letters.
fn normalized(password: &str) -> Result<Zeroizing<String>> {
    // Room for the longest from the start: a growing string would leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(PASSWORD_BYTES_MAX));
    for character in password.nfc() {
        if PASSWORD_BYTES_MAX.saturating_sub(text.len()) < character.len_utf8() {
            return Err(Error::InvalidArgument("the password is too long"));
        }
        text.push(character);
    }
    if text.is_empty() { Err(Error::InvalidArgument("the password is empty")) } else { Ok(text) }
}

fn stretch(password: &str, parameters: &PasswordParameters) -> Result<Secret<32>> {
    let mut out = Secret::zeroed();
    let PasswordParameters { memory_kib, passes, lanes, salt } = parameters;
    let refused = |_| Error::PasswordParameters;
    let params = Params::new(*memory_kib, *passes, *lanes, Some(out.expose().len())).map_err(refused)?;
    let mut memory = blocks(params.block_count())?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(password.as_bytes(), salt, out.expose_mut(), memory.as_mut_slice())
        .map_err(refused)?;
    Ok(out)
}

/// Our own blocks: the crate does not wipe those that it allocates (V4).
fn blocks(count: usize) -> Result<Zeroizing<Vec<Block>>> {
    let mut blocks = Vec::new();
    let no_memory = |_| Error::io("hashing the password")(std::io::ErrorKind::OutOfMemory.into());
    blocks.try_reserve_exact(count).map_err(no_memory)?;
    blocks.resize(count, Block::new());
    Ok(Zeroizing::new(blocks))
}

fn join(
    stretched: &Secret<32>,
    device_secret: &Secret<16>,
    label: Label,
    parameters: &PasswordParameters,
) -> Secret<32> {
    let PasswordParameters { memory_kib, passes, lanes, salt } = parameters;
    let parts: [&[u8]; 4] =
        [&memory_kib.to_le_bytes(), &passes.to_le_bytes(), &lanes.to_le_bytes(), salt.as_slice()];
    derive_from_material(stretched.expose(), device_secret.expose(), label, &parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SeededRandom;

    const SALT: [u8; 32] = [7; 32];

    fn refused(memory_kib: u32, passes: u32, lanes: u32) -> bool {
        matches!(PasswordParameters::checked(memory_kib, passes, lanes, SALT), Err(Error::PasswordParameters))
    }

    /// Only checked parameters have the type that a derivation takes.
    #[test]
    fn attack_k4_parameters_below_the_floor_are_refused_before_deriving() {
        assert!(refused(8, 1, 1));
        assert!(refused(0, 0, 0));
        assert!(refused(ARGON2_MEMORY_KIB_MIN - 1, ARGON2_PASSES_MIN, 1));
        assert!(refused(ARGON2_MEMORY_KIB_MIN, ARGON2_PASSES_MIN - 1, 1));
        assert!(refused(ARGON2_MEMORY_KIB_MIN, ARGON2_PASSES_MIN, 0));
        let floor = PasswordParameters::checked(ARGON2_MEMORY_KIB_MIN, ARGON2_PASSES_MIN, 1, SALT).unwrap();
        assert_eq!(floor, PasswordParameters::default_with(SALT));
    }

    /// A hundred thousand bombs are answered in the time of none: nothing is allocated for them.
    #[test]
    fn attack_k5_parameter_bombs_are_refused_quickly() {
        assert!(refused(ARGON2_MEMORY_KIB_MAX + 1, ARGON2_PASSES_MIN, 1));
        assert!(refused(ARGON2_MEMORY_KIB_MIN, ARGON2_PASSES_MAX + 1, 1));
        assert!(refused(ARGON2_MEMORY_KIB_MIN, ARGON2_PASSES_MIN, ARGON2_LANES_MAX + 1));
        for step in 0..100_000 {
            assert!(refused(u32::MAX - step, u32::MAX, 0x00ff_ffff));
            assert!(refused(ARGON2_MEMORY_KIB_MIN, u32::MAX - step, 1));
        }
        let ceiling = (ARGON2_MEMORY_KIB_MAX, ARGON2_PASSES_MAX, ARGON2_LANES_MAX);
        assert!(!refused(ceiling.0, ceiling.1, ceiling.2));
    }

    #[test]
    fn passwords_are_normalized_and_bounded() {
        assert_eq!(normalized("e\u{301}").unwrap().as_str(), "\u{e9}");
        assert_eq!(normalized("\u{212b}").unwrap().as_str(), "\u{c5}");
        assert_eq!(normalized("\u{ac00}").unwrap(), normalized("\u{1100}\u{1161}").unwrap());
        assert!(normalized("").is_err());
        assert!(normalized(&"a".repeat(PASSWORD_BYTES_MAX)).is_ok());
        assert!(normalized(&"a".repeat(PASSWORD_BYTES_MAX + 1)).is_err());
        assert!(normalized(&"\u{20ac}".repeat(PASSWORD_BYTES_MAX / 3 + 1)).is_err());
        let longest = normalized(&"e\u{301}".repeat(PASSWORD_BYTES_MAX / 2)).unwrap();
        assert_eq!(longest.len(), PASSWORD_BYTES_MAX);
        assert_eq!(longest.capacity(), normalized("a").unwrap().capacity(), "it never grew");
    }

    #[test]
    fn attack_k6_every_parameter_the_salt_and_the_device_secret_are_bound() {
        let mut random = SeededRandom::new(1);
        let stretched = Secret::generate(&mut random).unwrap();
        let device = Secret::generate(&mut random).unwrap();
        let base = PasswordParameters::default_with(SALT);
        let mut seeds = vec![
            *join(&stretched, &device, Label::PASSWORD_SEED, &base).expose(),
            *join(&stretched, &Secret::generate(&mut random).unwrap(), Label::PASSWORD_SEED, &base).expose(),
            *join(&Secret::generate(&mut random).unwrap(), &device, Label::PASSWORD_SEED, &base).expose(),
        ];
        for changed in [
            PasswordParameters { memory_kib: base.memory_kib + 1, ..base },
            PasswordParameters { passes: base.passes + 1, ..base },
            PasswordParameters { lanes: base.lanes + 1, ..base },
            PasswordParameters { salt: [8; 32], ..base },
        ] {
            seeds.push(*join(&stretched, &device, Label::PASSWORD_SEED, &changed).expose());
        }
        let count = seeds.len();
        seeds.sort_unstable();
        seeds.dedup();
        assert_eq!(seeds.len(), count);
    }
}
