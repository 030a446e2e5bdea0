//! What is printed: results only, one JSON object, and no panic when nobody reads.

use std::{fs, process::Stdio};

use super::support::Desk;

#[test]
fn with_json_every_command_prints_one_object_and_nothing_else() {
    let desk = Desk::new();
    let json = |args: &[&str]| desk.run("old", ["--json"].iter().chain(args)).exits(0).json();
    let code = json(&["init", "--name", "Ana's phone"])["recovery_code"].as_str().unwrap().to_owned();
    fs::write(desk.path("code"), code).unwrap();
    fs::create_dir(desk.path("docs")).unwrap();
    fs::write(desk.path("docs/a"), "a").unwrap();
    fs::write(desk.path("password"), "correct horse").unwrap();
    json(&["consent", "grant", "files"]);
    json(&["consent"]);
    assert_eq!(json(&["backup", "files", "docs"])["sources"][0]["committed"], true);
    let snapshots = json(&["snapshots"])["snapshots"].as_array().unwrap().len();
    assert_eq!(snapshots, 2);
    json(&["ls"]);
    json(&["ls", "files"]);
    json(&["diff", "latest", "latest"]);
    let restored = json(&["restore", "--into", "out"]);
    assert_eq!(
        (restored["freshness"].as_str(), restored["failures"].as_array()),
        (Some("fresh"), Some(&vec![]))
    );
    assert_eq!(json(&["devices"])["devices"][0]["name"], "Ana's phone");
    assert!(json(&["password", "set", "--password-file", "password"])["device_secret"].is_string());
    json(&["password", "remove"]);
    json(&["recovery", "new", "--code-file", "code 2"]);
    assert!(json(&["check"])["commits"].is_u64());
    assert!(json(&["audit"])["objects"].as_u64().unwrap() > 5);
    assert_eq!(json(&["ledger", "--since", "2999-01-01"])["lines"].as_array().unwrap().len(), 0);
    let new = desk.run("new", ["--json", "recover", "--code-file", "code 2"]).exits(0).json();
    assert!(new["device"].is_string());
}

#[test]
fn a_listing_that_fails_at_once_prints_nothing() {
    let desk = Desk::with_vault();
    let ran = desk.run("old", ["--json", "ls", "files:none"]).exits(1);
    assert_eq!(ran.stdout, b"");
    assert_eq!(ran.stderr, "strongroom: not found: data of this kind\n");
}

#[test]
fn every_object_that_lies_in_the_store_stands_in_the_ledger() {
    let desk = Desk::with_vault();
    fs::create_dir(desk.path("docs")).unwrap();
    fs::write(desk.path("docs/a"), "a").unwrap();
    desk.run("old", ["backup", "files", "docs"]).exits(0);
    let ledger = desk.run("old", ["ledger"]).exits(0).text();
    let audit = desk.run("old", ["--json", "audit"]).exits(0).json();
    assert_eq!(ledger.lines().count() as u64, audit["objects"].as_u64().unwrap());
}

#[test]
fn quiet_says_nothing_of_what_it_did_but_gives_what_was_asked_for() {
    let desk = Desk::with_vault();
    fs::create_dir(desk.path("docs")).unwrap();
    fs::write(desk.path("docs/a"), "a").unwrap();
    assert_eq!(desk.run("old", ["--quiet", "backup", "files", "docs"]).exits(0).text(), "");
    assert_eq!(desk.run("old", ["--quiet", "restore", "--into", "out"]).exits(0).text(), "");
    assert_eq!(desk.run("old", ["--quiet", "cat", "files:docs/a"]).exits(0).text(), "a");
}

#[test]
fn a_name_from_a_backup_cannot_move_the_cursor() {
    let desk = Desk::with_vault();
    fs::create_dir(desk.path("docs")).unwrap();
    fs::write(desk.path("docs/a\u{1b}[2J\n"), "a").unwrap();
    desk.run("old", ["backup", "files", "docs"]).exits(0);
    let listed = desk.run("old", ["ls", "files"]).exits(0).text();
    assert_eq!(listed.lines().count(), 1);
    assert!(listed.ends_with("docs/a\\u{1b}[2J\\n\n"), "{listed:?}");
}

#[test]
fn a_reader_that_has_gone_is_no_panic() {
    let desk = Desk::with_vault();
    fs::create_dir(desk.path("docs")).unwrap();
    fs::write(desk.path("docs/big"), vec![7; 1_000_000]).unwrap();
    desk.run("old", ["backup", "files", "docs"]).exits(0);
    for args in [&["cat", "files:docs/big"][..], &["ls", "files"], &["audit"], &["restore", "--into", "out"]]
    {
        let mut command = desk.command("old");
        let mut child = command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), stderr.as_ref()), (Some(0), ""), "{args:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_code_that_cannot_be_written_is_shown_all_the_same() {
    let desk = Desk::new();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = desk.command("old").arg("init").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    let code = stderr.lines().find_map(|line| line.strip_prefix("strongroom: the recovery code: ")).unwrap();
    fs::write(desk.path("code"), code).unwrap();
    desk.recover("new");
}

#[test]
fn the_built_command_says_how_its_cipher_was_built_and_it_is_not_slow() {
    let text = Desk::new().run("old", ["--version"]).exits(0).text();
    assert!(!text.contains("slow build"), "{text}");
    let fast = !cfg!(target_arch = "x86_64")
        || text.contains("AVX-512")
        || text.contains("aws-lc")
        || text.contains("OpenSSL");
    let level = cfg!(debug_assertions) || text.contains("opt-level 3");
    assert!(fast && level, "{text}");
}
