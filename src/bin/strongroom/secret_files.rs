//! Files that hold a secret: read whole, with a bound; created new, for their owner only.
//!
//! A secret is never lost to a full disk or a closed pipe: what cannot be kept in its file is shown.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use serde_json::json;
use zeroize::Zeroizing;

use super::{exit::Fault, output::Output};

/// Reads a secret, without the line end.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<String>, Fault> {
    const BYTES_MAX: usize = 16 * 1024;
    // Large enough that it never moves and leaves a copy behind.
    let mut text = Zeroizing::new(String::with_capacity(BYTES_MAX + 1));
    let file = OpenOptions::new().read(true).open(path).map_err(Fault::local("opening", path))?;
    file.take(BYTES_MAX as u64).read_to_string(&mut text).map_err(Fault::local("reading", path))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    Ok(Zeroizing::new(line.to_owned()))
}

/// Where a new secret will go. It is made before the secret is, so that a place that cannot be written
/// stops the command before anything has changed.
pub(crate) enum Destination {
    Shown,
    File(NewFile),
}

/// A new and empty file; it goes again unless a secret was written.
pub(crate) struct NewFile {
    file: File,
    path: PathBuf,
    kept: bool,
}

impl Destination {
    /// A new file at `path`, or standard output.
    pub(crate) fn prepare(path: Option<PathBuf>) -> Result<Self, Fault> {
        let Some(path) = path else { return Ok(Self::Shown) };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(Fault::local("creating", &path))?;
        Ok(Self::File(NewFile { file, path, kept: false }))
    }

    /// Writes the secret to its file, or prints it: the result of the command either way.
    pub(crate) fn deliver(self, name: &'static str, secret: &str, output: &mut Output) -> Result<(), Fault> {
        let Self::File(mut file) = self else { return show(name, secret, output) };
        match file.keep(secret) {
            Ok(()) => {
                let path = file.path.display().to_string();
                let line = format!("wrote the {} to {path}", name.replace('_', " "));
                output.summary(&json!({ format!("{name}_file"): path }), &[line])
            }
            Err(fault) => {
                show(name, secret, output)?;
                Err(fault)
            }
        }
    }
}

impl NewFile {
    fn keep(&mut self, secret: &str) -> Result<(), Fault> {
        let line = Zeroizing::new(format!("{secret}\n"));
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_all());
        written.map_err(Fault::local("writing", &self.path))?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// On standard output; on standard error when there is no other way left.
fn show(name: &'static str, secret: &str, output: &mut Output) -> Result<(), Fault> {
    let shown = output.result(&json!({ name: secret }), &[secret.to_owned()]);
    shown.inspect_err(|_| output.error(&format!("the {}: {secret}", name.replace('_', " "))))
}
