//! Contacts: one file of cards a source. It gets its name when the last card of its source is written.

use super::{
    Failed,
    elements::{Sink, plain_attributes},
};
use crate::{
    kinds::CardWriter,
    vault::{Component, Target},
};

/// The contact file that is being written: cards come source by source. When some were lost on the way it replaces
/// no older file, which may have them.
#[derive(Default)]
pub(super) struct Cards(Option<(Vec<Component>, CardWriter<Sink>)>);

impl Cards {
    pub(super) fn add(
        &mut self,
        names: &[Component],
        card: &[u8],
        target: &mut Target,
        has_lost: bool,
    ) -> std::result::Result<u64, Failed> {
        if self.0.as_ref().is_none_or(|(open, _)| open != names) {
            self.finish(has_lost)?;
            self.0 = Some((names.to_vec(), CardWriter::new(Sink(target.file(names)?))));
        }
        if let Some((_, file)) = &mut self.0 {
            file.write(card)?;
        }
        Ok(u64::try_from(card.len()).unwrap_or(0))
    }

    pub(super) fn finish(&mut self, has_lost: bool) -> std::result::Result<(), Failed> {
        if let Some((_, cards)) = self.0.take() {
            let Sink(file) = cards.finish()?;
            let file = if has_lost { file.replacing_nothing() } else { file };
            file.finish(plain_attributes())?;
        }
        Ok(())
    }
}
