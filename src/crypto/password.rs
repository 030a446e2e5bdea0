//! Password and device secret together (two-secret key derivation): Argon2id (RFC 9106) over the password,
//! then HKDF with the device secret. The password alone opens nothing (K10).

use argon2::{Algorithm, Argon2, Block, Params, Version};
use unicode_normalization::UnicodeNormalization as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::{Label, Secret, derive_from_material};
use crate::{
    Error, Result,
    limits::{
        ARGON2_LANES_MAX, ARGON2_MEMORY_KIB_MAX, ARGON2_MEMORY_KIB_MIN, ARGON2_PASSES_MAX, ARGON2_PASSES_MIN,
        PASSWORD_BYTES_MAX,
    },
};

/// Parameters inside the allowed range; there are no others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordParameters {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: [u8; 32],
}

impl PasswordParameters {
    /// The default: 64 MiB, three passes, one lane.
    #[must_use]
    pub fn default_with(salt: [u8; 32]) -> Self {
        Self { memory_kib: ARGON2_MEMORY_KIB_MIN, passes: ARGON2_PASSES_MIN, lanes: 1, salt }
    }

    /// Parameters that came from outside, checked before anything is derived (K4, K5).
    ///
    /// # Errors
    /// [`Error::PasswordParameters`].
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

    /// The salt: 32 random bytes, made by a device.
    #[must_use]
    pub fn salt(&self) -> &[u8; 32] {
        &self.salt
    }

    fn encode(&self) -> Vec<u8> {
        let numbers = [self.memory_kib, self.passes, self.lanes];
        let mut out: Vec<u8> = numbers.into_iter().flat_map(u32::to_le_bytes).collect();
        out.extend(self.salt);
        out
    }
}

/// The seeds of the password's X-Wing pair and of its signing key.
///
/// # Errors
/// [`Error::InvalidArgument`] for an empty or too long password.
pub fn derive_password_seeds(
    password: &str,
    device_secret: &Secret<16>,
    parameters: &PasswordParameters,
) -> Result<(Secret<32>, Secret<32>)> {
    let stretched = stretch(password, parameters)?;
    let info = parameters.encode();
    let derive = |label| derive_from_material(stretched.expose(), device_secret.expose(), label, &[&info]);
    Ok((derive(Label::PASSWORD_SEED), derive(Label::PASSWORD_SIGNING)))
}

/// Argon2id of the password in Unicode form NFC.
fn stretch(password: &str, parameters: &PasswordParameters) -> Result<Secret<32>> {
    let bad = Error::InvalidArgument("a password has 1 to 1024 bytes");
    if password.is_empty() || password.len() > PASSWORD_BYTES_MAX {
        return Err(bad);
    }
    let normal: Zeroizing<String> = Zeroizing::new(password.nfc().collect());
    let PasswordParameters { memory_kib, passes, lanes, salt } = parameters;
    let refused = |_| Error::PasswordParameters;
    let params = Params::new(*memory_kib, *passes, *lanes, Some(32)).map_err(refused)?;
    let mut memory = vec![Block::default(); params.block_count()];
    let mut out = Secret::zeroed();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let done = argon2.hash_password_into_with_memory(normal.as_bytes(), salt, out.expose_mut(), &mut memory);
    memory.iter_mut().for_each(|block| block.zeroize());
    done.map_err(refused)?;
    Ok(out)
}
