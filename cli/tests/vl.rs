//! The program with a DeepSeek-VL, which takes no options of its own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use serde_json::{Value, json};
use support::{image, reference, run};

fn golden(model: &str) -> Value {
    let text = std::fs::read_to_string(reference().join(model).join("golden.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn answers_and_plans_are_the_original_s() {
    for model in ["vl1-like", "vl1-hybrid-like"] {
        let golden = golden(model);
        let dir = reference().join(model);
        let dir = dir.to_str().unwrap();
        for (name, pictures) in
            [("text", &[][..]), ("one_image", &["street.jpg"]), ("two_images", &["page.png", "tall.webp"])]
        {
            let request = &golden["requests"][name];
            let pictures: Vec<String> = pictures.iter().map(|name| image(name)).collect();
            let question = request["conversation"][0]["content"].as_str().unwrap();
            let question = question.replace("<image_placeholder>", "<image>");
            let pictures: Vec<&str> = pictures.iter().map(String::as_str).collect();
            let shared = ["--model", dir, "--as-stored", "--max-tokens", "24", "--json"];
            let answer = run(&[&["ask"], &pictures[..], &[&question], &shared].concat()).succeeds().json();
            assert_eq!(answer["tokens"], request["greedy_ids"][0], "{model} {name}");
            assert_eq!(answer["prompt_tokens"], request["tokens"], "{model} {name}");
            let plan = run(&[&["plan"], &pictures[..], &["--question", &question], &shared].concat()).succeeds().json();
            assert_eq!(plan["prompt_tokens"], request["tokens"], "{model} {name}");
            let tokens: Vec<_> =
                plan["images"].as_array().unwrap().iter().map(|image| image["tokens"].clone()).collect();
            assert_eq!(tokens, vec![golden["num_image_tokens"].clone(); pictures.len()], "{model} {name}");
        }
    }
}

#[test]
fn what_it_is_made_of_is_shown() {
    let dir = reference().join("vl1-hybrid-like");
    let info = run(&["inspect", "--json", dir.to_str().unwrap()]).succeeds().json();
    assert_eq!(info["system"], "DeepSeek-VL");
    assert_eq!(info["vision"]["max_tiles"], 0);
    assert_eq!(info["vision"]["high"]["global"], 2);
    assert_eq!(info["projector"]["least_image_tokens"], 576);
    assert_eq!(info["language"]["context"], json!(16384));
    let table = run(&["inspect", dir.to_str().unwrap()]).succeeds().stdout;
    for word in ["DeepSeek-VL", "looked at as a whole", "256 x 256 pixels", "windows of 14 x 14", "a patch to a token"]
    {
        assert!(table.contains(word), "{word:?} is not in {table}");
    }
    let table = run(&["plan", &image("page.png"), "--model", dir.to_str().unwrap()]).succeeds().stdout;
    assert!(table.contains("none") && table.contains("576"), "{table}");
}
