//! What goes wrong has its own exit status, and a line on standard error.

use std::{fs, path::PathBuf};

use super::support::{Desk, copy_folder, entries, noise};

fn docs(desk: &Desk, text: &str) -> String {
    fs::create_dir_all(desk.path("docs")).unwrap();
    fs::write(desk.path("docs/note"), text).unwrap();
    desk.arg("docs")
}

#[test]
fn a_second_init_is_refused_and_leaves_nothing_behind() {
    let desk = Desk::with_vault();
    let store = desk.store();
    let same_home = desk.run("old", ["init", "--code-file", &desk.arg("code 2")]).exits(1);
    assert!(same_home.stderr.contains("old: a vault is already in this home"), "{}", same_home.stderr);
    let same_store = desk.run("other", ["init", "--code-file", &desk.arg("code 2")]).exits(1);
    assert!(same_store.stderr.contains("already in this store: recover or"), "{}", same_store.stderr);
    let new_store = format!("file:{}", desk.arg("new store"));
    let old_home =
        desk.run("old", ["--store", &new_store, "init", "--code-file", &desk.arg("code 2")]).exits(1);
    assert_eq!(old_home.stderr, same_home.stderr);
    assert!(["code 2", "other", "new store"].iter().all(|left| !desk.path(left).exists()));
    assert_eq!(desk.store(), store);
    let recovered = desk.run("old", ["recover", "--code-file", &desk.arg("code")]).exits(1);
    assert_eq!(recovered.stderr, same_home.stderr);
}

#[test]
fn a_home_is_not_made_among_other_things() {
    let desk = Desk::with_vault();
    fs::create_dir(desk.path("docs")).unwrap();
    fs::write(desk.path("docs/letter"), "dear").unwrap();
    let (store, before) = (desk.store(), entries(&desk.path("docs")));
    let commands =
        [&["init"][..], &["recover", "--code-file", "code"], &["devices", "join", "--text-file", "code"]];
    for args in commands {
        let ran = desk.run("docs", args).exits(2);
        assert!(ran.stderr.contains("docs: this folder holds other things: name an empty"), "{}", ran.stderr);
        assert_eq!((desk.store(), entries(&desk.path("docs"))), (store.clone(), before.clone()));
    }
    fs::create_dir(desk.path("empty")).unwrap();
    desk.recover("empty");
}

#[test]
fn what_an_earlier_try_left_in_a_home_is_no_hindrance() {
    let desk = Desk::with_vault();
    fs::create_dir(desk.path("docs")).unwrap();
    fs::write(desk.path("docs/letter"), "dear").unwrap();
    let elsewhere = Desk::with_vault();
    desk.run("new", ["recover", "--code-file", &elsewhere.arg("code")]).exits(4);
    assert!(desk.path("new/ledger").exists());
    desk.recover("new");

    // All files that a home may have, and a device that was not ready.
    desk.run("new", ["consent", "grant", "files"]).exits(0);
    desk.run("new", ["backup", "files", "docs"]).exits(0);
    fs::write(desk.path("new/fork-1f2e3d4c-17.proof"), "").unwrap();
    for copy in ["ready.0", "ready.1"] {
        let _ = fs::remove_file(desk.path("new").join(copy));
    }
    desk.recover("new");
}

#[test]
fn a_code_file_is_never_overwritten_and_nothing_is_made_without_it() {
    let desk = Desk::new();
    fs::write(desk.path("code"), "mine").unwrap();
    for code in ["code", "no such folder/code"] {
        desk.run("old", ["init", "--code-file", &desk.arg(code)]).exits(1);
        assert!(!desk.path("store").exists() && !desk.path("old").exists());
    }
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
    let mut typo = code.trim_end().to_owned();
    typo.pop();
    typo.push_str(last);
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

    // What the README says: go on from there, and back up once more.
    let text = desk.run("old", ["sync", "--re-anchor"]).exits(0).text();
    assert!(text.ends_with("is sent with the next backup of each source\n"), "{text}");
    desk.run("old", ["backup", "files", &docs_arg]).exits(0);
    // Whose edit it was nobody knows any more: the earlier version is kept beside.
    desk.run("old", ["restore", "--into", "out"]).exits(0);
    assert_eq!(fs::read(desk.path("out/files/docs/note")).unwrap(), b"second, longer");
    assert_eq!(entries(&desk.path("out/files/docs")).len(), 2);
}

