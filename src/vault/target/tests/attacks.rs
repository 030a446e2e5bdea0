//! Attacks M3, M4 and M5: whatever is restored and whatever happens meanwhile, nothing outside changes.

use super::*;
use crate::vault::component::Platform;
use crate::vault::folder::tests::while_swapping;

/// Two folders side by side, so that `../outside` leads from one to the other.
struct Scene {
    _both: TempDir,
    inside: PathBuf,
    outside: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let both = folder();
        let (inside, outside) = (both.path().join("inside"), both.path().join("outside"));
        for name in ["d", "e"] {
            fs::create_dir_all(outside.join(name)).unwrap();
            fs::write(outside.join(name).join("file"), "precious").unwrap();
        }
        fs::write(outside.join("file"), "precious").unwrap();
        fs::create_dir(&inside).unwrap();
        Self { _both: both, inside, outside }
    }

    /// Runs `attack`; afterwards everything outside is as it was, and nothing new stands beside.
    fn hold(&self, attack: impl FnOnce()) {
        let (before, beside) = (snapshot(&self.outside), self.beside());
        attack();
        assert!(snapshot(&self.outside) == before, "the outside changed");
        assert_eq!(self.beside(), beside);
    }

    fn beside(&self) -> Vec<PathBuf> {
        let parent = self.inside.parent().unwrap();
        let mut names: Vec<_> = fs::read_dir(parent).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        names
    }

    fn target(&self, overwrite: Overwrite) -> Target {
        Target::create(&self.inside).unwrap().overwrite(overwrite)
    }
}

/// Some 700 names that mean something else to some system.
fn hostile_names(outside: &Path) -> Vec<Vec<u8>> {
    let absolute = outside.join("file").display().to_string();
    let mut texts: Vec<String> = [
        "",
        ".",
        "..",
        "...",
        "....",
        "/",
        "//",
        "\\",
        "\\\\",
        "~",
        "~root",
        "-",
        "--",
        "*",
        "?",
        ":",
        " ",
        "  ",
        "\u{2024}\u{2024}",
        "\u{ff0e}\u{ff0e}",
        "\u{2025}",
        "\u{2215}",
        "\u{ff0f}",
        "\u{29f8}",
        "\u{ff3c}",
        "..\u{200c}",
        "\u{200d}..",
        ".\u{ad}.",
        "\u{202e}txt.exe",
        "\u{feff}..",
        "a\u{301}",
        "á",
        "İ",
        "ı",
        "ſ",
        "K",
        "C:",
        "C:\\",
        "C:/",
        "c:file",
        "C:..\\outside",
        "\\\\?\\C:\\x",
        "\\\\.\\NUL",
        "\\\\host\\share\\x",
        "//host/share",
        "\\\\?\\UNC\\h\\s",
        "\\??\\C:\\x",
        "file::$DATA",
        "file:stream",
        "$MFT",
        "d::$INDEX_ALLOCATION",
        "PROGRA~1",
        "desktop.ini",
        "%2e%2e",
        "%2e%2e%2f",
        "..%2f",
        "..%5c",
        "..;",
        "a/../../outside/file",
        "outside/../..",
        "./../outside/file",
        "d/..",
        "d/.",
        "d/",
        "../inside/../outside/file",
        "/proc/self/cwd",
        "/dev/null",
        "/etc/passwd",
        "\n",
        "\r\n",
        "\t..",
        "\u{7f}",
        "\u{1b}[2J",
        "{}",
        "$(touch x)",
        "`x`",
        ".git",
    ]
    .map(String::from)
    .to_vec();
    texts.push(absolute);
    for up in ["../", "..\\", "./../", ".\\..\\", "/../", "\\..\\", "a/../../"] {
        for times in 1..=8 {
            for end in ["outside/file", "outside\\file", "outside", ""] {
                texts.push(format!("{}{end}", up.repeat(times)));
            }
        }
    }
    let numbered =
        |port: &str| "0123456789¹²³".chars().map(move |n| format!("{port}{n}")).collect::<Vec<_>>();
    let mut devices: Vec<String> =
        ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].map(String::from).to_vec();
    devices.extend([numbered("COM"), numbered("lpt")].concat());
    for device in devices {
        for end in ["", ".txt", ".tar.gz", " .txt", ".", " ", ":", ":stream"] {
            texts.push(format!("{device}{end}"));
        }
    }
    for end in [".", "..", " ", " .", ". ", "\0", "\0/../x", "/", "\\", "/.", "/..", "\u{0}.txt"] {
        for start in ["file", "..", ".", "d", "é"] {
            texts.push(format!("{start}{end}"));
        }
    }
    let mut names: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
    names.extend((250..=260).map(|length| vec![b'x'; length]));
    names.extend([vec![b'.'; 255], vec![b'/'; 9000], b"..\xc0\xaf".to_vec(), b"\xc0\xae\xc0\xae".to_vec()]);
    names.extend((0x80..=0xff).map(|byte| vec![byte]));
    names.sort();
    names.dedup();
    names
}

