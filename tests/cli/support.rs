//! A desk with a store and devices on it, and folders to back up.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, UNIX_EPOCH},
};

use serde_json::Value;

/// What a run of the command left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ran {
    #[track_caller]
    pub(crate) fn exits(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{self:?}\n{}", String::from_utf8_lossy(&self.stdout));
        self
    }

    /// Standard output holds one JSON object and nothing else.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let value: Value = serde_json::from_slice(&self.stdout).unwrap();
        assert!(value.is_object());
        value
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }
}

pub(crate) struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// With a vault and its first device, on which every kind is on.
    pub(crate) fn with_vault() -> Self {
        let desk = Self::new();
        desk.run(
            "old",
            ["init", "--code-file"].map(OsStr::new).into_iter().chain([desk.path("code").as_os_str()]),
        )
        .exits(0);
        desk.run("old", ["consent", "grant", "files", "messages", "calls", "notes", "photos", "contacts"])
            .exits(0);
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The path as text: for arguments.
    pub(crate) fn arg(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// The command with this store, and the home of `device`.
    pub(crate) fn command(&self, device: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
        command.env("STRONGROOM_STORE", format!("file:{}", self.arg("store")));
        command.env("STRONGROOM_HOME", self.path(device)).current_dir(self.folder.path());
        command
    }

    pub(crate) fn run(&self, device: &str, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ran {
        let output = self.command(device).args(args).output().unwrap();
        Ran {
            status: output.status.code().unwrap(),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub(crate) fn recover(&self, device: &str) {
        self.run(device, ["recover", "--code-file", &self.arg("code"), "--name", device]).exits(0);
    }

    /// Every object of the store.
    pub(crate) fn store(&self) -> BTreeMap<Vec<u8>, Entry> {
        entries(&self.path("store"))
    }
}

/// What an entry of a folder is, as far as a backup has to keep it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) content: Content,
    mode: u32,
    modified_ns: u128,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Content {
    Folder,
    Link(PathBuf),
    File(Vec<u8>),
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Folder => f.write_str("Folder"),
            Self::Link(target) => write!(f, "Link({})", target.display()),
            Self::File(bytes) => write!(f, "File({} bytes)", bytes.len()),
        }
    }
}

/// Everything below a folder, by the bytes of its path.
pub(crate) fn entries(at: &Path) -> BTreeMap<Vec<u8>, Entry> {
    let mut found = BTreeMap::new();
    let mut open = vec![at.to_owned()];
    while let Some(folder) = open.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.strip_prefix(at).unwrap().as_os_str().as_encoded_bytes().to_owned();
            found.insert(name, entry(&path));
            if path.symlink_metadata().unwrap().is_dir() {
                open.push(path);
            }
        }
    }
    found
}

fn entry(path: &Path) -> Entry {
    let meta = path.symlink_metadata().unwrap();
    let modified_ns = meta.modified().unwrap().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let content = if meta.is_symlink() {
        Content::Link(fs::read_link(path).unwrap())
    } else if meta.is_dir() {
        Content::Folder
    } else {
        Content::File(fs::read(path).unwrap())
    };
    #[cfg(unix)]
    let mode = std::os::unix::fs::MetadataExt::mode(&meta);
    #[cfg(not(unix))]
    let mode = 0;
    Entry { content, mode, modified_ns }
}

/// A folder whose names, modes and times are easy to get wrong.
pub(crate) fn odd_folder(at: &Path) {
    fs::create_dir_all(at.join("empty")).unwrap();
    fs::create_dir_all(at.join("a folder/ deep ")).unwrap();
    fs::write(at.join("two  spaces"), "x").unwrap();
    fs::write(at.join("line\nend"), "y").unwrap();
    fs::write(at.join("a folder/ deep /zero"), "").unwrap();
    fs::write(at.join("a folder.txt"), "sorts between").unwrap();
    fs::write(at.join("big"), noise(3_000_000)).unwrap();
    #[cfg(unix)]
    odd_unix(at);
    set_time(&at.join("two  spaces"), Duration::new(1_234_567_890, 123_456_789));
    set_time(&at.join("empty"), Duration::new(1_000_000_000, 1));
}

#[cfg(unix)]
fn odd_unix(at: &Path) {
    use std::os::unix::{
        ffi::OsStrExt as _,
        fs::{PermissionsExt as _, symlink},
    };
    symlink("../nowhere", at.join("a folder/link")).unwrap();
    fs::set_permissions(at.join("two  spaces"), fs::Permissions::from_mode(0o751)).unwrap();
    fs::set_permissions(at.join("empty"), fs::Permissions::from_mode(0o700)).unwrap();
    if cfg!(target_os = "linux") {
        fs::write(at.join(OsStr::from_bytes(b"not \xff utf-8")), "z").unwrap();
    }
}

fn set_time(path: &Path, since: Duration) {
    fs::File::open(path).unwrap().set_modified(UNIX_EPOCH + since).unwrap();
}

/// Bytes that do not compress and do not repeat.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(step).flatten().take(length).collect()
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(path, target).unwrap();
        }
    }
}
