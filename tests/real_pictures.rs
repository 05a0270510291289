//! Every question of `examples/images/questions.json`, asked of nano. The pictures were made by other means than those
//! that it was trained with.
#![cfg(feature = "nano")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use seekvl::boxes::{Grounded, MAX_COORDINATE, Reading};
use seekvl::{Answer, Conversation, FinishReason, Message, Model, Options};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// How many answers have to be right, and how many well formed: what the model reaches (20 and 31), less one. These numbers have
/// to rise with its training.
const LEAST_RIGHT: usize = 19;
const LEAST_WELL_FORMED: usize = 30;

#[derive(Deserialize)]
struct Question {
    images: Vec<PathBuf>,
    question: String,
    answer: String,
}

fn pictures() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/images"))
}

fn questions() -> Vec<Question> {
    let text = std::fs::read_to_string(pictures().join("questions.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The same words but for capitals and a final full stop; of boxes, each in its place.
fn is_right(given: &str, truth: &str) -> bool {
    let boxes = |answer: &str| -> Vec<[u16; 4]> {
        Grounded::parse(answer).boxes().filter_map(|(_, one)| one.relative).collect()
    };
    let (found, wanted) = (boxes(given), boxes(truth));
    if wanted.is_empty() {
        let words = |text: &str| text.trim().trim_end_matches('.').to_lowercase();
        return words(given) == words(truth);
    }
    found.len() == wanted.len() && found.iter().zip(&wanted).all(|(one, other)| iou(*one, *other) > 0.5)
}

fn iou(one: [u16; 4], other: [u16; 4]) -> f64 {
    let side = |low: u16, high: u16| f64::from(high.saturating_sub(low));
    let area = |b: [u16; 4]| side(b[0], b[2]) * side(b[1], b[3]);
    let both = side(one[0].max(other[0]), one[2].min(other[2])) * side(one[1].max(other[1]), one[3].min(other[3]));
    both / (area(one) + area(other) - both)
}

/// Whether the model ended it, and no box had to be repaired.
fn is_well_formed(answer: &Answer) -> bool {
    let mut boxes = answer.regions.iter().flat_map(|region| &region.boxes);
    answer.finish == FinishReason::Stop && boxes.all(|one| one.reading == Reading::AsWritten)
}

#[test]
fn nano_looks_at_pictures_that_it_was_not_made_for() {
    let questions = questions();
    let ask = |question: &Question| -> Conversation {
        Message::question(&question.question, question.images.iter().map(|name| pictures().join(name).into())).into()
    };
    let conversations: Vec<Conversation> = questions.iter().map(ask).collect();
    let answers = Model::nano().unwrap().batch(&conversations, &Options::default()).unwrap();

    let (mut right, mut well_formed) = (0, 0);
    println!("{:<24} {:<42} {:<30} {:<30}", "picture", "question", "truth", "answer");
    for (question, answer) in questions.iter().zip(&answers) {
        let is_right = is_right(&answer.raw, &question.answer);
        right += usize::from(is_right);
        well_formed += usize::from(is_well_formed(answer));
        let [names, truth, given] = [
            question.images.iter().map(|name| name.display().to_string()).collect::<Vec<_>>().join(" "),
            format!("{:?}", question.answer),
            format!("{:?}", answer.raw),
        ];
        let verdict = if is_right { "right" } else { "wrong" };
        println!("{names:<24} {:<42} {truth:<30} {given:<30} {verdict}", question.question);
    }
    println!("{right} of {} right, {well_formed} well formed", questions.len());
    assert!(right >= LEAST_RIGHT, "only {right} of {} right", questions.len());
    assert!(well_formed >= LEAST_WELL_FORMED, "only {well_formed} of {} well formed", questions.len());
}

#[test]
fn questions_fit_their_pictures() {
    let mut shown: Vec<PathBuf> = Vec::new();
    for question in questions() {
        for image in &question.images {
            let size = std::fs::metadata(pictures().join(image)).unwrap().len();
            assert!(size < 40_000, "{}", image.display());
        }
        for (_, one) in Grounded::parse(&question.answer).boxes() {
            assert_eq!(one.reading, Reading::AsWritten, "{}", question.answer);
            assert!(one.relative.unwrap().iter().all(|&place| place <= MAX_COORDINATE));
        }
        assert!(is_right(&question.answer, &question.answer) && !is_right("something else", &question.answer));
        shown.extend(question.images);
    }
    shown.sort();
    shown.dedup();
    assert!(shown.len() >= 12, "{shown:?}");
}
