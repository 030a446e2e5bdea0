//! `init` and `recover`: how this device gets into a vault.

use std::{fs, path::Path};

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
    let home = session.new_home()?;
    if !matches!(session.vault_here(), Err(Fault::NoHome(_))) {
        return Err(Fault::HomeTaken(home.to_owned()));
    }
    let was_there = home.exists();
    let code = RecoveryCode::generate(&mut OsRandom)?;
    let destination = Destination::keep(init.code_file, &code.reveal())?;
    hold_interrupt()?;
    let store = session.new_store();
    let made = store.and_then(|store| {
        Vault::create_with(store, home, device, &code).map_err(|error| session.not_made(error))
    });
    if let Err(fault) = made {
        destination.discard();
        if matches!(fault, Fault::StoreTaken) && !was_there {
            remove_unused(home);
        }
        return Err(fault);
    }
    destination.deliver("recovery_code", &code.reveal(), output)?;
    Ok(Status::Done)
}

/// Removes a home from which nothing was sent.
fn remove_unused(home: &Path) {
    let ledger = home.join("ledger");
    if fs::metadata(&ledger).is_ok_and(|meta| meta.len() == 0) {
        let _ = fs::remove_file(ledger);
        let _ = fs::remove_dir(home);
    }
}

pub(crate) fn recover(session: &Session, recover: Recover, output: &mut Output) -> Outcome {
    let mut device = NewDevice::named(recover.name)?;
    let home = session.new_home()?;
    if let Some(text) = recover.head_code {
        let head_code = HeadCode::parse(&text).map_err(Fault::from);
        device = device.holding_to(head_code.map_err(Fault::at(Path::new("--head-code")))?);
    }
    let entered = match (recover.code_file, recover.password_file, recover.device_secret_file) {
        (Some(path), None, None) => {
            let text = secret_files::read(&path)?;
            let code = RecoveryCode::parse(&text).map_err(Fault::from).map_err(Fault::at(&path))?;
            Vault::recover(session.store()?, home, &code, device)
        }
        (None, Some(password), Some(path)) => {
            let password = secret_files::read(&password)?;
            let text = secret_files::read(&path)?;
            let secret = DeviceSecret::parse(&text).map_err(Fault::from).map_err(Fault::at(&path))?;
            Vault::recover_with_password(session.store()?, home, (&password, &secret), device)
        }
        _ => {
            return Err(Fault::Usage("give --code-file, or --password-file and --device-secret-file".into()));
        }
    };
    let vault = entered.map_err(|error| session.not_made(error))?;
    let (account, device) = (vault.account().to_string(), vault.device().to_string());
    let line = format!("joined as device {device}");
    output.summary(&json!({ "account": account, "device": device }), &[line])?;
    Ok(Status::Done)
}
