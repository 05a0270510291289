//! Plans: exact where they count, sensible where they estimate.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use seekvl::plan::{Plan, WeightBytes};
use seekvl::{Conversation, Cropping, Image, Message, Model, ModelFiles, Options, Processor, Quantization, WeightType};
use std::path::{Path, PathBuf};

fn reference(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference")).join(name)
}

fn processor() -> Processor {
    Processor::read(&ModelFiles::in_dir(reference("vl2-tiny-like")).unwrap()).unwrap()
}

fn weights(kept: WeightType) -> WeightBytes {
    let files = ModelFiles::in_dir(reference("vl2-tiny-like")).unwrap();
    WeightBytes::of(&files.checkpoint().unwrap(), kept, None)
}

fn question(images: &[&str]) -> Conversation {
    let images = images.iter().map(|name| Image::Path(reference("images").join(name)));
    Message::question("What is this?", images).into()
}

#[test]
fn a_plan_says_what_the_model_will_be_given() {
    let model = Model::from_pretrained(reference("vl2-tiny-like").to_str().unwrap()).unwrap();
    let mut options = Options::default();
    options.generation.max_new_tokens = 1;
    for images in
        [&[][..], &["street.jpg"], &["exif6.jpg"], &["tall.webp", "wide.png"], &["one.png", "page.png", "gray.png"]]
    {
        let conversation = question(images);
        let plan = Plan::new(model.processor(), &conversation, &options, WeightBytes::default()).unwrap();
        let answer = model.generate(&conversation, &options).unwrap();
        assert_eq!(plan.prompt_tokens, answer.prompt_tokens, "{images:?}");
        let tokens: Vec<_> = plan.images.iter().map(|image| image.tokens).collect();
        assert_eq!(tokens, answer.image_tokens);
        assert_eq!(plan.image_tokens, answer.image_tokens.iter().sum::<usize>());
        assert!(plan.fits());
        assert_eq!(plan.room(), 1);
    }
}

#[test]
fn sizes_and_options_decide_the_grid() {
    let processor = processor();
    let image = || Image::from("there is no such file");
    let conversation: Conversation = Message::question("?", [image(), image()]).into();
    let grids = |options: &Options| -> Vec<(u32, u32)> {
        let sizes = [(4000, 1000), (300, 900)];
        let plan = Plan::with_sizes(&processor, &conversation, &sizes, options, WeightBytes::default()).unwrap();
        plan.images.iter().map(|image| (image.cols, image.rows)).collect()
    };
    let mut options = Options::default();
    assert_eq!(grids(&options), [(4, 1), (2, 4)]);
    options.tiling.max_tiles = Some(2);
    assert_eq!(grids(&options), [(2, 1), (1, 2)]);
    options.tiling.cropping = Cropping::Off;
    assert_eq!(grids(&options), [(1, 1), (1, 1)]);
    let wrong = Plan::with_sizes(&processor, &conversation, &[(1, 1)], &options, WeightBytes::default());
    assert!(matches!(wrong, Err(seekvl::Error::ImageCount { placeholders: 2, images: 1, .. })), "{wrong:?}");
    let missing = Plan::new(&processor, &conversation, &options, WeightBytes::default());
    assert!(missing.unwrap_err().to_string().contains("no such file"));
}

#[test]
fn a_prompt_beyond_the_context_is_told() {
    let conversation: Conversation = Message::user("word ".repeat(5000), []).into();
    let plan = Plan::new(&processor(), &conversation, &Options::default(), WeightBytes::default()).unwrap();
    assert!(plan.prompt_tokens > plan.context);
    assert!(!plan.fits());
    assert_eq!(plan.room(), 0);
}

#[test]
fn weights_are_counted_as_they_are_kept() {
    let spec = processor().spec().clone();
    let (stored, f32, bf16) = (weights(WeightType::AsStored), weights(WeightType::F32), weights(WeightType::Bf16));
    // The file is f32: mapped but for the small tensors, and held as bf16 where that is asked for.
    assert_eq!(stored, f32);
    assert_eq!(f32.total(), spec.parameters().total * 4);
    assert!(f32.mapped > 9 * f32.held);
    // Two routers of 8 × 64 stay f32.
    let routers = 2 * 8 * 64 * 4;
    assert_eq!(bf16.mapped, routers);
    assert_eq!(bf16.held, (f32.mapped - routers) / 2 + f32.held);
    assert_eq!(WeightBytes::assumed(&spec, WeightType::F32, None).total(), f32.total());
}

#[test]
fn a_quantised_model_is_foreseen() {
    let processor = processor();
    let checkpoint = ModelFiles::in_dir("tests/reference/vl2-tiny-like").unwrap().checkpoint().unwrap();
    for quantization in Quantization::ALL {
        let foreseen = WeightBytes::assumed(processor.spec(), WeightType::Bf16, Some(quantization)).total() as f64;
        let known = WeightBytes::of(&checkpoint, WeightType::Bf16, Some(quantization)).total() as f64;
        // Widths of 64 leave much that is not rounded.
        assert!((foreseen / known - 1.0).abs() < 0.25, "{quantization}: {foreseen}, {known} in fact");
    }
}

#[test]
fn experts_on_disk_and_a_window_take_less() {
    let held = weights(WeightType::F32);
    let stored = held.with_expert_budget(processor().spec(), 10_000);
    let experts = processor().spec().language.expert_parameters() * 4;
    let saved = held.total() - stored.total() + 10_000;
    assert!(saved.abs_diff(experts) < experts / 100, "{saved} of {experts}");
    assert_eq!(held.with_expert_budget(processor().spec(), u64::MAX).total(), held.total());

    let mut options = Options::default();
    options.generation.max_new_tokens = 1 << 20;
    let plan = |processor: &Processor| Plan::new(processor, &question(&[]), &options, held).unwrap();
    let (plain, narrow) = (plan(&processor()), plan(&processor().with_context_window(100).unwrap()));
    assert!(narrow.memory.cache < plain.memory.cache / 4);
    assert_eq!((plain.room(), narrow.room()), (4096 - plain.prompt_tokens, 1 << 20));
}

#[test]
fn memory_grows_with_what_is_asked() {
    let processor = processor();
    let plan = |images: &[&str], change: fn(&mut Options)| {
        let mut options = Options::default();
        change(&mut options);
        Plan::new(&processor, &question(images), &options, weights(WeightType::AsStored)).unwrap().memory
    };
    let text = plan(&[], |_| {});
    let one = plan(&["street.jpg"], |_| {});
    let two = plan(&["street.jpg", "page.png"], |_| {});
    assert!(text.peak < one.peak && one.peak < two.peak);
    assert_eq!((text.tiles, text.image_rows, text.vision), (0, 0, 0));
    assert_eq!(text.peak, text.weights.total() + text.cache + text.language);
    // 26 + 512 tokens, in blocks of 128: 640 of 3 layers × 4 heads × 16 × 2 numbers.
    assert_eq!(text.cache, 640 * 3 * 4 * 16 * 2 * 4);
    assert!(plan(&["street.jpg"], |o| o.prefill_chunk = 16).language < one.language);
    assert!(plan(&["street.jpg"], |o| o.generation.max_new_tokens = usize::MAX).cache > one.cache);
    assert!(plan(&["street.jpg"], |o| o.tiling.cropping = Cropping::Off).vision < one.vision);
}
