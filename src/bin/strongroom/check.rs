//! `check`: proves that what was committed is there. What is damaged or missing is named, line by line.

use serde_json::json;
use strongroom::vault::CheckOptions;

use super::{
    exit::{Fault, Outcome, Status},
    output::Output,
    progress::Watched,
    restore::{failure_object, freshness_line, freshness_name, name_failures},
    session::Session,
};

/// `read_percent`: which share of the packs to read whole; 0 for none.
pub(crate) fn run(session: &Session, read_percent: u8, output: &mut Output) -> Outcome {
    let options = CheckOptions::new().read_data(read_percent);
    let vault = session.vault()?;
    let watched = Watched::start(session.job(), output)?;
    let done = vault.check(&options, watched.job());
    drop(watched);
    let report = done.map_err(Fault::from)?;
    name_failures(&report.failures, output);
    let (commits, packs, chunks) = (report.commits, report.packs, report.chunks);
    let object = json!({
        "commits": commits,
        "packs": packs,
        "chunks": chunks,
        "bytes_read": report.bytes_read,
        "freshness": freshness_name(report.freshness),
        "failures": report.failures.iter().map(failure_object).collect::<Vec<_>>(),
    });
    let found =
        format!("{commits} commits, {packs} packs, {chunks} chunks, {} failures", report.failures.len());
    let read = format!("{} bytes of data read", report.bytes_read);
    output.summary(&object, &[found, read, freshness_line(report.freshness)])?;
    Ok(Status::of_failures(&report.failures))
}
