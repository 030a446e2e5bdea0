//! The kinds of data and their records: parsers and writers of phone formats, without I/O.

mod calls;
mod contacts;
mod key;
mod kind;
mod messages;
mod photos;
mod policy;
mod record;
mod scan;
mod xml;
mod xml_reader;
mod xml_writer;

pub use contacts::{CardReader, CardWriter};
pub use key::{
    MESSAGE_IDENTITY_BYTES, MESSAGE_KEY_BYTES, contact_key, file_key, message_key, parse_contact_key,
    parse_file_key,
};
pub use kind::Kind;
pub use photos::{PHOTO_HEAD_BYTES, is_media_name, taken_ms};
pub use policy::{Cutting, Policy, looks_incompressible};
pub use record::{FileMeta, FileType, Record};
pub use xml::Document;
pub use xml_reader::ElementReader;
pub use xml_writer::{ElementWriter, element_line};
