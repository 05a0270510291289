//! Answers in the making.

use crate::answer::RawAnswer;
use crate::conversation::{Decoded, Undecoded};
use crate::error::{CancelledError, Doing};
use crate::job::{Job, Message, Sender};
use pyo3::prelude::*;
use seekvl::{Answer, Model, Options};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An answer with the size of its last image.
type Sized = (Answer, Option<(u32, u32)>);

/// One answer, piece by piece if it is asked for so, or several. Each result is given away once.
#[pyclass(frozen, module = "seekvl._core")]
pub struct Generation {
    model: Arc<Model>,
    state: Mutex<State>,
}

enum State {
    Running(Arc<Job<String, Vec<Sized>>>),
    Done(Vec<Sized>),
    Over,
}

impl Generation {
    /// Starts on one answer; whether its text is wanted as it comes.
    pub fn start(model: Arc<Model>, conversation: Undecoded, options: Options, streamed: bool) -> PyResult<Self> {
        let worker = model.clone();
        let work = move |sender: &Sender<String, Vec<Sized>>, options: &Options| {
            let Decoded { conversation, last_size, decoding } = conversation.decode()?;
            let mut stream = worker.stream(&conversation, options)?;
            for delta in &mut stream {
                let delta = delta?;
                if streamed && !sender.send(delta) {
                    break;
                }
            }
            let mut answer = stream.finish();
            answer.timings.images += decoding;
            Ok(vec![(answer, last_size)])
        };
        Self::run(model, options, work)
    }

    /// Starts on several answers together.
    pub fn start_batch(model: Arc<Model>, conversations: Vec<Undecoded>, options: Options) -> PyResult<Self> {
        let worker = model.clone();
        let work = move |_: &Sender<String, Vec<Sized>>, options: &Options| {
            let decoded = conversations.into_iter().map(Undecoded::decode).collect::<seekvl::Result<Vec<_>>>()?;
            let rest: Vec<_> = decoded.iter().map(|one| (one.last_size, one.decoding)).collect();
            let conversations: Vec<_> = decoded.into_iter().map(|one| one.conversation).collect();
            let answers = worker.batch(&conversations, options)?;
            let sized = answers.into_iter().zip(rest).map(|(mut answer, (last_size, decoding))| {
                answer.timings.images += decoding;
                (answer, last_size)
            });
            Ok(sized.collect())
        };
        Self::run(model, options, work)
    }

    fn run(
        model: Arc<Model>,
        options: Options,
        work: impl FnOnce(&Sender<String, Vec<Sized>>, &Options) -> seekvl::Result<Vec<Sized>> + Send + 'static,
    ) -> PyResult<Self> {
        // Clones of options share the flag that cancels, and each call has to have its own.
        let options = Options { cancel: seekvl::Cancel::new(), ..options };
        let cancel = options.cancel.clone();
        let job = Job::start(Doing::Answering, cancel, move |sender| work(sender, &options))?;
        Ok(Self { model, state: Mutex::new(State::Running(Arc::new(job))) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The work, while it goes on. The lock is never held while waiting.
    fn job(&self) -> Option<Arc<Job<String, Vec<Sized>>>> {
        match &*self.state() {
            State::Running(job) => Some(job.clone()),
            State::Done(_) | State::Over => None,
        }
    }

    /// The next piece of text; `None` when the work has ended.
    fn step(&self, py: Python<'_>) -> PyResult<Option<String>> {
        let Some(job) = self.job() else { return Ok(None) };
        match job.next(py) {
            Ok(Message::Event(delta)) => return Ok(Some(delta)),
            Ok(Message::Done(Ok(answers))) => *self.state() = State::Done(answers),
            Ok(Message::Done(Err(error))) => {
                *self.state() = State::Over;
                return Err(job.exception(py, &error));
            }
            Err(interrupt) => return Err(interrupt),
        }
        Ok(None)
    }
}

#[pymethods]
impl Generation {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    /// The next piece of text.
    fn __next__(&self, py: Python<'_>) -> PyResult<Option<String>> {
        self.step(py)
    }

    /// As `__next__`, with `None` at the end: `StopIteration` cannot be raised into a coroutine.
    fn next_or_none(&self, py: Python<'_>) -> PyResult<Option<String>> {
        self.step(py)
    }

    /// Waits for the answers, in the order of the conversations. They are given away: a second call raises.
    fn result(&self, py: Python<'_>) -> PyResult<Vec<RawAnswer>> {
        while self.step(py)?.is_some() {}
        let State::Done(answers) = std::mem::replace(&mut *self.state(), State::Over) else {
            return Err(CancelledError::new_err("the generation has failed, or its result was taken already"));
        };
        let tokenizer = self.model.processor().tokenizer();
        Ok(answers.into_iter().map(|(answer, size)| RawAnswer::new(answer, size, tokenizer)).collect())
    }

    /// Ends the work before its next token. What there is of an answer then is its result.
    fn cancel(&self) {
        if let Some(job) = self.job() {
            job.cancel();
        }
    }
}
