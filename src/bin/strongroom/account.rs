//! `init` and `recover`: how this device gets into a vault.

use serde_json::json;
use strongroom::{
    crypto::OsRandom,
    keys::{DeviceSecret, HeadCode, RecoveryCode},
    vault::{NewDevice, Vault},
};

use super::{
    args::{Init, Recover},
    exit::{Fault, Outcome, Status},
    output::Output,
    progress::hold_interrupt,
    secret_files::{self, Destination},
    session::Session,
};

pub(crate) fn init(session: &Session, init: Init, output: &mut Output) -> Outcome {
    let device = NewDevice::named(init.name)?;
    let store = session.new_store()?;
    let code = RecoveryCode::generate(&mut OsRandom)?;
    let destination = Destination::keep(init.code_file, &code.reveal())?;
    hold_interrupt()?;
    if let Err(error) = Vault::create_with(store, session.home(), device, &code) {
        destination.discard();
        return Err(error.into());
    }
    destination.deliver("recovery_code", &code.reveal(), output)?;
    Ok(Status::Done)
}

pub(crate) fn recover(session: &Session, recover: Recover, output: &mut Output) -> Outcome {
    let mut device = NewDevice::named(recover.name)?;
    if let Some(text) = recover.head_code {
        device = device.holding_to(HeadCode::parse(&text)?);
    }
    let home = session.home();
    let vault = match (recover.code_file, recover.password_file, recover.device_secret_file) {
        (Some(path), None, None) => {
            let text = secret_files::read(&path)?;
            let code = RecoveryCode::parse(&text).map_err(Fault::from).map_err(Fault::at(&path))?;
            Vault::recover(session.store()?, home, &code, device)?
        }
        (None, Some(password), Some(path)) => {
            let password = secret_files::read(&password)?;
            let text = secret_files::read(&path)?;
            let secret = DeviceSecret::parse(&text).map_err(Fault::from).map_err(Fault::at(&path))?;
            Vault::recover_with_password(session.store()?, home, (&password, &secret), device)?
        }
        _ => {
            return Err(Fault::Usage("give a code file, or a password file and a device secret file".into()));
        }
    };
    let (account, device) = (vault.account().to_string(), vault.device().to_string());
    let line = format!("joined as device {device}");
    output.summary(&json!({ "account": account, "device": device }), &[line])?;
    Ok(Status::Done)
}