#[test]
fn a_home_put_back_to_an_earlier_copy_gives_way_to_a_new_one() {
    let desk = Desk::with_vault();
    let docs_arg = docs(&desk, "first");
    copy_folder(&desk.path("old"), &desk.path("copy"));
    desk.run("old", ["backup", "files", &docs_arg]).exits(0);
    docs(&desk, "second, longer");
    let refused = desk.run("copy", ["backup", "files", &docs_arg]).exits(5);
    assert!(
        refused.stderr.contains("enroll the device again, in a new, empty home (README: "),
        "{refused:?}"
    );

    // What the README says.
    desk.recover("new");
    desk.run("new", ["consent", "grant", "files"]).exits(0);
    desk.run("new", ["backup", "files", &docs_arg]).exits(0);
    let listed = desk.run("new", ["--json", "devices"]).exits(0).json();
    let id = listed["devices"][0]["id"].as_str().unwrap();
    desk.run("new", ["devices", "revoke", id]).exits(0);
    desk.run("new", ["restore", "--into", "out"]).exits(0);
    // To the new home the folder is new: the earlier version is kept beside.
    assert_eq!(entries(&desk.path("out/files/docs")).len(), 2);
}

#[test]
fn the_proof_of_a_fork_is_kept_whichever_command_finds_it() {
    let desk = Desk::with_vault();
    let docs_arg = docs(&desk, "first");
    desk.recover("new");
    desk.run("new", ["consent", "grant", "files"]).exits(0);
    copy_folder(&desk.path("old"), &desk.path("copy"));
    copy_folder(&desk.path("store"), &desk.path("other store"));
    desk.run("old", ["backup", "files", &docs_arg]).exits(0);
    desk.run("new", ["sync"]).exits(0);
    docs(&desk, "second, longer");
    let other = format!("file:{}", desk.arg("other store"));
    desk.run("copy", ["--store", &other, "backup", "files", &docs_arg]).exits(0);
    for args in [&["sync"][..], &["backup", "files", &docs_arg]] {
        let ran = desk.run("new", ["--store", &other].iter().chain(args)).exits(5);
        let proof = ran.stderr.split(['/', ':']).find(|part| part.ends_with(".proof")).unwrap();
        desk.run("new", ["verify-proof", &desk.arg(&format!("new/{proof}"))]).exits(0);
        fs::remove_file(desk.path("new").join(proof)).unwrap();
    }
}

#[test]
fn nothing_is_gone_back_on_where_nothing_went_back() {
    let (desk, packs) = desk_with_packs();
    desk.run("old", ["sync", "--re-anchor"]).exits(2);
    fs::remove_file(&packs[0]).unwrap();
    let before = desk.store();
    let refused = desk.run("old", ["sync", "--re-anchor"]).exits(2);
    assert!(refused.stderr.contains("nothing went back"), "{}", refused.stderr);
    assert_eq!(desk.store(), before);
}

