//! Writing models into GGUF files.

use crate::error::{Doing, OptionError};
use crate::job::{Job, Sender};
use crate::progress::{Report, Step};
use pyo3::prelude::*;
use seekvl::gguf::{self, FileType};
use seekvl::{Cancel, hub};
use std::path::PathBuf;

/// Writes a model into one GGUF file and returns its size in bytes. `progress` is as for `load`.
#[pyfunction]
#[pyo3(signature = (model, to, out, *, revision, local_files_only, progress))]
pub fn quantize(
    py: Python<'_>,
    model: String,
    to: &str,
    out: PathBuf,
    revision: Option<String>,
    local_files_only: bool,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<u64> {
    let to: FileType = to.parse().map_err(OptionError::new_err)?;
    let work = move |sender: &Sender<Step, u64>| {
        let mut options = hub::HubOptions::from_env();
        options.offline |= local_files_only;
        let mut report = Report::new(sender);
        let files = hub::resolve(&model, revision.as_deref(), &options, &mut report)?;
        gguf::quantize(&files, to, &out, &mut report)
    };
    Job::start(Doing::Loading, Cancel::new(), work)?.finish(py, |step| step.tell(progress.as_ref()))
}
