//! Asks a model the questions of a test set and counts how many of its answers are right.
#![forbid(unsafe_code)]

mod ask;
mod judge;
mod question;
mod report;
mod score;
mod tally;

use anyhow::{Context, Result};
use ask::Asking;
use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use judge::{Measure, Verdict};
use question::Question;
use report::{Report, Run};
use seekvl::{GenerationOptions, Model, Options, Quantization, WeightType};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use std::time::Instant;

/// Asks a model the questions of a test set and counts how many of its answers are right.
///
/// Most tasks want the same words. read/* wants the same characters, and its score is the character error rate (CER);
/// ground/* and pair/locate want boxes in the same places: a mean intersection over union (IoU) above 0.5;
/// caption/grounded wants the same labels in the same places (F1). An answer is well formed if the model ended it by
/// itself and its markup needed no repair.
#[derive(Parser)]
struct Arguments {
    /// The test set: pictures, and questions.jsonl (a question a line) or questions.json (a list of them), each
    /// {"images": ["0.png"], "task": "scene/colour", "question": "...", "answer": "..."}.
    dir: PathBuf,
    /// nano, a directory or a hub id.
    #[arg(long, value_name = "MODEL", default_value = seekvl::NANO)]
    model: String,
    /// Types to keep weights in; each is a run of its own, with its own columns.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "stored")]
    dtype: Vec<Dtype>,
    /// Threads [default: as many as the machine has].
    #[arg(long)]
    threads: Option<NonZeroUsize>,
    /// Questions that are answered together.
    #[arg(long, default_value = "16")]
    batch: NonZeroUsize,
    /// The most tokens of an answer.
    #[arg(long, default_value_t = 512)]
    max_tokens: usize,
    /// Ask only the first N questions.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Write the results to this file too, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the answers that are wrong or not well formed to this file, as lines of JSON.
    #[arg(long, value_name = "FILE")]
    errors: Option<PathBuf>,
}

/// A type of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Dtype {
    /// As they are stored.
    Stored,
    /// 32-bit floats.
    F32,
    /// Brain floats.
    Bf16,
    /// Matrices of 8 bits.
    #[value(name = "q8_0")]
    Q8_0,
    /// Matrices of 4 bits, the vision tower's of 8.
    #[value(name = "q4_0")]
    Q4_0,
    /// Matrices of 4 and 6 bits, the vision tower's of 8.
    #[value(name = "q4_k_m")]
    Q4KM,
}

impl Dtype {
    /// What matrices that are not rounded are kept in, and what the others are rounded to.
    fn kept(self) -> (WeightType, Option<Quantization>) {
        match self {
            Self::Stored => (WeightType::AsStored, None),
            Self::F32 => (WeightType::F32, None),
            Self::Bf16 => (WeightType::Bf16, None),
            Self::Q8_0 => (WeightType::AsStored, Some(Quantization::Q8_0)),
            Self::Q4_0 => (WeightType::AsStored, Some(Quantization::Q4_0)),
            Self::Q4KM => (WeightType::AsStored, Some(Quantization::Q4KM)),
        }
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    // Threads work on questions of their own, which shares the work better than the kernels of a small model do.
    seekvl::set_threads(1);
    let mut questions = question::read(&arguments.dir)?;
    questions.truncate(arguments.limit.unwrap_or(usize::MAX));
    let mut errors = arguments.errors.as_deref().map(create).transpose()?;
    let mut runs = Vec::new();
    for &dtype in &arguments.dtype {
        runs.push(run(&arguments, dtype, &questions, errors.as_mut())?);
    }
    if let Some(mut errors) = errors {
        errors.flush()?;
    }
    if let Some(path) = &arguments.json {
        let mut file = create(path)?;
        serde_json::to_writer_pretty(&mut file, &Report { model: &arguments.model, runs: &runs })?;
        writeln!(file)?;
        file.flush()?;
    }
    writeln!(std::io::stdout(), "{}", report::table(&runs).trim_fmt())?;
    Ok(())
}

fn run(
    arguments: &Arguments,
    dtype: Dtype,
    questions: &[Question],
    errors: Option<&mut BufWriter<File>>,
) -> Result<Run> {
    let name = dtype.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
    let (weights, quantization) = dtype.kept();
    let model = Model::builder().weights(weights).quantization(quantization).load(&arguments.model)?;
    let generation = GenerationOptions { max_new_tokens: arguments.max_tokens, ..GenerationOptions::default() };
    let bar = ProgressBar::new(questions.len() as u64).with_message(name.clone());
    bar.set_style(ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len} {per_sec} {eta}")?);
    let asking = Asking {
        dir: &arguments.dir,
        threads: arguments.threads.or(available_parallelism().ok()).map_or(1, NonZeroUsize::get),
        batch: arguments.batch.get(),
        options: &Options { generation, ..Options::default() },
        bar: &bar,
    };
    let started = Instant::now();
    let answers = asking.ask(&model, questions)?;
    let seconds = started.elapsed().as_secs_f64();
    bar.finish_and_clear();

    let judge = |(question, answer): (&Question, &seekvl::Answer)| {
        Measure::of(&question.task).judge(&answer.raw, answer.finish, &question.answer)
    };
    let verdicts: Vec<Verdict> = questions.iter().zip(&answers).map(judge).collect();
    if let Some(errors) = errors {
        let judged = questions.iter().zip(&answers).zip(&verdicts);
        report::write_faults(errors, &name, judged.map(|((question, answer), verdict)| (question, answer, verdict)))?;
    }
    Ok(Run { dtype: name, seconds, tallies: tally::tally(questions.iter().zip(&verdicts)) })
}

fn create(path: &Path) -> Result<BufWriter<File>> {
    Ok(BufWriter::new(File::create(path).with_context(|| format!("cannot write {}", path.display()))?))
}
