//! The XML of SMS Backup & Restore: messages and calls, one record at a time, in bounded memory.
//!
//! What other parsers would see is what is kept: names, order and values of all attributes, known or not.
//! Surrogate halves written as character references, which many exporters emit, are joined; what XML cannot
//! hold becomes U+FFFD. No document type is accepted, so nothing is ever expanded.

mod limited;
mod reader;
mod unescape;
mod writer;

pub use reader::MessageReader;
pub use writer::MessageWriter;

/// The name of the format, for errors.
const FORMAT: &str = "XML of messages or calls";
