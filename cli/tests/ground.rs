//! `seekvl ground`.

mod support;

use support::{image, with_tiny};

#[test]
fn the_small_model_points_at_nothing_and_that_is_said() {
    let run = with_tiny("ground", &[&image("page.png"), "the red cup"]).succeeds();
    assert_eq!(run.stdout, "");
    assert!(run.stderr.contains("no box"), "{run:?}");
}

#[test]
fn json_holds_the_prompt_s_tokens_and_the_regions() {
    let answer = with_tiny("ground", &[&image("page.png"), "the red cup", "--json"]).succeeds().json();
    assert_eq!(answer["image_tokens"][0], 49);
    assert!(answer["regions"].is_array());
    assert_eq!(answer["tokens"].as_array().unwrap().len(), 24);
}

#[test]
fn the_drawn_image_has_the_size_of_the_original() {
    let dir = tempfile::tempdir().unwrap();
    let page = image("page.png");
    let size =
        |path: &str| seekvl::Rgb::open(path, &Default::default()).map(|rgb| (rgb.width(), rgb.height())).unwrap();
    for name in ["drawn.png", "drawn.jpg", "drawn.webp"] {
        let drawn = dir.path().join(name).to_str().unwrap().to_owned();
        with_tiny("ground", &[&page, "the red cup", "--draw", &drawn]).succeeds();
        assert_eq!(size(&drawn), size(&page), "{name}");
    }
    let nowhere = dir.path().join("no/such/folder.png");
    let run = with_tiny("ground", &[&page, "the red cup", "--draw", nowhere.to_str().unwrap()]);
    run.fails(2, &["folder.png", "no directory"]);
}