#[test]
fn attack_m3_hostile_names_never_leave_the_target() {
    for overwrite in [Overwrite::No, Overwrite::Replace] {
        let scene = Scene::new();
        let hostile = hostile_names(&scene.outside);
        assert!(hostile.len() >= 600, "{}", hostile.len());
        let accepted: Vec<_> = hostile.iter().filter_map(|name| Component::parse(name).ok()).collect();
        assert!(accepted.len() > 200 && accepted.len() < hostile.len() - 100, "{}", accepted.len());
        scene.hold(|| {
            let mut target = scene.target(overwrite);
            let below = Component::parse(b"below").unwrap();
            for name in &accepted {
                put(&mut target, &[Component::parse(b"files").unwrap(), name.clone()], b"x").unwrap();
                target.folder(std::slice::from_ref(name), plain()).unwrap();
                put(&mut target, &[name.clone(), below.clone()], b"x").unwrap();
            }
            for name in &accepted {
                target.link(&[Component::parse(b"links").unwrap(), name.clone()], b"x", plain()).unwrap();
            }
            no_problems(&target.finish());
        });
        // Each name that was accepted is exactly there, and nothing else is.
        let mut expected: Vec<_> = accepted.iter().map(|name| name.as_bytes().to_vec()).collect();
        let listed = |path: &Path| {
            let mut names: Vec<_> =
                fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().into_encoded_bytes()).collect();
            names.sort();
            names
        };
        assert_eq!(listed(&scene.inside.join("files")), expected);
        assert_eq!(listed(&scene.inside.join("links")), expected);
        expected.extend([b"files".to_vec(), b"links".to_vec()]);
        expected.sort();
        assert_eq!(listed(&scene.inside), expected);
    }
}