/// A vault with eight files of noise, and the paths of its packs in the store.
fn desk_with_packs() -> (Desk, Vec<PathBuf>) {
    let desk = Desk::with_vault();
    fs::create_dir(desk.path("docs")).unwrap();
    for (number, part) in noise(24_000_000).chunks(3_000_000).enumerate() {
        fs::write(desk.path(&format!("docs/file {number}")), part).unwrap();
    }
    desk.run("old", ["backup", "files", &desk.arg("docs")]).exits(0);
    let ledger = desk.run("old", ["--json", "ledger"]).exits(0).json();
    let lines = ledger["lines"].as_array().unwrap().iter().filter(|line| line["object"] == "pack");
    let ids: Vec<_> = lines.map(|line| line["name"].as_str().unwrap().rsplit('/').next().unwrap()).collect();
    let store = desk.store();
    let path = |id: &&str| {
        let name = store.keys().find(|name| name.ends_with(id.as_bytes())).unwrap();
        desk.path("store").join(str::from_utf8(name).unwrap())
    };
    let packs: Vec<_> = ids.iter().map(path).collect();
    assert!(packs.len() > 2, "{packs:?}");
    (desk, packs)
}

#[test]
fn what_lay_in_a_missing_pack_is_named_and_the_rest_comes_back() {
    let (desk, packs) = desk_with_packs();
    let mut named = false;
    for pack in &packs {
        let (hidden, out) = (desk.path("hidden"), desk.path("out"));
        fs::rename(pack, &hidden).unwrap();
        desk.run("old", ["check"]).exits(3);
        let ran = desk.run("old", ["restore", "--into", &desk.arg("out")]).exits(3);
        for line in ran.stderr.lines() {
            assert!(line.starts_with("strongroom: lost: files:"), "{line}");
        }
        named |= ran.stderr.contains("files:docs/file ");
        for number in 0..8 {
            let name = format!("docs/file {number}");
            let whole = fs::read(out.join("files").join(&name))
                .is_ok_and(|bytes| bytes == fs::read(desk.path(&name)).unwrap());
            let said = ["entries ", "everything ", &name].iter().any(|text| ran.stderr.contains(text));
            assert!(whole || said, "{name} is neither whole nor named:\n{}", ran.stderr);
        }
        let _ = fs::remove_dir_all(out);
        fs::rename(&hidden, pack).unwrap();
    }
    assert!(named, "no pack held a file's content");
    desk.run("old", ["restore", "--into", &desk.arg("whole")]).exits(0);
}

