//! Work on a thread of its own, so that the calling thread can react to signals while it waits.

use crate::error::{Doing, Error, exception};
use crate::{fork, workers};
use pyo3::prelude::*;
use seekvl::Cancel;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a Ctrl-C may wait for its reaction.
const POLL: Duration = Duration::from_millis(20);

/// What a job reports.
pub enum Message<E, T> {
    /// Something on the way.
    Event(E),
    /// The end; nothing follows.
    Done(seekvl::Result<T>),
}

/// Hands events from the job to whoever waits for it.
pub struct Sender<E, T>(SyncSender<Message<E, T>>);

impl<E, T> Clone for Sender<E, T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<E, T> Sender<E, T> {
    /// Waits until there is room for the event. Whether anyone still listens.
    pub fn send(&self, event: E) -> bool {
        self.0.send(Message::Event(event)).is_ok()
    }
}

/// Work that was started. Dropping it cancels the work and does not wait for its end.
pub struct Job<E, T> {
    messages: Mutex<Receiver<Message<E, T>>>,
    cancel: Cancel,
    doing: Doing,
}

impl<E: Send + 'static, T: Send + 'static> Job<E, T> {
    /// Starts `work` on a thread of its own. It never runs more than one event ahead of whoever takes them.
    pub fn start(
        doing: Doing,
        cancel: Cancel,
        work: impl FnOnce(&Sender<E, T>) -> seekvl::Result<T> + Send + 'static,
    ) -> PyResult<Self> {
        fork::check()?;
        let (sender, receiver) = sync_channel(1);
        workers::run(move || {
            let sender = Sender(sender);
            let done = work(&sender);
            // Nobody may want it any more.
            let _ = sender.0.send(Message::Done(done));
        })?;
        Ok(Self { messages: Mutex::new(receiver), cancel, doing })
    }

    /// Waits for the next message without holding the interpreter. A signal whose handler raises, as that of Ctrl-C does,
    /// cancels the work. `Done` holds the work's result, or the exception that came of it.
    pub fn next(&self, py: Python<'_>) -> PyResult<Message<E, T>> {
        loop {
            let message = py.detach(|| {
                let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
                messages.recv_timeout(POLL)
            });
            match message {
                Ok(message) => return Ok(message),
                Err(RecvTimeoutError::Disconnected) => return Err(Error::new_err("the work ended without a result")),
                Err(RecvTimeoutError::Timeout) => {
                    if let Err(interrupt) = py.check_signals() {
                        self.cancel();
                        return Err(interrupt);
                    }
                }
            }
        }
    }

    /// Waits for the end; `on_event` sees what comes before. Where it raises, the work is cancelled.
    pub fn finish(self, py: Python<'_>, mut on_event: impl FnMut(E) -> PyResult<()>) -> PyResult<T> {
        loop {
            match self.next(py)? {
                Message::Event(event) => on_event(event)?,
                Message::Done(done) => return done.map_err(|error| self.exception(py, &error)),
            }
        }
    }

    /// The exception for a failure of this work.
    pub fn exception(&self, py: Python<'_>, error: &seekvl::Error) -> PyErr {
        exception(py, error, self.doing)
    }
}

impl<E, T> Job<E, T> {
    /// Tells the work to end.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }
}

impl<E, T> Drop for Job<E, T> {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}
