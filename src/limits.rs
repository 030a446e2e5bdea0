//! Every bound on untrusted input, in one table.
//!
//! A decoder that meets a larger value answers with an error before it allocates (R2, R5).
//! The values are part of the format (`docs/FORMAT.md`): a reader may not lower them.

/// Shortest stored object: 16 KiB.
pub const OBJECT_BYTES_MIN: usize = 16 * 1024;
/// Longest stored object: 8 MiB.
pub const OBJECT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Number of lengths an object may have: 16 KiB × 2^0 … 2^9.
pub const OBJECT_LENGTHS: usize = 10;
/// Lines of one listing: a vault of more objects would hold more than 64 GiB even of the shortest.
pub const LISTING_LINES_MAX: usize = 4 * 1024 * 1024;
/// Plaintext bytes of one sealed segment.
pub const SEGMENT_BYTES: usize = 64 * 1024;

/// Longest key of a tree entry: a source name, a separator and a path.
pub const KEY_BYTES_MAX: usize = 4608;
/// Longest value that lies in the tree itself; anything larger becomes chunks.
pub const INLINE_BYTES_MAX: usize = 4096;
/// Longest encoded record (metadata with inline content or chunk list).
pub const RECORD_BYTES_MAX: usize = 16 * 1024;
/// Size at which a tree page is closed whatever its entries say.
pub const PAGE_BYTES_MAX: usize = 64 * 1024;
/// Longest encoded tree page: a full page and one entry more.
pub const PAGE_ENCODED_BYTES_MAX: usize = 128 * 1024;
/// Most entries in one tree page.
pub const PAGE_ENTRIES_MAX: usize = 8192;
/// Highest level of a tree page; more than 2^32 pages need less.
pub const TREE_LEVEL_MAX: u32 = 32;

/// Longest record that an app edits as a whole.
pub const RECORD_CONTENT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest chunk before compression.
pub const CHUNK_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most bytes of small chunks that are compressed together: what is unpacked for one of them (R4).
pub const SHARED_FRAME_BYTES_MAX: usize = 512 * 1024;
/// Chunk ids in one list chunk of a large value.
pub const CHUNK_LIST_MAX: usize = 32 * 1024;
/// Levels of chunk lists above the chunks of a value.
pub const CHUNK_LIST_LEVELS_MAX: u32 = 3;
/// Chunks in one pack: the smallest chunks that fill 8 MiB, with room.
pub const PACK_CHUNKS_MAX: usize = 128 * 1024;
/// Packs in one index fragment.
pub const FRAGMENT_PACKS_MAX: usize = 64 * 1024;
/// Older index fragments that one fragment may name.
pub const FRAGMENT_OLDER_MAX: usize = 16 * 1024;
/// Packs that are not counted on any more which one fragment may name.
pub const FRAGMENT_LOST_MAX: usize = 16 * 1024;

/// Kinds of data in one vault.
pub const KINDS_MAX: usize = 64;
/// Longest name of a kind.
pub const KIND_BYTES_MAX: usize = 64;
/// Longest name of a source.
pub const SOURCE_BYTES_MAX: usize = 255;
/// Devices an account ever had.
pub const DEVICES_MAX: usize = 256;
/// Longest name of a device, in bytes.
pub const DEVICE_NAME_BYTES_MAX: usize = 128;
/// Entries of a roster.
pub const ROSTER_ENTRIES_MAX: usize = 4096;
/// Epochs of an account.
pub const EPOCHS_MAX: usize = 4096;

/// Password hashing memory, KiB: the floor is the default (K4).
pub const ARGON2_MEMORY_KIB_MIN: u32 = 64 * 1024;
/// Password hashing memory, KiB: the ceiling (K5).
pub const ARGON2_MEMORY_KIB_MAX: u32 = 1024 * 1024;
/// Password hashing passes: the floor.
pub const ARGON2_PASSES_MIN: u32 = 3;
/// Password hashing passes: the ceiling.
pub const ARGON2_PASSES_MAX: u32 = 10;
/// Password hashing lanes: the ceiling.
pub const ARGON2_LANES_MAX: u32 = 4;
/// Longest password accepted, bytes after normalization.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// Longest attribute of an imported XML file (base64 media of one message part).
pub const XML_ATTRIBUTE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Attributes of one XML element.
pub const XML_ATTRIBUTES_MAX: usize = 256;
/// Parts or addresses of one multimedia message.
pub const MESSAGE_PARTS_MAX: usize = 1024;
/// Longest contact card.
pub const CONTACT_BYTES_MAX: usize = 16 * 1024 * 1024;
