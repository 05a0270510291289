//! Caches of each type, behind the model.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use seekvl::plan::{Plan, WeightBytes};
use seekvl::{CacheType, Conversation, GenerationOptions, Message, Model, Options, Recall, WeightType};

fn reference(name: &str) -> String {
    format!("{}/tests/reference/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn loaded(name: &str, kind: CacheType) -> Model {
    Model::builder().cache_type(kind).load(&reference(name)).unwrap()
}

fn options() -> Options {
    let generation = GenerationOptions { max_new_tokens: 24, ..GenerationOptions::default() };
    Options { generation, ..Options::default() }
}

fn text() -> Conversation {
    Message::question("What do you know of the sea, and of what lives in it?", []).into()
}

/// Drafts are cut off a cache again where they are not right.
#[test]
fn drafts_change_no_answer() {
    for kind in CacheType::ALL {
        let model = loaded("v3-like", kind);
        let tokens = |draft| model.generate(&text(), &Options { draft, ..options() }).unwrap();
        let (plain, drafted) = (tokens(false), tokens(true));
        assert_eq!(plain.tokens, drafted.tokens, "{kind}");
        assert!(drafted.drafts.proposed > 0, "{kind}");
    }
}

/// A cache that another conversation left is taken up.
#[test]
fn recalled_caches_change_no_answer() {
    for (name, kind) in
        ["vl2-tiny-like", "llm-like"].into_iter().flat_map(|name| CacheType::ALL.map(|kind| (name, kind)))
    {
        let (model, mut recall) = (loaded(name, kind), Recall::default());
        for _ in 0..2 {
            let mut stream = model.stream_with(&text(), &options(), &mut recall).unwrap();
            (&mut stream).for_each(|piece| drop(piece.unwrap()));
            let answer = stream.finish_into(&mut recall);
            assert_eq!(answer.tokens, model.generate(&text(), &options()).unwrap().tokens, "{name} {kind}");
        }
    }
}

#[test]
fn plans_count_the_type() {
    let bytes = CacheType::ALL.map(|kind| {
        let model = loaded("vl2-small-like", kind);
        let weights = WeightBytes::assumed(model.processor().spec(), WeightType::F32, None);
        let plan = Plan::new(model.processor(), &text(), &options(), weights).unwrap();
        assert_eq!(plan.cache_type, kind);
        assert_eq!(plan.memory.cache % plan.cache_bytes_per_token as u64, 0);
        plan.cache_bytes_per_token as f64
    });
    assert!(bytes[1] == bytes[0] / 2.0 && bytes[2] < 0.6 * bytes[1], "{bytes:?}");
}
