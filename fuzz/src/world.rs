//! The account that all targets speak of: one device, one recovery code, every key known.

use std::sync::OnceLock;

use strongroom::{
    crypto::{HybridSecretKey, Place, Secret, SigningKey, seal_message},
    keys::{
        AccountId, Change, Device, DeviceId, EpochRoot, EpochRoots, Member, ObjectRef, Recipient,
        RecoveryCode, Roster,
    },
};

use super::input::Counted;

pub(super) const DEVICE: DeviceId = DeviceId([0xd1; 16]);

pub(super) struct World {
    pub(super) code: RecoveryCode,
    pub(super) hybrid: HybridSecretKey,
    pub(super) roster: Roster,
}

pub(super) fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let code = RecoveryCode::generate(&mut Counted(vec![7], 0)).unwrap();
        let hybrid = code.hybrid_key();
        let genesis = Change::Genesis {
            salt: [5; 16],
            device: member(DEVICE, "phone", &hybrid),
            recovery: recovery(&code, &hybrid),
            format_version: 1,
            root_id: root(0).id(),
        };
        let roster = Roster::begin(&genesis, &device_key(DEVICE), &code.signing_key(), 1_700_000_000_000);
        World { roster: roster.unwrap(), code, hybrid }
    })
}

impl World {
    pub(super) fn account(&self) -> AccountId {
        self.roster.account()
    }

    pub(super) fn device(&self) -> &Device {
        self.roster.state().device(DEVICE).unwrap()
    }
}

pub(super) fn member(id: DeviceId, name: &str, hybrid: &HybridSecretKey) -> Member {
    Member {
        id,
        signing_key: device_key(id).verifying_key(),
        recipient: Recipient::device(hybrid.public().clone(), [0x10; 16]),
        name: name.to_owned(),
    }
}

pub(super) fn recovery(code: &RecoveryCode, hybrid: &HybridSecretKey) -> Recipient {
    Recipient::recovery(hybrid.public().clone(), code.locator(), code.signing_key().verifying_key())
}

/// Every device's key follows from its id.
pub(super) fn device_key(id: DeviceId) -> SigningKey {
    SigningKey::from_seed(secret(id.0[0]))
}

pub(super) fn secret(byte: u8) -> Secret<32> {
    Secret::take(&mut [byte; 32])
}

pub(super) fn root(epoch: u32) -> EpochRoot {
    EpochRoot::new(epoch, secret(0x60))
}

pub(super) fn roots() -> EpochRoots {
    EpochRoots::new([root(0)])
}

/// Names some object.
pub(super) fn object_ref(id: u8) -> ObjectRef {
    let context = super::object::context(Place::Object([id; 16]));
    let key = super::object::key();
    ObjectRef::of(&seal_message(&key, context, &[id], &mut Counted::from(id)).unwrap()).unwrap()
}
