//! How a model is loaded and what it is allowed: flags that change an answer, and flags that must not.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use support::{copy, reference, run};
use tempfile::TempDir;

const SHAPES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/images/shapes.png");

fn text_of(path: PathBuf) -> String {
    path.to_str().unwrap().to_owned()
}

/// The answer of a reference checkpoint, as JSON.
fn answer(model: &str, args: &[&str]) -> Value {
    let common = ["-m", model, "--max-tokens", "24", "--no-repetition-guard", "--no-markup-guard", "--json", "-q"];
    run(&[args, &common].concat()).succeeds().json()
}

/// A model that begins to think at once, as DeepSeek-R1 does by its template.
fn thinker() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy(&reference().join("r1-distill-qwen-like"), dir.path());
    let template = "{{ bos_token }}{% for message in messages %}{{ message.content }}{% endfor %}<think>\n";
    fs::write(dir.path().join("chat_template.jinja"), template).unwrap();
    dir
}

/// A model with the tokens for filling in.
fn filler() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy(&reference().join("v2-like"), dir.path());
    let path = dir.path().join("tokenizer.json");
    let mut tokenizer: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for (i, content) in ["<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"].into_iter().enumerate() {
        tokenizer["added_tokens"].as_array_mut().unwrap().push(json!({
            "id": 703 + i, "content": content, "special": true,
            "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
        }));
    }
    fs::write(&path, tokenizer.to_string()).unwrap();
    dir
}

#[test]
fn thoughts_are_kept_apart_and_bounded() {
    let dir = thinker();
    let model = dir.path().to_str().unwrap();
    let question = "What is 12 + 345?";
    // Its weights are random: left alone, it thinks to the end.
    let free = answer(model, &["ask", question]);
    assert_eq!(free["text"], "");
    assert_eq!(free["tokens"].as_array().unwrap().len(), 24);
    let bounded = answer(model, &["ask", question, "--thinking-budget", "6"]);
    let (thoughts, text) = (bounded["thinking"].as_str().unwrap(), bounded["text"].as_str().unwrap());
    assert!(!thoughts.is_empty() && !text.is_empty(), "{bounded}");
    assert!(free["thinking"].as_str().unwrap().starts_with(thoughts), "{free} {bounded}");
    let printed = run(&["ask", question, "-m", model, "--max-tokens", "24", "--thinking-budget", "6"]).succeeds();
    assert_eq!(printed.stdout, format!("{text}\n"));

    let plain = answer(&text_of(reference().join("llm-like")), &["ask", question]);
    assert!(plain.get("thinking").is_none(), "{plain}");
}

#[test]
fn drafts_are_counted_and_change_no_token() {
    let model = text_of(reference().join("v3-like"));
    let plain = answer(&model, &["ask", "Bye"]);
    let drafted = answer(&model, &["ask", "Bye", "--drafts"]);
    assert_eq!(plain["tokens"], drafted["tokens"]);
    assert!(plain.get("drafts").is_none(), "{plain}");
    let count = |key: &str| drafted["drafts"][key].as_u64().unwrap();
    assert!(count("proposed") > 0 && count("accepted") <= count("proposed"), "{drafted}");
}

#[test]
fn a_middle_is_filled_in() {
    let dir = filler();
    let model = dir.path().to_str().unwrap();
    let filled = answer(model, &["fim", "def f(x):", "return y"]);
    let spelt = "<｜fim▁begin｜>def f(x):<｜fim▁hole｜>return y<｜fim▁end｜>";
    let mut completed = answer(model, &["complete", spelt]);
    completed["timings"] = filled["timings"].clone();
    assert_eq!(filled, completed);
    let words = answer(&text_of(reference().join("v2-like")), &["complete", "def f(x):return y"]);
    assert_eq!(filled["prompt_tokens"].as_u64(), words["prompt_tokens"].as_u64().map(|tokens| tokens + 3));
}

#[test]
fn a_text_that_goes_on_has_neither_images_nor_a_system() {
    for flag in ["--system", "--crop", "--max-tiles"] {
        run(&["complete", "Hello", flag, "1"]).fails(2, &[flag]);
        run(&["fim", "a", "b", flag, "1"]).fails(2, &[flag]);
    }
}

#[test]
fn neither_threads_nor_a_budget_for_experts_change_a_token() {
    let model = text_of(reference().join("v2-like"));
    let one = answer(&model, &["ask", "Hello", "--threads", "1"]);
    let two = answer(&model, &["ask", "Hello", "--threads", "2"]);
    let stored = answer(&model, &["ask", "Hello", "--expert-budget", "200KB"]);
    assert_eq!(one["tokens"], two["tokens"]);
    assert_eq!(one["tokens"], stored["tokens"]);
    let experts = &stored["experts"];
    assert_eq!(experts["budget"], 200_000, "{experts}");
    assert!(experts["bytes_read"].as_u64().unwrap() > 0, "{experts}");
    assert!(experts["most_resident"].as_u64().unwrap() <= 200_000, "{experts}");
    run(&["ask", "Hello", "-m", &model, "--expert-budget", "1KB"]).fails(2, &["budget"]);
}

#[test]
fn rounded_weights_and_caches_still_answer() {
    for flags in [
        &["--quantization", "q8_0"][..],
        &["--quantization", "q4_0"],
        &["--quantization", "q4_k_m"],
        &["--cache-type", "q8_0"],
        &["--cache-type", "f32"],
        &["--quantization", "q4_k_m", "--cache-type", "q8_0", "--threads", "1"],
    ] {
        let asked = ["ask", "-q", SHAPES, "What colour is the triangle?"];
        assert_eq!(run(&[&asked[..], flags].concat()).succeeds().stdout, "yellow\n", "{flags:?}");
    }
}

#[test]
fn a_window_lets_a_prompt_be_longer_than_the_context() {
    let dir = tempfile::tempdir().unwrap();
    copy(&reference().join("llm-like"), dir.path());
    let config = dir.path().join("config.json");
    let mut narrow: Value = serde_json::from_slice(&fs::read(&config).unwrap()).unwrap();
    narrow["max_position_embeddings"] = 64.into();
    fs::write(&config, narrow.to_string()).unwrap();
    let model = dir.path().to_str().unwrap();
    let text = "Once upon a time there was a sea. ".repeat(20);
    run(&["complete", &text, "-m", model]).fails(6, &["context 64"]);
    let answer = answer(model, &["complete", &text, "--context-window", "64"]);
    assert_eq!(answer["tokens"].as_array().unwrap().len(), 24);
    assert!(answer["prompt_tokens"].as_u64().unwrap() > 64);
}

#[test]
fn what_is_meant_is_told_from_hub_ids() {
    for (model, word) in
        [("models/tiny.gguf", "no such file"), ("./models/tiny", "no such file"), ("/models/tiny", "no such file")]
    {
        run(&["ask", "Hello", "-m", model]).fails(4, &[model, word]);
    }
    let dir = text_of(reference().join("llm-like"));
    for model in ["nano", &dir] {
        run(&["ask", "Hello", "-m", model, "--revision", "main"]).fails(4, &["revisions"]);
    }
    assert!(Path::new(&dir).is_dir());
}
