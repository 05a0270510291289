//! How the program ends: its exit codes, which `seekvl --help` lists, and the errors behind them.

use std::fmt;
use std::process::ExitCode;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    BadImage = 3,
    BadModel = 4,
    Diverged = 5,
    DoesNotFit = 6,
    Interrupted = 130,
}

/// An error with the code that the program exits with.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub error: anyhow::Error,
}

pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into() }
    }

    /// The command line asks for something that makes no sense.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, anyhow::Error::msg(message.to_string()))
    }

    /// With what to do about it.
    pub fn with_hint(self, hint: &str) -> Self {
        Self::new(self.exit, anyhow::anyhow!("{self} ({hint})"))
    }

    /// Whether a reader closed the pipe that was written to, such as `head`: no failure to talk about.
    pub fn is_closed_pipe(&self) -> bool {
        self.error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

impl From<seekvl::Error> for Failure {
    fn from(error: seekvl::Error) -> Self {
        use seekvl::Error;
        let exit = match &error {
            // Images come decoded, so what remains is a number of tiles that the model cannot have.
            Error::Vision(_)
            | Error::NoMessage
            | Error::NoEyes { .. }
            | Error::NoInfill { .. }
            | Error::ImageCount { .. }
            | Error::ImageInSystem
            | Error::NothingToMeasure(_) => Exit::Usage,
            error if error.is_option() => Exit::Usage,
            error if error.is_too_long() => Exit::DoesNotFit,
            Error::Cancelled => Exit::Interrupted,
            _ => Exit::BadModel,
        };
        Self::new(exit, error)
    }
}

/// Writing to standard output failed.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::Failed, anyhow::Error::new(error).context("cannot write the output"))
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        std::io::Error::from(error).into()
    }
}

/// The error and its causes on one line. Causes that the message before them has quoted already are left out.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = String::new();
        for cause in self.error.chain().map(ToString::to_string) {
            if said.ends_with(&cause) {
                continue;
            }
            if !said.is_empty() {
                said.push_str(": ");
            }
            said.push_str(&cause);
        }
        f.write_str(&said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn causes_are_told_once() {
        let error = anyhow!("no such file").context("cannot read a.png: no such file").context("ask");
        assert_eq!(Failure::new(Exit::Failed, error).to_string(), "ask: cannot read a.png: no such file");
    }

    #[test]
    fn a_closed_pipe_is_told_from_other_failures() {
        let closed = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert!(Failure::from(closed).is_closed_pipe());
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert!(!Failure::from(full).is_closed_pipe());
    }
}
