//! Asking a model all questions.

use crate::question::Question;
use anyhow::{Context, Result};
use indicatif::ProgressBar;
use seekvl::{Answer, Conversation, Model, Options};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// How questions are asked.
pub struct Asking<'a> {
    /// Where the pictures are.
    pub dir: &'a Path,
    /// Threads that ask, each a batch at a time.
    pub threads: usize,
    /// Questions of a batch.
    pub batch: usize,
    /// How answers are generated.
    pub options: &'a Options,
    /// Counts questions.
    pub bar: &'a ProgressBar,
}

impl Asking<'_> {
    /// The answers, in the order of the questions.
    ///
    /// # Errors
    /// A picture that cannot be read or a question that the model cannot be asked, with its place in the test set.
    pub fn ask(&self, model: &Model, questions: &[Question]) -> Result<Vec<Answer>> {
        let batches: Vec<&[Question]> = questions.chunks(self.batch).collect();
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(batch) = batches.get(at) else { return anyhow::Ok(done) };
                done.push((at, self.batch(model, batch)?));
                self.bar.inc(batch.len() as u64);
            }
        };
        let mut done = Vec::new();
        thread::scope(|scope| {
            let workers: Vec<_> = (0..self.threads).map(|_| scope.spawn(work)).collect();
            for worker in workers {
                done.extend(worker.join().map_err(|_| anyhow::anyhow!("a thread gave up"))??);
            }
            anyhow::Ok(())
        })?;
        done.sort_by_key(|(at, _)| *at);
        Ok(done.into_iter().flat_map(|(_, answers)| answers).collect())
    }

    fn batch(&self, model: &Model, batch: &[Question]) -> Result<Vec<Answer>> {
        let conversations: Vec<Conversation> = batch.iter().map(|question| question.conversation(self.dir)).collect();
        model.batch(&conversations, self.options).with_context(|| {
            let names = batch.iter().flat_map(|question| &question.images).map(|image| image.display().to_string());
            format!("asking about {}", names.collect::<Vec<_>>().join(", "))
        })
    }
}
