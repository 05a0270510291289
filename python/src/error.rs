//! From the crate's errors to the exceptions of `seekvl.errors`.

use pyo3::{PyErr, PyTypeInfo, Python};
use seekvl::Error as Cause;
use std::error::Error as _;

pyo3::import_exception!(seekvl.errors, CancelledError);
pyo3::import_exception!(seekvl.errors, CheckpointError);
pyo3::import_exception!(seekvl.errors, ConversationError);
pyo3::import_exception!(seekvl.errors, DownloadError);
pyo3::import_exception!(seekvl.errors, Error);
pyo3::import_exception!(seekvl.errors, ForkError);
pyo3::import_exception!(seekvl.errors, GenerationError);
pyo3::import_exception!(seekvl.errors, ImageError);
pyo3::import_exception!(seekvl.errors, ModelNotFoundError);
pyo3::import_exception!(seekvl.errors, OptionError);
pyo3::import_exception!(seekvl.errors, PromptTooLongError);

/// What was going on when something failed. The same failure of a layer means a bad checkpoint or a bad computation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Loading a model.
    Loading,
    /// Anything after that.
    Answering,
}

/// The exception for a failure, with its whole chain of causes.
pub fn exception(py: Python<'_>, error: &Cause, doing: Doing) -> PyErr {
    let causes = causes(error);
    let message = one_line(&causes);
    let class = match error {
        error if error.is_option() => OptionError::type_object(py),
        Cause::Vision(error) => vision(py, error),
        Cause::NoMessage
        | Cause::ImageCount { .. }
        | Cause::ImageInAnswer { .. }
        | Cause::ImageInSystem
        | Cause::SystemNotFirst { .. }
        | Cause::UnknownRole(_)
        | Cause::NoEyes { .. } => ConversationError::type_object(py),
        error if error.is_too_long() => PromptTooLongError::type_object(py),
        Cause::Cancelled => CancelledError::type_object(py),
        Cause::NotAModel { .. } | Cause::MissingFile { .. } | Cause::NotCached { .. } | Cause::NotOnHub { .. } => {
            ModelNotFoundError::type_object(py)
        }
        Cause::NoCache | Cause::Denied { .. } | Cause::Download { .. } | Cause::Moved { .. } => {
            DownloadError::type_object(py)
        }
        Cause::Font | Cause::NoInfill { .. } => OptionError::type_object(py),
        Cause::ImageFormat { .. } | Cause::Encode { .. } => ImageError::type_object(py),
        // After loading, the only files are pictures.
        Cause::Read { .. } if doing == Doing::Answering => ImageError::type_object(py),
        Cause::Nn(_) | Cause::Language(_) if doing == Doing::Answering => GenerationError::type_object(py),
        _ if doing == Doing::Loading => CheckpointError::type_object(py),
        _ => Error::type_object(py),
    };
    PyErr::from_type(class, (message, causes))
}

fn vision<'py>(py: Python<'py>, error: &seekvl_vision::Error) -> pyo3::Bound<'py, pyo3::types::PyType> {
    match error {
        seekvl_vision::Error::TooFewTiles { .. } | seekvl_vision::Error::Config { .. } => OptionError::type_object(py),
        _ => ImageError::type_object(py),
    }
}

/// The messages of an error and of what caused it, outermost first.
fn causes(error: &Cause) -> Vec<String> {
    let mut messages = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        let message = cause.to_string();
        // A transparent error repeats the one below it.
        if messages.last().is_none_or(|last| !last.ends_with(&message)) {
            messages.push(message);
        }
        source = cause.source();
    }
    messages
}

fn one_line(causes: &[String]) -> String {
    causes.join(": ")
}
