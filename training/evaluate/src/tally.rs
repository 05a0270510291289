//! Verdicts added up, for each task, each group of tasks and all.

use crate::judge::{Measure, Verdict};
use crate::question::Question;
use serde::Serialize;

/// What came of the answers to some questions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tally {
    /// The task, its group, or `all`.
    pub name: String,
    /// Whether it is of one task.
    #[serde(skip)]
    pub is_task: bool,
    /// How they are judged; `None` where that is not the same for all.
    pub measure: Option<Measure>,
    /// How many there are.
    pub questions: usize,
    /// Answers that are right.
    pub right: usize,
    /// Answers that are well formed.
    pub well_formed: usize,
    #[serde(skip)]
    counted: f64,
    #[serde(skip)]
    against: f64,
    /// What the measure gives, where there is one.
    pub score: Option<f64>,
}

impl Tally {
    fn new(name: &str, is_task: bool, measure: Measure) -> Self {
        Self {
            name: name.into(),
            is_task,
            measure: Some(measure),
            questions: 0,
            right: 0,
            well_formed: 0,
            counted: 0.0,
            against: 0.0,
            score: None,
        }
    }

    fn add(&mut self, measure: Measure, verdict: &Verdict) {
        self.measure = self.measure.filter(|own| *own == measure);
        self.questions += 1;
        self.right += usize::from(verdict.right);
        self.well_formed += usize::from(verdict.well_formed);
        self.counted += verdict.counted;
        self.against += verdict.against;
        self.score = (self.measure.is_some() && self.against > 0.0).then(|| self.counted / self.against);
    }
}

/// Tallies by name: each group before its tasks, and all in the end.
pub fn tally<'a>(judged: impl IntoIterator<Item = (&'a Question, &'a Verdict)>) -> Vec<Tally> {
    let mut tallies = Vec::<Tally>::new();
    for (question, verdict) in judged {
        let measure = Measure::of(&question.task);
        for (name, is_task) in [(question.group(), false), (&question.task, true), ("all", false)] {
            let found = tallies.iter().position(|tally| tally.name == name && tally.is_task == is_task);
            let at = found.unwrap_or_else(|| {
                tallies.push(Tally::new(name, is_task, measure));
                tallies.len() - 1
            });
            tallies[at].add(measure, verdict);
        }
    }
    tallies.sort_by(|a, b| (a.name == "all", &a.name, a.is_task).cmp(&(b.name == "all", &b.name, b.is_task)));
    tallies
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(task: &str) -> Question {
        Question { images: Vec::new(), task: task.into(), question: String::new(), answer: String::new() }
    }

    #[test]
    fn groups_and_all_are_sums_of_tasks() {
        let [line, page, locate, compare] = ["read/line", "read/page", "pair/locate", "pair/compare"].map(question);
        let verdict = |right, counted, against| Verdict { right, well_formed: true, counted, against };
        let judged = [
            (&page, &verdict(false, 3.0, 90.0)),
            (&line, &verdict(true, 0.0, 10.0)),
            (&compare, &verdict(true, 0.0, 0.0)),
            (&locate, &verdict(true, 0.8, 1.0)),
            (&locate, &Verdict { against: 1.0, ..Verdict::default() }),
        ];
        let tallies = tally(judged);
        let names: Vec<_> = tallies.iter().map(|tally| tally.name.as_str()).collect();
        assert_eq!(names, ["pair", "pair/compare", "pair/locate", "read", "read/line", "read/page", "all"]);
        let of = |name: &str| tallies.iter().find(|tally| tally.name == name).unwrap();
        assert_eq!((of("read").score, of("read").right, of("read").questions), (Some(0.03), 1, 2));
        assert_eq!((of("pair/locate").score, of("pair/locate").well_formed), (Some(0.4), 1));
        assert_eq!((of("pair").score, of("pair").measure, of("pair").questions), (None, None, 3));
        assert_eq!((of("all").right, of("all").questions), (3, 5));
    }
}
