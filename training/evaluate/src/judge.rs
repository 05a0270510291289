//! Whether an answer is right, and how far it is from it.

use crate::score::{edit_distance, normalised, set_iou};
use seekvl::FinishReason;
use seekvl::boxes::{Grounded, Reading};
use serde::Serialize;

/// What makes an answer right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// The same characters. Its score is the character error rate.
    Characters,
    /// The same words. It has no other score.
    Words,
    /// Boxes in the same places: a mean intersection over union above [`SAME_PLACE`], which is also its score.
    Boxes,
    /// The same labels, each with boxes in the same places. Its score is F1 over the labels.
    Labels,
}

/// Boxes whose intersection over union is more than this show the same thing.
pub const SAME_PLACE: f64 = 0.5;

/// What was found of an answer. Scores of answers add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Verdict {
    /// Whether it is right.
    pub right: bool,
    /// Whether the model ended it by itself, and its markup needed no repair.
    pub well_formed: bool,
    /// What counts: wrong characters, the intersection over union, or twice the labels that are right.
    pub counted: f64,
    /// What it is counted against: characters, answers, or labels given and wanted together.
    pub against: f64,
}

impl Measure {
    /// How answers to a task are judged.
    pub fn of(task: &str) -> Self {
        match task {
            "caption/grounded" => Self::Labels,
            "pair/locate" => Self::Boxes,
            task if task.starts_with("ground/") => Self::Boxes,
            task if task.starts_with("read/") => Self::Characters,
            _ => Self::Words,
        }
    }

    /// What the score is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Characters => "CER",
            Self::Words => "",
            Self::Boxes => "IoU",
            Self::Labels => "F1",
        }
    }

    /// Judges an answer as the model wrote it.
    pub fn judge(self, given: &str, finish: FinishReason, truth: &str) -> Verdict {
        let well_formed = finish == FinishReason::Stop && is_clean(given);
        let (right, counted, against) = match self {
            Self::Characters => {
                let (given, truth) = (given.trim(), truth.trim());
                (given == truth, edit_distance(given, truth) as f64, truth.chars().count() as f64)
            }
            Self::Words => (normalised(given) == normalised(truth), 0.0, 0.0),
            Self::Boxes => {
                let iou = set_iou(&boxes(given), &boxes(truth));
                (iou > SAME_PLACE, iou, 1.0)
            }
            Self::Labels => {
                let (given, truth) = (labels(given), labels(truth));
                let (found, all) = (2 * same_labels(&given, &truth), given.len() + truth.len());
                (found == all, found as f64, all as f64)
            }
        };
        Verdict { right, well_formed, counted, against }
    }
}

/// Whether each label is in its tags and each box was read as it stood.
fn is_clean(answer: &str) -> bool {
    let count = |tag| answer.matches(tag).count();
    let regions = Grounded::parse(answer).regions;
    let with_boxes = regions.iter().filter(|region| !region.boxes.is_empty()).count();
    let boxes = || regions.iter().flat_map(|region| &region.boxes);
    [count("<|ref|>"), count("<|/ref|>")] == [regions.len(); 2]
        && [count("<|det|>"), count("<|/det|>")] == [with_boxes; 2]
        && regions.iter().all(|region| region.label.is_some())
        && boxes().all(|one| one.reading == Reading::AsWritten)
}

fn boxes(answer: &str) -> Vec<[u16; 4]> {
    Grounded::parse(answer).boxes().filter_map(|(_, one)| one.relative).collect()
}

/// Labels with their boxes.
fn labels(answer: &str) -> Vec<(String, Vec<[u16; 4]>)> {
    let regions = Grounded::parse(answer).regions.into_iter();
    let relative = |region: &seekvl::boxes::Region| region.boxes.iter().filter_map(|one| one.relative).collect();
    regions.map(|region| (normalised(region.label.as_deref().unwrap_or_default()), relative(&region))).collect()
}

