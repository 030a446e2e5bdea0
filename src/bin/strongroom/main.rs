//! The `strongroom` command: one vault, one device, from a shell.
//!
//! This file only dispatches. Results go to standard output, everything else to standard error, and the
//! exit status says which kind of failure it was (`exit.rs`).

mod account;
mod args;
mod backup;
mod check;
mod consent;
mod devices;
mod enroll;
mod exit;
mod ledger;
mod look;
mod output;
mod progress;
mod repair;
mod restore;
mod secret_files;
mod secrets;
mod session;
mod sync;
mod values;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Command};
use exit::Outcome;
use output::Output;
use session::Session;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(refused) => return output::refuse(&refused).into(),
    };
    let mut output = Output::new(args.json, args.quiet);
    let home = args.home.clone();
    match run(args, &mut output) {
        Ok(status) => status.into(),
        Err(fault) => {
            if !fault.is_broken_pipe() {
                output.error(&fault);
            }
            home.iter().for_each(|home| sync::keep_proof(&fault, home, &mut output));
            fault.status().into()
        }
    }
}

fn run(args: Args, output: &mut Output) -> Outcome {
    if let Command::VerifyProof { file } = &args.command {
        return sync::verify_proof(file, output);
    }
    let session = Session::new(args.store, args.home)?.bounded(args.memory, args.threads);
    match args.command {
        Command::Init(init) => account::init(&session, init, output),
        Command::Recover(recover) => account::recover(&session, recover, output),
        Command::Consent { action } => consent::run(&session, action, output),
        Command::Backup(backup) => backup::run(&session, &backup, output),
        Command::Snapshots => look::snapshots(&session, output),
        Command::Ls { what, at } => look::ls(&session, what, &at, output),
        Command::Diff { a, b } => look::diff(&session, &a, &b, output),
        Command::Cat { what, at } => look::cat(&session, &what, &at, output),
        Command::Restore(restore) => restore::run(&session, &restore, output),
        Command::Sync(sync) => sync::run(&session, &sync, output),
        Command::VerifyProof { file } => sync::verify_proof(&file, output),
        Command::Devices { action } => devices::run(&session, action, output),
        Command::Password { action } => secrets::password(&session, action, output),
        Command::Recovery { action } => secrets::recovery(&session, action, output),
        Command::Check { read_data } => check::run(&session, read_data.unwrap_or(0), output),
        Command::Repair { kinds, read_data } => repair::run(&session, kinds, read_data.unwrap_or(0), output),
        Command::Ledger { since } => ledger::ledger(&session, since, output),
        Command::Audit => ledger::audit(&session, output),
    }
}
