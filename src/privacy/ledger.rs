//! The ledger: one line on this device's disk for each object, before it leaves (promise 1).
//!
//! It is text, append-only, and the owner's: the store never sees it. A line cut short by a power failure
//! belongs to an object that never left.

use std::{
    fmt, fs,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write as _},
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

/// What a ledger's lines lie in.
pub(crate) trait LedgerFile: Send {
    /// Adds bytes at the end; they are durable when this returns.
    ///
    /// # Errors
    /// The medium's; then any part of `bytes` may have been added.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Forgets everything after the first `length` bytes.
    ///
    /// # Errors
    /// The medium's.
    fn cut(&mut self, length: u64) -> io::Result<()>;

    /// All of it, to read from the start.
    ///
    /// # Errors
    /// The medium's.
    fn read(&self) -> io::Result<Box<dyn ReadSeek>>;
}

/// Something that is read and searched.
pub(crate) trait ReadSeek: Read + Seek {}

impl<T: Read + Seek> ReadSeek for T {}

/// The open ledger of a device.
pub struct Ledger(Box<dyn LedgerFile>);

impl Ledger {
    /// Opens or creates the ledger file; what a power failure left of a last line is cut off.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        Self::in_file(Self::disk_file(path).map_err(Error::io("opening the ledger"))?)
    }

    /// A file on the disk for the lines, readable for its owner only.
    pub(crate) fn disk_file(path: &Path) -> io::Result<Box<dyn LedgerFile>> {
        Ok(Box::new(DiskFile::open(path)?))
    }

    /// As [`Ledger::open`], wherever the lines lie.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn in_file(mut file: Box<dyn LedgerFile>) -> Result<Self> {
        let whole = whole_lines(file.read().map_err(Error::io("reading the ledger"))?);
        file.cut(whole.map_err(Error::io("reading the ledger"))?).map_err(Error::io("writing the ledger"))?;
        Ok(Self(file))
    }

    /// Writes a line through to the disk.
    ///
    /// # Errors
    /// [`Error::Io`]; then nothing may leave.
    pub fn append(&mut self, line: &LedgerLine) -> Result<()> {
        self.0.append(format!("{line}\n").as_bytes()).map_err(Error::io("writing the ledger"))
    }

    /// The lines from `time_ms` on, oldest first, one at a time.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn since(&self, time_ms: i64) -> Result<impl Iterator<Item = Result<LedgerLine>> + use<>> {
        let file = self.0.read().map_err(Error::io("reading the ledger"))?;
        let lines = BufReader::new(file).lines().filter_map(move |line| match line {
            Ok(line) => LedgerLine::parse(&line).filter(|line| line.time_ms >= time_ms).map(Ok),
            Err(source) => Some(Err(Error::Io { action: "reading the ledger", source })),
        });
        Ok(lines)
    }
}

/// The lines in a file on the disk.
struct DiskFile {
    file: fs::File,
    path: PathBuf,
}

impl DiskFile {
    fn open(path: &Path) -> io::Result<Self> {
        let mut options = fs::OpenOptions::new();
        options.create(true).read(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Self { file: options.open(path)?, path: path.to_owned() })
    }
}

impl LedgerFile for DiskFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.file.sync_data()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn read(&self) -> io::Result<Box<dyn ReadSeek>> {
        Ok(Box::new(fs::OpenOptions::new().read(true).open(&self.path)?))
    }
}

/// Bytes up to and including the last line end.
fn whole_lines(mut file: impl ReadSeek) -> io::Result<u64> {
    const BLOCK_BYTES: u64 = 4096;
    let mut end = file.seek(SeekFrom::End(0))?;
    while end > 0 {
        let start = end.saturating_sub(BLOCK_BYTES);
        file.seek(SeekFrom::Start(start))?;
        let mut block = Vec::new();
        file.by_ref().take(end - start).read_to_end(&mut block)?;
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
        ledger.0.append(b"12\tphotos\tpa").unwrap();
        drop(ledger);
        let mut ledger = Ledger::open(&path).unwrap();
        ledger.append(&line(20)).unwrap();
        let lines: Vec<_> = ledger.since(6).unwrap().map(Result::unwrap).collect();
        assert_eq!(lines, [line(9), line(20)]);
    }
}
