//! Where a device keeps its state, as a caller says it.
//!
//! Any path is one. With the feature `test-support` a home in memory is another; nothing above the medium can
//! tell them apart.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Medium, folder_medium::FolderMedium};
#[cfg(any(test, feature = "test-support"))]
use crate::vault::testing::MemoryHome;
use crate::{Error, Result};

/// Where a device keeps its state: a folder, written as its path.
#[derive(Clone)]
pub struct StateLocation(Location);

#[derive(Clone)]
enum Location {
    Folder(PathBuf),
    #[cfg(any(test, feature = "test-support"))]
    Memory(MemoryHome),
}

impl StateLocation {
    /// Whether there may be a state: what is not there is not made by looking.
    pub(crate) fn exists(&self) -> bool {
        match &self.0 {
            Location::Folder(path) => path.is_dir(),
            #[cfg(any(test, feature = "test-support"))]
            Location::Memory(_) => true,
        }
    }

    pub(crate) fn open(&self) -> Result<Arc<dyn Medium>> {
        match &self.0 {
            Location::Folder(path) => {
                Ok(Arc::new(FolderMedium::open(path).map_err(Error::io("opening the state folder"))?))
            }
            #[cfg(any(test, feature = "test-support"))]
            Location::Memory(home) => Ok(Arc::new(home.medium())),
        }
    }
}

impl<P: AsRef<Path>> From<P> for StateLocation {
    fn from(path: P) -> Self {
        Self(Location::Folder(path.as_ref().to_owned()))
    }
}

#[cfg(any(test, feature = "test-support"))]
impl From<&MemoryHome> for StateLocation {
    fn from(home: &MemoryHome) -> Self {
        Self(Location::Memory(home.clone()))
    }
}
