//! Ctrl-C: the first cancels the job in good order, the second ends the process at once.
//!
//! The source is a pipe that the test holds, so that the command is at a known place when it is interrupted.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    process::{Child, Command, Stdio},
};

use super::support::Desk;

const HEAD: &str = "<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>\n<smses>\n";

fn must(command: &mut Command) {
    assert!(command.status().unwrap().success());
}

fn interrupt(child: &Child) {
    must(Command::new("kill").args(["-INT", &child.id().to_string()]));
}

/// A backup of messages that has opened its source and waits for it.
fn waiting_backup(desk: &Desk) -> (Child, File) {
    must(Command::new("mkfifo").arg(desk.path("pipe")));
    let mut command = desk.command("old");
    let child = command.args(["backup", "messages", "pipe"]).stderr(Stdio::piped()).spawn().unwrap();
    (child, OpenOptions::new().write(true).open(desk.path("pipe")).unwrap())
}

#[test]
fn an_interrupted_backup_ends_in_good_order_and_the_next_one_works() {
    let desk = Desk::with_vault();
    let (child, mut pipe) = waiting_backup(&desk);
    interrupt(&child);
    pipe.write_all(HEAD.as_bytes()).unwrap();
    let body = "x".repeat(64 * 1024);
    let mut dates = 1_700_000_000_000_u64..;
    let message = |date| format!("<sms address=\"1\" date=\"{date}\" type=\"1\" body=\"{body}\" />\n");
    while pipe.write_all(message(dates.next().unwrap()).as_bytes()).is_ok() {}
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(output.stderr, b"strongroom: pipe: cancelled\n");

    fs::write(desk.path("sms.xml"), format!("{HEAD}<sms address=\"1\" date=\"5\" type=\"1\" /></smses>"))
        .unwrap();
    let next = desk.run("old", ["--json", "backup", "messages", "sms.xml"]).exits(0).json();
    assert_eq!(next["sources"][0]["committed"], true);
}

#[test]
fn a_second_interrupt_ends_the_command_at_once() {
    let desk = Desk::with_vault();
    let (mut child, pipe) = waiting_backup(&desk);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        interrupt(&child);
    };
    assert_eq!(status.code(), Some(130));
    drop(pipe);
    desk.run("old", ["check"]).exits(0);
}

#[test]
fn a_restore_goes_on_where_one_before_it_ended() {
    let desk = Desk::with_vault();
    fs::create_dir(desk.path("folder")).unwrap();
    fs::write(desk.path("folder/a"), "one").unwrap();
    fs::write(desk.path("folder/b"), "two").unwrap();
    desk.run("old", ["backup", "files", "folder"]).exits(0);
    let restore = || desk.run("old", ["restore", "files", "--into", "out"]).exits(0).text();
    assert!(restore().starts_with("restored 2 entries, 6 bytes\n"));
    fs::remove_file(desk.path("out/files/folder/b")).unwrap();
    assert!(restore().starts_with("restored 2 entries, 3 bytes; 1 of them were there already\n"));
    assert_eq!(fs::read(desk.path("out/files/folder/b")).unwrap(), b"two");
    let json = desk.run("old", ["--json", "restore", "files", "--into", "out", "--replace"]).exits(0).json();
    assert_eq!((&json["found"], &json["bytes"]), (&2.into(), &0.into()));
}
