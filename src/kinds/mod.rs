//! The kinds of data and their records: parsers and writers of phone formats, without I/O.

mod kind;

pub use kind::Kind;