/// How many labels are in both, with boxes in the same places, each counted once.
fn same_labels(given: &[(String, Vec<[u16; 4]>)], wanted: &[(String, Vec<[u16; 4]>)]) -> usize {
    let mut free: Vec<_> = wanted.iter().collect();
    let is_found = |(label, boxes): &&(String, Vec<[u16; 4]>)| {
        let same = free.iter().position(|(other, places)| other == label && set_iou(boxes, places) > SAME_PLACE);
        same.map(|at| free.swap_remove(at)).is_some()
    };
    given.iter().filter(is_found).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use seekvl::boxes::markup;

    fn judge(task: &str, given: &str, truth: &str) -> Verdict {
        Measure::of(task).judge(given, FinishReason::Stop, truth)
    }

    #[test]
    fn tasks_have_their_measures() {
        let cases = [
            ("read/line", Measure::Characters),
            ("ground/scene", Measure::Boxes),
            ("pair/locate", Measure::Boxes),
            ("pair/compare", Measure::Words),
            ("caption/grounded", Measure::Labels),
            ("caption/plain", Measure::Words),
            ("absent/scene", Measure::Words),
            ("document/value", Measure::Words),
        ];
        for (task, measure) in cases {
            assert_eq!(Measure::of(task), measure, "{task}");
        }
    }

    #[test]
    fn reading_counts_characters() {
        let verdict = judge("read/line", " Hallo", "Hello\n");
        assert_eq!((verdict.right, verdict.counted, verdict.against), (false, 1.0, 5.0));
        assert!(judge("read/line", "Hello", "Hello").right);
        assert!(!judge("read/line", "hello", "Hello").right, "capitals are read too");
    }

    #[test]
    fn words_are_compared_mildly() {
        assert!(judge("scene/colour", "Red.", "red").right);
        assert!(!judge("scene/colour", "dark red", "red").right);
    }

    #[test]
    fn boxes_may_be_a_little_off() {
        let truth = markup("cup", &[[0, 0, 100, 100], [500, 500, 600, 600]]);
        let near = markup("mug", &[[505, 500, 605, 600], [0, 0, 100, 90]]);
        let verdict = judge("ground/scene", &near, &truth);
        assert!(verdict.right && verdict.counted > 0.9 && verdict.against == 1.0, "{verdict:?}");
        let one = judge("ground/scene", &markup("cup", &[[0, 0, 100, 100]]), &truth);
        assert_eq!((one.right, one.counted), (false, 0.5));
        assert!(!judge("ground/scene", "I can't see that.", &truth).right);
    }

    #[test]
    fn labels_count_with_their_places() {
        let [cup, key] = [markup("a cup", &[[0, 0, 100, 100]]), markup("a key", &[[500, 0, 600, 100]])];
        let truth = format!("{cup} and {key}");
        let score = |given: &str| {
            let verdict = judge("caption/grounded", given, &truth);
            (verdict.right, verdict.counted / verdict.against)
        };
        assert_eq!(score(&format!("{key} and {cup}")), (true, 1.0));
        assert_eq!(score(&cup), (false, 2.0 / 3.0));
        assert_eq!(score(&format!("{cup} and {cup}")), (false, 0.5));
        assert_eq!(score(&markup("a cup", &[[500, 0, 600, 100]])), (false, 0.0));
        assert_eq!(score("nothing"), (false, 0.0));
    }

    #[test]
    fn what_needs_repair_is_not_well_formed() {
        let clean = [
            "red".to_owned(),
            markup("a cup", &[[0, 0, 1, 999]]),
            format!("{} and {}", markup("a", &[[1, 2, 3, 4]]), markup("b", &[[1, 2, 3, 4], [5, 6, 7, 8]])),
        ];
        for answer in &clean {
            assert!(is_clean(answer), "{answer}");
        }
        let unclean = [
            "<|ref|>a cup<|det|>[[1, 2, 3, 4]]<|/det|>",
            "a cup<|/ref|>",
            "<|det|>[[1, 2, 3, 4]]<|/det|>",
            "<|ref|>a<|/ref|><|det|>[[1, 2, 3, 4]]",
            "<|ref|>a<|/ref|><|det|>[[1, 2, 3, 1000]]<|/det|>",
            "<|ref|>a<|/ref|><|det|>[[4, 2, 3, 4]]<|/det|>",
            "<|ref|>a<|/ref|><|det|>[[1, 2, 3]]<|/det|>",
            "<|ref|>a<|/ref|><|det|>[]<|/det|>",
        ];
        for answer in unclean {
            assert!(!is_clean(answer), "{answer}");
        }
        assert!(!Measure::Words.judge("red", FinishReason::Length, "red").well_formed);
    }
}
