//! A job with a bar on standard error, which Ctrl-C cancels.

use std::{process, sync::Arc};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use strongroom::vault::{Job, Progress};

use super::{
    exit::{Fault, Status},
    output::Output,
};

/// A job and its bar. The bar vanishes when the job ends.
pub(crate) struct Watched {
    job: Arc<Job>,
    bar: ProgressBar,
}

impl Watched {
    /// A job that the first Ctrl-C cancels; the second ends the process at once.
    pub(crate) fn start(job: Job, output: &Output) -> Result<Self, Fault> {
        const DRAWN_PER_SECOND: u8 = 8;
        let bar = if output.shows_progress() {
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(DRAWN_PER_SECOND))
        } else {
            ProgressBar::hidden()
        };
        bar.set_style(style("{spinner} {bytes} {msg}"));
        let shown = bar.clone();
        let job = Arc::new(job.watched(move |progress| show(&shown, progress)));
        cancel_on_interrupt(&job)?;
        Ok(Self { job, bar })
    }

    pub(crate) fn job(&self) -> &Job {
        &self.job
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Keeps one Ctrl-C from ending the process between the making of a secret and its showing.
pub(crate) fn hold_interrupt() -> Result<(), Fault> {
    cancel_on_interrupt(&Arc::new(Job::new()))
}

/// A job without a bar, for waiting on people, that the first Ctrl-C cancels.
pub(crate) fn waiting() -> Result<Arc<Job>, Fault> {
    let job = Arc::new(Job::new());
    cancel_on_interrupt(&job)?;
    Ok(job)
}

fn cancel_on_interrupt(job: &Arc<Job>) -> Result<(), Fault> {
    let job = Arc::clone(job);
    let mut again = false;
    let handler = move || {
        if std::mem::replace(&mut again, true) {
            process::exit(i32::from(Status::Cancelled as u8));
        }
        job.cancel();
    };
    ctrlc::set_handler(handler)
        .map_err(|error| Fault::Local("waiting for Ctrl-C", std::io::Error::other(error)))
}

fn show(bar: &ProgressBar, progress: &Progress) {
    if bar.is_hidden() {
        return;
    }
    if let (None, Some(total)) = (bar.length(), progress.bytes_total) {
        bar.set_style(style("{wide_bar} {bytes}/{total_bytes} {msg}"));
        bar.set_length(total);
    }
    bar.set_position(progress.bytes);
    bar.set_message(match progress.items_total {
        Some(total) => format!("{}/{total} items", progress.items),
        None => format!("{} items", progress.items),
    });
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
