//! What a folder tells about an entry.
//!
//! Plain numbers, taken from one `stat`; no path and no handle. Equal values before and after reading mean
//! that the file did not change in between.

use super::stat::Stat;

/// What kind of entry it is. Anything else on a disk (fifo, socket, device) is not backed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EntryType {
    /// A file with content.
    Regular,
    /// A folder.
    Directory,
    /// A symbolic link, itself.
    Symlink,
}

/// The attributes that a restore gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes {
    /// Permission bits, 0 to 07777; the owner's alone where the system has none.
    pub mode: u32,
    /// Modification time: seconds since the Unix epoch, may be negative.
    pub modified_s: i64,
    /// Modification time: nanoseconds after that second, below 10^9.
    pub modified_ns: u32,
}

/// One entry's metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileMeta {
    /// What kind of entry it is.
    pub entry_type: EntryType,
    /// What a restore gives back.
    pub attributes: Attributes,
    /// Length in bytes; for a link, that of its target's text.
    pub size: u64,
    /// The file system's number of the file.
    pub inode: u64,
    /// The file system.
    pub device: u64,
    /// Time of the last change to content or metadata, seconds; 0 where the system has none.
    pub changed_s: i64,
    /// The nanoseconds of that.
    pub changed_ns: u32,
}

impl FileMeta {
    /// The metadata of an entry, or none for an entry that is not backed up.
    pub(in crate::vault) fn from_stat(stat: &Stat) -> Option<Self> {
        let (device, inode) = stat.identity.numbers();
        Some(Self {
            entry_type: stat.entry_type?,
            attributes: stat.attributes,
            size: stat.size,
            inode,
            device,
            changed_s: stat.changed_s,
            changed_ns: stat.changed_ns,
        })
    }
}
