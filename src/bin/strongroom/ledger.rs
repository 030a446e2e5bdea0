//! `ledger` and `audit`: what left this device, and what the store can see.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use strongroom::privacy::LedgerLine;

use super::{
    exit::{Fault, Outcome, Status},
    output::Output,
    session::Session,
    values::show_time,
};

pub(crate) fn ledger(session: &Session, since_ms: Option<i64>, output: &mut Output) -> Outcome {
    let vault = session.vault_here()?;
    let lines = vault.ledger().since(since_ms.unwrap_or(i64::MIN))?;
    let mut list = output.list("lines");
    let mut failed = None;
    for line in lines {
        match line {
            Ok(line) => list.item(|| object(&line), || text(&line)).map_err(Fault::Output)?,
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    list.end(failed.is_none())?;
    failed.map_or(Ok(Status::Done), |error| Err(error.into()))
}

pub(crate) fn audit(session: &Session, output: &mut Output) -> Outcome {
    let audit = session.vault()?.audit()?;
    let object = json!({
        "objects": audit.objects,
        "bytes": audit.bytes,
        "foreign": audit.foreign,
        "lengths": counts_object(&audit.lengths),
        "commits": audit.commits,
        "recipients": audit.recipients,
    });
    let mut lines = vec![format!("{} objects, {} bytes in all", audit.objects, audit.bytes)];
    lines.extend(audit.lengths.iter().map(|(length, count)| format!("{count} of {length} bytes")));
    lines.extend(audit.commits.iter().map(|(device, count)| format!("{count} commits under {device}")));
    lines.extend(audit.recipients.iter().map(|(who, count)| format!("{count} envelopes under {who}")));
    if audit.foreign > 0 {
        lines.push(format!("{} of a length that Strongroom never writes", audit.foreign));
    }
    output.result(&object, &lines)?;
    Ok(Status::Done)
}

fn counts_object(counts: &BTreeMap<u64, u64>) -> Value {
    counts.iter().map(|(length, count)| (length.to_string(), json!(count))).collect()
}

fn object(line: &LedgerLine) -> Value {
    json!({
        "time_ms": line.time_ms,
        "kind": line.kind,
        "object": line.object,
        "name": line.name,
        "length": line.length,
    })
}

fn text(line: &LedgerLine) -> String {
    let LedgerLine { time_ms, kind, object, name, length } = line;
    let kind = if kind.is_empty() { "-" } else { kind };
    format!("{}\t{kind}\t{object}\t{name}\t{length}", show_time(Some(*time_ms)))
}
