//! One owner's whole walk: set up, back up, lose the device, recover, restore.

use std::fs;

use serde_json::Value;

use super::support::{Desk, copy_folder, entries, noise, odd_folder};

const MESSAGES: &str = r#"<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>
<smses count="2">
  <sms protocol="0" address="+43 1 234" date="1700000000000" type="1" subject="null" body="Grüße &amp; &quot;mehr&quot;&#10;Zeile" read="1" />
  <sms protocol="0" address="+43 1 235" date="1700000001000" type="2" subject="null" body="😀 &lt;tag&gt;" read="1" />
</smses>
"#;
const CALLS: &str = r#"<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>
<calls count="1">
  <call number="+43 1 236" duration="61" date="1700000002000" type="1" contact_name="Ana" />
</calls>
"#;
const CARDS: &str = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:1\r\nFN:Ana\r\nEND:VCARD\r\n";

#[test]
fn a_folder_with_odd_names_comes_back_exactly_on_a_new_device() {
    let desk = Desk::with_vault();
    odd_folder(&desk.path("my docs"));
    desk.run("old", ["backup", "files", &desk.arg("my docs")]).exits(0);
    let before = desk.store();
    let again = desk.run("old", ["--json", "backup", "files", &desk.arg("my docs")]).exits(0);
    assert_eq!(again.json()["sources"][0]["sent_bytes"], 0);
    assert_eq!(desk.store(), before, "the second backup wrote nothing");

    desk.recover("new");
    let restored = desk.run("new", ["restore", "files", "--into", &desk.arg("out")]).exits(0);
    assert!(restored.text().contains("freshness: unproven"));
    assert_eq!(entries(&desk.path("out/files/my docs")), entries(&desk.path("my docs")));
}

#[test]
fn with_least_memory_and_one_thread_or_many_everything_comes_back() {
    let desk = Desk::with_vault();
    odd_folder(&desk.path("docs"));
    fs::write(desk.path("docs/long"), noise(20_000_000)).unwrap();
    desk.run("old", ["--memory", "24", "--threads", "1", "backup", "files", &desk.arg("docs")]).exits(0);
    for bounds in [["--memory", "24", "--threads", "8"], ["--memory", "200", "--threads", "8"]] {
        let into = desk.arg(bounds[1]);
        desk.run("old", bounds.iter().copied().chain(["restore", "--into", &into])).exits(0);
        assert_eq!(entries(&desk.path(bounds[1]).join("files/docs")), entries(&desk.path("docs")));
        desk.run("old", bounds.iter().copied().chain(["check", "--read-data"])).exits(0);
    }
    for refused in [["--memory", "23"], ["--threads", "0"]] {
        desk.run("old", refused.iter().copied().chain(["check"])).exits(2);
    }
}

#[test]
fn nothing_is_sent_without_consent_nor_after_it_is_taken_back() {
    let desk = Desk::new();
    desk.run("old", ["init"]).exits(0);
    fs::create_dir(desk.path("docs")).unwrap();
    fs::write(desk.path("docs/a"), "a").unwrap();
    let before = desk.store();
    let refused = desk.run("old", ["backup", "files", &desk.arg("docs")]).exits(6);
    assert_eq!(refused.stdout, b"");
    assert_eq!(desk.store(), before);

    let granted = desk.run("old", ["--json", "consent", "grant", "files", "notes"]).exits(0).json();
    assert_eq!(granted["consent"]["files"], true);
    assert_eq!(granted["consent"]["photos"], false);
    desk.run("old", ["backup", "files", &desk.arg("docs")]).exits(0);
    desk.run("old", ["backup", "photos", &desk.arg("docs")]).exits(6);
    desk.run("old", ["consent", "revoke", "files"]).exits(0);
    desk.run("old", ["backup", "files", &desk.arg("docs")]).exits(6);
    let shown = desk.run("old", ["consent"]).exits(0).text();
    assert!(shown.contains("files\toff") && shown.contains("notes\ton"), "{shown}");
}

