//! One plain X25519 exchange (RFC 7748), for enrollment.
//!
//! Gives a raw shared secret: the caller derives from it with a label and both public keys. A peer whose
//! point adds nothing to the secret is refused (D4).

use x25519_dalek::{PublicKey, StaticSecret};

use super::{Random, Secret};
use crate::{Error, Result};

/// The secret half of one exchange. Make a new one for each.
pub struct ExchangeSecret {
    secret: Secret<32>,
    public: [u8; 32],
}

impl ExchangeSecret {
    /// A fresh secret.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn generate(random: &mut dyn Random) -> Result<Self> {
        let secret = Secret::generate(random)?;
        let public = PublicKey::from(&StaticSecret::from(*secret.expose())).to_bytes();
        Ok(Self { secret, public })
    }

    /// What the peer needs.
    #[must_use]
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// The secret shared with the owner of `peer`.
    ///
    /// # Errors
    /// [`Error::WrongSecret`] if `peer` is a point of low order.
    pub fn agree(&self, peer: &[u8; 32]) -> Result<Secret<32>> {
        let shared = StaticSecret::from(*self.secret.expose()).diffie_hellman(&PublicKey::from(*peer));
        if !shared.was_contributory() {
            return Err(Error::WrongSecret);
        }
        Secret::from_slice(shared.as_bytes()).ok_or(Error::Internal("an X25519 secret has 32 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SeededRandom;

    #[test]
    fn both_sides_agree_and_a_third_does_not() {
        let mut random = SeededRandom::new(1);
        let [a, b, c] = [(); 3].map(|()| ExchangeSecret::generate(&mut random).unwrap());
        assert_eq!(a.agree(b.public()).unwrap().expose(), b.agree(a.public()).unwrap().expose());
        assert_ne!(a.agree(b.public()).unwrap().expose(), a.agree(c.public()).unwrap().expose());
    }

    #[test]
    fn attack_d4_a_peer_of_zeros_is_refused() {
        let secret = ExchangeSecret::generate(&mut SeededRandom::new(2)).unwrap();
        assert!(matches!(secret.agree(&[0; 32]), Err(Error::WrongSecret)));
    }
}
