//! What came of it: a table for people, JSON for programs, and the answers that are wrong.

use crate::judge::Verdict;
use crate::question::Question;
use crate::tally::Tally;
use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, Row, Table};
use seekvl::{Answer, FinishReason};
use serde::Serialize;
use std::io::{self, Write};
use std::path::PathBuf;

/// The answers in one type of weights, added up.
#[derive(Serialize)]
pub struct Run {
    /// The type of the weights.
    pub dtype: String,
    /// How long asking took, all threads together.
    pub seconds: f64,
    /// The tallies of tasks and groups, in the same order for each run.
    pub tallies: Vec<Tally>,
}

/// What `--json` writes.
#[derive(Serialize)]
pub struct Report<'a> {
    /// The model, as given.
    pub model: &'a str,
    /// One for each type of weights.
    pub runs: &'a [Run],
}

/// A row for each task and group, three columns for each run: the measure's score, and the shares of answers that are
/// right and that are well formed.
pub fn table(runs: &[Run]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    let titles = runs.iter().flat_map(|run| [run.dtype.clone(), "right".into(), "well formed".into()]);
    table.set_header(["task", "questions", "measure"].map(String::from).into_iter().chain(titles));
    for (at, tally) in runs.first().into_iter().flat_map(|run| &run.tallies).enumerate() {
        let indent = if tally.is_task { "  " } else { "" };
        let mut row = Row::new();
        row.add_cell(Cell::new(format!("{indent}{}", tally.name)));
        row.add_cell(number(tally.questions.to_string()));
        row.add_cell(Cell::new(tally.measure.map_or("", |measure| measure.name())));
        for tally in runs.iter().filter_map(|run| run.tallies.get(at)) {
            let share = |count: usize| percent(count as f64 / tally.questions as f64);
            row.add_cell(number(tally.score.map_or_else(String::new, percent)));
            row.add_cell(number(share(tally.right)));
            row.add_cell(number(share(tally.well_formed)));
        }
        table.add_row(row);
    }
    table
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn number(text: String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

/// An answer that is wrong or not well formed.
#[derive(Serialize)]
struct Fault<'a> {
    dtype: &'a str,
    images: &'a [PathBuf],
    task: &'a str,
    question: &'a str,
    truth: &'a str,
    answer: &'a str,
    finish: FinishReason,
    #[serde(flatten)]
    verdict: &'a Verdict,
}

/// Writes each answer that is wrong or not well formed as a line of JSON.
///
/// # Errors
/// Where `out` fails.
pub fn write_faults<'a>(
    out: &mut impl Write,
    dtype: &str,
    judged: impl IntoIterator<Item = (&'a Question, &'a Answer, &'a Verdict)>,
) -> io::Result<()> {
    for (question, answer, verdict) in judged {
        if verdict.right && verdict.well_formed {
            continue;
        }
        let fault = Fault {
            dtype,
            images: &question.images,
            task: &question.task,
            question: &question.question,
            truth: &question.answer,
            answer: &answer.raw,
            finish: answer.finish,
            verdict,
        };
        serde_json::to_writer(&mut *out, &fault)?;
        writeln!(out)?;
    }
    Ok(())
}