#[test]
fn messages_calls_and_contacts_come_back_as_files_that_are_read_again_as_the_same() {
    let desk = Desk::with_vault();
    for (kind, name, text) in
        [("messages", "sms.xml", MESSAGES), ("calls", "calls.xml", CALLS), ("contacts", "all.vcf", CARDS)]
    {
        fs::write(desk.path(name), text).unwrap();
        desk.run("old", ["backup", kind, &desk.arg(name)]).exits(0);
    }
    desk.recover("new");
    desk.run("new", ["restore", "--into", &desk.arg("out")]).exits(0);
    let messages = fs::read_to_string(desk.path("out/messages/messages.xml")).unwrap();
    for part in ["Grüße &amp; &quot;mehr&quot;&#10;Zeile", "address=\"+43 1 235\"", "count=\"2\""] {
        assert!(messages.contains(part), "{part} in {messages}");
    }
    assert!(fs::read_to_string(desk.path("out/calls/calls.xml")).unwrap().contains("duration=\"61\""));
    assert_eq!(fs::read_to_string(desk.path("out/contacts/all.vcf")).unwrap(), CARDS);

    for (kind, file) in [("messages", "out/messages/messages.xml"), ("calls", "out/calls/calls.xml")] {
        let again = desk.run("old", ["--json", "backup", kind, &desk.arg(file)]).exits(0).json();
        assert_eq!(again["sources"][0]["changed"], 0, "{kind}: what was restored is what was backed up");
    }
}

#[test]
fn a_restore_of_messages_counts_the_bytes_that_a_list_counts_long_ones_too() {
    let desk = Desk::with_vault();
    let long = MESSAGES.replace("Grüße", &"Grüße ".repeat(2000));
    fs::write(desk.path("sms.xml"), long).unwrap();
    desk.run("old", ["backup", "messages", &desk.arg("sms.xml")]).exits(0);
    let listed = desk.run("old", ["--json", "ls"]).exits(0).json();
    let restored = desk.run("old", ["--json", "restore", "messages", "--into", "out"]).exits(0).json();
    let kinds = listed["kinds"].as_array().unwrap();
    let messages = kinds.iter().find(|kind| kind["kind"] == "messages").unwrap();
    assert!(messages["bytes"].as_u64().unwrap() > 12_000);
    assert_eq!((&restored["bytes"], &restored["entries"]), (&messages["bytes"], &messages["entries"]));
}

#[test]
fn an_older_snapshot_is_listed_compared_read_and_restored() {
    let desk = Desk::with_vault();
    fs::create_dir(desk.path("docs")).unwrap();
    fs::write(desk.path("docs/kept"), "first").unwrap();
    fs::write(desk.path("docs/gone"), "gone").unwrap();
    let docs = desk.arg("docs");
    desk.run("old", ["backup", "files", &docs]).exits(0);
    fs::write(desk.path("docs/kept"), "second, longer").unwrap();
    fs::remove_file(desk.path("docs/gone")).unwrap();
    fs::write(desk.path("docs/new"), "new").unwrap();
    fs::create_dir(desk.path("docs/sub")).unwrap();
    desk.run("old", ["backup", "files", &docs]).exits(0);

    let snapshots = desk.run("old", ["--json", "snapshots"]).exits(0).json();
    let first = snapshots["snapshots"][1]["id"].as_str().unwrap().to_owned();
    let differences = desk.run("old", ["diff", &first, "latest"]).exits(0).text();
    assert_eq!(differences, "- files:docs/gone\n~ files:docs/kept\n+ files:docs/new\n+ files:docs/sub\n");

    let cat = |args: &[&str]| desk.run("old", ["cat"].iter().chain(args)).exits(0).text();
    assert_eq!(cat(&["files:docs/kept"]), "second, longer");
    assert_eq!(cat(&["files:docs/kept", "--at", &first]), "first");

    let listed = desk.run("old", ["--json", "ls", "files:docs", "--at", &first]).exits(0).json();
    let sizes = |listed: &Value| {
        let entries = listed["entries"].as_array().unwrap().iter();
        let size = |entry: &Value| format!("{} {}", entry["path"].as_str().unwrap(), entry["bytes"]);
        entries.map(size).collect::<Vec<_>>()
    };
    assert_eq!(sizes(&listed), ["docs/gone 4", "docs/kept 5"]);
    let listed = desk.run("old", ["--json", "ls", "files:docs"]).exits(0).json();
    assert_eq!(sizes(&listed), ["docs/kept 14", "docs/new 3", "docs/sub 0"]);
    let kinds = desk.run("old", ["--json", "ls"]).exits(0).json();
    assert_eq!(kinds["kinds"][0]["kind"], "files");
    assert_eq!(kinds["kinds"][0]["entries"], 3);

    desk.run("old", ["restore", "files:docs/gone", "--into", &desk.arg("out"), "--at", &first]).exits(0);
    assert_eq!(fs::read(desk.path("out/files/docs/gone")).unwrap(), b"gone");
    assert!(!desk.path("out/files/docs/kept").exists());
}

