//! The only writer of standard output and standard error.
//!
//! Standard output holds results and nothing else; with `--json` exactly one object. Names from a backup
//! may hold anything, so what would move a terminal's cursor is escaped in text.

use std::{
    fmt::{Display, Write as _},
    io::{self, BufWriter, IsTerminal as _, Stdout, Write as _},
};

use serde_json::Value;

use super::exit::Fault;

pub(crate) struct Output {
    out: BufWriter<Stdout>,
    json: bool,
    quiet: bool,
}

impl Output {
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        Self { out: BufWriter::new(io::stdout()), json, quiet }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether progress bars may be drawn.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.json && !self.quiet && io::stderr().is_terminal()
    }

    /// The result of a command that did something: one object, or lines, which `--quiet` leaves out. A
    /// reader that has gone does not undo what was done.
    pub(crate) fn summary(&mut self, object: &Value, lines: &[String]) -> Result<(), Fault> {
        if self.quiet && !self.json {
            return Ok(());
        }
        match self.result(object, lines) {
            Err(fault) if fault.is_broken_pipe() => Ok(()),
            other => other,
        }
    }

    /// The result of a command that was asked for it: one object, or lines.
    pub(crate) fn result(&mut self, object: &Value, lines: &[String]) -> Result<(), Fault> {
        let mut write = || {
            if self.json {
                writeln!(self.out, "{object}")?;
            } else {
                lines.iter().try_for_each(|line| writeln!(self.out, "{}", printable(line)))?;
            }
            self.out.flush()
        };
        write().map_err(Fault::Output)
    }

    /// Bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    pub(crate) fn flush(&mut self) -> Result<(), Fault> {
        self.out.flush().map_err(Fault::Output)
    }

    /// A list that is too long to be held: `{"NAME":[…]}`, or lines.
    pub(crate) fn list(&mut self, name: &'static str) -> io::Result<List<'_>> {
        if self.json {
            write!(self.out, "{{\"{name}\":[")?;
        }
        Ok(List { output: self, items: 0 })
    }

    /// One line on standard error. There is nowhere to report that it cannot be written.
    pub(crate) fn error(&mut self, what: &dyn Display) {
        let _ = self.out.flush();
        let text = printable(&what.to_string());
        let _ = writeln!(io::stderr().lock(), "strongroom: {text}");
    }
}

/// A list being written.
pub(crate) struct List<'o> {
    output: &'o mut Output,
    items: u64,
}

impl List<'_> {
    pub(crate) fn item(&mut self, object: impl Fn() -> Value, line: impl Fn() -> String) -> io::Result<()> {
        let out = &mut self.output.out;
        if self.output.json {
            let comma = if self.items == 0 { "" } else { "," };
            write!(out, "{comma}{}", object())?;
        } else {
            writeln!(out, "{}", printable(&line()))?;
        }
        self.items = self.items.saturating_add(1);
        Ok(())
    }

    /// Closes the list. One that was cut short by an error says so, and is one whole object all the same.
    pub(crate) fn end(self, complete: bool) -> Result<(), Fault> {
        let mut close = || {
            if self.output.json {
                let note = if complete { "" } else { ",\"complete\":false" };
                writeln!(self.output.out, "]{note}}}")?;
            }
            self.output.out.flush()
        };
        close().map_err(Fault::Output)
    }
}

/// Text whose control characters are escaped.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() && character != '\t' {
            let _ = write!(shown, "{}", character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_move_the_cursor() {
        assert_eq!(printable("a\u{1b}[2J\nb\tß"), "a\\u{1b}[2J\\nb\tß");
    }
}
