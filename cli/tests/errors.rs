//! Wrong command lines, images and models: each has its message and its exit code.

mod support;

use std::fs;
use support::{Run, copy, image, run, seekvl, tiny, with_tiny};

const USAGE: i32 = 2;
const BAD_IMAGE: i32 = 3;
const BAD_MODEL: i32 = 4;

#[test]
fn wrong_flags_are_explained() {
    let one = image("one.png");
    with_tiny("ask", &[]).fails(USAGE, &["[IMAGE]... QUESTION"]);
    with_tiny("ask", &[&one]).fails(USAGE, &["no question", "one.png"]);
    with_tiny("ask", &["Hello", "--no-such-flag"]).fails(USAGE, &["--no-such-flag"]);
    with_tiny("ask", &["Hello", "--dtype", "f8"]).fails(USAGE, &["f8", "bf16"]);
    with_tiny("ask", &["Hello", "--temperature", "-1"]).fails(USAGE, &["temperature", "-1"]);
    with_tiny("ask", &["Hello", "--temperature", "nan"]).fails(USAGE, &["temperature", "NaN"]);
    with_tiny("ask", &["Hello", "--temperature", "1", "--top-p", "1.5"]).fails(USAGE, &["top_p", "1.5"]);
    with_tiny("ask", &["Hello", "--top-p", "0.5"]).fails(USAGE, &["--temperature"]);
    with_tiny("ask", &["Hello", "--logprobs"]).fails(USAGE, &["--json"]);
    with_tiny("ask", &["Hello", "--max-tiles", "0"]).fails(USAGE, &["--max-tiles"]);
    with_tiny("ask", &["Hello", "--candidate", "48"]).fails(USAGE, &["48", "WIDTHxHEIGHT"]);
    with_tiny("ask", &["Hello", "--candidate", "47x50"]).fails(USAGE, &["47"]);
    with_tiny("ask", &["Hello", "--stop", ""]).fails(USAGE, &["stop"]);
    with_tiny("ask", &[&one, "--draw", "out.xyz", "What?"]).fails(USAGE, &["out.xyz"]);
    with_tiny("ask", &["--draw", "out.png", "What?"]).fails(USAGE, &["--draw"]);
    with_tiny("ask", &[&one, &one, "Only <image>?"]).fails(USAGE, &["1 <image>", "2 images"]);
    with_tiny("ask", &[&one, ""]).fails(USAGE, &["question is empty"]);
    with_tiny("ground", &[&one, " "]).fails(USAGE, &["empty"]);
    run(&["ask", "Hello", "--device", "cuda"]).fails(USAGE, &["device"]);
    with_tiny("ocr", &["-", "-"]).fails(USAGE, &["more than once"]);
    run(&["no-such-command"]).fails(USAGE, &["no-such-command"]);
    run(&["completions", "tcsh"]).fails(USAGE, &["tcsh", "zsh"]);
}

#[test]
fn images_that_cannot_be_read_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let page = fs::read(image("page.png")).unwrap();
    let cases = [
        dir.path().join("missing.png").to_str().unwrap().to_owned(),
        file("empty.png", b""),
        file("notes.png", b"these are only words"),
        file("cut.png", &page[..page.len() / 2]),
        dir.path().to_str().unwrap().to_owned(),
    ];
    for path in &cases {
        let name = path.rsplit('/').next().unwrap();
        with_tiny("ask", &[path, "What?"]).fails(BAD_IMAGE, &[name]);
        with_tiny("ground", &[path, "a cup"]).fails(BAD_IMAGE, &[name]);
        with_tiny("chat", &[path]).fails(BAD_IMAGE, &[name]);
        if name != "cut.png" {
            with_tiny("plan", &[path]).fails(BAD_IMAGE, &[name]);
        }
    }
    let unlike: [(&str, &[u8], &str); 4] = [
        ("letter.pdf", b"%PDF-1.7\n", "pdftoppm"),
        ("photo.heic", b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        ("nothing.png", b"", "empty"),
    ];
    for (name, content, word) in unlike {
        with_tiny("ask", &[&file(name, content), "What?"]).fails(BAD_IMAGE, &[name, word]);
    }
    with_tiny("ask", &["https://example.com/cat.jpg", "What?"]).fails(BAD_IMAGE, &["cat.jpg", "curl"]);
    let page = image("page.png");
    with_tiny("ask", &[&page, "What?", "--max-image-bytes", "1000"]).fails(BAD_IMAGE, &["page.png", "1000"]);
    with_tiny("ask", &[&page, "What?", "--max-image-pixels", "1000"]).fails(BAD_IMAGE, &["page.png", "1000"]);
}

#[test]
fn an_image_is_looked_at_before_the_model() {
    run(&["ask", "missing.png", "What?", "--model", "/no/such/model"]).fails(BAD_IMAGE, &["missing.png"]);
}

#[test]
fn standard_input_is_named_too() {
    let mut command = seekvl();
    command.args(["ask", "-", "What?", "--model"]).arg(tiny()).stdin(std::process::Stdio::null());
    Run::of(&mut command).fails(BAD_IMAGE, &["standard input"]);
}

#[test]
fn models_that_cannot_be_loaded_are_named() {
    run(&["ask", "Hello", "--model", "/no/such/model"]).fails(BAD_MODEL, &["/no/such/model"]);
    run(&["inspect", "/no/such/model"]).fails(BAD_MODEL, &["/no/such/model"]);

    let empty = tempfile::tempdir().unwrap();
    let mut command = seekvl();
    command.args(["ask", "--offline", "--model", "nobody/nothing", "Hello"]).env("HF_HOME", empty.path());
    Run::of(&mut command).fails(BAD_MODEL, &["nobody/nothing"]);
    run(&["ask", "Hello", "--model", empty.path().to_str().unwrap()]).fails(BAD_MODEL, &["model.safetensors"]);
}

#[test]
fn damaged_checkpoints_are_explained() {
    let damage = |file: &str, content: &dyn Fn(Vec<u8>) -> Vec<u8>, words: &[&str]| {
        let damaged = tempfile::tempdir().unwrap();
        copy(&tiny(), damaged.path());
        let path = damaged.path().join(file);
        fs::write(&path, content(fs::read(&path).unwrap())).unwrap();
        run(&["ask", "Hello", "--model", damaged.path().to_str().unwrap()]).fails(BAD_MODEL, words);
    };
    let half = |bytes: Vec<u8>| bytes[..bytes.len() / 2].to_vec();
    damage("model.safetensors", &half, &["model.safetensors"]);
    damage("config.json", &half, &["config.json"]);
    damage("tokenizer.json", &half, &["tokenizer.json"]);
    let deeper = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).unwrap();
        let more = text.replace("\"num_hidden_layers\": 3", "\"num_hidden_layers\": 4");
        assert_ne!(more, text);
        more.into_bytes()
    };
    damage("config.json", &deeper, &["layers.3", "model.safetensors"]);
}
