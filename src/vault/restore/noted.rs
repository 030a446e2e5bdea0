//! What a restore leaves behind: a folder that this device had from now on. What is edited or deleted there
//! later is an edit or a deletion, as if the folder had been backed up before.

use std::{ops::Bound, path::Path};

use super::{Part, has_paths};
use crate::{
    Result,
    kinds::{FileMeta as FileRecord, FileType, Kind, Record, parse_file_key},
    tree::{self, Lookup},
    vault::{
        Folder, Vault,
        backup::{folder_replica, stat_of},
        contents::{ContentReader, decode_entry},
        folder::{EntryType, FileMeta},
        merge::content_id,
        state::{Database, NewNote},
        view::View,
    },
    wire::messages,
};

impl Vault {
    /// Notes everything that lies below `into` exactly as the newest state of `part` has it.
    pub(super) fn note_restored(&self, view: &View, part: &Part, into: &Path) -> Result<()> {
        const BATCH: usize = 4096;
        if !has_paths(&part.kind) || part.kind == Kind::CONTACTS {
            return Ok(());
        }
        let reader = ContentReader::new(self.access(part.kind.name(), view)?, 8 * 1024 * 1024)?;
        let run = self.database.begin_run(part.kind.name())?;
        let mut notes: Vec<NewNote> = Vec::new();
        for source in sources(part, &reader)? {
            let path = into.join(part.kind.name()).join(&source);
            let (Ok(walk), Ok(replica)) = (Folder::at(&path).walk(), folder_replica(&part.kind, &path))
            else {
                continue;
            };
            let mut lookup = Lookup::new(part.state.root, &reader);
            for item in walk.flatten() {
                let parts: Vec<&[u8]> = item.components.iter().map(Vec::as_slice).collect();
                let key = crate::kinds::file_key(&source, &parts)?;
                let Some(value) = lookup.value(&key)? else { continue };
                if is_as_recorded(&item.meta, &decode_entry(value)?) {
                    notes.push(replica.note(&key, Some((stat_of(&item.meta), content_id(value)?))));
                }
                if notes.len() == BATCH {
                    let full = std::mem::take(&mut notes);
                    self.database.write(|transaction| Database::write_notes(transaction, &run, &full))?;
                }
            }
        }
        self.database.write(|transaction| {
            Database::write_notes(transaction, &run, &notes)?;
            Database::finish_run(transaction, part.kind.name(), &run)
        })
    }
}

/// The sources that a part has entries of.
fn sources(part: &Part, reader: &ContentReader<'_>) -> Result<Vec<String>> {
    let mut sources: Vec<String> = Vec::new();
    let mut start = part.prefix.clone();
    loop {
        let next = tree::scan(part.state.root, reader, Bound::Included(&start)).next().transpose()?;
        let Some((key, _)) = next.filter(|(key, _)| key.starts_with(&part.prefix)) else {
            return Ok(sources);
        };
        match parse_file_key(&key) {
            Ok((source, _)) => {
                start = [source.as_bytes(), &[1]].concat();
                sources.push(source.to_owned());
            }
            // A hostile name: the restore itself told of it.
            Err(_) => start = [&key[..], &[0]].concat(),
        }
    }
}

fn is_as_recorded(meta: &FileMeta, entry: &messages::Entry) -> bool {
    let Ok(Record::File(FileRecord { file_type, modified_s, modified_ns, .. })) =
        Record::decode(&entry.record)
    else {
        return false;
    };
    let same_type = matches!(
        (meta.entry_type, file_type),
        (EntryType::Regular, FileType::Regular)
            | (EntryType::Directory, FileType::Directory)
            | (EntryType::Symlink, FileType::Symlink)
    );
    let time = (meta.attributes.modified_s, meta.attributes.modified_ns);
    let length = entry.content.as_ref().map_or(0, |content| content.length);
    same_type && time == (modified_s, modified_ns) && (file_type != FileType::Regular || meta.size == length)
}
