//! The one error type.
//!
//! Its variants keep apart whose fault it was: the caller's, the user's secret, the store's damage, the
//! store's lies, a passing fault, our own bug. Its text holds ids and counts; never a name, a path,
//! content or a secret (V4).

use std::fmt;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The owner has not switched this kind on, on this device (promise 1).
    #[error("no consent for kind {kind}: nothing was sent")]
    NotConsented {
        /// The kind that was asked for.
        kind: String,
    },
    /// The caller asked for something that cannot be; decidable by reading the calling code or flags.
    #[error("invalid argument: {0}")]
    InvalidArgument(&'static str),
    /// The named thing does not exist in the vault.
    #[error("not found: {0}")]
    NotFound(&'static str),
    /// There is no vault: the store holds none, or the state folder does not.
    #[error("there is no vault here")]
    NoVault,
    /// The store or the state folder already holds a vault.
    #[error("a vault is already there")]
    VaultExists,
    /// A file given by the user cannot be read as what it should be.
    #[error("{format}: {reason} (at byte {offset})")]
    BadInput {
        /// The format that was expected.
        format: &'static str,
        /// What was wrong.
        reason: &'static str,
        /// Where in the input.
        offset: u64,
    },

    /// A recovery code, password or device secret that does not open this vault.
    #[error("the secret does not open this vault")]
    WrongSecret,
    /// A recovery code or device secret with a typing error, found without asking the store.
    #[error("the code has a typing error: {0}")]
    MistypedCode(&'static str),
    /// A password whose hashing parameters lie outside the allowed range (K4, K5).
    #[error("the password parameters offered by the store are refused")]
    PasswordParameters,

    /// Something sealed did not open or did not have its one valid form. One value for every reason (K3).
    #[error("damaged {what}")]
    Damaged {
        /// What was being read.
        what: Part,
    },
    /// Something that a commit names is not in the store.
    #[error("missing {what}")]
    Missing {
        /// What was being read.
        what: Part,
    },
    /// A job went on past damage and lists what it could not read in its report.
    #[error("{count} items are damaged or missing")]
    Incomplete {
        /// How many items.
        count: u64,
    },
    /// The data was written by a newer format.
    #[error("format version {needed} is needed, this build reads up to {supported}")]
    NewerFormat {
        /// The version found.
        needed: u32,
        /// The newest version this build knows.
        supported: u32,
    },

    /// The store shows an older state than this device has seen (F1, F2).
    #[error("rollback: the store withholds commit {sequence} of device {device}")]
    Rollback {
        /// The device whose chain is cut.
        device: DeviceLabel,
        /// The sequence that this device had seen.
        sequence: u64,
    },
    /// Two different histories carry one device's signature (F3).
    #[error("fork: device {device} has two commits with sequence {sequence}")]
    Fork {
        /// The device whose chain forks.
        device: DeviceLabel,
        /// The sequence at which it forks.
        sequence: u64,
        /// An encoded [`ForkProof`](crate::history::ForkProof), when this device holds both statements.
        proof: Option<Box<[u8]>>,
    },
    /// Another copy of this device's state wrote commits that this one does not know (R9).
    #[error("this device's state was copied or is an old copy (commit {sequence}): enroll the device again")]
    Cloned {
        /// The sequence that the other copy wrote.
        sequence: u64,
    },
    /// This device was revoked by another.
    #[error("this device was revoked")]
    Revoked,
    /// More would be deleted than the guard lets through unasked.
    #[error("{deleted} of {entries} entries of kind {kind} would be deleted: confirm the deletions")]
    TooManyDeletions {
        /// The kind.
        kind: String,
        /// How many entries would go.
        deleted: u64,
        /// How many there are.
        entries: u64,
    },

    /// The two check codes of an enrollment differ: somebody else answered the invitation, or it was
    /// changed on its way. The device was not admitted, and the invitation is spent (D2).
    #[error("the check codes differ: the device was not admitted, and the invitation is spent")]
    CheckCodeDiffers,
    /// An invitation that admits nobody any more (D3).
    #[error("the invitation is refused: {0}")]
    InvitationRefused(&'static str),

    /// The store failed.
    #[error("store: {0}")]
    Store(#[from] crate::store::StoreError),
    /// A local file operation failed.
    #[error("{action}: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The state folder is open already: in another process, or a second time in this one.
    #[error("this device's vault is in use, by another process or opened twice: try again when that is done")]
    InUse,
    /// The local database failed. It can be rebuilt.
    #[error("local database: {0}")]
    Database(String),
    /// The operating system gave no randomness.
    #[error("no randomness from the operating system")]
    Randomness,
    /// The caller cancelled the job.
    #[error("cancelled")]
    Cancelled,

    /// A bug of ours: please report it.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

/// The result of nearly everything here.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn io(action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { action, source }
    }

    pub(crate) fn damaged(what: Part) -> Self {
        Self::Damaged { what }
    }

    /// What it means for `what` that something sealed did not open: damage, unless it is of a newer format.
    pub(crate) fn while_opening(what: Part) -> impl FnOnce(Self) -> Self {
        move |error| match error {
            newer @ Self::NewerFormat { .. } => newer,
            _ => Self::damaged(what),
        }
    }

    /// Whether the store's data was damaged or incomplete (exit status 3 of the command).
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Missing { .. } | Self::Incomplete { .. })
    }

    /// Whether the store was caught lying about time, or this device may not go on as it is (exit status 5
    /// of the command).
    #[must_use]
    pub fn is_freshness(&self) -> bool {
        matches!(self, Self::Rollback { .. } | Self::Fork { .. } | Self::Cloned { .. } | Self::Revoked)
    }
}

/// What part of a vault an error speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// A sealed object, before its contents are known.
    Object,
    /// An envelope: the epoch root sealed to one recipient.
    Envelope,
    /// The roster of devices and recipients.
    Roster,
    /// The keyring.
    Keyring,
    /// A commit.
    Commit,
    /// An index fragment.
    Index,
    /// A pack.
    Pack,
    /// A chunk.
    Chunk,
    /// A tree page.
    TreePage,
    /// A record of a tree.
    Record,
    /// A proof that two histories carry one device's signature.
    ForkProof,
    /// A message between a new device and the one that invited it.
    Enrollment,
    /// A file of the local state.
    LocalState,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Object => "object",
            Self::Envelope => "envelope",
            Self::Roster => "roster",
            Self::Keyring => "keyring",
            Self::Commit => "commit",
            Self::Index => "index fragment",
            Self::Pack => "pack",
            Self::Chunk => "chunk",
            Self::TreePage => "tree page",
            Self::Record => "record",
            Self::ForkProof => "fork proof",
            Self::Enrollment => "enrollment message",
            Self::LocalState => "local state",
        })
    }
}

/// The first four bytes of a device id, in hex: enough to tell a user's devices apart in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeviceLabel(pub [u8; 4]);

impl fmt::Display for DeviceLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
