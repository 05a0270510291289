//! Texts longer than the context, and experts that stay in their files.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use seekvl::{Conversation, Error, FinishReason, GenerationOptions, Message, Model, Options};
use std::path::Path;

fn reference(name: &str) -> String {
    let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference")).join(name);
    dir.to_str().unwrap().to_owned()
}

fn text(words: usize) -> Conversation {
    let text: Vec<String> = (0..words).map(|word| format!("{} and", word * 37 % 211)).collect();
    Message::question(text.join(" "), []).into()
}

fn options(max_new_tokens: usize) -> Options {
    let generation = GenerationOptions {
        max_new_tokens,
        ignore_eos: true,
        repetition_guard: None,
        markup_guard: false,
        top_logprobs: Some(3),
        ..GenerationOptions::default()
    };
    Options { generation, ..Options::default() }
}

#[test]
fn a_text_longer_than_the_context_is_an_error_or_has_a_window() {
    // Their context is 2560.
    for name in ["v2-like", "v3-like"] {
        let plain = Model::from_pretrained(&reference(name)).unwrap();
        let error = plain.generate(&text(1500), &options(4)).unwrap_err();
        assert!(matches!(error, Error::PromptTooLong { context: 2560, .. }), "{error}");

        let narrow = Model::builder().context_window(200).load(&reference(name)).unwrap();
        let long = narrow.generate(&text(1500), &options(300)).unwrap();
        assert!(long.prompt_tokens > 2560, "{}", long.prompt_tokens);
        assert_eq!((long.tokens.len(), long.finish), (300, FinishReason::Length));
        let pieces = narrow.generate(&text(1500), &Options { prefill_chunk: 99, ..options(300) }).unwrap();
        assert_eq!(pieces.tokens, long.tokens, "{name}");
        let drafted = narrow.generate(&text(1500), &Options { draft: true, ..options(300) }).unwrap();
        assert_eq!(drafted.tokens, long.tokens, "{name}");
        assert_eq!(drafted.drafts.proposed > 0, name == "v3-like");

        let wide = Model::builder().context_window(2560).load(&reference(name)).unwrap();
        let short = text(20);
        let [a, b] = [&plain, &wide].map(|model| model.generate(&short, &options(40)).unwrap().tokens);
        assert_eq!(a, b, "{name}");
    }
    for window in [0, 2561] {
        let error = Model::builder().context_window(window).load(&reference("v2-like")).err().unwrap();
        assert!(error.is_option() && error.to_string().contains("context_window"), "{error}");
    }
}

#[test]
fn answers_are_the_same_whichever_experts_are_in_memory() {
    for name in ["v2-like", "v3-like", "vl2-small-like"] {
        let held = Model::from_pretrained(&reference(name)).unwrap();
        let expected = held.generate(&text(20), &options(30)).unwrap();
        assert!(expected.experts.is_none());
        let error = Model::builder().expert_budget(100).load(&reference(name)).err().unwrap();
        assert!(error.is_option() && error.to_string().contains("100 bytes"), "{error}");
        // Room for a few of 8 or 16 experts in 2 layers.
        for budget in [50_000, 150_000, 1 << 30] {
            let model = Model::builder().expert_budget(budget).load(&reference(name)).unwrap();
            let answer = model.generate(&text(20), &options(30)).unwrap();
            assert_eq!(answer.tokens, expected.tokens, "{name}, {budget}");
            let experts = answer.experts.unwrap();
            assert!(experts.most_resident <= budget && experts.resident <= experts.most_resident, "{experts:?}");
            assert!(experts.reads > 0 && experts.bytes_read >= experts.reads * 30_000, "{experts:?}");
            assert_eq!(experts.hit_rate, experts.hits as f64 / (experts.hits + experts.reads) as f64);
            let again = model.generate(&text(20), &options(30)).unwrap().experts.unwrap();
            assert_eq!(again.reads == 0, budget == 1 << 30, "{again:?}");
            if budget == 1 << 30 {
                assert_eq!((again.bytes_read, again.hit_rate), (0, 1.0));
            }
        }
    }
}
