//! `sync`: pull, merge, push; and what to do when the store was caught.

use std::{
    fs::OpenOptions,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use strongroom::{
    Error,
    history::ForkProof,
    vault::{Conflict, EntryChange, Event, EventKind, Outcome as Synced},
};

use super::{
    args::Sync,
    exit::{Fault, Outcome, Status},
    output::Output,
    progress::Watched,
    restore::{freshness_line, freshness_object},
    session::Session,
};

pub(crate) fn run(session: &Session, sync: &Sync, output: &mut Output) -> Outcome {
    let vault = session.vault()?;
    let watched = Watched::start(session.job_with(sync.confirm_deletions), output)?;
    let synced = match sync.re_anchor {
        true => vault.re_anchor(watched.job()).and_then(|_| vault.sync(watched.job())),
        false => vault.sync(watched.job()),
    };
    drop(watched);
    let synced = synced?;
    let object = json!({
        "changes": synced.changes.iter().map(change_object).collect::<Vec<_>>(),
        "changed": synced.changed,
        "conflicts": synced.conflicts.iter().map(conflict_object).collect::<Vec<_>>(),
        "events": synced.events.iter().map(event_object).collect::<Vec<_>>(),
        "freshness": freshness_object(synced.freshness),
        "sent_bytes": synced.sent_bytes,
        "committed": synced.commit.is_some(),
    });
    let mut lines = lines(&synced);
    if sync.re_anchor {
        lines
            .push("what the store lacks of this device's is sent with the next backup of each source".into());
    }
    output.summary(&object, &lines)?;
    Ok(Status::Done)
}

fn lines(synced: &Synced) -> Vec<String> {
    let mut lines: Vec<String> = synced.events.iter().map(event_line).collect();
    lines.extend(synced.conflicts.iter().map(|Conflict { kind, path, copy, .. }| {
        format!("conflict: {kind}:{path} was edited twice; the other version is {kind}:{copy}")
    }));
    let (changed, sent) = (synced.changed, synced.sent_bytes);
    lines.push(format!("{changed} entries changed by other devices, {sent} bytes sent"));
    lines.push(freshness_line(synced.freshness));
    lines
}

fn change_object(change: &EntryChange) -> Value {
    let what = match (change.before, change.after) {
        (false, _) => "added",
        (true, false) => "removed",
        (true, true) => "changed",
    };
    json!({ "kind": change.kind, "path": change.path, "what": what })
}

fn conflict_object(conflict: &Conflict) -> Value {
    json!({ "kind": conflict.kind, "path": conflict.path, "copy": conflict.copy })
}

fn event_object(event: &Event) -> Value {
    let mut object = match &event.what {
        EventKind::DeviceAdded { device, name } => {
            json!({ "event": "device added", "device": device.to_string(), "name": name })
        }
        EventKind::DeviceRevoked { device } => {
            json!({ "event": "device revoked", "device": device.to_string() })
        }
        EventKind::RecoveryCodeChanged => json!({ "event": "recovery code changed" }),
        EventKind::PasswordChanged => json!({ "event": "password changed" }),
        EventKind::PasswordRemoved => json!({ "event": "password removed" }),
        EventKind::EpochBegan { epoch } => json!({ "event": "epoch began", "epoch": epoch }),
        EventKind::FormatRequired { version } => json!({ "event": "format required", "version": version }),
        _ => json!({ "event": "unknown" }),
    };
    if let Some(object) = object.as_object_mut() {
        object.insert("by".to_owned(), event.by.map_or(Value::Null, |by| by.to_string().into()));
    }
    object
}

fn event_line(event: &Event) -> String {
    let what = match &event.what {
        EventKind::DeviceAdded { device, name } => format!("device {} ({name}) was added", device.label()),
        EventKind::DeviceRevoked { device } => format!("device {} was revoked", device.label()),
        EventKind::RecoveryCodeChanged => "there is a new recovery code".to_owned(),
        EventKind::PasswordChanged => "there is a new password".to_owned(),
        EventKind::PasswordRemoved => "the password was removed".to_owned(),
        EventKind::EpochBegan { epoch } => format!("epoch {epoch} began"),
        EventKind::FormatRequired { version } => format!("format {version} is required"),
        _ => "something that this version does not know".to_owned(),
    };
    match event.by {
        Some(by) => format!("event: {what}, by device {}", by.label()),
        None => format!("event: {what}, by the recovery code or the password"),
    }
}

/// Writes the proof that a fork's error carries into the home, and says where.
pub(crate) fn keep_proof(fault: &Fault, home: &Path, output: &mut Output) {
    let Some(Error::Fork { device, sequence, proof: Some(proof) }) = fault.error() else { return };
    let path = home.join(format!("fork-{device}-{sequence}.proof"));
    let mut options = OpenOptions::new();
    let written = options
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)
        .and_then(|mut file| file.write_all(proof));
    match written {
        Ok(()) => {
            output.error(&format!("the proof is in {}: strongroom verify-proof checks it", path.display()))
        }
        Err(error) => output.error(&format!("{}: the proof could not be written: {error}", path.display())),
    }
}

/// Checks a proof, without store and home.
pub(crate) fn verify_proof(path: &PathBuf, output: &mut Output) -> Outcome {
    const PROOF_BYTES_MAX: u64 = 32 * 1024 * 1024;
    let mut bytes = Vec::new();
    let file = OpenOptions::new().read(true).open(path).map_err(Fault::local("opening", path))?;
    file.take(PROOF_BYTES_MAX).read_to_end(&mut bytes).map_err(Fault::local("reading", path))?;
    let proof = ForkProof::verify(&bytes).map_err(|error| Fault::at(path)(error.into()))?;
    let (account, device, sequence) = (proof.account(), proof.device(), proof.sequence());
    let object = json!({
        "account": account.to_string(),
        "device": device.to_string(),
        "sequence": sequence,
        "witness": proof.witness().to_string(),
    });
    let line =
        format!("proved: device {device} of account {account} has two histories from commit {sequence} on");
    output.result(&object, &[line])?;
    Ok(Status::Done)
}
