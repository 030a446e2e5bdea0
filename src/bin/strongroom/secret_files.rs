//! Files that hold a secret: read whole, with a bound; created new, for their owner only.
//!
//! A secret is never lost to a full disk or a closed pipe: what cannot be kept in its file is shown.

use std::{
    fs::{self, OpenOptions},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use serde_json::json;
use zeroize::Zeroizing;

use super::{exit::Fault, output::Output};

/// Reads a secret, one line, without its end; `-` is standard input.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<String>, Fault> {
    const BYTES_MAX: usize = 16 * 1024;
    // Large enough that it never moves and leaves a copy behind.
    let mut text = Zeroizing::new(String::with_capacity(BYTES_MAX + 1));
    let read = if path == Path::new("-") {
        std::io::stdin().take(BYTES_MAX as u64).read_to_string(&mut text)
    } else {
        let file = OpenOptions::new().read(true).open(path).map_err(Fault::local("opening", path))?;
        file.take(BYTES_MAX as u64).read_to_string(&mut text)
    };
    read.map_err(Fault::local("reading", path))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.contains('\n') {
        return Err(Fault::at(path)(Fault::Usage("a secret is one line".into())));
    }
    Ok(Zeroizing::new(line.to_owned()))
}

/// Where a new secret goes. A file has it, on the disk, before the secret counts for anything: neither a
/// kill nor a full disk can lose it.
pub(crate) enum Destination {
    Shown,
    File(PathBuf),
}

impl Destination {
    /// Writes the secret to a new file at `path`; without one it will be shown.
    pub(crate) fn keep(path: Option<PathBuf>, secret: &str) -> Result<Self, Fault> {
        let Some(path) = path else { return Ok(Self::Shown) };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path).map_err(Fault::local("creating", &path))?;
        let line = Zeroizing::new(format!("{secret}\n"));
        let written = file.write_all(line.as_bytes()).and_then(|()| file.sync_all());
        if let Err(error) = written {
            let _ = fs::remove_file(&path);
            return Err(Fault::local("writing", &path)(error));
        }
        Ok(Self::File(path))
    }

    /// The secret never came to count: its file goes again.
    pub(crate) fn discard(self) {
        if let Self::File(path) = self {
            let _ = fs::remove_file(path);
        }
    }

    /// Says where the secret is, or prints it: the result of the command either way.
    pub(crate) fn deliver(self, name: &'static str, secret: &str, output: &mut Output) -> Result<(), Fault> {
        let Self::File(path) = self else { return show(name, secret, output) };
        let path = path.display().to_string();
        let line = format!("wrote the {} to {path}", name.replace('_', " "));
        output.summary(&json!({ format!("{name}_file"): path }), &[line])
    }
}

/// On standard output; on standard error when there is no other way left.
fn show(name: &'static str, secret: &str, output: &mut Output) -> Result<(), Fault> {
    output.note(&format!("the {}, shown this once: keep it on paper", name.replace('_', " ")));
    let shown = output.result(&json!({ name: secret }), &[secret.to_owned()]);
    shown.inspect_err(|_| output.error(&format!("the {}: {secret}", name.replace('_', " "))))
}
