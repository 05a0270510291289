//! `seekvl._core`: what the Python package seekvl does not write in Python.
//!
//! Private, and thin: Python checks and names arguments and makes results into dataclasses; this module starts the work on
//! threads of its own and waits for it without holding the interpreter.
#![forbid(unsafe_code)]

mod answer;
mod conversation;
mod error;
mod fork;
mod generation;
mod image;
mod job;
mod model;
mod options;
mod progress;
mod quantize;
mod shelf;
mod workers;

#[pyo3::pymodule]
mod _core {
    #[pymodule_export]
    use crate::generation::Generation;
    #[pymodule_export]
    use crate::image::Image;
    #[pymodule_export]
    use crate::model::{Model, load, plan};
    #[pymodule_export]
    use crate::options::Options;
    #[pymodule_export]
    use crate::quantize::quantize;

    #[pymodule_export]
    const OCR_PROMPT: &str = seekvl::model::OCR_PROMPT;
    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "as Python spells it")]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    /// What is asked to find a described thing.
    #[pyo3::pyfunction]
    fn ground_prompt(description: &str) -> String {
        seekvl::model::ground_prompt(description)
    }
}
