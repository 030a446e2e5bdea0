//! `repair`: counts on what the store lost no more, so that the next backups send it again.

use serde_json::json;
use strongroom::{
    kinds::Kind,
    vault::{CheckOptions, RepairReport},
};

use super::{
    exit::{Fault, Outcome, Status},
    output::Output,
    progress::Watched,
    session::Session,
};

/// `kinds`: which; all that are switched on here, if none is named. `read_percent`: as for `check`.
pub(crate) fn run(session: &Session, kinds: Vec<Kind>, read_percent: u8, output: &mut Output) -> Outcome {
    let options = CheckOptions::new().read_data(read_percent);
    let vault = session.vault()?;
    let kinds = if kinds.is_empty() {
        Kind::ALL.into_iter().filter(|kind| vault.consent().allows(kind)).collect()
    } else {
        kinds
    };
    let watched = Watched::start(session.job(), output)?;
    let done: Result<Vec<(Kind, RepairReport)>, _> = kinds
        .into_iter()
        .map(|kind| Ok((kind.clone(), vault.repair(&kind, &options, watched.job())?)))
        .collect();
    drop(watched);
    let done = done.map_err(|error: strongroom::Error| Fault::from(error))?;
    let kinds = done.iter().map(|(kind, report)| {
        let RepairReport { lost, packs, bytes_read, .. } = report;
        (kind.name().to_owned(), json!({ "lost": lost, "packs": packs, "bytes_read": bytes_read }))
    });
    let object = json!({ "kinds": kinds.collect::<serde_json::Map<_, _>>() });
    let mut lines: Vec<_> = done
        .iter()
        .map(|(kind, report)| {
            format!("{}\t{} packs lost, {} are there", kind.name(), report.lost, report.packs)
        })
        .collect();
    if done.iter().any(|(_, report)| report.lost > 0) {
        lines.push("Now back up each source once more: what was lost is sent again. Then `check` says what is missing still.".into());
    }
    output.summary(&object, &lines)?;
    Ok(Status::Done)
}
