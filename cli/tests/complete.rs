//! `seekvl complete` and `seekvl fim`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use serde_json::Value;
use support::{image, reference, run};

fn golden(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(reference().join(name).join("golden.json")).unwrap()).unwrap()
}

#[test]
fn a_text_goes_on_as_the_original_lets_it() {
    for name in ["llm-like", "r1-distill-llama-like", "r1-distill-qwen-like", "v2-like", "v3-like"] {
        let model = reference().join(name);
        let model = model.to_str().unwrap();
        for (request, expected) in golden(name)["requests"].as_object().unwrap() {
            let text = expected["text"].as_str().unwrap();
            let greedy = [
                "complete",
                text,
                "-m",
                model,
                "--max-tokens",
                "24",
                "--json",
                "--no-repetition-guard",
                "--no-markup-guard",
            ];
            let answer = run(&greedy).succeeds().json();
            let ids: Vec<&Value> = answer["tokens"].as_array().unwrap().iter().collect();
            let wanted: Vec<&Value> = expected["greedy_ids"][0].as_array().unwrap().iter().collect();
            assert_eq!(ids, wanted, "{name}, {request}");
        }
    }
}

#[test]
fn a_model_that_cannot_fill_in_says_so() {
    let model = reference().join("llm-like");
    run(&["fim", "a", "b", "-m", model.to_str().unwrap()]).fails(2, &["fill in", "fim"]);
}

#[test]
fn a_model_without_eyes_refuses_pictures() {
    let model = reference().join("llm-like");
    run(&["ask", &image("page.png"), "What is this?", "-m", model.to_str().unwrap()]).fails(2, &["reads text alone"]);
}
