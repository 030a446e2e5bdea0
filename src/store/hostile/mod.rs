//! A store that is run by the attacker: all devices share it, and each sees what a script wants it to see
//! (SECURITY A4, A10).
//!
//! One call that goes wrong is a [`Fault`](super::faults::Fault); this room adds what needs the whole store:
//! time, several views, forks. Everything follows from the script and the order of the requests: no clock,
//! no thread, no random order. For tests only.
//!
//! ```
//! use strongroom::store::{ObjectName, Store, hostile::{HostileStore, Script}};
//!
//! let script: Script = "at 2: fork for 1\nnth 1 get of 0 in objects/: flip 70\n".parse()?;
//! let store = HostileStore::new(script);
//! let (ana, ben) = (store.for_device(0), store.for_device(1));
//! let name = ObjectName::object(&[1; 16]);
//! assert!(ben.get(&name, 100).is_err());
//! ana.put(&name, b"the second request: from now on Ben sees a store of his own")?;
//! assert!(ana.get(&name, 100).is_ok() && ben.get(&name, 100).is_err());
//! # Ok::<(), strongroom::store::StoreError>(())
//! ```

mod branch;
mod random;
mod script;
mod text;
mod view;
mod world;

pub use script::{Act, Content, Devices, Item, Pattern, Pick, Script, When};
pub use view::{HostileStore, View};
pub use world::Seen;
