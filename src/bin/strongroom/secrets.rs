//! `password` and `recovery`: changing the account's secrets.

use serde_json::json;

use super::{
    args::{PasswordAction, RecoveryAction},
    exit::{Outcome, Status},
    output::Output,
    progress::hold_interrupt,
    secret_files::{self, Destination},
    session::Session,
};

pub(crate) fn password(session: &Session, action: PasswordAction, output: &mut Output) -> Outcome {
    match action {
        PasswordAction::Set { password_file, secret_file } => {
            let password = secret_files::read(&password_file)?;
            let vault = session.vault()?;
            let destination = Destination::prepare(secret_file)?;
            hold_interrupt()?;
            let secret = vault.set_password(&password)?;
            destination.deliver("device_secret", &secret.reveal(), output)?;
        }
        PasswordAction::Remove => {
            session.vault()?.remove_password()?;
            output.summary(&json!({ "removed": "password" }), &["removed the password".to_owned()])?;
        }
    }
    Ok(Status::Done)
}

pub(crate) fn recovery(session: &Session, action: RecoveryAction, output: &mut Output) -> Outcome {
    let RecoveryAction::New { code_file } = action;
    let vault = session.vault()?;
    let destination = Destination::prepare(code_file)?;
    hold_interrupt()?;
    let code = vault.new_recovery_code()?;
    destination.deliver("recovery_code", &code.reveal(), output)?;
    Ok(Status::Done)
}
