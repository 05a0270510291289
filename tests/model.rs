//! From images and questions to answers, on checkpoints of random weights.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use seekvl::{
    Cancel, Conversation, Cropping, DecodeLimits, DecodeOptions, Error, FinishReason, GenerationOptions, Message,
    Model, Options, Part, Resolution, Sampling, TilingOptions,
};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

static MODEL: LazyLock<Model> = LazyLock::new(|| Model::from_pretrained(&checkpoint("vl2-tiny-like")).unwrap());

fn checkpoint(name: &str) -> String {
    format!("{}/tests/reference/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn picture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/images").join(name)
}

fn question(text: &str, pictures: &[&str]) -> Conversation {
    Message::question(text, pictures.iter().map(|name| picture(name).into())).into()
}

fn short() -> Options {
    let generation = GenerationOptions {
        max_new_tokens: 24,
        repetition_guard: None,
        markup_guard: false,
        ..GenerationOptions::default()
    };
    Options { generation, ..Options::default() }
}

#[test]
fn a_question_is_answered_as_by_the_original() {
    let conversation: Conversation = Message::user("What colour is this? <image>", [picture("one.png").into()]).into();
    let answer = MODEL.generate(&conversation, &short()).unwrap();
    let expected = [
        584, 280, 169, 40, 150, 749, 169, 40, 150, 169, 413, 670, 670, 670, 693, 150, 74, 530, 221, 22, 414, 722, 537,
        625,
    ];
    assert_eq!(answer.tokens.iter().map(|token| token.id).collect::<Vec<_>>(), expected);
    assert_eq!(answer.finish, FinishReason::Length);
    assert_eq!((answer.prompt_tokens, answer.image_tokens), (26, vec![13]));
    assert!(answer.raw.contains("<|ref|>") && !answer.text.contains("<|ref|>"));
}

#[test]
fn streamed_pieces_make_the_answer() {
    let conversation = question("Describe.", &["page.png"]);
    let whole = MODEL.generate(&conversation, &short()).unwrap();
    let mut stream = MODEL.stream(&conversation, &short()).unwrap();
    let pieces: Vec<String> = (&mut stream).collect::<Result<_, _>>().unwrap();
    assert!(pieces.len() > 5);
    assert_eq!(pieces.concat(), whole.raw);
    assert_eq!(stream.finish().raw, whole.raw);
}

#[test]
fn a_batch_gives_what_each_gives_alone() {
    let conversations = [
        question("What is this?", &["page.png", "wide.png"]),
        question("Hello!", &[]),
        question("And these?", &["rgba.png", "tall.webp", "street.jpg"]),
        Conversation::new()
            .with_system("Be brief.")
            .with(Message::question("What?", [picture("gray.png").into()]))
            .with(Message::assistant("A gradient."))
            .with(Message::user("Sure?", [])),
    ];
    let sampling = Sampling::greedy().temperature(1.5).unwrap().top_k(40).seed(7);
    let mut options = short();
    options.generation.sampling = sampling;
    options.generation.top_logprobs = Some(2);
    for chunk in [0, 5] {
        options.prefill_chunk = chunk;
        let batch = MODEL.batch(&conversations, &options).unwrap();
        for (answer, conversation) in batch.iter().zip(&conversations) {
            let alone = MODEL.generate(conversation, &Options { prefill_chunk: 0, ..options.clone() }).unwrap();
            assert_eq!((&answer.raw, &answer.tokens), (&alone.raw, &alone.tokens));
        }
    }
    assert!(MODEL.batch(&[], &options).unwrap().is_empty());
}

#[test]
fn one_model_serves_many_threads() {
    let conversation = question("What is this?", &["page.png"]);
    let expected = MODEL.generate(&conversation, &short()).unwrap().raw;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(MODEL.generate(&conversation, &short()).unwrap().raw, expected));
        }
    });
}

#[test]
fn interleaved_parts_are_a_message_with_placeholders() {
    let image = || picture("one.png").into();
    let parts = [Part::Text("First: ".into()), Part::Image(image()), Part::Text(" then ".into()), Part::Image(image())];
    let from_parts = MODEL.generate(&Message::parts(parts).into(), &short()).unwrap();
    let written = Message::user("First: <image> then <image>", [image(), image()]).into();
    assert_eq!(from_parts.raw, MODEL.generate(&written, &short()).unwrap().raw);
}

