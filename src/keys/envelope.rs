//! An envelope: an epoch root sealed to one recipient (FORMAT F-32).
//!
//! It is found by whoever holds the secret, without knowing any device. Its writer signs it, so that a
//! recipient's public key alone is not enough to plant a root (K1).

use prost::Message as _;
use zeroize::Zeroize as _;

use super::{AccountId, DeviceId, EpochRoots, ObjectRef, recipient::Recipient, roster::Roster};
use crate::{
    Error, Part, Result,
    crypto::{
        Context, HYBRID_CIPHERTEXT_BYTES, HybridSecretKey, Label, ObjectKey, ObjectType, PasswordParameters,
        Place, Random, Sealed, Secret, Signature, SigningKey, derive_from_key, open_message_with_extra,
        seal_message_with_extra,
    },
    limits::OBJECT_BYTES_MIN,
    wire::{decode_strict, messages},
};

const PARAMETER_BYTES: usize = 12 + 32;
const EXTRA_BYTES: usize = HYBRID_CIPHERTEXT_BYTES + PARAMETER_BYTES;

/// What an envelope holds, authenticated by its seal but not yet by its signer.
pub struct Envelope {
    account: AccountId,
    roots: EpochRoots,
    roster: ObjectRef,
    signer: DeviceId,
    signature: Signature,
    body: zeroize::Zeroizing<Vec<u8>>,
}

/// What goes into the envelopes of one epoch.
pub struct EnvelopeContents<'a> {
    /// The account.
    pub account: AccountId,
    /// All roots that its writer knows.
    pub roots: &'a EpochRoots,
    /// The roster as it is now.
    pub roster: &'a ObjectRef,
}

impl Envelope {
    /// Seals the roots to `recipient`, signed by the device `signer`.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn seal(
        contents: &EnvelopeContents<'_>,
        recipient: &Recipient,
        signer: (DeviceId, &SigningKey),
        random: &mut dyn Random,
    ) -> Result<Sealed> {
        let id = random.bytes()?;
        let mut bytes = signed_bytes(contents, recipient, id, signer)?;
        let (ciphertext, shared) = recipient.public_key().encapsulate(random)?;
        let mut extra = ciphertext.to_vec();
        let decoy = PasswordParameters::default_with(random.bytes()?);
        extra.extend(encode_parameters(recipient.password_parameters().unwrap_or(&decoy)));
        let key = envelope_key(&shared, recipient.locator(), &extra);
        let context = context(recipient.locator(), id);
        let sealed = seal_message_with_extra(&key, context, &extra, &bytes, random);
        bytes.zeroize();
        sealed
    }

    /// The password parameters that an envelope shows to whoever has the password. Checked before
    /// anything is derived from it (K4, K5).
    ///
    /// # Errors
    /// [`Error::Damaged`]; [`Error::PasswordParameters`].
    pub fn password_parameters(bytes: &[u8]) -> Result<PasswordParameters> {
        let start = crate::crypto::HEADER_BYTES + HYBRID_CIPHERTEXT_BYTES;
        let damaged = || Error::damaged(Part::Envelope);
        let field = |at: usize| bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
        let number = |at| field(at).map(|bytes| u32::from_le_bytes(*bytes)).ok_or_else(damaged);
        let salt = bytes.get(start + 12..).and_then(|rest| rest.first_chunk::<32>()).ok_or_else(damaged)?;
        PasswordParameters::checked(number(start)?, number(start + 4)?, number(start + 8)?, *salt)
    }

    /// Opens an envelope that lies at `locator` under `id`.
    ///
    /// # Errors
    /// [`Error::WrongSecret`] for whatever reason (K3).
    pub fn open(secret: &HybridSecretKey, locator: [u8; 16], id: [u8; 16], bytes: Vec<u8>) -> Result<Self> {
        let extra = bytes
            .get(crate::crypto::HEADER_BYTES..)
            .and_then(|rest| rest.get(..EXTRA_BYTES))
            .filter(|_| bytes.len() >= OBJECT_BYTES_MIN)
            .ok_or(Error::WrongSecret)?;
        let ciphertext = extra.get(..HYBRID_CIPHERTEXT_BYTES).ok_or(Error::WrongSecret)?;
        let shared = secret.decapsulate(ciphertext)?;
        let key = envelope_key(&shared, locator, extra);
        let plain =
            open_message_with_extra(&key, &context(locator, id), EXTRA_BYTES, bytes).map_err(|error| {
                match error {
                    newer @ Error::NewerFormat { .. } => newer,
                    _ => Error::WrongSecret,
                }
            })?;
        Self::parse(&zeroize::Zeroizing::new(plain), locator, id)
    }

    /// Reads an authenticated envelope.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn parse(plain: &[u8], locator: [u8; 16], id: [u8; 16]) -> Result<Self> {
        let damaged = || Error::damaged(Part::Envelope);
        let signed: messages::SignedEnvelope = decode_strict(plain, plain.len(), Part::Envelope)?;
        let messages::SignedEnvelope { body, signer, signature } = signed;
        let body = zeroize::Zeroizing::new(body);
        let mut wire: messages::EnvelopeBody = decode_strict(&body, body.len(), Part::Envelope)?;
        let roots = EpochRoots::from_wire(&mut wire.roots);
        if wire.locator != locator || wire.id != id {
            return Err(damaged());
        }
        Ok(Self {
            account: AccountId::from_slice(&wire.account).ok_or_else(damaged)?,
            roots: roots.ok_or_else(damaged)?,
            roster: ObjectRef::from_wire(wire.roster.as_ref().ok_or_else(damaged)?, Part::Envelope)?,
            signer: DeviceId::from_slice(&signer).ok_or_else(damaged)?,
            signature: Signature::from_bytes(&signature, Part::Envelope)?,
            body,
        })
    }

    /// The account it claims to belong to.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The roots it carries, good for nothing but opening the roster that has to vouch for them.
    #[must_use]
    pub fn unverified_roots(&self) -> &EpochRoots {
        &self.roots
    }

    /// The roster it names, sealed under one of its roots.
    #[must_use]
    pub fn roster(&self) -> &ObjectRef {
        &self.roster
    }

    /// The device that says it sealed this: not yet verified.
    #[must_use]
    pub fn signer(&self) -> DeviceId {
        self.signer
    }

    /// Gives the roots out that the roster announces, the roster being the one that the recipient itself
    /// agreed to or a continuation of it. Nobody, revoked or not, can plant a root (D6).
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn verify(self, roster: &Roster) -> Result<EpochRoots> {
        let damaged = || Error::damaged(Part::Envelope);
        let signer = roster.state().device(self.signer).ok_or_else(damaged)?;
        signer.signing_key().verify(Label::SIGN_ENVELOPE, &self.body, &self.signature, Part::Envelope)?;
        if self.roots.iter().all(|root| roster.state().announces(root)) {
            Ok(self.roots)
        } else {
            Err(damaged())
        }
    }
}

