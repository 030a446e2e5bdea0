//! What goes wrong has its own exit status, and a line on standard error.

use std::fs;

use super::support::{Desk, copy_folder, noise};

fn docs(desk: &Desk, text: &str) -> String {
    fs::create_dir_all(desk.path("docs")).unwrap();
    fs::write(desk.path("docs/note"), text).unwrap();
    desk.arg("docs")
}

#[test]
fn a_second_init_is_refused_and_leaves_no_code_behind() {
    let desk = Desk::with_vault();
    let same_home = desk.run("old", ["init", "--code-file", &desk.arg("code 2")]).exits(1);
    assert_eq!(same_home.stderr, "strongroom: a vault is already there\n");
    desk.run("other", ["init", "--code-file", &desk.arg("code 2")]).exits(1);
    assert!(!desk.path("code 2").exists());
}

#[test]
fn a_code_file_is_never_overwritten_and_nothing_is_made_without_it() {
    let desk = Desk::new();
    fs::write(desk.path("code"), "mine").unwrap();
    desk.run("old", ["init", "--code-file", &desk.arg("code")]).exits(1);
    assert_eq!(fs::read(desk.path("code")).unwrap(), b"mine");
    desk.run("old", ["init", "--code-file", &desk.arg("code 2")]).exits(0);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(desk.path("code 2")).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_wrong_code_and_a_mistyped_one_are_told_apart_from_every_other_failure() {
    let desk = Desk::with_vault();
    let elsewhere = Desk::with_vault();
    let wrong = desk.run("new", ["recover", "--code-file", &elsewhere.arg("code")]).exits(4);
    assert!(wrong.stderr.contains("does not open this vault"), "{}", wrong.stderr);

    let code = fs::read_to_string(desk.path("code")).unwrap();
    let last = if code.trim_end().ends_with('q') { "p" } else { "q" };
    let typo = format!("{}{last}", &code.trim_end()[..code.trim_end().len() - 1]);
    fs::write(desk.path("typo"), typo).unwrap();
    let mistyped = desk.run("new", ["recover", "--code-file", &desk.arg("typo")]).exits(4);
    assert!(mistyped.stderr.contains("typing error"), "{}", mistyped.stderr);
    assert!(!mistyped.stderr.contains(code.trim_end()));
    desk.recover("new");
}

#[test]
fn a_store_put_back_to_an_earlier_state_is_a_rollback() {
    let desk = Desk::with_vault();
    let docs_arg = docs(&desk, "first");
    desk.run("old", ["backup", "files", &docs_arg]).exits(0);
    copy_folder(&desk.path("store"), &desk.path("earlier"));
    docs(&desk, "second, longer");
    desk.run("old", ["backup", "files", &docs_arg]).exits(0);
    fs::remove_dir_all(desk.path("store")).unwrap();
    fs::rename(desk.path("earlier"), desk.path("store")).unwrap();

    let refused = desk.run("old", ["restore", "--into", &desk.arg("out")]).exits(5);
    assert!(refused.stderr.starts_with("strongroom: rollback: "), "{}", refused.stderr);
    assert!(!desk.path("out").exists());
    desk.run("old", ["backup", "files", &docs_arg]).exits(5);
    desk.run("old", ["snapshots"]).exits(5);
}

#[test]
fn what_lay_in_a_missing_pack_is_named_and_the_rest_comes_back() {
    let desk = Desk::with_vault();
    fs::create_dir(desk.path("docs")).unwrap();
    let bytes = noise(24_000_000);
    for (number, part) in bytes.chunks(3_000_000).enumerate() {
        fs::write(desk.path(&format!("docs/file {number}")), part).unwrap();
    }
    desk.run("old", ["backup", "files", &desk.arg("docs")]).exits(0);
    let ledger = desk.run("old", ["--json", "ledger"]).exits(0).json();
    let lines = ledger["lines"].as_array().unwrap().iter();
    let packs: Vec<_> =
        lines.filter(|line| line["object"] == "pack").map(|line| line["name"].clone()).collect();
    assert!(packs.len() > 2, "{packs:?}");

    let mut named = false;
    for pack in &packs {
        let id = pack.as_str().unwrap().rsplit('/').next().unwrap();
        let path = object_path(&desk, id);
        let hidden = desk.path("hidden");
        fs::rename(&path, &hidden).unwrap();
        let out = desk.path("out");
        let ran = desk.run("old", ["restore", "--into", out.to_str().unwrap()]).exits(3);
        for line in ran.stderr.lines() {
            assert!(line.starts_with("strongroom: lost: files:"), "{line}");
        }
        named |= ran.stderr.contains("files:docs/file ");
        for number in 0..8 {
            let name = format!("file {number}");
            let restored = fs::read(out.join("files/docs").join(&name));
            assert!(
                restored.is_ok_and(|bytes| bytes == fs::read(desk.path("docs").join(&name)).unwrap())
                    || ran.stderr.contains(&name)
                    || ran.stderr.contains("everything after"),
                "{name} is neither whole nor named:\n{}",
                ran.stderr
            );
        }
        let _ = fs::remove_dir_all(out);
        fs::rename(&hidden, &path).unwrap();
    }
    assert!(named, "no pack held a file's content");
    desk.run("old", ["restore", "--into", &desk.arg("whole")]).exits(0);
}

fn object_path(desk: &Desk, id: &str) -> std::path::PathBuf {
    let store = desk.store();
    let name = store.keys().find(|name| name.ends_with(id.as_bytes())).unwrap();
    desk.path("store").join(std::str::from_utf8(name).unwrap())
}

#[test]
fn what_cannot_be_typed_so_is_a_usage_error() {
    let desk = Desk::with_vault();
    for args in [
        &["frobnicate"][..],
        &["backup", "movies", "."],
        &["backup", "files"],
        &["restore", "files"],
        &["ls", "--at", "yesterday"],
        &["ledger", "--since", "yesterday"],
        &["restore", "messages:1", "--into", "out"],
        &["--json", "cat", "files:docs/note"],
        &["cat", "files"],
        &["backup", "messages", "."],
        &["recover"],
        &["recover", "--password-file", "code"],
        &["init", "--name", "a\u{7}"],
    ] {
        let ran = desk.run("old", args).exits(2);
        assert_eq!(ran.stdout, b"", "{args:?}");
        assert_ne!(ran.stderr, "", "{args:?}");
    }
    let mut command = desk.command("old");
    let output = command.env_remove("STRONGROOM_STORE").arg("snapshots").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn what_is_not_there_is_a_failure_and_says_which_argument() {
    let desk = Desk::with_vault();
    desk.run("nobody", ["snapshots"]).exits(1);
    desk.run("old", ["cat", "files:docs/none"]).exits(1);
    let ran = desk.run("old", ["backup", "files", "no such folder"]).exits(1);
    assert!(ran.stderr.starts_with("strongroom: no such folder: "), "{}", ran.stderr);
    fs::write(desk.path("text.xml"), "not XML at all").unwrap();
    let ran = desk.run("old", ["backup", "messages", "text.xml"]).exits(1);
    assert!(ran.stderr.starts_with("strongroom: text.xml: "), "{}", ran.stderr);

    let empty = Desk::new();
    empty.run("new", ["recover", "--code-file", &desk.arg("code")]).exits(1);
}
