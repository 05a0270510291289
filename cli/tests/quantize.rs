//! `seekvl quantize`, and that its file is found again.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::fs;
use support::{image, reference, run, tiny, with_tiny};

#[test]
fn the_file_answers_as_the_model_does() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tiny.gguf");
    let path = file.to_str().unwrap();
    let written = run(&["quantize", tiny().to_str().unwrap(), "--to", "f32", "-o", path, "--json"]).succeeds().json();
    assert_eq!(written["bytes"], fs::metadata(&file).unwrap().len());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left");

    let page = image("page.png");
    let asked = ["ask", &page, "What is this?", "--as-stored", "--max-tokens", "12", "--json"];
    let from_file = run(&[&asked[..], &["-m", path]].concat()).succeeds().json();
    let from_folder = with_tiny("ask", &[&page, "What is this?", "--max-tokens", "12", "--json"]).succeeds().json();
    assert_eq!(from_file["tokens"], from_folder["tokens"]);

    let shown = run(&["inspect", path]).succeeds().stdout;
    assert!(shown.contains("tiny.gguf") && !shown.contains("part of this program"), "{shown}");
    assert_eq!(run(&["inspect", path, "--json"]).succeeds().json()["directory"], path);
}

#[test]
fn fewer_bits_make_a_smaller_file() {
    let dir = tempfile::tempdir().unwrap();
    let size = |kind: &str| {
        let file = dir.path().join(kind);
        run(&["quantize", "nano", "--to", kind, "-o", file.to_str().unwrap()]).succeeds();
        fs::metadata(file).unwrap().len()
    };
    let sizes = ["f32", "bf16", "q8_0", "q4_k_m"].map(size);
    assert!(sizes.is_sorted_by(|a, b| a > b), "{sizes:?}");
}

#[test]
fn files_of_others_are_left_alone() {
    let model = reference().join("llm-like");
    let dir = tempfile::tempdir().unwrap();
    let name = |file: &str| dir.path().join(file).to_str().unwrap().to_owned();
    let quantize = |out: &str| run(&["quantize", model.to_str().unwrap(), "--to", "f16", "-o", out]);
    fs::write(name("a.gguf.part"), "a download").unwrap();
    quantize(&name("a.gguf")).fails(1, &["a.gguf.part", "remove it"]);
    assert_eq!(fs::read_to_string(name("a.gguf.part")).unwrap(), "a download");

    quantize(&name("no/such/folder.gguf")).fails(1, &["folder.gguf"]);
    quantize(dir.path().to_str().unwrap()).fails(1, &["no file"]);

    fs::write(name("b.gguf"), "an old one").unwrap();
    quantize(&name("b.gguf")).succeeds();
    assert!(fs::read(name("b.gguf")).unwrap().starts_with(b"GGUF"));
}

#[cfg(unix)]
#[test]
fn links_and_devices_are_not_replaced() {
    let model = reference().join("llm-like");
    let dir = tempfile::tempdir().unwrap();
    let (link, file) = (dir.path().join("link.gguf"), dir.path().join("file.gguf"));
    fs::write(&file, "an old one").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let quantize = |out: &str| run(&["quantize", model.to_str().unwrap(), "--to", "f16", "-o", out]);
    quantize(link.to_str().unwrap()).succeeds();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read(&file).unwrap().starts_with(b"GGUF"));
    quantize("/dev/null").fails(1, &["/dev/null", "no file"]);
}
