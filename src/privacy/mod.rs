//! Privacy: consent, the ledger, and the gate through which everything leaves.
//!
//! Nothing above this room holds a store; nothing below knows what consent is.

mod audit;
mod consent;
mod gate;
mod ledger;

pub use audit::Audit;
pub use consent::Consent;
pub use gate::{Gate, object_name};
pub(crate) use ledger::LedgerFile;
#[cfg(any(test, feature = "test-support"))]
pub(crate) use ledger::ReadSeek;
pub use ledger::{Ledger, LedgerLine};
