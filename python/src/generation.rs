//! Answers in the making.

use crate::answer::RawAnswer;
use crate::conversation::{Decoded, Undecoded};
use crate::error::{CancelledError, Doing};
use crate::job::{Job, Message, Sender};
use crate::shelf::Shelf;
use pyo3::prelude::*;
use seekvl::template::Prompt;
use seekvl::{Delta, Model, Options, Phase, Stream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A piece of text, and whether it is what the model thinks.
type Piece = (bool, String);

/// One answer, piece by piece if it is asked for so, or several. Each result is given away once.
#[pyclass(frozen, module = "seekvl._core")]
pub struct Generation {
    state: Mutex<State>,
}

enum State {
    Running(Arc<Job<Piece, Vec<RawAnswer>>>),
    Done(Vec<RawAnswer>),
    Over,
}

impl Generation {
    /// Starts on one answer, with what earlier ones have left; whether its text is wanted as it comes.
    pub fn start(
        model: Arc<Model>,
        shelf: &Shelf,
        conversation: Undecoded,
        options: Options,
        streamed: bool,
    ) -> PyResult<Self> {
        let shelf = shelf.clone();
        Self::run(options, move |sender, options| {
            let Decoded { conversation, last_size, decoding } = conversation.decode()?;
            let mut recall = shelf.take();
            let mut stream = model.stream_with(&conversation, options, &mut recall)?;
            run_through(&mut stream, sender, streamed)?;
            let answer = stream.finish_into(&mut recall);
            Ok(vec![RawAnswer::new(answer, last_size, decoding, model.processor().tokenizer())])
        })
    }

    /// Starts on what goes on with a prompt of text alone, which `prompt` makes.
    pub fn start_prompt(
        model: Arc<Model>,
        prompt: impl FnOnce(&Model) -> seekvl::Result<Prompt> + Send + 'static,
        options: Options,
        streamed: bool,
    ) -> PyResult<Self> {
        Self::run(options, move |sender, options| {
            let mut stream = model.stream_prompt(prompt(&model)?, options)?;
            run_through(&mut stream, sender, streamed)?;
            Ok(vec![RawAnswer::new(stream.finish(), None, Duration::ZERO, model.processor().tokenizer())])
        })
    }

    /// Starts on several answers together.
    pub fn start_batch(model: Arc<Model>, conversations: Vec<Undecoded>, options: Options) -> PyResult<Self> {
        Self::run(options, move |_, options| {
            let decoded = conversations.into_iter().map(Undecoded::decode).collect::<seekvl::Result<Vec<_>>>()?;
            let rest: Vec<_> = decoded.iter().map(|one| (one.last_size, one.decoding)).collect();
            let conversations: Vec<_> = decoded.into_iter().map(|one| one.conversation).collect();
            let answers = model.batch(&conversations, options)?.into_iter().zip(rest);
            let tokenizer = model.processor().tokenizer();
            Ok(answers.map(|(answer, (size, decoding))| RawAnswer::new(answer, size, decoding, tokenizer)).collect())
        })
    }

    fn run(
        options: Options,
        work: impl FnOnce(&Sender<Piece, Vec<RawAnswer>>, &Options) -> seekvl::Result<Vec<RawAnswer>> + Send + 'static,
    ) -> PyResult<Self> {
        // Clones of options share the flag that cancels, and each call has to have its own.
        let options = Options { cancel: seekvl::Cancel::new(), ..options };
        let cancel = options.cancel.clone();
        let job = Job::start(Doing::Answering, cancel, move |sender| {
            let started = Instant::now();
            let answers = work(sender, &options)?;
            // By now caches and pixels are let go of, which is part of the work.
            let total = started.elapsed();
            Ok(answers.into_iter().map(|answer| answer.within(total)).collect())
        })?;
        Ok(Self { state: Mutex::new(State::Running(Arc::new(job))) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The work, while it goes on. The lock is never held while waiting.
    fn job(&self) -> Option<Arc<Job<Piece, Vec<RawAnswer>>>> {
        match &*self.state() {
            State::Running(job) => Some(job.clone()),
            State::Done(_) | State::Over => None,
        }
    }

    /// The next piece of text; `None` when the work has ended.
    fn step(&self, py: Python<'_>) -> PyResult<Option<Piece>> {
        let Some(job) = self.job() else { return Ok(None) };
        match job.next(py) {
            Ok(Message::Event(piece)) => return Ok(Some(piece)),
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

/// Runs to the end of an answer, or until nobody wants its pieces any more.
fn run_through(stream: &mut Stream<'_>, sender: &Sender<Piece, Vec<RawAnswer>>, streamed: bool) -> seekvl::Result<()> {
    while let Some(delta) = stream.next_delta() {
        let Delta { phase, text } = delta?;
        if streamed && !sender.send((phase == Phase::Thinking, text)) {
            break;
        }
    }
    Ok(())
}

#[pymethods]
impl Generation {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    /// The next piece of text, after whether it is what the model thinks.
    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Piece>> {
        self.step(py)
    }

    /// As `__next__`, with `None` at the end: `StopIteration` cannot be raised into a coroutine.
    fn next_or_none(&self, py: Python<'_>) -> PyResult<Option<Piece>> {
        self.step(py)
    }

    /// Waits for the answers, in the order of the conversations. They are given away: a second call raises.
    fn result(&self, py: Python<'_>) -> PyResult<Vec<RawAnswer>> {
        while self.step(py)?.is_some() {}
        let State::Done(answers) = std::mem::replace(&mut *self.state(), State::Over) else {
            return Err(CancelledError::new_err("the generation has failed, or its result was taken already"));
        };
        Ok(answers)
    }

    /// Ends the work before its next token. What there is of an answer then is its result.
    fn cancel(&self) {
        if let Some(job) = self.job() {
            job.cancel();
        }
    }
}