#[test]
fn tiling_follows_the_options() {
    let tokens = |tiling: TilingOptions| {
        let options = Options { tiling, ..short() };
        MODEL.generate(&question("?", &["page.png"]), &options).map(|answer| answer.image_tokens[0])
    };
    let off = TilingOptions { cropping: Cropping::Off, ..TilingOptions::default() };
    assert_eq!(tokens(TilingOptions::default()).unwrap(), 49);
    assert_eq!(tokens(off).unwrap(), 13);
    let at_most = |max_tiles| TilingOptions { max_tiles: Some(max_tiles), ..TilingOptions::default() };
    assert_eq!(tokens(at_most(1)).unwrap(), 13);
    assert!(tokens(at_most(0)).is_err());
    let candidate = |width, height| TilingOptions {
        candidates: Some(vec![Resolution { width, height }]),
        ..TilingOptions::default()
    };
    // 2×1 tiles of 2×2 tokens: 2·3 + 1 + 2·5.
    assert_eq!(tokens(candidate(96, 48)).unwrap(), 17);
    assert!(tokens(candidate(96, 47)).is_err());
}

#[test]
fn orientation_is_applied_unless_pixels_are_taken_as_stored() {
    let raw = |conversion| {
        let decode = DecodeOptions { conversion, ..DecodeOptions::default() };
        MODEL.generate(&question("?", &["exif6.jpg"]), &Options { decode, ..short() }).unwrap().raw
    };
    assert_ne!(raw(seekvl::Conversion::AsSeen), raw(seekvl::Conversion::AsStored));
}

#[test]
fn what_cannot_be_answered_is_an_error_that_says_why() {
    let error = |conversation: Conversation| MODEL.generate(&conversation, &short()).unwrap_err();
    let missing = error(Message::user("<image> and <image>", [picture("one.png").into()]).into());
    assert!(matches!(missing, Error::ImageCount { placeholders: 2, images: 1, .. }), "{missing}");
    assert!(missing.to_string().contains('2') && missing.to_string().contains('1'));
    assert!(matches!(error(Conversation::new()), Error::NoMessage));
    assert!(error(question("?", &["none.png"])).to_string().contains("none.png"));
    let long = error(Message::user("word ".repeat(5000), []).into());
    assert!(matches!(long, Error::PromptTooLong { context: 4096, .. }), "{long}");
    let tight = Model::builder().limits(DecodeLimits { max_pixels: 100, ..DecodeLimits::default() });
    let tight = tight.load(&checkpoint("vl2-tiny-like")).unwrap();
    let mut error: &dyn std::error::Error = &tight.ask(picture("page.png"), "?").unwrap_err();
    assert!(error.to_string().contains("page.png"), "{error}");
    while let Some(source) = error.source() {
        error = source;
    }
    assert!(error.to_string().contains("limit of 100 pixels"), "{error}");
}

#[test]
fn cancelling_stops_at_once() {
    let options = short();
    options.cancel.cancel();
    assert!(matches!(MODEL.generate(&question("?", &["page.png"]), &options), Err(Error::Cancelled)));
    let answer = MODEL.generate(&question("?", &[]), &options).unwrap();
    assert_eq!((answer.finish, answer.tokens.len()), (FinishReason::Cancelled, 0));

    let options = Options { cancel: Cancel::new(), ..short() };
    let mut stream = MODEL.stream(&question("?", &[]), &options).unwrap();
    let first = stream.next().unwrap().unwrap();
    options.cancel.cancel();
    assert!(stream.by_ref().count() <= 1, "what was held back may follow");
    let answer = stream.finish();
    assert_eq!(answer.finish, FinishReason::Cancelled);
    assert!(answer.raw.starts_with(&first));
}

#[test]
fn presets_ask_what_they_say() {
    let ask = |text: &str| MODEL.generate(&question(text, &["page.png"]), &Options::default()).unwrap().raw;
    assert_eq!(MODEL.ocr(picture("page.png")).unwrap().raw, ask(seekvl::model::OCR_PROMPT));
    assert_eq!(MODEL.ground(picture("page.png"), " the dog ").unwrap().raw, ask("<|ref|>the dog<|/ref|>."));
}

#[test]
fn an_answer_serializes_with_all_that_is_known() {
    let mut options = short();
    options.generation.top_logprobs = Some(1);
    let answer = MODEL.generate(&question("?", &["one.png"]), &options).unwrap();
    let json = serde_json::to_value(&answer).unwrap();
    assert_eq!(json["finish"], "length");
    assert_eq!(json["tokens"].as_array().unwrap().len(), 24);
    assert!(json["tokens"][0]["logprobs"]["chosen"].as_f64().unwrap() <= 0.0);
    assert!(json["timings"]["prefill"].as_f64().unwrap() > 0.0);
}

#[test]
fn all_three_attentions_and_routings_load_in_both_types() {
    for name in ["vl2-tiny-like", "vl2-small-like", "vl2-base-like"] {
        for weights in [seekvl::WeightType::F32, seekvl::WeightType::Bf16] {
            let model = Model::builder().weights(weights).local_files_only(true).load(&checkpoint(name)).unwrap();
            assert!(!model.ask(picture("page.png"), "What is this?").unwrap().tokens.is_empty(), "{name} {weights:?}");
        }
    }
}
