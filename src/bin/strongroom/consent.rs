//! `consent`: the switches. Each action shows what is on afterwards.

use serde_json::{Map, Value, json};
use strongroom::{kinds::Kind, vault::Vault};

use super::{
    args::ConsentAction,
    exit::{Fault, Outcome, Status},
    output::Output,
    session::Session,
};

pub(crate) fn run(session: &Session, action: Option<ConsentAction>, output: &mut Output) -> Outcome {
    let vault = session.vault_here()?;
    let switches = vault.consent();
    match action.unwrap_or(ConsentAction::Show) {
        ConsentAction::Show => show(&vault, |object, lines| output.result(object, lines))?,
        ConsentAction::Grant { kinds } => {
            kinds.iter().try_for_each(|kind| switches.grant(kind))?;
            show(&vault, |object, lines| output.summary(object, lines))?;
        }
        ConsentAction::Revoke { kinds } => {
            kinds.iter().try_for_each(|kind| switches.revoke(kind))?;
            show(&vault, |object, lines| output.summary(object, lines))?;
        }
    }
    Ok(Status::Done)
}

fn show(vault: &Vault, put: impl FnOnce(&Value, &[String]) -> Result<(), Fault>) -> Result<(), Fault> {
    let switches = vault.consent();
    let states = Kind::ALL.map(|kind| (kind.name().to_owned(), switches.allows(&kind)));
    let lines: Vec<_> =
        states.iter().map(|(kind, on)| format!("{kind}\t{}", if *on { "on" } else { "off" })).collect();
    let object: Map<_, _> = states.into_iter().map(|(kind, on)| (kind, Value::Bool(on))).collect();
    put(&json!({ "consent": object }), &lines)
}