#[test]
fn a_source_is_called_by_the_last_part_of_its_path_or_as_the_owner_says() {
    let desk = Desk::with_vault();
    fs::create_dir_all(desk.path("deep/docs")).unwrap();
    fs::write(desk.path("deep/docs/a"), "a").unwrap();
    let name = |folder: &str, path: &str| {
        let mut command = desk.command("old");
        let output =
            command.current_dir(desk.path(folder)).args(["--json", "backup", "files", path]).output();
        let value: serde_json::Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
        value["sources"][0]["source"].as_str().unwrap().to_owned()
    };
    for (folder, path) in
        [("deep", "docs"), ("deep", "docs/"), ("deep/docs", "."), ("deep/docs", "../docs/.")]
    {
        assert_eq!(name(folder, path), "docs", "{path} in {folder}");
    }
    desk.run("old", ["backup", "files", &desk.arg("deep/docs"), "--as", "papers"]).exits(0);
    assert_eq!(desk.run("old", ["cat", "files:papers/a"]).exits(0).stdout, b"a");
    copy_folder(&desk.path("deep"), &desk.path("other"));
    let (one, two) = (desk.arg("deep/docs"), desk.arg("other/docs"));
    desk.run("old", ["backup", "files", &one, &two]).exits(2);
    desk.run("old", ["backup", "files", &one, &two, "--as", "docs"]).exits(2);
}

#[test]
fn what_vanished_stays_if_it_is_a_photo_or_the_folder_was_moved_meanwhile() {
    let desk = Desk::with_vault();
    let files = |kind: &str| {
        let listed = desk.run("old", ["ls", kind]).exits(0).text();
        listed.lines().map(|line| line.split('\t').nth(3).unwrap().to_owned()).collect::<Vec<_>>()
    };
    let backup = |kind: &str, path: &str| drop(desk.run("old", ["backup", kind, path]).exits(0));
    fs::create_dir_all(desk.path("docs")).unwrap();
    fs::create_dir_all(desk.path("moved")).unwrap();
    fs::write(desk.path("docs/a"), "a").unwrap();
    fs::write(desk.path("docs/b"), "b").unwrap();
    ["photos", "files"].iter().for_each(|kind| backup(kind, "docs"));
    fs::remove_file(desk.path("docs/a")).unwrap();
    backup("photos", "docs");
    assert_eq!(files("photos"), ["docs/a", "docs/b"]);

    fs::rename(desk.path("docs"), desk.path("moved/docs")).unwrap();
    backup("files", "moved/docs");
    assert_eq!(files("files"), ["docs/a", "docs/b"]);
    fs::write(desk.path("moved/docs/a"), "a").unwrap();
    backup("files", "moved/docs");
    fs::remove_file(desk.path("moved/docs/a")).unwrap();
    backup("files", "moved/docs");
    assert_eq!(files("files"), ["docs/b"]);
}

#[test]
fn a_new_code_and_a_password_open_the_vault_and_the_old_code_does_not() {
    let desk = Desk::with_vault();
    fs::write(desk.path("password"), "correct horse\n").unwrap();
    let (password, secret) = (desk.arg("password"), desk.arg("secret"));
    desk.run("old", ["password", "set", "--password-file", &password, "--secret-file", &secret]).exits(0);
    let with_password = ["recover", "--password-file", &password, "--device-secret-file", &secret];
    fs::write(desk.path("wrong"), "correct house\n").unwrap();
    let wrong = ["recover", "--password-file", &desk.arg("wrong"), "--device-secret-file", &secret];
    desk.run("laptop", wrong).exits(4);
    let code_as_secret = ["recover", "--password-file", &password, "--device-secret-file", &desk.arg("code")];
    desk.run("laptop", code_as_secret).exits(4);
    desk.run("laptop", with_password).exits(0);
    desk.run("old", ["recovery", "new", "--code-file", &desk.arg("new code")]).exits(0);
    desk.run("tablet", ["recover", "--code-file", &desk.arg("new code"), "--name", "Tablet"]).exits(0);
    desk.run("phone", ["recover", "--code-file", &desk.arg("code")]).exits(4);
    desk.run("old", ["password", "remove"]).exits(0);
    desk.run("watch", with_password).exits(4);
}

