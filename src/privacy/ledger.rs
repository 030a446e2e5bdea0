//! The ledger: one line on this device's disk for each object, before it leaves (promise 1).
//!
//! It is text, append-only, and the owner's: the store never sees it. A line cut short by a power failure
//! belongs to an object that never left.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use crate::{Error, Result, store::ObjectName};

/// One object that left this device, or was about to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerLine {
    /// When, by the device's clock: milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// The kind of data; empty for keys and commits.
    pub kind: String,
    /// What it is: pack, index, commit ….
    pub object: String,
    /// Its name in the store.
    pub name: String,
    /// Its length in bytes.
    pub length: u64,
}

impl fmt::Display for LedgerLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.kind.is_empty() { "-" } else { &self.kind };
        write!(f, "{}\t{kind}\t{}\t{}\t{}", self.time_ms, self.object, self.name, self.length)
    }
}

impl LedgerLine {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split('\t');
        let line = Self {
            time_ms: fields.next()?.parse().ok()?,
            kind: fields.next().map(|kind| if kind == "-" { "" } else { kind })?.to_owned(),
            object: fields.next()?.to_owned(),
            name: ObjectName::parse(fields.next()?).ok()?.as_str().to_owned(),
            length: fields.next()?.parse().ok()?,
        };
        fields.next().is_none().then_some(line)
    }
}

/// The open ledger of a device.
pub struct Ledger {
    file: File,
    path: PathBuf,
}

impl Ledger {
    /// Opens or creates the ledger file; what a power failure left of a last line is cut off.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        let mut options = OpenOptions::new();
        options.create(true).read(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(Error::io("ledger"))?;
        let whole = whole_lines(&mut file).map_err(Error::io("ledger"))?;
        file.set_len(whole).map_err(Error::io("ledger"))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Writes a line through to the disk.
    ///
    /// # Errors
    /// [`Error::Io`]; then nothing may leave.
    pub fn append(&mut self, line: &LedgerLine) -> Result<()> {
        self.file.write_all(format!("{line}\n").as_bytes()).map_err(Error::io("ledger"))?;
        self.file.sync_data().map_err(Error::io("ledger"))
    }

    /// The lines from `time_ms` on, oldest first, one at a time.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn since(&self, time_ms: i64) -> Result<impl Iterator<Item = Result<LedgerLine>> + use<>> {
        let file = OpenOptions::new().read(true).open(&self.path).map_err(Error::io("ledger"))?;
        let lines = BufReader::new(file).lines().filter_map(move |line| match line {
            Ok(line) => LedgerLine::parse(&line).filter(|line| line.time_ms >= time_ms).map(Ok),
            Err(source) => Some(Err(Error::Io { action: "ledger", source })),
        });
        Ok(lines)
    }
}

/// Bytes up to and including the last line end.
fn whole_lines(file: &mut File) -> std::io::Result<u64> {
    const BLOCK_BYTES: u64 = 4096;
    let mut end = file.seek(SeekFrom::End(0))?;
    while end > 0 {
        let start = end.saturating_sub(BLOCK_BYTES);
        file.seek(SeekFrom::Start(start))?;
        let mut block = Vec::new();
        std::io::Read::by_ref(file).take(end - start).read_to_end(&mut block)?;
        if let Some(position) = block.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + u64::try_from(position).unwrap_or(0) + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(time_ms: i64) -> LedgerLine {
        LedgerLine {
            time_ms,
            kind: "photos".into(),
            object: "pack".into(),
            name: ObjectName::object(&[1; 16]).as_str().into(),
            length: 16_384,
        }
    }

    #[test]
    fn lines_come_back_and_a_torn_one_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let mut ledger = Ledger::open(&path).unwrap();
        ledger.append(&line(5)).unwrap();
        ledger.append(&line(9)).unwrap();
        ledger.file.write_all(b"12\tphotos\tpa").unwrap();
        drop(ledger);
        let mut ledger = Ledger::open(&path).unwrap();
        ledger.append(&line(20)).unwrap();
        let lines: Vec<_> = ledger.since(6).unwrap().map(Result::unwrap).collect();
        assert_eq!(lines, [line(9), line(20)]);
    }
}
