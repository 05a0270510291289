//! Processes that were forked after the worker threads had started.
//!
//! A fork copies memory but only the calling thread, so the pool that computes would be missing in the child, which would
//! wait for it forever.

use crate::error::ForkError;
use pyo3::PyResult;
use std::sync::atomic::{AtomicU32, Ordering};

/// The process in which threads may have been started; 0 while there are none.
static OWNER: AtomicU32 = AtomicU32::new(0);

/// To be called before anything that may start or use worker threads.
///
/// # Errors
/// `ForkError` in a process that was forked from one in which this was called.
pub fn check() -> PyResult<()> {
    let process = std::process::id();
    match OWNER.compare_exchange(0, process, Ordering::Relaxed, Ordering::Relaxed) {
        Err(owner) if owner != process => Err(ForkError::new_err(format!(
            "seekvl was used in process {owner} before it forked this one, and its worker threads did not come along; \
             load models after the fork, or start processes with multiprocessing.get_context(\"spawn\")"
        ))),
        _ => Ok(()),
    }
}
