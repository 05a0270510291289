//! `seekvl ask`.

mod support;

use serde_json::{Value, json};
use std::fs::File;
use std::process::Stdio;
use support::{Golden, Run, image, seekvl, tiny, with_tiny};

const QUESTION: &str = "What colour is this? <image>";

/// The answers of a model that was not trained are compared, well formed or not.
const AS_WRITTEN: &str = "--no-markup-guard";

fn ask_json(args: &[&str]) -> Value {
    with_tiny("ask", &[args, &["--json", AS_WRITTEN]].concat()).succeeds().json()
}

#[test]
fn answers_are_the_original_s() {
    let grounding = "<|grounding|>In the first image, the object inside the red rectangle is marked. \
                     Locate <|ref|>the same object<|/ref|> in the second image.";
    let (one, page, wide) = (image("one.png"), image("page.png"), image("wide.png"));
    let cases: [(&str, &[&str]); 4] = [
        ("text", &["What is 12 + 345? Answer in one word."]),
        ("one_image_tiny", &[&one, QUESTION]),
        ("two_images", &[&page, &wide, grounding]),
        ("stop", &["Say hello and stop."]),
    ];
    for (request, args) in cases {
        let (golden, answer) = (Golden::request(request), ask_json(args));
        assert_eq!(&answer["tokens"], golden.ids(), "{request}");
        assert_eq!(answer["raw"], golden.raw(), "{request}");
        assert_eq!(&answer["prompt_tokens"], golden.prompt_tokens(), "{request}");
        assert_eq!(&answer["image_tokens"], golden.image_tokens(), "{request}");
        let reason = if request == "stop" { "stop" } else { "length" };
        assert_eq!(answer["finish_reason"], reason, "{request}");
    }
}

#[test]
fn the_answer_alone_goes_to_standard_output() {
    let answer = ask_json(&[&image("one.png"), QUESTION]);
    let plain = with_tiny("ask", &[AS_WRITTEN, &image("one.png"), QUESTION]).succeeds();
    assert_eq!(plain.stdout, format!("{}\n", answer["text"].as_str().unwrap()));
    assert!(plain.stderr.contains("--max-tokens"), "{plain:?}");

    let quiet = with_tiny("ask", &[AS_WRITTEN, "-q", &image("one.png"), QUESTION]).succeeds();
    assert_eq!((quiet.stdout, quiet.stderr), (plain.stdout, String::new()));
}

#[test]
fn markup_is_shown_when_asked_for() {
    let golden = Golden::request("one_image_tiny").raw();
    assert!(golden.contains("<|ref|>"));
    let shown = with_tiny("ask", &[AS_WRITTEN, "--markup", &image("one.png"), QUESTION]).succeeds();
    assert_eq!(shown.stdout, golden + "\n");
}

#[test]
fn an_image_comes_through_a_pipe() {
    let mut command = seekvl();
    command.args(["ask", "--json", "--max-tokens", "24", "--model"]).arg(tiny()).args(["-", QUESTION]);
    let run = Run::of(command.stdin(File::open(image("one.png")).unwrap())).succeeds();
    assert_eq!(&run.json()["tokens"], Golden::request("one_image_tiny").ids());
    assert_eq!(run.json()["images"], json!(["-"]));
}

#[test]
fn json_says_all_about_an_answer() {
    let answer = ask_json(&[&image("one.png"), QUESTION, "--logprobs=3"]);
    let keys: Vec<_> = answer.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = vec![
        "model",
        "images",
        "text",
        "raw",
        "tokens",
        "finish_reason",
        "prompt_tokens",
        "cached_tokens",
        "image_tokens",
        "regions",
        "logprobs",
        "timings",
    ];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!(answer["images"], json!([image("one.png")]));

    let logprobs = answer["logprobs"].as_array().unwrap();
    assert_eq!(logprobs.len(), 24);
    for (entry, id) in logprobs.iter().zip(answer["tokens"].as_array().unwrap()) {
        // Greedy: the chosen token is the most probable.
        assert_eq!(&entry["id"], id);
        assert_eq!(entry["top"][0], json!({ "id": id, "logprob": entry["logprob"] }));
        assert_eq!(entry["top"].as_array().unwrap().len(), 3);
        assert!(entry["logprob"].as_f64().unwrap() <= 0.0);
    }
    for (stage, seconds) in answer["timings"].as_object().unwrap() {
        assert!(seconds.as_f64().unwrap() >= 0.0, "{stage}");
    }
    assert!(ask_json(&["Hello"]).get("logprobs").is_none());
    assert_eq!(ask_json(&["Hello", "--logprobs"])["logprobs"][0]["top"], json!([]));
}

#[test]
fn generation_flags_reach_the_model() {
    let greedy = ask_json(&["Hello"]);
    assert_eq!(ask_json(&["Hello", "--max-tokens", "3"])["tokens"].as_array().unwrap().len(), 3);
    assert_eq!(ask_json(&["Hello", "--prefill-chunk", "4"])["tokens"], greedy["tokens"]);
    assert_eq!(ask_json(&["Hello", "--dtype", "f32"])["tokens"], greedy["tokens"]);
    assert_eq!(ask_json(&["Hello", "--dtype", "bf16"])["tokens"].as_array().unwrap().len(), 24);
    assert_ne!(ask_json(&["Hello", "--system", "Be brief."])["prompt_tokens"], greedy["prompt_tokens"]);

    let stop: String = greedy["raw"].as_str().unwrap().chars().skip(2).take(2).collect();
    let stopped = ask_json(&["Hello", "--stop", &stop, "--stop", "never said"]);
    assert_eq!(stopped["finish_reason"], "stop_string");
    assert!(!stopped["raw"].as_str().unwrap().contains(&stop));

    let drawn = |seed: &str| {
        let flags = ["--temperature", "2", "--top-k", "50", "--top-p", "0.9", "--min-p", "0.001", "--seed", seed];
        ask_json(&[&["Hello"], &flags[..]].concat())["tokens"].clone()
    };
    assert_eq!(drawn("7"), drawn("7"));
    assert_ne!(drawn("7"), drawn("8"));
}

#[test]
fn image_flags_reach_the_model() {
    let tokens = |flags: &[&str]| {
        let page = image("page.png");
        ask_json(&[&[page.as_str(), "Read.", "--max-tokens", "1"], flags].concat())["image_tokens"].clone()
    };
    assert_eq!(tokens(&[]), json!([49]));
    assert_eq!(tokens(&["--crop", "on"]), json!([49]));
    assert_eq!(tokens(&["--crop", "off"]), json!([13]));
    assert_eq!(tokens(&["--max-tiles", "1"]), json!([13]));
    assert_eq!(tokens(&["--candidate", "48x48"]), json!([13]));
}

#[test]
fn the_image_is_drawn_even_if_nothing_was_found() {
    let dir = tempfile::tempdir().unwrap();
    let drawn = dir.path().join("drawn.png");
    let page = image("page.png");
    with_tiny("ask", &[AS_WRITTEN, &page, "Where?", "--draw", drawn.to_str().unwrap()]).succeeds();
    let size =
        |path: &str| seekvl::Rgb::open(path, &Default::default()).map(|rgb| (rgb.width(), rgb.height())).unwrap();
    assert_eq!(size(drawn.to_str().unwrap()), size(&page));
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let mut command = seekvl();
    command.args(["ask", "-q", "Hello", "--model"]).arg(tiny());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let run = Run::from(child.wait_with_output().unwrap());
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
}
