//! `devices invite` and `devices join`: a new device is let in by one of the account.
//!
//! The inviting side never shows its own check code: it has to be read from the new device and typed, or
//! nobody would look there.

use std::{
    fs,
    io::{self, ErrorKind},
    path::Path,
    time::Duration,
};

use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2};
use serde_json::json;
use strongroom::{
    Error,
    keys::{CheckCode, Invitation},
    vault::{Inviting, Job, NewDevice, Vault},
};

use super::{
    args::{Invite, Join},
    exit::{Fault, Outcome, Status},
    output::Output,
    progress::waiting,
    secret_files::{self, Destination},
    session::Session,
};

pub(crate) fn invite(session: &Session, invite: Invite, output: &mut Output) -> Outcome {
    let vault = session.vault()?;
    let job = waiting()?;
    let mut inviting = vault.invite()?;
    match Destination::keep(invite.text_file, &inviting.text())? {
        Destination::Shown => show(inviting.invitation(), output),
        Destination::File(_) => {}
    }
    inviting.wait(&job)?;
    let device = inviting.applicant_device().map(|device| device.to_string()).unwrap_or_default();
    let name = inviting.applicant_name().unwrap_or_default().to_owned();
    let shown = match invite.expect_check_file {
        Some(path) => await_code(&path, &job)?,
        None => ask_for_code(&inviting, output)?,
    };
    inviting.admit(&shown)?;
    let line = format!("admitted device {device}, {name}");
    output.summary(&json!({ "admitted": { "device": device, "name": name } }), &[line])?;
    Ok(Status::Done)
}

pub(crate) fn join(session: &Session, join: Join, output: &mut Output) -> Outcome {
    let device = NewDevice::named(join.name)?;
    let home = session.new_home()?;
    let invitation = match (join.text, join.text_file) {
        (_, Some(path)) => {
            let text = secret_files::read(&path)?;
            Invitation::parse(&text).map_err(Fault::from).map_err(Fault::at(&path))?
        }
        (text, None) => Invitation::parse(&text.unwrap_or_default())?,
    };
    if let Some(path) = join.check_file.as_deref().filter(|path| path.exists()) {
        return Err(Fault::local("creating", path)(ErrorKind::AlreadyExists.into()));
    }
    let job = waiting()?;
    let mut joining =
        Vault::join(session.store()?, home, &invitation, device).map_err(|error| session.not_made(error))?;
    output.note("waiting for the device that made the invitation, ten minutes at most");
    let check_code = joining.check_code(&job)?;
    match Destination::keep(join.check_file, &check_code.to_string())? {
        Destination::Shown => {
            output.tell(&[&format!("check code: {check_code}"), "Type it on the other device."])
        }
        Destination::File(_) => {}
    }
    let vault = joining.finish(&job)?;
    let (account, device) = (vault.account().to_string(), vault.device().to_string());
    let line = format!("joined as device {device}");
    output.summary(&json!({ "account": account, "device": device }), &[line])?;
    Ok(Status::Done)
}

/// Something to keep with the recovery code, on paper.
pub(crate) fn head_code(session: &Session, output: &mut Output) -> Outcome {
    let code = session.vault()?.head_code()?;
    let text = code.text();
    let picture = picture(&code.qr_text());
    let lines: Vec<_> = picture.lines().chain([text.as_str()]).map(str::to_owned).collect();
    output.result(&json!({ "head_code": text }), &lines)?;
    Ok(Status::Done)
}

/// A QR code. Light modules are drawn and dark ones left out: most terminals are dark.
fn picture(text: &str) -> String {
    let code = QrCode::with_error_correction_level(text.as_bytes(), EcLevel::L);
    let (drawn, left_out) = (Dense1x2::Light, Dense1x2::Dark);
    let draw = |code: QrCode| code.render::<Dense1x2>().dark_color(drawn).light_color(left_out).build();
    code.map_or_else(|_| String::new(), draw)
}

/// As a QR code and as text.
fn show(invitation: &Invitation, output: &mut Output) {
    output.tell(&[
        &picture(&invitation.qr_text()),
        &invitation.text(),
        "Scan or type this on the new device: strongroom devices join. Show it to nobody else.",
        "It is good for ten minutes and one device.",
    ]);
}

/// Typed on standard input. A typing error spends nothing.
fn ask_for_code(inviting: &Inviting<'_>, output: &mut Output) -> Result<CheckCode, Fault> {
    let name = inviting.applicant_name().unwrap_or_default();
    output.tell(&[&format!("A device that calls itself {name} asks to be let in."), "Type its check code:"]);
    loop {
        let mut line = String::new();
        let read =
            io::stdin().read_line(&mut line).map_err(|error| Fault::Local("reading the code", error))?;
        match CheckCode::parse(&line) {
            Ok(code) => return Ok(code),
            Err(_) if read == 0 => return Err(Fault::Usage("no check code was typed".into())),
            Err(error) => output.error(&error),
        }
    }
}

/// Waits for a file with a whole line in it, not longer than the invitation is good for.
fn await_code(path: &Path, job: &Job) -> Result<CheckCode, Fault> {
    const BETWEEN_LOOKS: Duration = Duration::from_millis(200);
    const LOOKS: u32 = 3000;
    for _ in 0..LOOKS {
        match fs::metadata(path) {
            Ok(_) => {
                let text = secret_files::read(path)?;
                match CheckCode::parse(&text) {
                    Err(Error::MistypedCode(_)) if text.is_empty() => {}
                    other => return other.map_err(Fault::from).map_err(Fault::at(path)),
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(Fault::local("reading", path)(error)),
        }
        job.rest(BETWEEN_LOOKS)?;
    }
    Err(Error::InvitationRefused("it has expired"))?
}
