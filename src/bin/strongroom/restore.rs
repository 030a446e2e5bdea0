//! `restore`: plan, then act. What could not be restored is named on standard error.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use strongroom::{
    Error,
    history::Freshness,
    vault::{Failure, ItemError, RestorePlan, Selection, Unmerged},
};

use super::{
    args::Restore,
    exit::{Fault, Outcome, Status},
    output::Output,
    progress::Watched,
    session::Session,
    values::What,
};

pub(crate) fn run(session: &Session, restore: &Restore, output: &mut Output) -> Outcome {
    let selections = match restore.what.as_slice() {
        [] => Selection::all(),
        some => some.iter().map(What::selection).collect::<Result<_, _>>()?,
    };
    let vault = session.vault()?;
    let watched = Watched::start(session.job(), output)?;
    let plan = vault.plan_restore(&selections, &restore.at, watched.job())?;
    let unmerged = plan.unmerged().to_vec();
    let plan = if restore.replace { plan.replacing() } else { plan };
    let plan = session.own_folders().fold(plan, RestorePlan::without);
    let done = vault.restore(plan, &restore.into, watched.job());
    drop(watched);
    if matches!(done, Err(Error::Cancelled)) {
        output.note("restore --replace goes on: what is there already is not fetched again");
    }
    let report = done.map_err(|error| match error {
        Error::Io { action: "making the target" | "opening the target", .. } | Error::InvalidArgument(_) => {
            Fault::at(&restore.into)(error.into())
        }
        error => error.into(),
    })?;
    name_failures(&report.failures, output);
    let taken = ItemError::AlreadyThere.to_string();
    if !restore.replace && report.failures.iter().any(|failure| failure.reason == taken) {
        output.note("restore --replace replaces older files that are in the way");
    }
    for Unmerged { kind, snapshot, .. } in &unmerged {
        let others =
            format!("{kind}: another device has a state that is not merged: sync with consent for it");
        output.error(&format!("not restored: {others}, or restore --at {snapshot}"));
    }
    let (entries, found, bytes) = (report.entries, report.found, report.bytes);
    let object = json!({
        "entries": entries,
        "found": found,
        "bytes": bytes,
        "freshness": freshness_name(report.freshness),
        "unmerged": unmerged.iter().map(unmerged_object).collect::<Vec<_>>(),
        "failures": report.failures.iter().map(failure_object).collect::<Vec<_>>(),
    });
    let were_there = if found > 0 { format!("; {found} of them were there already") } else { String::new() };
    let restored = format!("restored {entries} entries, {bytes} bytes{were_there}");
    let lines = [restored, freshness_line(report.freshness)];
    output.summary(&object, &lines)?;
    Ok(Status::of_failures(&report.failures))
}

/// One line for each; but of what was left out for one reason, and is not lost, only the first ones are named.
pub(crate) fn name_failures(failures: &[Failure], output: &mut Output) {
    const NAMED: usize = 20;
    let mut left_out: BTreeMap<&str, usize> = BTreeMap::new();
    for Failure { kind, path, reason, damage, .. } in failures {
        if *damage {
            output.error(&format!("lost: {kind}:{path}: {reason}"));
            continue;
        }
        let count = left_out.entry(reason).or_default();
        *count += 1;
        if *count <= NAMED {
            output.error(&format!("left out: {kind}:{path}: {reason}"));
        }
    }
    for (reason, count) in left_out {
        if let more @ 1.. = count.saturating_sub(NAMED) {
            output.error(&format!("left out: {more} more: {reason} (--json names all)"));
        }
    }
}

pub(crate) fn failure_object(failure: &Failure) -> Value {
    let Failure { kind, path, reason, damage, .. } = failure;
    json!({ "kind": kind, "path": path, "reason": reason, "damage": damage })
}

fn unmerged_object(Unmerged { kind, snapshot, .. }: &Unmerged) -> Value {
    json!({ "kind": kind, "snapshot": snapshot.to_string() })
}

pub(crate) fn freshness_name(freshness: Freshness) -> &'static str {
    match freshness {
        Freshness::Fresh => "fresh",
        Freshness::Stale { .. } => "stale",
        _ => "unproven",
    }
}

/// With the device that was not heard from, and for how long.
pub(crate) fn freshness_object(freshness: Freshness) -> Value {
    match freshness {
        Freshness::Stale { device, age_ms } => {
            json!({ "state": "stale", "device": device.to_string(), "age_ms": age_ms })
        }
        other => json!({ "state": freshness_name(other) }),
    }
}

pub(crate) fn freshness_line(freshness: Freshness) -> String {
    let meaning = match freshness {
        Freshness::Fresh => "at least as new as all that this device has seen".to_owned(),
        Freshness::Stale { device, age_ms } => {
            let days = age_ms / (24 * 60 * 60 * 1000);
            format!("nothing was heard from device {} for {days} days", device.label())
        }
        _ => "as new as all seen since joining; no other device has confirmed it yet".to_owned(),
    };
    format!("freshness: {}: {meaning}", freshness_name(freshness))
}
