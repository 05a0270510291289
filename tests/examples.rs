//! Every example runs, and keeps what it says.
#![cfg(feature = "nano")]

use seekvl::{Model, Options};

#[allow(dead_code)]
#[path = "../examples/batch.rs"]
mod batch;
#[allow(dead_code)]
#[path = "../examples/grounding.rs"]
mod grounding;
#[allow(dead_code)]
#[path = "../examples/multi_image.rs"]
mod multi_image;
#[allow(dead_code)]
#[path = "../examples/ocr.rs"]
mod ocr;
#[allow(dead_code)]
#[path = "../examples/streaming.rs"]
mod streaming;
#[allow(dead_code)]
#[path = "../examples/vqa.rs"]
mod vqa;

const MODEL: &str = seekvl::NANO;

#[test]
fn vqa_answers() {
    let answer = vqa::run(MODEL).unwrap();
    assert!(!answer.tokens.is_empty());
    assert_eq!(answer.image_tokens.len(), 1);
    assert!(answer.prompt_tokens > answer.image_tokens[0]);
}

#[test]
fn ocr_answers() {
    assert!(!ocr::run(MODEL).unwrap().tokens.is_empty());
}

#[test]
fn grounding_draws_a_picture_of_the_same_size() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("grounding.png");
    grounding::run(MODEL, &out).unwrap();
    assert_eq!(image::image_dimensions(&out).unwrap(), (336, 168));
}

#[test]
fn multi_image_sees_both_pictures_twice() {
    let [first, second] = multi_image::run(MODEL).unwrap();
    assert_eq!(first.image_tokens.len(), 2);
    assert_eq!(second.image_tokens, first.image_tokens);
    assert!(second.prompt_tokens > first.prompt_tokens + first.tokens.len());
}

#[test]
fn streaming_shows_the_answer() {
    let (shown, answer) = streaming::run(MODEL).unwrap();
    assert_eq!(shown, answer.raw);
}

#[test]
fn batch_answers_as_one_by_one() {
    let answers = batch::run(MODEL).unwrap();
    let model = Model::from_pretrained(MODEL).unwrap();
    for (question, answer) in batch::questions().iter().zip(&answers) {
        let alone = model.generate(question, &Options::default()).unwrap();
        assert_eq!(answer.raw, alone.raw);
    }
    assert_eq!(answers.len(), 3);
}
