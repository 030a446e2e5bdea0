//! Keys: who may open what, from the code on paper to the key of a kind.
//!
//! Pure. A key is either random and wrapped or derived under a label; none is ever taken from the store
//! without an authenticated chain to the account secret or the device's own keys (K1).

mod enrollment;
mod envelope;
mod epoch;
mod ids;
mod keyring;
mod object_ref;
mod recipient;
mod recovery_code;
mod roster;

pub use enrollment::{
    Anchor, Applicant, Asking, CheckCode, Confirmed, EnrollAnswer, EnrollRequest, HeadCode, Invitation,
    Inviter, Joiner, Terms, check_introduced,
};
pub use envelope::{Envelope, EnvelopeContents};
pub use epoch::{EpochRoot, EpochRoots, RootId};
pub use ids::{AccountId, DeviceId};
pub(crate) use keyring::wipe as wipe_keyring;
pub use keyring::{Keyring, KindKeys};
pub use object_ref::ObjectRef;
pub use recipient::Recipient;
pub use recovery_code::{DeviceSecret, RecoveryCode};
pub use roster::{Change, Device, DeviceState, Member, Roster, RosterState, Signer, SignerId};

/// Opens with the first of `keys` that fits. What one key seals, no other opens.
fn open_with_any<K>(
    keys: impl Iterator<Item = K>,
    bytes: Vec<u8>,
    open: impl Fn(&K, Vec<u8>) -> crate::Result<Vec<u8>>,
) -> crate::Result<Vec<u8>> {
    let mut failure = crate::Error::damaged(crate::Part::Object);
    for key in keys {
        match open(&key, bytes.clone()) {
            Err(error) => failure = error,
            opened => return opened,
        }
    }
    Err(failure)
}
