//! How a command ends: what is said on standard error, and the exit status.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use strongroom::{Error, Part, vault::Failure};

/// The exit status, as scripts know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Done = 0,
    Failed = 1,
    Usage = 2,
    /// Damaged or missing data, each named.
    Damaged = 3,
    WrongSecret = 4,
    /// Rollback or fork; or a new device that was not let in, or not by this invitation.
    Freshness = 5,
    NotConsented = 6,
    Cancelled = 130,
}

/// The status of a command that came to its end, or why it did not.
pub(crate) type Outcome = Result<Status, Fault>;

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status as u8)
    }
}

impl Status {
    /// What a report's failures mean for the whole command.
    pub(crate) fn of_failures(failures: &[Failure]) -> Self {
        if failures.iter().any(|failure| failure.damage) {
            Self::Damaged
        } else if failures.is_empty() {
            Self::Done
        } else {
            Self::Failed
        }
    }

    fn of_error(error: &Error) -> Self {
        match error {
            Error::InvalidArgument(_) => Self::Usage,
            Error::WrongSecret | Error::MistypedCode(_) | Error::PasswordParameters => Self::WrongSecret,
            Error::NotConsented { .. } => Self::NotConsented,
            Error::CheckCodeDiffers | Error::InvitationRefused(_) => Self::Freshness,
            Error::Cancelled => Self::Cancelled,
            error if error.is_damage() => Self::Damaged,
            error if error.is_freshness() => Self::Freshness,
            _ => Self::Failed,
        }
    }
}

/// Why a command did not come to its end.
#[derive(Debug)]
pub(crate) enum Fault {
    Vault(Error),
    /// About one of the paths that the user gave, or an option.
    At(PathBuf, Box<Fault>),
    Usage(String),
    /// The home that the user named is no vault's.
    NoHome(PathBuf),
    /// A device is to be made where there is one.
    HomeTaken(PathBuf),
    /// A vault is to be made where there is one.
    StoreTaken,
    /// A local file operation.
    Local(&'static str, io::Error),
    /// Standard output.
    Output(io::Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Io { action: WRITING_OUTPUT, source } => Self::Output(source),
            error => Self::Vault(error),
        }
    }
}

const WRITING_OUTPUT: &str = "writing the output";

/// A failure of standard output as the vault's callbacks have to give it; becomes [`Fault::Output`] again.
pub(crate) fn output_error(source: io::Error) -> Error {
    Error::Io { action: WRITING_OUTPUT, source }
}

impl Fault {
    /// The same, naming the path or the option that the user gave.
    pub(crate) fn at(path: &Path) -> impl FnOnce(Self) -> Self {
        |fault| Self::At(path.to_owned(), Box::new(fault))
    }

    pub(crate) fn local(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::at(path)(Self::Local(action, source))
    }

    /// The library's error, whatever it was about.
    pub(crate) fn error(&self) -> Option<&Error> {
        match self {
            Self::Vault(error) => Some(error),
            Self::At(_, fault) => fault.error(),
            _ => None,
        }
    }

    pub(crate) fn status(&self) -> Status {
        match self {
            Self::Vault(error) => Status::of_error(error),
            Self::At(_, fault) => fault.status(),
            Self::Usage(_) => Status::Usage,
            Self::Output(_) if self.is_broken_pipe() => Status::Done,
            Self::Local(..) | Self::Output(_) => Status::Failed,
            Self::NoHome(_) | Self::HomeTaken(_) | Self::StoreTaken => Status::Failed,
        }
    }

    /// Whether the reader of standard output has seen enough, as `head` does: no failure.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vault(error @ Error::Damaged { what: Part::Commit }) => {
                write!(f, "{error}: the store changed it, or this device was revoked: see devices on another")
            }
            Self::Vault(error @ (Error::Rollback { .. } | Error::Fork { .. })) => {
                write!(f, "{error}: is it the right store? (README: When it says rollback or fork)")
            }
            Self::Vault(error @ Error::Cloned { .. }) => {
                write!(f, "{error}, in a new, empty home (README: When it says copied, revoked or taken)")
            }
            Self::Vault(error @ Error::NoVault) => write!(f, "{error}: the store is empty, or another one"),
            Self::Vault(error @ Error::NotConsented { kind }) => {
                write!(f, "{error}: strongroom consent grant {kind} gives it")
            }
            Self::Vault(error @ Error::TooManyDeletions { .. }) => write!(f, "{error} (--confirm-deletions)"),
            Self::Vault(error) => write!(f, "{error}"),
            Self::NoHome(home) => {
                write!(f, "{}: no vault in this home: init, recover or devices join make one", home.display())
            }
            Self::HomeTaken(home) => {
                write!(f, "{}: a vault is already in this home: another device needs another", home.display())
            }
            Self::StoreTaken => f.write_str(
                "a vault is already in this store: recover or devices join enter it; init needs an empty one",
            ),
            Self::At(path, fault) => write!(f, "{}: {fault}", path.display()),
            Self::Usage(text) => f.write_str(text),
            Self::Local(action, error) => write!(f, "{action}: {error}"),
            Self::Output(error) => write!(f, "{WRITING_OUTPUT}: {error}"),
        }
    }
}
