//! `seekvl doctor`.

mod support;

use std::fs;
use support::{copy, reference, run, tiny};

#[test]
fn the_reference_is_met() {
    let report = run(&["doctor", "--json", "--reference", tiny().to_str().unwrap()]).succeeds().json();
    assert_eq!(report["passed"], true);
    assert!(report.get("first_failure").is_none(), "{report}");
    let checkpoint = &report["parts"][0];
    assert_eq!(checkpoint["name"], "vl2-tiny-like");
    let stages = checkpoint["stages"].as_array().unwrap();
    assert!(stages.iter().any(|stage| stage["stage"] == "greedy tokens"), "{report}");
    for stage in stages {
        assert!(stage["error"].as_f64().unwrap() <= stage["bound"].as_f64().unwrap(), "{stage}");
        assert!(stage["checks"].as_u64().unwrap() > 0, "{stage}");
    }
}

#[test]
fn a_directory_of_checkpoints_is_gone_through() {
    let run = run(&["doctor", "--reference", reference().to_str().unwrap()]).succeeds();
    for word in
        ["vl2-tiny-like", "vl2-small-like", "vl2-base-like", "v3-like", "llm-like", "projector", "greedy", "drafted"]
    {
        assert!(run.stdout.contains(word), "{word:?} is not in {}", run.stdout);
    }
}

#[test]
fn the_first_stage_that_diverges_is_named() {
    // One number of the projector changed.
    let set = tempfile::tempdir().unwrap();
    let checkpoint = set.path().join("vl2-tiny-like");
    copy(&tiny(), &checkpoint);
    copy(&reference().join("images"), &set.path().join("images"));
    for file in ["preprocess.json", "preprocess.safetensors"] {
        fs::copy(reference().join(file), set.path().join(file)).unwrap();
    }
    let file = checkpoint.join("model.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let names: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    let at = names["projector.layers.0.bias"]["data_offsets"][0].as_u64().unwrap() as usize + 8 + header;
    bytes[at..at + 4].copy_from_slice(&5.0f32.to_le_bytes());
    fs::write(&file, bytes).unwrap();

    let dir = checkpoint.to_str().unwrap();
    let table = run(&["doctor", "--reference", dir]);
    assert_eq!(table.code, Some(5), "{table:?}");
    assert!(table.stderr.contains("projector"), "{table:?}");
    let json = run(&["doctor", "--json", "--reference", dir]);
    assert_eq!((json.code, &json.json()["passed"]), (Some(5), &false.into()));
    assert_eq!(json.json()["first_failure"]["stage"], "projector");
}

#[test]
fn a_directory_without_a_reference_is_no_success() {
    let empty = tempfile::tempdir().unwrap();
    let run = run(&["doctor", "--reference", empty.path().to_str().unwrap()]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains(empty.path().to_str().unwrap()), "{run:?}");
}

#[test]
fn a_reference_without_its_pictures_is_explained() {
    let alone = tempfile::tempdir().unwrap();
    copy(&tiny(), alone.path());
    run(&["doctor", "--reference", alone.path().to_str().unwrap()]).fails(3, &["images/"]);
}
