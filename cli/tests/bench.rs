//! `seekvl bench`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use support::run;

#[test]
fn what_is_asked_for_is_measured() {
    let only = ["bench", "--only", "vision,decode", "--tiles", "1,2", "--context", "0,8", "--answer-tokens", "4"];
    let report = run(&[&only[..], &["--runs", "1", "--json"]].concat()).succeeds().json();
    let lengths = ["vision", "prefill", "decode"].map(|stage| report[stage].as_array().unwrap().len());
    assert_eq!(lengths, [2, 0, 2], "{report}");
    assert!(report["preprocess"].is_null() && report["end_to_end"].is_null(), "{report}");
    let numbers = [&report["machine"]["read_gb_s"], &report["load"]["seconds"], &report["load"]["weights_bytes"]];
    assert!(numbers.iter().all(|number| number.as_f64().unwrap() > 0.0), "{report}");

    let table = run(&["bench", "--only", "prefill", "--prompt-tokens", "8", "--runs", "1", "-q"]).succeeds().stdout;
    for word in ["GB/s", "load", "prefill of 8", "tokens/s", "%"] {
        assert!(table.contains(word), "{word:?} is not in {table}");
    }
}

#[test]
fn what_cannot_be_measured_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    let notes = dir.path().join("notes.txt");
    std::fs::write(&notes, "these are only words").unwrap();
    run(&["bench", "--only", "preprocess", "--picture", notes.to_str().unwrap()]).fails(3, &["not a PNG"]);
    run(&["bench", "--only", "decode", "--context", "99999", "--runs", "1"]).fails(6, &["context"]);
    run(&["bench", "--only", "vision", "--tiles", "0"]).fails(2, &["no tiles"]);
}
