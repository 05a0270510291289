//! What is kept from one answer for the next changes no answer.
#![cfg(feature = "nano")]

use seekvl::conversation::Image;
use seekvl::{Answer, Cancel, Conversation, Error, Message, Model, Options, Recall, Result};
use std::path::Path;

fn picture(name: &str) -> Image {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/images")).join(name).into()
}

fn answer(model: &Model, conversation: &Conversation, options: &Options, recall: &mut Recall) -> Result<Answer> {
    let mut stream = model.stream_with(conversation, options, recall)?;
    for piece in &mut stream {
        piece?;
    }
    Ok(stream.finish_into(recall))
}

fn options() -> Options {
    let mut options = Options::default();
    options.generation.max_new_tokens = 12;
    options.generation.top_logprobs = Some(3);
    options
}

/// By how much log-probabilities of nano may differ: it has latent attention, in bf16.
const NANO: f32 = 0.03;

/// Others have grouped attention, and latent attention in f32.
fn models() -> Result<[(Model, f32); 3]> {
    let reference =
        |name: &str| Model::from_pretrained(&format!("{}/tests/reference/{name}", env!("CARGO_MANIFEST_DIR")));
    Ok([(Model::nano()?, NANO), (reference("vl2-tiny-like")?, 0.0), (reference("vl2-small-like")?, 1e-4)])
}

/// All but times and what was cached is the same; log-probabilities up to `bound`.
fn assert_same(with: &Answer, without: &Answer, bound: f32, case: &str) {
    assert_eq!((&with.raw, with.prompt_tokens), (&without.raw, without.prompt_tokens), "{case}");
    assert_eq!(with.tokens.len(), without.tokens.len(), "{case}");
    for (a, b) in with.tokens.iter().zip(&without.tokens) {
        let (Some(x), Some(y)) = (&a.logprobs, &b.logprobs) else { panic!("{case}: they were asked for") };
        assert!(a.id == b.id && (x.chosen - y.chosen).abs() <= bound, "{case}: {a:?}, not {b:?}");
    }
}

#[test]
fn a_conversation_goes_on_where_it_was() -> Result<()> {
    for (model, bound) in models()? {
        goes_on(&model, bound)?;
    }
    Ok(())
}

fn goes_on(model: &Model, bound: f32) -> Result<()> {
    let options = options();
    let mut recall = Recall::default();
    let mut conversation = Conversation::new();
    let mut shown = 0;
    let turns = [
        ("What colour is the triangle?", Some("shapes.png")),
        ("And the circle?", None),
        ("Now?", Some("objects.png")),
    ];
    for (turn, (text, image)) in turns.into_iter().enumerate() {
        conversation = conversation.with(Message::question(text, image.map(picture)));
        let (with, without) =
            (answer(model, &conversation, &options, &mut recall)?, model.generate(&conversation, &options)?);
        assert_same(&with, &without, bound, &format!("turn {turn}"));
        assert_eq!(without.cached_tokens, 0);
        // All that was there before the answer; how the answer itself is cut into tokens may differ when it is read.
        assert!(with.cached_tokens >= shown && with.cached_tokens < with.prompt_tokens, "turn {turn}: {with:?}");
        shown = with.prompt_tokens - 3;
        conversation = conversation.with(Message::assistant(with.raw));
    }
    Ok(())
}

#[test]
fn another_picture_is_not_mistaken_for_the_last() -> Result<()> {
    let (model, options) = (Model::nano()?, options());
    let mut recall = Recall::default();
    let ask = |name: &str, recall: &mut Recall| {
        let conversation = Message::question("What colour is the square?", [picture(name)]).into();
        let (with, without) =
            (answer(&model, &conversation, &options, recall)?, model.generate(&conversation, &options)?);
        assert_same(&with, &without, NANO, name);
        Ok::<usize, Error>(with.cached_tokens)
    };
    assert_eq!(ask("before.png", &mut recall)?, 0);
    let start = ask("after.png", &mut recall)?;
    assert!(start < 10, "only what stands before the picture is the same, not {start} tokens");
    let all = ask("after.png", &mut recall)?;
    assert!(all > 50);
    // Another model has other caches.
    let other = Model::nano()?;
    let conversation = Message::question("What colour is the square?", [picture("after.png")]).into();
    assert_eq!(answer(&other, &conversation, &options, &mut recall)?.cached_tokens, 0);
    recall.clear();
    assert_eq!(recall.bytes(), 0);
    Ok(())
}

/// The tower, once it is told to stop, gives nothing: what is answered all the same has not asked it.
#[test]
fn a_picture_that_was_seen_is_not_encoded_again() -> Result<()> {
    let (model, options) = (Model::nano()?, options());
    let mut recall = Recall::default();
    let ask = |name: &str, question: &str| Message::question(question, [picture(name)]).into();
    answer(&model, &ask("shapes.png", "What colour is the triangle?"), &options, &mut recall)?;
    let stopped = Options { cancel: Cancel::new(), ..options };
    stopped.cancel.cancel();
    assert!(model.stream_with(&ask("shapes.png", "Is there a circle?"), &stopped, &mut recall).is_ok());
    let unseen = model.stream_with(&ask("objects.png", "Is there a circle?"), &stopped, &mut recall);
    assert!(matches!(unseen.err(), Some(Error::Cancelled)));
    Ok(())
}

#[test]
fn pictures_take_no_more_than_they_may() -> Result<()> {
    let (model, options) = (Model::nano()?, options());
    let mut recall = Recall::new(0);
    let conversation = Message::question("What is this?", [picture("shapes.png")]).into();
    let first = answer(&model, &conversation, &options, &mut recall)?;
    let again = answer(&model, &conversation, &options, &mut recall)?;
    assert_same(&first, &again, NANO, "again");
    assert!(recall.bytes() > 0 && recall.bytes() < 4 << 20, "{} bytes", recall.bytes());
    Ok(())
}

/// What the next turn would see of the last may be gone: then all is read again.
#[test]
fn a_window_lets_go_of_what_another_turn_would_see() -> Result<()> {
    let options = options();
    let long = |end: &str| Message::question(format!("{} {end}", "and so on ".repeat(150)), []).into();
    for name in ["vl2-tiny-like", "vl2-small-like"] {
        let name = format!("{}/tests/reference/{name}", env!("CARGO_MANIFEST_DIR"));
        let model = Model::builder().context_window(64).load(&name)?;
        let mut recall = Recall::default();
        let mut ask = |conversation: &Conversation| {
            let (with, without) =
                (answer(&model, conversation, &options, &mut recall)?, model.generate(conversation, &options)?);
            assert_same(&with, &without, 1e-4, &name);
            Ok::<_, Error>((with.cached_tokens, with.prompt_tokens))
        };
        ask(&long("one"))?;
        let (cached, prompt) = ask(&long("two"))?;
        assert!(cached > 400 && cached < prompt, "{cached} of {prompt}");
        let short = Message::question("and so", []).into();
        assert_eq!(ask(&short)?.0, 0, "what it has in common with the last is out of sight");
    }
    Ok(())
}
