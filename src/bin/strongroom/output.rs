//! The only writer of standard output and standard error.
//!
//! Standard output holds results and nothing else; with `--json` exactly one object. Names from a backup
//! may hold anything, so what would move a terminal's cursor is escaped in text.

use std::{
    fmt::{Display, Write as _},
    io::{self, BufWriter, IsTerminal as _, Stdout, Write as _},
};

use serde_json::Value;

use super::exit::{Fault, Status};

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
    pub(crate) fn list(&mut self, name: &'static str) -> List<'_> {
        List { output: self, name, items: 0 }
    }

    /// What a person has to see before the command can go on: on standard error, for it is no result.
    pub(crate) fn tell(&mut self, lines: &[&str]) {
        let mut to = io::stderr().lock();
        for line in lines.iter().flat_map(|text| text.lines()) {
            let _ = writeln!(to, "{}", printable(line));
        }
    }

    /// What a person should know beside the result, on standard error.
    pub(crate) fn note(&mut self, what: &str) {
        if !self.json && !self.quiet {
            let _ = writeln!(io::stderr().lock(), "{}", printable(what));
        }
    }

    /// One line on standard error. There is nowhere to report that it cannot be written.
    pub(crate) fn error(&mut self, what: &dyn Display) {
        let _ = self.out.flush();
        let text = printable(&what.to_string());
        let _ = writeln!(io::stderr().lock(), "strongroom: {text}");
    }
}

/// Says why the arguments were refused, in one line as for every error; or prints the help that they asked
/// for.
pub(crate) fn refuse(refused: &clap::Error) -> Status {
    use clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand as NothingAsked;
    if !refused.use_stderr() || refused.kind() == NothingAsked {
        let _ = refused.print();
        return if refused.use_stderr() { Status::Usage } else { Status::Done };
    }
    let text = refused.to_string();
    let reason = text.split("\n\n").next().unwrap_or_default();
    let words: Vec<_> = reason.trim_start_matches("error: ").split_whitespace().collect();
    Output::new(false, false).error(&words.join(" "));
    Status::Usage
}

/// A list being written.
pub(crate) struct List<'o> {
    output: &'o mut Output,
    name: &'static str,
    items: u64,
}

impl List<'_> {
    pub(crate) fn item(&mut self, object: impl Fn() -> Value, line: impl Fn() -> String) -> io::Result<()> {
        if !self.output.json {
            writeln!(self.output.out, "{}", printable(&line()))?;
        } else if self.items == 0 {
            write!(self.output.out, "{{\"{}\":[{}", self.name, object())?;
        } else {
            write!(self.output.out, ",{}", object())?;
        }
        self.items = self.items.saturating_add(1);
        Ok(())
    }

    /// Closes the list. One that was cut short by an error says so and is one whole object all the same; one
    /// that failed before its first item was never begun.
    pub(crate) fn end(self, complete: bool) -> Result<(), Fault> {
        let mut close = || {
            let out = &mut self.output.out;
            match (self.output.json, self.items, complete) {
                (false, ..) | (true, 0, false) => {}
                (true, 0, true) => writeln!(out, "{{\"{}\":[]}}", self.name)?,
                (true, _, true) => writeln!(out, "]}}")?,
                (true, _, false) => writeln!(out, "],\"complete\":false}}")?,
            }
            out.flush()
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