#[test]
fn what_is_in_the_way_of_a_restore_stays_and_is_named() {
    let desk = Desk::with_vault();
    fs::create_dir(desk.path("docs")).unwrap();
    fs::write(desk.path("docs/a"), "new").unwrap();
    desk.run("old", ["backup", "files", "docs"]).exits(0);
    fs::create_dir_all(desk.path("out/files/docs")).unwrap();
    fs::write(desk.path("out/files/docs/a"), "mine").unwrap();
    let ran = desk.run("old", ["restore", "--into", "out"]).exits(1);
    let hint = "restore --replace replaces older files that are in the way\n";
    assert_eq!(ran.stderr, format!("strongroom: left out: files:docs/a: the name is taken\n{hint}"));
    assert_eq!(fs::read(desk.path("out/files/docs/a")).unwrap(), b"mine");
    desk.run("old", ["restore", "--into", "out", "--replace"]).exits(0);
    assert_eq!(fs::read(desk.path("out/files/docs/a")).unwrap(), b"new");

    // A vault's own folder is left alone, whatever a backup says.
    fs::create_dir_all(desk.path("in/files")).unwrap();
    desk.run("in/files/docs", ["recover", "--code-file", &desk.arg("code")]).exits(0);
    let ran = desk.run("in/files/docs", ["restore", "--into", &desk.arg("in"), "--replace"]).exits(1);
    let said = "strongroom: left out: files:docs/a: it lies in a folder that is left alone\n";
    assert_eq!(ran.stderr, said);
    assert!(!desk.path("in/files/docs/a").exists());
}

#[test]
fn of_many_that_are_in_the_way_only_the_first_are_named_one_by_one() {
    let desk = Desk::with_vault();
    fs::create_dir(desk.path("docs")).unwrap();
    (0..31).for_each(|n| fs::write(desk.path(&format!("docs/{n}")), "new").unwrap());
    desk.run("old", ["backup", "files", "docs"]).exits(0);
    desk.run("old", ["restore", "--into", "many"]).exits(0);
    (0..31).for_each(|n| fs::write(desk.path(&format!("many/files/docs/{n}")), "old").unwrap());
    let ran = desk.run("old", ["restore", "--into", "many"]).exits(1);
    assert_eq!(ran.stderr.lines().count(), 22);
    assert!(ran.stderr.contains("left out: 11 more: the name is taken (--json names all)\n"));
    let ran = desk.run("old", ["--json", "restore", "--into", "many"]).exits(1);
    assert_eq!(ran.json()["failures"].as_array().unwrap().len(), 31);
    let ran = desk.run("old", ["restore", "--into", "docs/0"]).exits(1);
    assert!(ran.stderr.starts_with("strongroom: docs/0: making the target: "), "{}", ran.stderr);
}

#[cfg(unix)]
#[test]
fn nobody_else_looks_into_what_a_restore_makes() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::with_vault();
    fs::create_dir(desk.path("docs")).unwrap();
    fs::write(desk.path("docs/a"), "mine").unwrap();
    desk.run("old", ["backup", "files", "docs"]).exits(0);
    desk.run("old", ["restore", "--into", "out"]).exits(0);
    for folder in ["out", "out/files", "out/files/docs"] {
        assert_eq!(fs::metadata(desk.path(folder)).unwrap().permissions().mode() & 0o777, 0o700, "{folder}");
    }
}

