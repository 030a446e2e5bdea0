//! `backup`: each path is a source; one after the other.

use std::{
    collections::BTreeSet,
    fs::OpenOptions,
    io::BufReader,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use strongroom::{
    kinds::Kind,
    vault::{BackupReport, Conflict, Folder, Source, Vault},
};

use super::{
    args::Backup,
    exit::{Fault, Outcome, Status},
    output::Output,
    progress::Watched,
    session::Session,
};

pub(crate) fn run(session: &Session, backup: &Backup, output: &mut Output) -> Outcome {
    let names = source_names(backup)?;
    let vault = session.vault()?;
    let watched = Watched::start(session.job_with(backup.confirm_deletions), output)?;
    let (mut objects, mut lines, mut status) = (Vec::new(), Vec::new(), Status::Done);
    let mut failed = None;
    for (path, name) in backup.paths.iter().zip(&names) {
        match source((&vault, session), &backup.kind, path, name, &watched) {
            Ok(report) => {
                for item in &report.skipped {
                    output.error(&format!("left out: {}:{name}/{}: {}", backup.kind, item.path, item.reason));
                    status = Status::Failed;
                }
                for conflict in &report.conflicts {
                    let Conflict { kind, path, copy, .. } = conflict;
                    output.error(&format!("conflict: {kind}:{path}: the other version is {kind}:{copy}"));
                }
                objects.push(object(name, &report));
                lines.push(line(&backup.kind, name, &report));
            }
            Err(fault) => {
                failed = Some(Fault::at(path)(fault));
                break;
            }
        }
    }
    drop(watched);
    match failed {
        Some(fault) if objects.is_empty() => Err(fault),
        failed => {
            output.summary(&json!({ "kind": backup.kind.name(), "sources": objects }), &lines)?;
            failed.map_or(Ok(status), Err)
        }
    }
}

fn source(
    (vault, session): (&Vault, &Session),
    kind: &Kind,
    path: &Path,
    name: &str,
    watched: &Watched,
) -> Result<BackupReport, Fault> {
    if is_stream(kind) {
        let file = OpenOptions::new().read(true).open(path);
        let file = file.map_err(|error| Fault::Local("opening", error))?;
        if file.metadata().is_ok_and(|meta| meta.is_dir()) {
            return Err(Fault::Usage(format!("{kind} are backed up from a file, not from a folder")));
        }
        let mut stream = BufReader::new(file);
        Ok(vault.backup(kind, name, Source::Stream(&mut stream), watched.job())?)
    } else {
        let folder = session.own_folders().fold(Folder::at(path), Folder::without);
        Ok(vault.backup(kind, name, Source::Folder(&folder), watched.job())?)
    }
}

fn is_stream(kind: &Kind) -> bool {
    [Kind::MESSAGES, Kind::CALLS, Kind::CONTACTS].contains(kind)
}

/// What each path is called. Two sources of one name would each take the other's entries for deleted.
fn source_names(backup: &Backup) -> Result<Vec<String>, Fault> {
    if let Some(name) = &backup.name {
        let one = backup.paths.len() == 1;
        let names = one.then(|| vec![name.clone()]);
        return names.ok_or_else(|| Fault::Usage("--as names one source: give one path".into()));
    }
    let names = backup.paths.iter().map(PathBuf::as_path).map(last_part).collect::<Result<Vec<_>, _>>()?;
    if names.iter().collect::<BTreeSet<_>>().len() < names.len() {
        return Err(Fault::Usage("two paths have the same last part: back up one by one, with --as".into()));
    }
    Ok(names)
}

/// The last part of a path; of what it stands for when it ends in `.`, `..` or a slash.
fn last_part(path: &Path) -> Result<String, Fault> {
    let bytes = path.as_os_str().as_encoded_bytes();
    let plain = !bytes.ends_with(b"/") && !bytes.ends_with(b"/.") && path.file_name().is_some();
    let whole = if plain {
        path.to_owned()
    } else {
        path.canonicalize().map_err(Fault::local("opening the source", path))?
    };
    let name = whole.file_name().and_then(|name| name.to_str());
    let nameless = || Fault::at(path)(Fault::Usage("cannot be a source's name: give one with --as".into()));
    name.map(ToOwned::to_owned).ok_or_else(nameless)
}

fn object(name: &str, report: &BackupReport) -> Value {
    let skipped = report.skipped.iter().map(|item| json!({ "path": item.path, "reason": item.reason }));
    json!({
        "source": name,
        "seen": report.seen,
        "changed": report.changed,
        "deleted": report.deleted,
        "read_bytes": report.read_bytes,
        "sent_bytes": report.sent_bytes,
        "committed": report.commit.is_some(),
        "conflicts": report.conflicts.len(),
        "skipped": skipped.collect::<Vec<_>>(),
    })
}

fn line(kind: &Kind, name: &str, report: &BackupReport) -> String {
    let BackupReport { seen, changed, deleted, sent_bytes, .. } = report;
    format!("{kind}:{name}: {seen} entries, {changed} changed, {deleted} deleted, {sent_bytes} bytes sent")
}