#[test]
fn attack_m3_names_accepted_for_windows_mean_only_themselves_there() {
    for name in hostile_names(Path::new("/outside")) {
        if Component::check_for(Platform::Windows, &name).is_err() {
            continue;
        }
        let text = String::from_utf8(name).unwrap();
        assert!(Component::check_for(Platform::Unix, text.as_bytes()).is_ok(), "{text}");
        assert!(!text.contains(['\\', '/', ':', '\0']) && !text.ends_with(['.', ' ']), "{text}");
        let stem = text.split('.').next().unwrap().trim_end().to_uppercase();
        let port = ["COM", "LPT"].iter().any(|port| stem.starts_with(port) && stem.chars().count() == 4);
        assert!(
            !port && !["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].contains(&stem.as_str()),
            "{text}"
        );
    }
}

/// Every order of a link to the outside, a folder of its name, and files under it.
#[test]
fn attack_m4_links_are_made_last_and_never_written_through() {
    let steps: [fn(&mut Target, &Path); 4] = [
        |target, outside| drop(target.link(&path("d"), outside.as_os_str().as_encoded_bytes(), plain())),
        |target, _| drop(put(target, &path("d/file"), b"overwritten")),
        |target, _| drop(target.folder(&path("d/e"), Attributes { mode: 0o777, ..plain() })),
        |target, _| drop(put(target, &path("d/e/file"), b"overwritten")),
    ];
    for overwrite in [Overwrite::No, Overwrite::Replace] {
        for order in 0..256_usize {
            let scene = Scene::new();
            scene.hold(|| {
                let mut target = scene.target(overwrite);
                for digit in 0..4 {
                    steps[(order >> (2 * digit)) % 4](&mut target, &scene.outside);
                }
                let _some_cannot_be_made = target.finish();
            });
        }
    }
}

#[test]
fn attack_m4_a_link_under_a_link_reaches_only_the_target() {
    let scene = Scene::new();
    scene.hold(|| {
        let mut target = scene.target(Overwrite::No);
        target.link(&path("a"), b"../outside", plain()).unwrap();
        target.link(&path("a/new"), b"x", plain()).unwrap();
        target.link(&path("b"), b"../outside/new", plain()).unwrap();
        let finished = target.finish();
        assert!(matches!(finished.problems[..], [Problem { error: ItemError::AlreadyThere, .. }]));
    });
    assert_eq!(names(&scene.inside), ["a", "a/new", "b"]);
}

#[test]
fn attack_m4_links_that_were_there_before_lead_nowhere() {
    for overwrite in [Overwrite::No, Overwrite::Replace] {
        let scene = Scene::new();
        symlink("../outside", scene.inside.join("d")).unwrap();
        symlink("../outside/file", scene.inside.join("file")).unwrap();
        scene.hold(|| {
            let mut target = scene.target(overwrite);
            for at in ["d/file", "d/new", "d/e/file"] {
                assert!(matches!(put(&mut target, &path(at), b"overwritten"), Err(ItemError::NotAFolder)));
                assert!(matches!(target.folder(&path(at), plain()), Err(ItemError::NotAFolder)));
                assert!(matches!(target.link(&path(at), b"x", plain()), Err(ItemError::NotAFolder)));
            }
            assert!(matches!(target.folder(&path("d"), plain()), Err(ItemError::NotAFolder)));
            let replaced = put(&mut target, &path("file"), b"new").is_ok();
            assert_eq!(replaced, overwrite == Overwrite::Replace);
            no_problems(&target.finish());
        });
    }
}

#[test]
fn attack_m4_a_folder_swapped_for_a_link_during_the_restore_leads_nowhere() {
    for overwrite in [Overwrite::No, Overwrite::Replace] {
        let scene = Scene::new();
        fs::create_dir(scene.inside.join("d")).unwrap();
        symlink(&scene.outside, scene.inside.join("swap")).unwrap();
        let (mut written, mut refused) = (0, 0);
        let mut count = |fine: bool| if fine { written += 1 } else { refused += 1 };
        let restore = |round: u32| {
            let mut target = scene.target(overwrite);
            let attributes = Attributes { mode: 0o700 + round % 8, ..plain() };
            count(target.folder(&path("d"), attributes).is_ok());
            count(put(&mut target, &path("d/file"), b"overwritten").is_ok());
            count(target.folder(&path("d/e"), plain()).is_ok());
            count(put(&mut target, &path(&format!("d/e/{round}")), b"new").is_ok());
            let _leaves_the_folder = put(&mut target, &path(&format!("other/{round}")), b"new");
            count(target.link(&path(&format!("d/link {round}")), b"x", plain()).is_ok());
            count(target.finish().problems.is_empty());
        };
        let (d, swap) = (scene.inside.join("d"), scene.inside.join("swap"));
        scene.hold(|| while_swapping(&d, &swap, || (0..400).for_each(restore)));
        assert!(written > 0 && refused > 0, "no race: {written} written, {refused} refused");
    }
}

#[test]
fn attack_m5_a_hostile_tree_from_an_own_device() {
    let scene = Scene::new();
    scene.hold(|| {
        let mut target = scene.target(Overwrite::No);
        let special = |mode| Attributes { mode, ..plain() };
        target.folder(&path("folder"), special(0o7777)).unwrap();
        for (name, mode) in [("setuid", 0o4755), ("setgid", 0o2755), ("all", u32::MAX)] {
            let mut file = target.file(&path(&format!("folder/{name}"))).unwrap();
            file.write(b"#!/bin/sh").unwrap();
            file.finish(special(mode)).unwrap();
        }
        // The same item twice, a file as a folder, a folder as a file, and items without a name.
        assert!(matches!(put(&mut target, &path("folder/all"), b"x"), Err(ItemError::AlreadyThere)));
        assert!(matches!(put(&mut target, &path("folder/all/below"), b"x"), Err(ItemError::NotAFolder)));
        assert!(matches!(put(&mut target, &path("folder"), b"x"), Err(ItemError::AlreadyThere)));
        assert!(matches!(put(&mut target, &[], b"x"), Err(ItemError::NoName)));
        assert!(matches!(target.folder(&[], plain()), Err(ItemError::NoName)));
        assert!(matches!(target.link(&[], b"x", plain()), Err(ItemError::NoName)));
        // Links to anywhere are the owner's; those that cannot be are reported.
        for (name, to) in [("up", b"../outside".as_slice()), ("away", b"/etc"), ("long", &[b'x'; 9000])] {
            target.link(&path(name), to, special(0o4777)).unwrap();
        }
        target.link(&path("empty"), b"", plain()).unwrap();
        target.link(&path("nul"), b"a\0b", plain()).unwrap();
        target.link(&path("up"), b"twice", plain()).unwrap();
        let finished = target.finish();
        assert_eq!(finished.problems.len(), 4, "{:?}", finished.problems);
    });
    for Facts { attributes, .. } in facts(&scene.inside) {
        assert_eq!(attributes.mode & 0o7000, 0);
    }
    assert_eq!(names(&scene.inside).len(), 6);
    assert_eq!(fs::read_link(scene.inside.join("up")).unwrap(), Path::new("../outside"));
}

/// Records of an own device, restored over what is there, must not replace keys, pins or objects.
#[test]
fn attack_m5_a_folder_that_is_left_alone_is_never_entered() {
    let root = folder();
    let own = root.path().join("files/home/own");
    fs::create_dir_all(own.join("deep")).unwrap();
    fs::write(own.join("keys"), "keys").unwrap();
    symlink(&own, root.path().join("files/way")).unwrap();
    let before = snapshot(&own);
    let alone = Alone::find(&["files/way", "missing"].map(|name| root.path().join(name))).unwrap();
    let target = Target::create(root.path()).unwrap().overwrite(Overwrite::Replace);
    let mut target = target.leaving(alone);
    for name in ["keys", "new", "deep/new", "folder/new"] {
        let at = path(&format!("files/home/own/{name}"));
        assert!(matches!(put(&mut target, &at, b"evil"), Err(ItemError::LeftAlone)), "{name}");
        assert!(matches!(target.folder(&at, plain()), Err(ItemError::LeftAlone)), "{name}");
        assert!(matches!(target.link(&at, b"evil", plain()), Err(ItemError::LeftAlone)), "{name}");
    }
    // Its own attributes are left alone, too, and nothing takes its place.
    assert!(matches!(target.folder(&path("files/home/own"), plain()), Err(ItemError::LeftAlone)));
    assert!(put(&mut target, &path("files/home/own"), b"evil").is_err());
    // Nor does the link by which it is found lead elsewhere afterwards.
    let way = path("files/way");
    assert!(matches!(put(&mut target, &way, b"evil"), Err(ItemError::AlreadyThere)));
    assert!(matches!(target.link(&way, b"elsewhere", plain()), Err(ItemError::AlreadyThere)));
    assert!(target.folder(&way, plain()).is_err());
    put(&mut target, &path("files/home/other"), b"beside").unwrap();
    no_problems(&target.finish());
    assert_eq!(fs::read_link(root.path().join("files/way")).unwrap(), own);
    assert_eq!(snapshot(&own), before);
    assert_eq!(fs::read(root.path().join("files/home/other")).unwrap(), b"beside");
}
