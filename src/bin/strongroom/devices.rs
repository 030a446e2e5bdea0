//! `devices`: who belongs to the account.

use serde_json::{Value, json};
use strongroom::{
    keys::{DeviceId, DeviceState},
    vault::DeviceInfo,
};

use super::{
    args::DevicesAction,
    enroll,
    exit::{Outcome, Status},
    output::Output,
    session::Session,
    values::show_time,
};

pub(crate) fn run(session: &Session, action: Option<DevicesAction>, output: &mut Output) -> Outcome {
    match action {
        None | Some(DevicesAction::List) => list(session, output),
        Some(DevicesAction::Invite(invite)) => enroll::invite(session, invite, output),
        Some(DevicesAction::Join(join)) => enroll::join(session, join, output),
    }
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
