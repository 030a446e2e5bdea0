//! `snapshots`, `ls`, `diff`, `cat`: looking at what is stored. Nothing here changes anything.

use serde_json::{Map, Value, json};
use strongroom::{
    Error,
    kinds::{FileType, Kind},
    vault::{At, Difference, Listed, Snapshot, Vault},
};

use super::{
    exit::{Fault, Outcome, Status, output_error},
    output::Output,
    session::Session,
    values::{What, show_time},
};

pub(crate) fn snapshots(session: &Session, output: &mut Output) -> Outcome {
    let all = session.vault()?.snapshots()?;
    let object = json!({ "snapshots": all.iter().map(snapshot_object).collect::<Vec<_>>() });
    output.result(&object, &all.iter().map(snapshot_line).collect::<Vec<_>>())?;
    Ok(Status::Done)
}

pub(crate) fn ls(session: &Session, what: Option<What>, at: &At, output: &mut Output) -> Outcome {
    let vault = session.vault()?;
    let Some(What { kind, path }) = what else { return kinds(&vault, at, output) };
    let mut list = output.list("entries");
    let listed = vault.list(&kind, &path, at, &mut |entry| {
        list.item(|| listed_object(&kind, &entry), || listed_line(&kind, &entry)).map_err(output_error)
    });
    end_list(list, listed.map(drop))
}

/// Each kind that is there, and how much of it.
fn kinds(vault: &Vault, at: &At, output: &mut Output) -> Outcome {
    if *at != At::Latest {
        // Tells a snapshot that is not there from one that holds nothing of a kind.
        vault.diff(at, at, &mut |_| Ok(()))?;
    }
    let (mut objects, mut lines) = (Vec::new(), Vec::new());
    for kind in Kind::ALL {
        let (mut entries, mut bytes) = (0_u64, 0_u64);
        let counted = vault.list(&kind, "", at, &mut |entry| {
            entries = entries.saturating_add(1);
            bytes = bytes.saturating_add(entry.bytes);
            Ok(())
        });
        match counted {
            Ok(_) => {}
            Err(Error::NotFound(_)) => continue,
            Err(error) => return Err(error.into()),
        }
        objects.push(json!({ "kind": kind.name(), "entries": entries, "bytes": bytes }));
        lines.push(format!("{kind}\t{entries} entries\t{bytes} bytes"));
    }
    output.result(&json!({ "kinds": objects }), &lines)?;
    Ok(Status::Done)
}

pub(crate) fn diff(session: &Session, a: &At, b: &At, output: &mut Output) -> Outcome {
    let vault = session.vault()?;
    let mut list = output.list("changes");
    let compared = vault.diff(a, b, &mut |difference| {
        let Difference { kind, path, .. } = &difference;
        let (change, sign) = change_of(&difference);
        list.item(
            || json!({ "kind": kind, "path": path, "change": change }),
            || format!("{sign} {kind}:{path}"),
        )
        .map_err(output_error)
    });
    end_list(list, compared)
}

pub(crate) fn cat(session: &Session, what: &What, at: &At, output: &mut Output) -> Outcome {
    if output.is_json() {
        return Err(Fault::Usage("cat writes bytes, not JSON".into()));
    }
    if what.path.is_empty() {
        return Err(Fault::Usage("which entry? give KIND:PATH".into()));
    }
    let vault = session.vault()?;
    vault.cat(&what.kind, &what.path, at, &mut |piece| output.bytes(piece).map_err(output_error))?;
    output.flush()?;
    Ok(Status::Done)
}

fn end_list(list: super::output::List<'_>, done: strongroom::Result<()>) -> Outcome {
    let ended = list.end(done.is_ok());
    done.map_err(Fault::from)?;
    ended?;
    Ok(Status::Done)
}

fn snapshot_object(snapshot: &Snapshot) -> Value {
    let kinds: Map<_, _> =
        snapshot.kinds.iter().map(|(kind, entries)| (kind.clone(), json!(entries))).collect();
    json!({
        "id": snapshot.id.to_string(),
        "device": snapshot.device.to_string(),
        "device_name": snapshot.device_name,
        "time_ms": snapshot.time_ms,
        "kinds": kinds,
    })
}

fn snapshot_line(snapshot: &Snapshot) -> String {
    let Snapshot { id, device_name, time_ms, kinds, .. } = snapshot;
    let kinds: Vec<_> = kinds.iter().map(|(kind, entries)| format!("{kind} {entries}")).collect();
    format!("{id}\t{}\t{device_name}\t{}", show_time(Some(*time_ms)), kinds.join(", "))
}

/// A card has no time.
fn time_of(kind: &Kind, entry: &Listed) -> Option<i64> {
    (*kind != Kind::CONTACTS).then_some(entry.time_ms)
}

fn listed_object(kind: &Kind, entry: &Listed) -> Value {
    json!({
        "path": entry.path,
        "type": type_of(entry),
        "bytes": entry.bytes,
        "time_ms": time_of(kind, entry),
    })
}

fn listed_line(kind: &Kind, entry: &Listed) -> String {
    let time = show_time(time_of(kind, entry));
    format!("{}\t{}\t{time}\t{}", type_of(entry), entry.bytes, entry.path)
}

fn type_of(entry: &Listed) -> &'static str {
    match entry.file_type {
        Some(FileType::Regular) => "file",
        Some(FileType::Directory) => "folder",
        Some(FileType::Symlink) => "link",
        _ => "record",
    }
}

fn change_of(difference: &Difference) -> (&'static str, char) {
    match (difference.before, difference.after) {
        (false, _) => ("added", '+'),
        (true, false) => ("removed", '-'),
        (true, true) => ("changed", '~'),
    }
}
