//! `password` and `recovery`: changing the account's secrets.

use serde_json::json;
use strongroom::{
    crypto::OsRandom,
    keys::{DeviceSecret, RecoveryCode},
};

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
            let secret = DeviceSecret::generate(&mut OsRandom)?;
            let destination = Destination::keep(secret_file, &secret.reveal())?;
            hold_interrupt()?;
            vault.set_password_with(&password, &secret)?;
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
    let code = RecoveryCode::generate(&mut OsRandom)?;
    let destination = Destination::keep(code_file, &code.reveal())?;
    hold_interrupt()?;
    vault.replace_recovery_code(&code)?;
    destination.deliver("recovery_code", &code.reveal(), output)?;
    Ok(Status::Done)
}
