//! Ctrl-C: the first one ends the answer that is being generated, one that finds none ends the program.

use crate::exit::{Exit, Failure, Result};
use seekvl::Cancel;
use std::sync::{Arc, Mutex, PoisonError};

/// What the next Ctrl-C cancels.
#[derive(Clone, Default)]
pub struct Interrupt(Arc<Mutex<Option<Cancel>>>);

impl Interrupt {
    /// Takes over Ctrl-C. To be called once.
    pub fn install() -> Result<Self> {
        let interrupt = Self::default();
        let handler = interrupt.clone();
        ctrlc::set_handler(move || match handler.swap(None) {
            Some(cancel) => cancel.cancel(),
            None => std::process::exit(Exit::Interrupted as i32),
        })
        .map_err(|error| Failure::new(Exit::Failed, error))?;
        Ok(interrupt)
    }

    /// Runs `work`, during which the first Ctrl-C sets the flag that `work` is given.
    pub fn guard<T>(&self, work: impl FnOnce(Cancel) -> T) -> T {
        let cancel = Cancel::new();
        self.swap(Some(cancel.clone()));
        let done = work(cancel);
        self.swap(None);
        done
    }

    fn swap(&self, next: Option<Cancel>) -> Option<Cancel> {
        std::mem::replace(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), next)
    }
}
