//! `seekvl ocr`.

mod support;

use serde_json::json;
use support::{image, with_tiny};

#[test]
fn each_image_is_read_by_itself() {
    let (one, page) = (image("one.png"), image("page.png"));
    let alone = |path: &str| with_tiny("ocr", &["-q", path]).succeeds().stdout;
    let both = with_tiny("ocr", &["-q", &one, &page]).succeeds().stdout;
    assert_eq!(both, format!("==> {one} <==\n{}==> {page} <==\n{}", alone(&one), alone(&page)));
}

#[test]
fn json_has_a_line_for_each_image() {
    let (one, page) = (image("one.png"), image("page.png"));
    let lines = with_tiny("ocr", &["--json", &one, &page]).succeeds().json_lines();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["images"], json!([one]));
    assert_eq!(lines[1]["images"], json!([page]));
    // Each is a conversation with one image, so both are cut into tiles.
    assert_eq!(lines[1]["image_tokens"], json!([49]));
    assert_eq!(with_tiny("ocr", &["--json", &page]).succeeds().json()["tokens"], lines[1]["tokens"]);
}

#[test]
fn a_bad_image_does_not_keep_the_others_from_being_read() {
    let page = image("page.png");
    let run = with_tiny("ocr", &["-q", "missing.png", &page]);
    assert_eq!(run.code, Some(3), "{run:?}");
    assert!(run.stderr.contains("missing.png"), "{run:?}");
    assert!(run.stdout.starts_with(&format!("==> {page} <==\n")), "{run:?}");

    let lines = with_tiny("ocr", &["--json", "missing.png", &page]).json_lines();
    assert_eq!(lines[0]["images"], json!(["missing.png"]));
    assert!(lines[0]["error"].as_str().is_some_and(|error| error.contains("missing.png")), "{lines:?}");
    assert!(lines[1].get("error").is_none() && lines[1]["tokens"].is_array(), "{lines:?}");
}
