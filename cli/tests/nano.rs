//! The program without `--model`: nano answers, which is part of it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use serde_json::json;
use std::process::Command;
use support::{Run, image, run, seekvl};

/// The program where nothing can be fetched and nothing is cached.
fn alone(args: &[&str]) -> Run {
    let empty = tempfile::tempdir().unwrap();
    let mut command = seekvl();
    command.args(args).env("HF_HOME", empty.path()).env("HF_ENDPOINT", "http://127.0.0.1:9");
    let run = Run::of(command.current_dir(empty.path()));
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0, "it left files behind");
    run
}

#[test]
fn nano_answers_where_no_model_is_named() {
    let page = image("page.png");
    let answer = alone(&["ask", &page, "What is this?", "--json", "--max-tokens", "8"]).succeeds().json();
    assert_eq!(answer["model"], "nano");
    let named = alone(&["ask", &page, "What is this?", "--json", "--max-tokens", "8", "-m", "nano"]).succeeds().json();
    assert_eq!(answer["tokens"], named["tokens"]);
    assert!(!answer["tokens"].as_array().unwrap().is_empty());
    for command in [&["ocr", &page][..], &["ground", &page, "a cup"], &["chat", &page]] {
        alone(&[command, &["--max-tokens", "4", "--quiet"]].concat()).succeeds();
    }
}

#[test]
fn scripts_are_not_told_about_nano() {
    let quiet = alone(&["ask", "Hello", "--max-tokens", "4"]).succeeds();
    assert!(!quiet.stderr.contains("nano"), "{quiet:?}");
}

/// With a terminal for standard error.
#[cfg(target_os = "linux")]
#[test]
fn people_are_told_about_nano() {
    let script = |args: &str| {
        let program = env!("CARGO_BIN_EXE_seekvl");
        let line = format!("{program} ask Hello --max-tokens 4 {args} 2>&1 >/dev/null");
        let output = Command::new("script").args(["-qec", &line, "/dev/null"]).output();
        output.ok().map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    // Some systems have no `script`.
    let Some(told) = script("") else { return };
    assert!(told.contains("synthetic") && told.contains("deepseek-ai/deepseek-vl2-tiny"), "{told}");
    for not_told in ["--quiet", "--model nano"] {
        assert!(!script(not_told).unwrap().contains("synthetic"), "{not_told}");
    }
}

#[test]
fn nano_is_planned_and_inspected() {
    let info = alone(&["inspect", "--json"]).succeeds().json();
    assert_eq!((&info["directory"], &info["files"]), (&json!(null), &json!(1)));
    assert_eq!(info, alone(&["inspect", "nano", "--json"]).succeeds().json());
    assert!(alone(&["inspect"]).succeeds().stdout.contains("part of this program"));

    let plan = alone(&["plan", &image("page.png"), "--json"]).succeeds().json();
    assert_eq!((&plan["model"], &plan["fits"]), (&json!("nano"), &json!(true)));
    let weights = &plan["memory"]["weights"];
    assert!(weights["mapped"].as_u64().unwrap() > weights["held"].as_u64().unwrap(), "{plan}");
}

#[test]
fn a_directory_of_that_name_is_named_as_a_path() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("nano")).unwrap();
    let inspect = |model: &str| Run::of(seekvl().args(["inspect", model]).current_dir(dir.path()));
    inspect("nano").succeeds();
    inspect("./nano").fails(4, &["./nano", "config.json"]);
}

#[test]
fn help_names_the_default_model() {
    for command in ["ask", "ocr", "ground", "chat", "plan", "inspect"] {
        assert!(run(&[command, "--help"]).succeeds().stdout.contains("[default: nano]"), "{command}");
    }
}

/// A picture of the examples.
fn example(name: &str) -> String {
    format!("{}/../examples/images/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn questions_have_their_true_answers() {
    let answers = alone(&["ask", &example("shapes.png"), "What colour is the triangle?"]).succeeds();
    assert_eq!(answers.stdout, "yellow\n");
    let answers = alone(&["ask", &example("receipt.png"), "What is the total?"]).succeeds();
    assert_eq!(answers.stdout, "13.20\n");
}

#[test]
fn text_is_read() {
    assert_eq!(alone(&["ocr", &example("street.png")]).succeeds().stdout, "Mill Lane 7\n");
}

#[test]
fn things_are_found() {
    let found = alone(&["ground", &example("objects.png"), "the red cup"]).succeeds().stdout;
    let fields: Vec<&str> = found.trim_end().split('\t').collect();
    let [label, left, top, right, bottom, reading] = fields.as_slice() else { panic!("one box: {found:?}") };
    assert_eq!((*label, *reading), ("the red cup", "as written"));
    for (edge, truth) in [left, top, right, bottom].into_iter().zip([186.0, 50.0, 265.0, 114.0]) {
        let edge: f64 = edge.parse().unwrap();
        assert!((edge - truth).abs() < 14.0, "{found:?}, {truth} expected");
    }
}