fn signed_bytes(
    contents: &EnvelopeContents<'_>,
    recipient: &Recipient,
    id: [u8; 16],
    (signer, key): (DeviceId, &SigningKey),
) -> Result<Vec<u8>> {
    let mut body = messages::EnvelopeBody {
        account: contents.account.0.to_vec(),
        roots: contents.roots.to_wire(),
        roster: Some(contents.roster.to_wire()),
        locator: recipient.locator().to_vec(),
        id: id.to_vec(),
    };
    let encoded = body.encode_to_vec();
    body.roots.iter_mut().for_each(|secret| secret.root.zeroize());
    let signature = key.sign(Label::SIGN_ENVELOPE, &encoded).as_bytes().to_vec();
    let mut signed = messages::SignedEnvelope { body: encoded, signer: signer.0.to_vec(), signature };
    let bytes = signed.encode_to_vec();
    signed.body.zeroize();
    Ok(bytes)
}

fn envelope_key(shared: &Secret<32>, locator: [u8; 16], extra: &[u8]) -> ObjectKey {
    ObjectKey::new(derive_from_key(shared, Label::ENVELOPE, &[&locator, extra]))
}

fn encode_parameters(parameters: &PasswordParameters) -> Vec<u8> {
    let numbers = [parameters.memory_kib(), parameters.passes(), parameters.lanes()];
    let mut out: Vec<u8> = numbers.into_iter().flat_map(u32::to_le_bytes).collect();
    out.extend(parameters.salt());
    out
}

/// The account is not known before it is opened; the signed body names it.
fn context(locator: [u8; 16], id: [u8; 16]) -> Context {
    Context::new([0; 16], 0, ObjectType::Envelope, "", Place::Envelope { locator, id })
}
