//! `devices`: who belongs to the account.

use serde_json::{Value, json};
use strongroom::{
    keys::{DeviceId, DeviceState},
    vault::DeviceInfo,
};

use super::{
    args::DevicesAction,
    enroll,
    exit::{Fault, Outcome, Status},
    output::Output,
    progress::hold_interrupt,
    session::Session,
    values::show_time,
};

pub(crate) fn run(session: &Session, action: Option<DevicesAction>, output: &mut Output) -> Outcome {
    match action {
        None | Some(DevicesAction::List) => list(session, output),
        Some(DevicesAction::Invite(invite)) => enroll::invite(session, invite, output),
        Some(DevicesAction::Join(join)) => enroll::join(session, join, output),
        Some(DevicesAction::HeadCode) => enroll::head_code(session, output),
        Some(DevicesAction::Revoke { id }) => revoke(session, &id, output),
        Some(DevicesAction::Rotate) => {
            hold_interrupt()?;
            session.vault()?.rotate()?;
            output.summary(&json!({ "rotated": true }), &["began a new epoch".to_owned()])?;
            Ok(Status::Done)
        }
    }
}

fn revoke(session: &Session, id: &str, output: &mut Output) -> Outcome {
    let vault = session.vault()?;
    let id = id.to_ascii_lowercase();
    let named = |device: &&DeviceInfo| {
        let full = device.id.to_string();
        full == id || (id.len() >= 8 && full.starts_with(&id))
    };
    let devices = vault.devices()?;
    let mut found = devices.iter().filter(named);
    let (Some(device), None) = (found.next(), found.next()) else {
        return Err(Fault::Usage("no device, or more than one, has this id: see strongroom devices".into()));
    };
    hold_interrupt()?;
    vault.revoke(device.id)?;
    let lines = [
        format!("revoked device {} ({})", device.id, device.name),
        "what it could read before it can read still; it reads nothing that is written from now on"
            .to_owned(),
    ];
    output.summary(&json!({ "revoked": device.id.to_string() }), &lines)?;
    Ok(Status::Done)
}

fn list(session: &Session, output: &mut Output) -> Outcome {
    let vault = session.vault()?;
    let devices = vault.devices()?;
    let lines: Vec<_> = devices.iter().map(|device| line(device, vault.device())).collect();
    output.result(&json!({ "devices": devices.iter().map(object).collect::<Vec<_>>() }), &lines)?;
    Ok(Status::Done)
}

fn object(device: &DeviceInfo) -> Value {
    json!({
        "id": device.id.to_string(),
        "name": device.name,
        "state": state_name(device.state),
        "last_commit_ms": device.last_commit_ms,
    })
}

fn line(device: &DeviceInfo, own: DeviceId) -> String {
    let this = if device.id == own { "\t(this device)" } else { "" };
    let (state, time) = (state_name(device.state), show_time(device.last_commit_ms));
    format!("{}\t{state}\t{time}\t{}{this}", device.id, device.name)
}

fn state_name(state: DeviceState) -> &'static str {
    match state {
        DeviceState::Active => "active",
        _ => "revoked",
    }
}
