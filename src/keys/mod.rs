//! (room)

mod recovery_code;

pub use recovery_code::{DeviceSecret, RecoveryCode};
