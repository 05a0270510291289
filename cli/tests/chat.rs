//! `seekvl chat`, with messages from a pipe.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use serde_json::{Value, json};
use std::io::Write;
use std::process::Stdio;
use support::{Run, image, seekvl, tiny};

fn chat(args: &[&str], lines: &str) -> Run {
    let mut command = seekvl();
    command.args(["chat", "-q", "--max-tokens", "8", "--model"]).arg(tiny()).args(args);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}

fn chat_json(args: &[&str], lines: &str) -> Vec<Value> {
    chat(&[args, &["--json"]].concat(), lines).succeeds().json_lines()
}

#[test]
fn every_message_is_answered_until_the_input_ends() {
    let answers = chat(&[], "Hello\n\nAnd again\n").succeeds().stdout;
    assert!(answers.lines().count() >= 2, "{answers:?}");
    assert_eq!(chat(&[], "").succeeds().stdout, "");
    assert_eq!(chat(&[], "/quit\nHello\n").succeeds().stdout, "");
}

#[test]
fn a_message_follows_what_was_said() {
    let answers = chat_json(&[], "Hello\nHello\n/reset\nHello\n");
    assert_eq!(answers.len(), 3);
    let prompt = |index: usize| answers[index]["prompt_tokens"].as_u64().unwrap();
    assert!(prompt(1) > prompt(0) + 8, "the first answer is part of the second prompt");
    assert_eq!(answers[2]["prompt_tokens"], answers[0]["prompt_tokens"]);
    assert_eq!(answers[2]["tokens"], answers[0]["tokens"]);
}

#[test]
fn images_go_with_the_next_message() {
    let (one, page) = (image("one.png"), image("page.png"));
    let answers = chat_json(&[&one], &format!("What is this?\n/image {page}\nAnd this?\nWhy?\n"));
    assert_eq!(answers[0]["image_tokens"], json!([13]));
    assert_eq!(answers[1]["image_tokens"], json!([13, 49]));
    assert_eq!(answers[2]["image_tokens"], json!([13, 49]));
    assert_eq!(answers[2]["images"], json!([one, page]));
}

#[test]
fn the_system_message_stays_after_a_reset() {
    let with = chat_json(&["--system", "Be brief."], "Hello\n/reset\nHello\n");
    let without = chat_json(&[], "Hello\n");
    assert_eq!(with[0]["prompt_tokens"], with[1]["prompt_tokens"]);
    assert_ne!(with[0]["prompt_tokens"], without[0]["prompt_tokens"]);
}

#[test]
fn mistakes_do_not_end_the_conversation() {
    let run = chat(&["--json"], "/image missing.png\n/dance\n/image\nHello\n");
    assert_eq!(run.code, Some(3), "the first mistake's: {run:?}");
    assert_eq!(run.json_lines().len(), 1);
    for word in ["missing.png", "/dance", "/image"] {
        assert!(run.stderr.contains(word), "{word:?} is not in {run:?}");
    }
    // A message that cannot be sent is taken back, and has its object all the same.
    let run = chat(&["--json"], "Two <image> and <image>?\nHello\n");
    assert_eq!(run.code, Some(2), "{run:?}");
    let answers = run.json_lines();
    assert_eq!(answers.len(), 2, "{answers:?}");
    assert!(answers[0]["error"].as_str().unwrap().contains("placeholders"), "{answers:?}");
    assert_eq!(answers[1]["tokens"], chat_json(&[], "Hello\n")[0]["tokens"]);
}

#[test]
fn a_line_of_other_bytes_is_one_mistake() {
    let mut command = seekvl();
    command.args(["chat", "-q", "--json", "--max-tokens", "8", "--model"]).arg(tiny());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"caf\xe9\nHello\r\n").unwrap();
    let run: Run = child.wait_with_output().unwrap().into();
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("UTF-8"), "{run:?}");
    assert_eq!(run.json_lines()[0]["tokens"], chat_json(&[], "Hello\n")[0]["tokens"]);
}

#[test]
fn a_full_context_says_what_helps() {
    let run = chat(&[], &format!("{}\n", "Once upon a time there was a sea. ".repeat(1000)));
    run.fails(6, &["context", "/reset"]);
}
