//! Two processes, two homes, one store: a device is invited, joins and is admitted, or is not.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Child, Stdio},
};

use super::support::{Desk, Ran, entries, odd_folder};

fn start(desk: &Desk, device: &str, args: &[&str]) -> Child {
    let mut command = desk.command(device);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn end(child: Child) -> Ran {
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    Ran { status: output.status.code().unwrap(), stdout: output.stdout, stderr }
}

/// Yields until another process has written a whole line.
fn line_of(path: &Path, child: &mut Child) -> String {
    loop {
        match fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text.trim_end().to_owned(),
            _ => assert!(child.try_wait().unwrap().is_none(), "{} ended early", path.display()),
        }
        std::thread::yield_now();
    }
}

fn invite(desk: &Desk) -> Child {
    let (text, check) = (desk.arg("invitation"), desk.arg("check"));
    let args = ["--json", "devices", "invite", "--text-file", &text, "--expect-check-file", &check];
    start(desk, "old", &args)
}

/// Lets a new device in, by the codes.
pub(crate) fn let_in(desk: &Desk, name: &str) {
    let mut inviting = invite(desk);
    line_of(&desk.path("invitation"), &mut inviting);
    let (text, check) = (desk.arg("invitation"), desk.arg("check"));
    let args = ["devices", "join", "--text-file", &text, "--check-file", &check, "--name", name];
    end(start(desk, name, &args)).exits(0);
    end(inviting).exits(0);
    fs::remove_file(text).unwrap();
    fs::remove_file(check).unwrap();
}

#[test]
fn a_device_is_invited_joins_and_restores() {
    let desk = Desk::with_vault();
    odd_folder(&desk.path("docs"));
    desk.run("old", ["backup", "files", &desk.arg("docs")]).exits(0);
    let mut inviting = invite(&desk);
    line_of(&desk.path("invitation"), &mut inviting);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(desk.path("invitation")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let (text, check) = (desk.arg("invitation"), desk.arg("check"));
    let args =
        ["--json", "devices", "join", "--text-file", &text, "--check-file", &check, "--name", "laptop"];
    let joined = end(start(&desk, "new", &args)).exits(0).json();
    let admitted = end(inviting).exits(0).json();
    assert_eq!(admitted["admitted"]["name"], "laptop");
    assert_eq!(admitted["admitted"]["device"], joined["device"]);

    desk.run("new", ["restore", "--into", &desk.arg("out")]).exits(0);
    assert_eq!(entries(&desk.path("out/files/docs")), entries(&desk.path("docs")));
    for device in ["old", "new"] {
        let listed = desk.run(device, ["--json", "devices"]).exits(0).json();
        let names: Vec<_> =
            listed["devices"].as_array().unwrap().iter().map(|device| &device["name"]).collect();
        assert_eq!(names, ["unnamed device", "laptop"]);
    }
}

#[test]
fn a_wrong_check_code_admits_nobody_and_has_its_own_status() {
    let desk = Desk::with_vault();
    let mut inviting = invite(&desk);
    let text = line_of(&desk.path("invitation"), &mut inviting);
    let mut joining = start(&desk, "new", &["devices", "join", &text, "--check-file", &desk.arg("shown")]);
    let shown = line_of(&desk.path("shown"), &mut joining);
    let wrong = if shown.ends_with('1') { "0000 0002\n" } else { "0000 0001\n" };
    fs::write(desk.path("check"), wrong).unwrap();
    let refused = end(inviting).exits(5);
    assert!(refused.stderr.contains("the check codes differ"), "{}", refused.stderr);
    assert!(refused.stdout.is_empty());
    joining.kill().unwrap();
    joining.wait().unwrap();
    let listed = desk.run("old", ["--json", "devices"]).exits(0).json();
    assert_eq!(listed["devices"].as_array().unwrap().len(), 1);
    assert!(desk.run("new", ["snapshots"]).exits(1).stderr.contains("no vault"));
}

#[test]
fn a_person_reads_the_code_on_one_screen_and_types_it_on_the_other() {
    let desk = Desk::with_vault();
    let mut inviting = start(&desk, "old", &["devices", "invite"]);
    let mut screen = Screen::of(&mut inviting);
    let text = screen.line_where(|line| line.len() > 200 && line.contains('-'));
    assert!(screen.seen.contains('█'), "the same as a picture");
    let mut joining = start(&desk, "new", &["devices", "join", &text.to_uppercase(), "--name", "laptop"]);
    let mut other = Screen::of(&mut joining);
    let code = other.line_where(|line| line.starts_with("check code: "));
    screen.line_where(|line| line.contains("laptop"));
    assert!(!screen.seen.contains(code.trim_start_matches("check code: ")), "it must be read over there");
    let mut keyboard = inviting.stdin.take().unwrap();
    writeln!(keyboard, "12x4").unwrap();
    screen.line_where(|line| line.contains("typing error"));
    writeln!(keyboard, "{}", code.trim_start_matches("check code: ")).unwrap();
    assert!(end(inviting).exits(0).text().contains("admitted device"));
    end(joining).exits(0);
}

/// What a process writes on standard error, line by line.
struct Screen {
    lines: std::io::Lines<std::io::BufReader<std::process::ChildStderr>>,
    seen: String,
}

impl Screen {
    fn of(child: &mut Child) -> Self {
        let stderr = std::io::BufReader::new(child.stderr.take().unwrap());
        Self { lines: std::io::BufRead::lines(stderr), seen: String::new() }
    }

    fn line_where(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        loop {
            let line = self.lines.next().unwrap().unwrap();
            self.seen.push_str(&line);
            if wanted(&line) {
                return line;
            }
        }
    }
}

#[test]
fn a_mistyped_invitation_is_told_apart_without_a_store() {
    let desk = Desk::with_vault();
    let mut inviting = invite(&desk);
    let text = line_of(&desk.path("invitation"), &mut inviting);
    let typo = text.replacen(|c: char| c != 'q', "q", 1);
    let mistyped = desk.run("new", ["--store", "file:/nowhere/at/all", "devices", "join", &typo]).exits(4);
    assert!(mistyped.stderr.contains("typing error"), "{}", mistyped.stderr);
    desk.run("new", ["devices", "join"]).exits(2);
    desk.run("new", ["devices", "join", &text, "--text-file", "x"]).exits(2);
    inviting.kill().unwrap();
    inviting.wait().unwrap();
}

#[test]
fn a_second_device_with_one_invitation_is_refused() {
    let desk = Desk::with_vault();
    let mut inviting = invite(&desk);
    let text = line_of(&desk.path("invitation"), &mut inviting);
    let mut joining = start(&desk, "new", &["devices", "join", &text, "--check-file", &desk.arg("shown")]);
    line_of(&desk.path("shown"), &mut joining);
    let second = desk.run("other", ["devices", "join", &text]).exits(5);
    assert!(second.stderr.contains("another device has used it"), "{}", second.stderr);
    let shown = desk.run("other", ["devices", "join", &text, "--check-file", &desk.arg("shown")]).exits(1);
    assert!(shown.stderr.contains("creating"), "{}", shown.stderr);
    for mut child in [inviting, joining] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
