//! The kinds of data and their records: parsers and writers of phone formats, without I/O of their own.
//!
//! Readers take what a phone exported and never trust it; writers give back what the same reader accepts.

mod contacts;
mod key;
mod kind;
mod photos;
mod policy;
mod record;
mod xml;

pub use contacts::CardReader;
pub use key::{check_source_name, contact_key, file_key, message_key, parse_file_key};
pub use kind::Kind;
pub use photos::{is_media_name, taken_ms};
pub use policy::{compresses, looks_incompressible, uses_fixed_pieces};
pub use record::{FileMeta, FileType, Record};
pub use xml::{MessageReader, MessageWriter};
