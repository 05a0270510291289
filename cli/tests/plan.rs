//! `seekvl plan`.

mod support;

use serde_json::json;
use support::{Golden, image, with_tiny};

#[test]
fn tokens_are_counted_as_the_original_counts_them() {
    let cases: [(&str, &[&str]); 3] = [
        ("text", &["--question", "What is 12 + 345? Answer in one word."]),
        ("one_image_tiny", &["one.png", "--question", "What colour is this? <image>"]),
        ("one_image", &["street.jpg", "--question", "Describe this image in detail."]),
    ];
    for (request, args) in cases {
        let in_reference =
            |arg: &&str| if arg.contains(".") && !arg.contains(' ') { image(arg) } else { (*arg).into() };
        let args: Vec<String> = args.iter().map(in_reference).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).chain(["--json"]).collect();
        let (golden, plan) = (Golden::request(request), with_tiny("plan", &args).succeeds().json());
        assert_eq!(&plan["prompt_tokens"], golden.prompt_tokens(), "{request}");
        let counts: Vec<_> = plan["images"].as_array().unwrap().iter().map(|image| image["tokens"].clone()).collect();
        assert_eq!(&json!(counts), golden.image_tokens(), "{request}");
        assert_eq!(plan["fits"], true, "{request}");
    }
}

#[test]
fn the_table_shows_grid_tokens_and_memory() {
    let page = image("page.png");
    let table = with_tiny("plan", &[&page]).succeeds().stdout;
    for word in ["page.png", "49", "context", "memory"] {
        assert!(table.contains(word), "{word:?} is not in {table}");
    }
}

#[test]
fn what_does_not_fit_is_told_from_what_does() {
    let long = "word ".repeat(5000);
    let run = with_tiny("plan", &["--question", &long, "--json"]);
    assert_eq!((run.code, &run.json()["fits"]), (Some(6), &json!(false)), "{run:?}");
    assert_eq!(run.json()["room"], 0);
    with_tiny("ask", &[&long]).fails(6, &["context"]);

    let plan = with_tiny("plan", &["--question", "Hello", "--max-tokens", "1000000", "--json"]);
    let plan = plan.succeeds().json();
    assert_eq!(plan["room"], 4096 - plan["prompt_tokens"].as_u64().unwrap());
}

#[test]
fn only_the_header_of_an_image_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let cut = dir.path().join("cut.png");
    let page = std::fs::read(image("page.png")).unwrap();
    std::fs::write(&cut, &page[..page.len() / 2]).unwrap();
    let plan = with_tiny("plan", &[cut.to_str().unwrap(), "--json"]).succeeds().json();
    assert_eq!(plan["images"][0]["tokens"], 49);
}

#[test]
fn a_question_in_the_place_of_an_image_is_explained() {
    with_tiny("plan", &[&image("page.png"), "What is this?"]).fails(3, &["What is this?", "--question"]);
}
