//! What a restore finds as it is to be: most likely an earlier one was cut off after it.

use std::path::Path;
use std::sync::Arc;

use super::{FilePlace, ItemError, Target};
use crate::vault::component::Component;
use crate::vault::folder::{Attributes, EntryType, FileMeta, Opening, SourceFile, Stat};

impl FilePlace {
    /// The file that has the name and no other, if it looks as recorded and this restore has not made it, under
    /// whatever name. It is not read.
    pub(in crate::vault) fn found(&self, attributes: Attributes, length: u64) -> Option<SourceFile> {
        if self.folder.made.is_new {
            return None;
        }
        let there =
            self.look().ok().filter(|there| !self.folder.made.lock().contains_key(&there.identity))?;
        let meta = FileMeta::from_stat(&there)?;
        let mask = if cfg!(unix) { self.rules.mode_mask } else { 0 };
        let shown = |of: Attributes| (of.modified_s, of.modified_ns, of.mode & mask);
        let is_alike = meta.entry_type == EntryType::Regular
            && there.has_one_name
            && meta.size == length
            && shown(meta.attributes) == shown(attributes);
        let opening = || Opening::at(Arc::clone(&self.folder.dir), self.name.as_os_str());
        let file = is_alike.then(opening)?.open().ok()??;
        (file.meta_when_opened() == meta).then_some(file)
    }

    /// Takes what has the name for this restore's: it is replaced no more, nor found under another name. Whether it
    /// still is `file`.
    pub(in crate::vault) fn keep(&self, file: &SourceFile) -> bool {
        let Ok(there) = self.look() else { return false };
        let is_it = FileMeta::from_stat(&there) == Some(file.meta_when_opened());
        is_it && self.folder.made.lock().insert(there.identity, None).is_none()
    }
}

impl Target {
    /// Whether a link is there already that points where this one is to. It is taken for this restore's then.
    pub(in crate::vault) fn has_link(
        &mut self,
        path: &[Component],
        target: &[u8],
    ) -> Result<bool, ItemError> {
        let (name, parents) = path.split_last().ok_or(ItemError::NoName)?;
        self.descend(parents)?;
        let place = self.place()?;
        let name: &Path = name.as_os_str().as_ref();
        let points = place.dir.read_link_contents(name);
        let is_it = points.is_ok_and(|points| points.as_os_str().as_encoded_bytes() == target);
        let Ok(there) = Stat::at(&place.dir, name.as_os_str()) else { return Ok(false) };
        Ok(is_it && place.made.lock().insert(there.identity, None).is_none())
    }
}