#[test]
fn a_check_that_reads_the_data_finds_a_changed_byte() {
    let (desk, packs) = desk_with_packs();
    let sound = desk.run("old", ["--json", "check", "--read-data"]).exits(0).json();
    assert_eq!(sound["failures"].as_array().unwrap().len(), 0);
    assert_eq!(sound["packs"].as_u64().unwrap(), packs.len() as u64);
    assert!(sound["bytes_read"].as_u64().unwrap() > 24_000_000);
    assert!(desk.run("old", ["check"]).exits(0).text().contains("freshness: fresh"));

    let mut bytes = fs::read(&packs[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(&packs[0]).unwrap();
    fs::write(&packs[0], bytes).unwrap();
    let found = desk.run("old", ["check", "--read-data=100"]).exits(3);
    assert!(found.stderr.starts_with("strongroom: lost: files:"), "{}", found.stderr);
    desk.run("old", ["check", "--read-data=101"]).exits(2);
}

#[test]
fn a_check_names_each_lost_pack_once_however_many_devices_are_in_step() {
    let (desk, packs) = desk_with_packs();
    desk.recover("new");
    desk.run("new", ["sync"]).exits(0);
    desk.run("old", ["sync"]).exits(0);
    let sound = desk.run("old", ["--json", "check"]).exits(0).json();
    assert_eq!(sound["packs"].as_u64().unwrap(), packs.len() as u64);
    let (lost, spoiled) = (&packs[0], &packs[1]);
    fs::remove_file(lost).unwrap();
    let mut bytes = fs::read(spoiled).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(spoiled).unwrap();
    fs::write(spoiled, bytes).unwrap();
    let found = desk.run("old", ["check", "--read-data"]).exits(3);
    for (pack, what) in [(lost, "missing"), (spoiled, "damaged")] {
        let name = pack.file_name().unwrap().to_str().unwrap();
        let line = format!("lost: files:(pack objects/{name}): {what} pack");
        assert_eq!(found.stderr.matches(&line).count(), 1, "{line}: {}", found.stderr);
    }
}

#[test]
fn a_repair_lets_the_next_backup_send_what_was_lost() {
    let (desk, packs) = desk_with_packs();
    fs::remove_file(&packs[0]).unwrap();
    desk.run("old", ["check"]).exits(3);
    desk.run("old", ["repair", "movies"]).exits(2);
    desk.run("old", ["consent", "revoke", "notes", "photos"]).exits(0);
    desk.run("old", ["repair", "notes"]).exits(6);
    let done = desk.run("old", ["--json", "repair"]).exits(0).json();
    let rest = packs.len() as u64 - 1;
    assert_eq!(done["kinds"]["files"], serde_json::json!({ "lost": 1, "packs": rest, "bytes_read": 0 }));
    assert!(done["kinds"]["notes"].is_null() && done["kinds"]["calls"]["lost"] == 0, "{done}");
    let again = desk.run("old", ["repair", "files", "--read-data"]).exits(0);
    assert!(
        again.text().contains("files\t0 packs lost") && !again.text().contains("back up"),
        "{}",
        again.text()
    );
    desk.run("old", ["backup", "files", &desk.arg("docs")]).exits(0);
    desk.run("old", ["check", "--read-data"]).exits(0);
    desk.run("old", ["restore", "--into", &desk.arg("whole")]).exits(0);
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
        &["--store", "backup", "ls"],
        &["--store", "ftp://backup", "ls"],
    ] {
        let ran = desk.run("old", args).exits(2);
        assert_eq!(ran.stdout, b"", "{args:?}");
        assert!(ran.stderr.starts_with("strongroom: "), "{args:?}: {}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{args:?}: {}", ran.stderr);
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
    docs(&desk, "text");
    fs::create_dir(desk.path("docs/deep")).unwrap();
    desk.run("old", ["backup", "files", "docs"]).exits(0);
    for (path, said) in [
        ("docs", "content at this path: it is a folder"),
        ("docs/deep/", "content at this path: it is a folder"),
        ("docs/none", "an entry at this path"),
    ] {
        let ran = desk.run("old", ["cat", &format!("files:{path}")]).exits(1);
        assert_eq!(ran.stderr, format!("strongroom: not found: {said}\n"));
    }
    let ran = desk.run("old", ["backup", "files", "no such folder"]).exits(1);
    assert!(ran.stderr.starts_with("strongroom: no such folder: "), "{}", ran.stderr);
    fs::write(desk.path("text.xml"), "not XML at all").unwrap();
    let ran = desk.run("old", ["backup", "messages", "text.xml"]).exits(1);
    assert!(ran.stderr.starts_with("strongroom: text.xml: "), "{}", ran.stderr);

    let empty = Desk::new();
    empty.run("new", ["recover", "--code-file", &desk.arg("code")]).exits(1);
}

#[test]
fn an_error_names_the_option_or_the_home_that_it_is_about() {
    let desk = Desk::with_vault();
    let ran = desk.run("new", ["recover", "--code-file", "code", "--head-code", "zzz"]).exits(4);
    assert!(ran.stderr.starts_with("strongroom: --head-code: the code has a typing"), "{}", ran.stderr);
    let ran = desk.run("old", ["ls", "--at", "yesterday"]).exits(2);
    let said =
        "invalid value 'yesterday' for '--at <SNAPSHOT>': a snapshot is named like 1f2e3d4c-17, or latest";
    assert_eq!(ran.stderr, format!("strongroom: {said}\n"));
    fs::create_dir_all(desk.path("odd/ledger")).unwrap();
    let ran = desk.run("odd", ["recover", "--code-file", "code"]).exits(1);
    let said = format!("strongroom: {}: opening the ledger: ", desk.arg("odd"));
    assert!(ran.stderr.starts_with(&said), "{}", ran.stderr);
}

#[test]
fn a_home_without_a_vault_is_named_and_not_made() {
    let desk = Desk::with_vault();
    for args in [&["ls"][..], &["consent"], &["ledger"], &["sync"]] {
        let ran = desk.run("nowhere", args).exits(1);
        assert!(ran.stderr.contains("nowhere: no vault in this home"), "{}", ran.stderr);
        assert!(!desk.path("nowhere").exists());
    }
}

#[test]
fn a_store_that_is_another_one_is_said_to_be_so() {
    let desk = Desk::with_vault();
    fs::create_dir(desk.path("empty")).unwrap();
    let ran = desk.run("old", ["--store", &format!("file:{}", desk.arg("empty")), "ls"]).exits(5);
    assert!(ran.stderr.contains("is it the right store?"), "{}", ran.stderr);
}

#[test]
fn a_secret_is_one_line() {
    let desk = Desk::with_vault();
    fs::write(desk.path("two"), "one\ntwo\n").unwrap();
    let ran = desk.run("old", ["password", "set", "--password-file", &desk.arg("two")]).exits(2);
    assert!(ran.stderr.contains("a secret is one line") && !ran.stderr.contains("one two"), "{}", ran.stderr);
}

#[test]
fn nothing_is_restored_into_the_store_nor_among_the_keys() {
    let desk = Desk::with_vault();
    fs::create_dir(desk.path("docs")).unwrap();
    fs::write(desk.path("docs/letter"), "dear").unwrap();
    desk.run("old", ["backup", "files", "docs"]).exits(0);
    for into in ["store", "store/new/deep", "old", "docs/../old/x", "new/../old/x"] {
        let ran = desk.run("old", ["restore", "--into", into]).exits(2);
        assert!(
            ran.stderr.contains(&format!("{into}: invalid argument: the target lies in")),
            "{}",
            ran.stderr
        );
        assert!(!desk.path(into).join("files").exists() && !desk.path("old/x").exists());
    }
    desk.run("old", ["restore", "--into", "store next to it"]).exits(0);
    assert_eq!(fs::read(desk.path("store next to it/files/docs/letter")).unwrap(), b"dear");
}

#[test]
fn nothing_of_the_store_nor_of_the_keys_is_backed_up_when_it_is_named_as_the_source() {
    let desk = Desk::with_vault();
    fs::create_dir(desk.path("store/deep")).unwrap();
    let before = desk.store();
    let ledger = desk.run("old", ["ledger"]).exits(0).text();
    for (kind, source) in [
        ("files", "old"),
        ("notes", "old/ledger"),
        ("photos", "./old/../old"),
        ("files", "store"),
        ("files", "store/deep"),
    ] {
        let ran = desk.run("old", ["backup", kind, source, "--as", "mine"]).exits(2);
        let said =
            format!("{source}: invalid argument: the source lies in a folder that is to be left alone");
        assert!(ran.stderr.contains(&said), "{}", ran.stderr);
    }
    assert_eq!(desk.store(), before);
    assert_eq!(desk.run("old", ["ledger"]).exits(0).text(), ledger);
}

#[test]
fn an_error_that_an_option_would_have_avoided_names_it() {
    let desk = Desk::with_vault();
    desk.run("old", ["consent", "revoke", "files"]).exits(0);
    fs::create_dir(desk.path("docs")).unwrap();
    let ran = desk.run("old", ["backup", "files", "docs"]).exits(6);
    assert!(ran.stderr.contains("strongroom consent grant files"), "{}", ran.stderr);
    desk.run("old", ["consent", "grant", "files"]).exits(0);
    (0..60).for_each(|n| fs::write(desk.path(&format!("docs/{n}")), "text").unwrap());
    desk.run("old", ["backup", "files", "docs"]).exits(0);
    (0..60).for_each(|n| fs::remove_file(desk.path(&format!("docs/{n}"))).unwrap());
    let ran = desk.run("old", ["backup", "files", "docs"]).exits(1);
    assert!(ran.stderr.contains("--confirm-deletions"), "{}", ran.stderr);
}
