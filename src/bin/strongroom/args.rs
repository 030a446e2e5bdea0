//! What may be typed. Whatever can be refused without a vault is refused here, with status 2.

use std::path::PathBuf;

use clap::{Args as Group, Parser, Subcommand, value_parser};
use strongroom::{
    crypto::{cipher_build, slow_cipher_build},
    kinds::Kind,
    vault::At,
};

use super::values::{What, parse_at, parse_kind, parse_since, parse_what};

const STATUSES: &str = "Exit status:
  0    done
  1    failed, or something was left out (named on standard error)
  2    wrong usage
  3    data of the store is damaged or missing (named), or was written after this device was revoked
  4    wrong recovery code, password or device secret
  5    rollback or fork, a copied or revoked device; or a device was not let in
  6    no consent for this kind of data
  130  interrupted";

/// End-to-end encrypted backup of a device: the store sees only ciphertext.
///
/// Every kind of data is off until it is switched on: init, consent grant, backup.
#[derive(Parser)]
#[command(name = "strongroom", version, long_version = long_version(), propagate_version = true)]
#[command(max_term_width = 100, after_help = STATUSES)]
pub(crate) struct Args {
    /// The store: file:/absolute/path, or a path with a slash in it (not for consent and ledger)
    #[arg(long, global = true, value_name = "URL", env = "STRONGROOM_STORE", hide_env_values = true)]
    pub(crate) store: Option<String>,
    /// The folder of this device's own keys and state
    #[arg(long, global = true, value_name = "DIR", env = "STRONGROOM_HOME", hide_env_values = true)]
    pub(crate) home: Option<PathBuf>,
    /// Memory for buffers and caches, in MiB, at least 24 [default: 64]
    #[arg(long, global = true, value_name = "MIB", value_parser = value_parser!(u16).range(24..))]
    pub(crate) memory: Option<u16>,
    /// Threads that compute [default: one a processor]
    #[arg(long, global = true, value_name = "COUNT", value_parser = value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    /// Print the result as one JSON object, and nothing else
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// No progress and no summary
    #[arg(long, global = true)]
    pub(crate) quiet: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The version, and whether the build is one to ship.
fn long_version() -> String {
    let slow = slow_cipher_build().map(|reason| format!("\nslow build: {reason}")).unwrap_or_default();
    format!("{}\ncipher: {}{slow}", env!("CARGO_PKG_VERSION"), cipher_build())
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a new account and its vault; the recovery code is shown once
    Init(Init),
    /// Join as a new device, with the recovery code or the password
    Recover(Recover),
    /// The switches: which kinds of data may leave this device
    Consent {
        #[command(subcommand)]
        action: Option<ConsentAction>,
    },
    /// Back up folders (notes, photos, files), vCards (contacts), or XML of the app SMS Backup & Restore
    /// (messages, calls)
    Backup(Backup),
    /// All snapshots of all devices, newest first
    Snapshots,
    /// List what is stored: kinds, or the entries of one
    Ls {
        /// A kind, and a path below it
        #[arg(value_name = "KIND[:PATH]", value_parser = parse_what)]
        what: Option<What>,
        /// A snapshot such as 1f2e3d4c-17, or latest
        #[arg(long, value_name = "SNAPSHOT", value_parser = parse_at, default_value = "latest")]
        at: At,
    },
    /// What differs between two snapshots
    Diff {
        /// A snapshot, or latest
        #[arg(value_parser = parse_at)]
        a: At,
        /// A snapshot, or latest
        #[arg(value_parser = parse_at)]
        b: At,
    },
    /// Write one entry's content to standard output
    Cat {
        /// A kind and a path below it
        #[arg(value_name = "KIND:PATH", value_parser = parse_what)]
        what: What,
        /// A snapshot such as 1f2e3d4c-17, or latest
        #[arg(long, value_name = "SNAPSHOT", value_parser = parse_at, default_value = "latest")]
        at: At,
    },
    /// Write back what was backed up, as DIR/KIND/SOURCE/…
    Restore(Restore),
    /// Take over what other devices committed, merge it, and send the result
    Sync(Sync),
    /// Check a proof that one device has two histories; needs neither store nor home
    VerifyProof {
        /// The file that sync wrote
        file: PathBuf,
    },
    /// The account's devices
    Devices {
        #[command(subcommand)]
        action: Option<DevicesAction>,
    },
    /// The password, which opens the vault together with a device secret
    Password {
        #[command(subcommand)]
        action: PasswordAction,
    },
    /// The recovery code
    Recovery {
        #[command(subcommand)]
        action: RecoveryAction,
    },
    /// Verify that all of the newest state of every device is there
    Check {
        /// Also read this share of the data and verify every byte; all of it without a number
        #[arg(long, value_name = "PERCENT", num_args = 0..=1, require_equals = true)]
        #[arg(default_missing_value = "100", value_parser = value_parser!(u8).range(1..=100))]
        read_data: Option<u8>,
    },
    /// Count on what the store lost no more: the next backup of each source sends it again
    Repair {
        /// Which kinds; all that are switched on here, if none is named
        #[arg(value_name = "KIND", value_parser = parse_kind)]
        kinds: Vec<Kind>,
        /// Also read this share of the data, as check does, and count on no pack that is damaged
        #[arg(long, value_name = "PERCENT", num_args = 0..=1, require_equals = true)]
        #[arg(default_missing_value = "100", value_parser = value_parser!(u8).range(1..=100))]
        read_data: Option<u8>,
    },
    /// What left this device
    Ledger {
        /// Only from then on: milliseconds, 2026-11-22 or 2026-11-22T10:00:00Z (dates are UTC)
        #[arg(long, value_name = "TIME", value_parser = parse_since, allow_negative_numbers = true)]
        since: Option<i64>,
    },
    /// What the store can see
    Audit,
}

#[derive(Group)]
pub(crate) struct Init {
    /// What to call this device
    #[arg(long, default_value = "unnamed device")]
    pub(crate) name: String,
    /// Write the recovery code to this new file instead of printing it
    #[arg(long, value_name = "FILE")]
    pub(crate) code_file: Option<PathBuf>,
}

#[derive(Group)]
pub(crate) struct Recover {
    /// The file that holds the recovery code; - for standard input
    #[arg(long, value_name = "FILE", required_unless_present = "password_file")]
    pub(crate) code_file: Option<PathBuf>,
    /// The file that holds the password
    #[arg(long, value_name = "FILE", requires = "device_secret_file", conflicts_with = "code_file")]
    pub(crate) password_file: Option<PathBuf>,
    /// The file that holds the device secret that came with the password
    #[arg(long, value_name = "FILE", requires = "password_file")]
    pub(crate) device_secret_file: Option<PathBuf>,
    /// A head code of another device: what the store shows must not be older
    #[arg(long, value_name = "TEXT")]
    pub(crate) head_code: Option<String>,
    /// What to call this device
    #[arg(long, default_value = "unnamed device")]
    pub(crate) name: String,
}

#[derive(Subcommand)]
pub(crate) enum ConsentAction {
    /// Show the switches
    Show,
    /// Let kinds of data leave this device from now on
    Grant {
        #[arg(required = true, value_name = "KIND", value_parser = parse_kind)]
        kinds: Vec<Kind>,
    },
    /// Send nothing more of these kinds; what is stored stays
    Revoke {
        #[arg(required = true, value_name = "KIND", value_parser = parse_kind)]
        kinds: Vec<Kind>,
    },
}

#[derive(Group)]
pub(crate) struct Backup {
    /// messages, calls, notes, photos, contacts or files
    #[arg(value_parser = parse_kind)]
    pub(crate) kind: Kind,
    /// Folders, without the store and the home that may be in them: what is gone from one is gone from the
    /// next snapshot, but photos stay. For messages and calls the XML files that the Android app SMS Backup &
    /// Restore exports, for contacts vCard files: what an export lacks stays
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// What to call the source, instead of the last part of its path
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Let the deletions go beyond a fifth of the kind
    #[arg(long)]
    pub(crate) confirm_deletions: bool,
}

#[derive(Group)]
pub(crate) struct Sync {
    /// Let other devices' deletions go beyond a fifth of a kind
    #[arg(long)]
    pub(crate) confirm_deletions: bool,
    /// After a rollback or fork: go on from what the store has. The next backup of each source sends again what is
    /// missing
    #[arg(long)]
    pub(crate) re_anchor: bool,
}

#[derive(Group)]
pub(crate) struct Restore {
    /// What to restore; everything unless said
    #[arg(value_name = "KIND[:PATH]", value_parser = parse_what)]
    pub(crate) what: Vec<What>,
    /// The folder to write to; made if need be
    #[arg(long, value_name = "DIR")]
    pub(crate) into: PathBuf,
    /// Replace files and links that are there already
    #[arg(long)]
    pub(crate) replace: bool,
    /// A snapshot such as 1f2e3d4c-17, or latest
    #[arg(long, value_name = "SNAPSHOT", value_parser = parse_at, default_value = "latest")]
    pub(crate) at: At,
}

#[derive(Subcommand)]
pub(crate) enum DevicesAction {
    /// List them
    List,
    /// Cut a device off: it reads nothing that is written from now on
    Revoke {
        /// Its id, as the list shows it, or the first eight digits
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Begin a new epoch: what is written from now on is sealed under new keys
    Rotate,
    /// Let a new device in: shows an invitation, good for ten minutes and one device
    Invite(Invite),
    /// Ask to be let in, as a new device, with an invitation
    Join(Join),
    /// What this device committed last, to be printed: recover --head-code holds the store to it
    HeadCode,
}

#[derive(Group)]
pub(crate) struct Invite {
    /// Write the invitation to this new file instead of showing it
    #[arg(long, value_name = "FILE")]
    pub(crate) text_file: Option<PathBuf>,
    /// Compare with the check code in this file, as soon as it is there, instead of asking for it
    #[arg(long, value_name = "FILE")]
    pub(crate) expect_check_file: Option<PathBuf>,
}

#[derive(Group)]
pub(crate) struct Join {
    /// The invitation; other users of this machine may see it, a file they do not
    #[arg(value_name = "TEXT", required_unless_present = "text_file", conflicts_with = "text_file")]
    pub(crate) text: Option<String>,
    /// The file that holds the invitation
    #[arg(long, value_name = "FILE")]
    pub(crate) text_file: Option<PathBuf>,
    /// Write the check code to this new file instead of showing it
    #[arg(long, value_name = "FILE")]
    pub(crate) check_file: Option<PathBuf>,
    /// What to call this device
    #[arg(long, default_value = "unnamed device")]
    pub(crate) name: String,
}

#[derive(Subcommand)]
pub(crate) enum PasswordAction {
    /// Set or replace the password; the device secret that it needs is shown once
    Set {
        /// The file that holds the new password
        #[arg(long, value_name = "FILE")]
        password_file: PathBuf,
        /// Write the device secret to this new file instead of printing it
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
    },
    /// Remove the password
    Remove,
}

#[derive(Subcommand)]
pub(crate) enum RecoveryAction {
    /// Replace the recovery code; the new one is shown once
    New {
        /// Write the new code to this new file instead of printing it
        #[arg(long, value_name = "FILE")]
        code_file: Option<PathBuf>,
    },
}
