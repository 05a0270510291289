//! How far files are.

use crate::job::Sender;
use pyo3::prelude::*;
use seekvl::hub::Progress;
use std::time::{Duration, Instant};

/// How far a file is, in bytes.
#[derive(Clone, Default)]
pub struct Step {
    file: String,
    total: u64,
    done: u64,
}

impl Step {
    /// Calls a function of Python's, if there is one, with the file's name, its bytes, and how many of them are there.
    pub fn tell(self, function: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let Self { file, total, done } = self;
        function.map_or(Ok(()), |function| function.call1((file, total, done)).map(drop))
    }
}

/// Passes progress on, a few times a second.
pub struct Report<T> {
    sender: Sender<Step, T>,
    step: Step,
    told: Option<Instant>,
}

impl<T> Report<T> {
    /// To whoever waits for the job.
    pub fn new(sender: &Sender<Step, T>) -> Self {
        Self { sender: sender.clone(), step: Step::default(), told: None }
    }

    fn tell(&mut self) {
        self.told = Some(Instant::now());
        // Whoever has stopped listening has also given the work up, which ends with the file.
        self.sender.send(self.step.clone());
    }
}

impl<T> Progress for Report<T> {
    fn start(&mut self, file: &str, bytes: u64) {
        self.step = Step { file: file.into(), total: bytes, done: 0 };
        self.tell();
    }

    fn advance(&mut self, bytes: u64) {
        self.step.done += bytes;
        if self.told.is_none_or(|told| told.elapsed() > Duration::from_millis(100)) {
            self.tell();
        }
    }

    fn finish(&mut self) {
        self.step.done = self.step.total;
        self.tell();
    }
}