#[test]
fn a_head_code_on_paper_tells_a_new_device_whether_the_store_is_new() {
    let desk = Desk::with_vault();
    copy_folder(&desk.path("store"), &desk.path("earlier"));
    desk.run("old", ["devices", "rotate"]).exits(0);
    let shown = desk.run("old", ["--json", "devices", "head-code"]).exits(0).json();
    let head_code = shown["head_code"].as_str().unwrap();
    let text = desk.run("old", ["devices", "head-code"]).exits(0).text();
    let (picture, below) = text.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(below, head_code);
    assert!(picture.lines().count() > 10 && !picture.contains("\\n"), "{picture}");
    let code = desk.arg("code");
    let recover = ["recover", "--code-file", &code, "--head-code"];
    desk.run("new", recover.iter().chain([&head_code])).exits(0);
    assert_eq!(desk.run("new", ["--json", "check"]).exits(0).json()["freshness"], "fresh");
    desk.run("tablet", recover.iter().chain([&head_code.get(5..).unwrap()])).exits(4);
    fs::remove_dir_all(desk.path("store")).unwrap();
    copy_folder(&desk.path("earlier"), &desk.path("store"));
    desk.run("tablet", recover.iter().chain([&head_code])).exits(5);
}

#[test]
fn a_device_that_joined_is_listed_with_the_others() {
    let desk = Desk::with_vault();
    desk.recover("new");
    let devices = desk.run("new", ["--json", "devices", "list"]).exits(0).json();
    let devices = devices["devices"].as_array().unwrap();
    assert_eq!(
        (devices.len(), devices[0]["name"].as_str(), devices[1]["name"].as_str()),
        (2, Some("unnamed device"), Some("new"))
    );
    assert!(devices.iter().all(|device| device["state"] == "active" && device["last_commit_ms"].is_i64()));
    assert_ne!(devices[0]["id"], devices[1]["id"]);
}

#[test]
fn a_vaults_own_folders_are_no_part_of_a_backup() {
    let desk = Desk::with_vault();
    fs::write(desk.path("mine"), "text").unwrap();
    let whole = desk.path("").canonicalize().unwrap();
    desk.run("old", ["backup", "files", whole.to_str().unwrap(), "--as", "desk"]).exits(0);
    let listed = desk.run("old", ["ls", "files"]).exits(0).text();
    let paths: Vec<_> = listed.lines().filter_map(|line| line.split('\t').nth(3)).collect();
    assert_eq!(paths, ["desk/code", "desk/mine"]);
}

#[test]
fn the_switches_and_the_ledger_need_no_store() {
    let desk = Desk::with_vault();
    fs::remove_dir_all(desk.path("store")).unwrap();
    let run = |args: &[&str]| {
        let mut command = desk.command("old");
        let output = command.env_remove("STRONGROOM_STORE").args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(run(&["consent", "revoke", "photos"]).contains("photos\toff"));
    assert!(run(&["consent"]).contains("notes\ton"));
    assert!(run(&["ledger"]).lines().count() > 3);
}

#[test]
fn one_contact_and_one_message_are_found_by_what_the_list_says() {
    let desk = Desk::with_vault();
    fs::write(desk.path("sms.xml"), MESSAGES).unwrap();
    fs::write(desk.path("all.vcf"), CARDS).unwrap();
    for (kind, file, wanted) in
        [("messages", "sms.xml", &b"<sms"[..]), ("contacts", "all.vcf", &b"BEGIN:VCARD"[..])]
    {
        desk.run("old", ["backup", kind, &desk.arg(file)]).exits(0);
        let listed = desk.run("old", ["ls", kind]).exits(0).text();
        assert_eq!(listed.contains("\t-\t"), kind == "contacts", "a card has no time: {listed}");
        let path = listed.lines().next().unwrap().split('\t').nth(3).unwrap().to_owned();
        let record = desk.run("old", ["cat", &format!("{kind}:{path}")]).exits(0).stdout;
        assert!(record.trim_ascii_start().starts_with(wanted), "{}", String::from_utf8_lossy(&record));
    }
}

#[test]
fn a_code_is_read_from_standard_input() {
    let desk = Desk::with_vault();
    let code = fs::File::open(desk.path("code")).unwrap();
    let mut command = desk.command("new");
    let output = command.args(["recover", "--code-file", "-"]).stdin(code).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
}
