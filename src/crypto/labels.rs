//! Every label of the key schedule, in one place (FORMAT F-10).
//!
//! A label is the first part of an HKDF info or the whole context string of a BLAKE3 derivation. No label
//! is the beginning of another, and each is used for one thing.

/// A purpose that a key, hash or signature is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label(&'static str);

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        impl Label {
            $($(#[$doc])* pub const $name: Self = Self(concat!("strongroom/v1/", $text));)*
            #[cfg(test)]
            const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

labels! {
    /// A key to the one of all objects in a scope.
    OBJECT = "object";
    /// A key to the one that salts in a scope come from, with fresh randomness.
    OBJECT_SALT = "hedged-salt";
    /// Content key of an envelope from an X-Wing shared secret.
    ENVELOPE = "envelope";
    /// Which root an epoch has.
    EPOCH_ID = "epoch/id";
    /// Epoch root to the key that seals commits.
    EPOCH_COMMIT = "epoch/commit";
    /// Epoch root to the key that seals the keyring.
    EPOCH_KEYRING = "epoch/keyring";
    /// Epoch root to the key that seals the roster.
    EPOCH_ROSTER = "epoch/roster";
    /// Recovery code to the seed of its X-Wing pair.
    RECOVERY_SEED = "recovery/x-wing";
    /// Recovery code to the seed of its signing key.
    RECOVERY_SIGNING = "recovery/ed25519";
    /// Recovery code to the place of its envelopes.
    RECOVERY_LOCATOR = "recovery/locator";
    /// Password and device secret to the seed of their X-Wing pair.
    PASSWORD_SEED = "password/x-wing";
    /// Password and device secret to the seed of their signing key.
    PASSWORD_SIGNING = "password/ed25519";
    /// Device secret to the place of its envelopes.
    PASSWORD_LOCATOR = "password/locator";
    /// Account id from the genesis entry.
    ACCOUNT = "account-id";
    /// What a signature over a commit covers.
    SIGN_COMMIT = "sign/commit";
    /// What a signature over a roster entry covers.
    SIGN_ROSTER = "sign/roster-entry";
    /// What an envelope's writer signs.
    SIGN_ENVELOPE = "sign/envelope";
    /// What a recipient signs when it agrees to an account.
    SIGN_ACCEPTANCE = "sign/acceptance";
    /// What a new device signs when it asks to be admitted.
    SIGN_ENROLLMENT = "sign/enrollment";
    /// One-time secret of an invitation to the key that seals the request.
    ENROLL_REQUEST = "enroll/request";
    /// One-time secret of an invitation to the key that seals the inviting device's share.
    ENROLL_REVEAL = "enroll/reveal";
    /// One-time secret and exchanged secret to the session of an enrollment.
    ENROLL_SESSION = "enroll/session";
    /// Session to the key that seals the answer.
    ENROLL_ANSWER = "enroll/answer";
    /// Session to the digits that people compare.
    ENROLL_CHECK_CODE = "enroll/check-code";
    /// Typing check of an invitation.
    INVITATION_CHECK = "invitation-check";
    /// Hash of an invitation.
    HASH_INVITATION = "hash/invitation";
    /// Hash of the inviting device's share, in its invitation.
    HASH_SHARE = "hash/share";
    /// Hash of an invitation and the request that answers it.
    HASH_ENROLLMENT = "hash/enrollment";
    /// Hash of a commit.
    HASH_COMMIT = "hash/commit";
    /// Hash of a roster entry.
    HASH_ROSTER = "hash/roster-entry";
    /// Hash of a stored object's bytes.
    HASH_OBJECT = "hash/object";
    /// Hash that stands for a message in its salt.
    HASH_MESSAGE = "hash/message";
    /// Naming key to the key that names a kind's chunks.
    NAMING_CHUNK_ID = "naming/chunk-id";
    /// Naming key to the key that places a kind's cuts and page borders.
    NAMING_CHUNK_CUT = "naming/chunk-cut";
    /// A value, to tell later whether it is still the same.
    VALUE_ID = "value-id";
    /// Chunk cut key to the key that places page borders.
    PAGE_BORDER = "cut/page-border";
    /// Chunk cut key to the chunker's rolling hash and cipher keys.
    CHUNKER = "cut/chunker";
    /// Record identity inside a kind.
    RECORD_KEY = "record-key";
    /// Checksum of a local state file.
    LOCAL_CHECKSUM = "local-state";
}

impl Label {
    /// The label as text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_label_begins_another() {
        for a in Label::ALL {
            for b in Label::ALL {
                assert!(a == b || !a.as_str().starts_with(b.as_str()), "{a:?} {b:?}");
            }
        }
        assert!(Label::ALL.iter().all(|label| label.as_str().is_ascii()));
    }
}
