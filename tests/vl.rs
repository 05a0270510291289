//! DeepSeek-VL: its configurations, its two layouts, its prompts and its answers.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use seekvl::config::{Family, ModelSpec};
use seekvl::doctor::{DoctorOptions, run};
use seekvl::plan::{Plan, WeightBytes};
use seekvl::template::VL_SYSTEM;
use seekvl::{
    Conversation, Error, GenerationOptions, Message, Model, ModelFiles, Options, Processor, Quantization, WeightType,
};
use seekvl_nn::Activation;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::error::Error as _;
use std::fs;
use std::path::{Path, PathBuf};

const SMALL: &str = "vl1-like";
const HYBRID: &str = "vl1-hybrid-like";

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference")
}

fn picture(name: &str) -> PathBuf {
    reference().join("images").join(name)
}

fn model(name: &str) -> Model {
    Model::from_pretrained(reference().join(name).to_str().unwrap()).unwrap()
}

fn read(path: impl AsRef<Path>) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A copy of a reference checkpoint whose files may be changed, beside the pictures.
struct Copy(tempfile::TempDir, &'static str);

impl Copy {
    fn of(name: &'static str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in [name.to_owned(), format!("{name}/original"), "images".into()] {
            fs::create_dir(dir.path().join(&folder)).unwrap();
            for file in fs::read_dir(reference().join(&folder)).unwrap().map(|file| file.unwrap()) {
                if file.file_type().unwrap().is_file() {
                    fs::copy(file.path(), dir.path().join(&folder).join(file.file_name())).unwrap();
                }
            }
        }
        // The pixels of lossy pictures.
        for file in ["preprocess.json", "preprocess.safetensors"] {
            fs::copy(reference().join(file), dir.path().join(file)).unwrap();
        }
        Self(dir, name)
    }

    fn dir(&self) -> PathBuf {
        self.0.path().join(self.1)
    }

    /// A copy of `name` in the original's layout, but for the weights.
    fn original(name: &'static str) -> Self {
        let copy = Self::of(name);
        for file in ["config.json", "tower_sizes.json"] {
            fs::copy(copy.dir().join("original").join(file), copy.dir().join(file)).unwrap();
        }
        copy
    }

    fn edit(&self, file: &str, pointer: &str, value: Value) {
        let path = self.dir().join(file);
        let mut json = read(&path);
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = json.pointer_mut(parent).unwrap();
        match value {
            Value::Null => drop(parent.as_object_mut().unwrap().remove(key)),
            value => parent[key] = value,
        }
        fs::write(path, json.to_string()).unwrap();
    }

    fn spec(&self) -> Result<ModelSpec, Error> {
        ModelSpec::read(&ModelFiles::in_dir(self.dir()).unwrap())
    }
}

/// An error with its sources.
fn whole(error: &Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        message.push_str(&format!(": {error}"));
        source = error.source();
    }
    message
}

type Tensors = BTreeMap<String, (Vec<usize>, Vec<u8>)>;

fn tensors(path: &Path) -> Tensors {
    let bytes = fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    tensors.iter().map(|(name, tensor)| (name.to_owned(), (tensor.shape().to_vec(), tensor.data().to_vec()))).collect()
}

fn write(tensors: &Tensors, path: &Path) {
    let views = tensors
        .iter()
        .map(|(name, (shape, data))| (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
    serialize_to_file(views, None, path).unwrap();
}

/// The bytes of a tensor that the original calls `name`, from a checkpoint in the layout of the transformers library.
fn of_original(name: &str, converted: &Tensors) -> Vec<u8> {
    let is_high = name.contains("vision_tower_high");
    let rules: &[(&str, &str)] = if is_high {
        &[
            ("vision_model.vision_tower_high.vision_tower.", "model.high_res_vision_model.vision_encoder."),
            ("model.high_res_vision_model.vision_encoder.neck_hd", "model.high_res_vision_neck"),
            ("model.high_res_vision_model.vision_encoder.downsamples.0", "model.high_res_vision_proj.conv1"),
            ("model.high_res_vision_model.vision_encoder.downsamples.1", "model.high_res_vision_proj.conv2"),
            ("model.high_res_vision_model.vision_encoder.hd_alpha_downsamples", "model.high_res_vision_alpha"),
            ("neck.0", "neck.conv1"),
            ("neck.1.", "neck.layer_norm1."),
            ("neck.2", "neck.conv2"),
            ("neck.3", "neck.layer_norm2"),
            ("blocks", "layers"),
            ("norm1", "layer_norm1"),
            ("layer_layer_norm1", "layer_norm1"),
            (".norm2", ".layer_norm2"),
            ("patch_embed.proj", "patch_embed.projection"),
        ]
    } else {
        &[
            ("vision_model.vision_tower_low.vision_tower.", "model.vision_model.vision_model."),
            ("patch_embed.proj", "embeddings.patch_embedding"),
            ("pos_embed", "embeddings.position_embedding.weight"),
            ("blocks", "encoder.layers"),
            (".norm1", ".layer_norm1"),
            (".norm2", ".layer_norm2"),
            ("vision_model.vision_model.norm", "vision_model.vision_model.post_layernorm"),
            ("attn.proj", "self_attn.out_proj"),
            ("aligner.high_up_proj", "model.aligner.high_res_vision_proj"),
            ("aligner.low_up_proj", "model.aligner.vision_proj"),
            ("aligner.layers.1", "model.aligner.proj"),
            ("language_model.model.", "model.language_model."),
            ("language_model.lm_head", "lm_head"),
        ]
    };
    let mut stored = rules.iter().fold(name.to_owned(), |name, (from, to)| name.replacen(from, to, 1));
    // `neck_hd.0` became `high_res_vision_neck.0`.
    for (number, part) in ["conv1", "layer_norm1", "conv2", "layer_norm2"].into_iter().enumerate() {
        stored = stored.replace(&format!("high_res_vision_neck.{number}."), &format!("high_res_vision_neck.{part}."));
    }
    if let Some((before, after)) = stored.split_once("attn.qkv.").filter(|_| !is_high) {
        let part = |name: &str| converted[&format!("{before}self_attn.{name}_proj.{after}")].1.clone();
        return [part("q"), part("k"), part("v")].concat();
    }
    converted.get(&stored).unwrap_or_else(|| panic!("{name}, which should be {stored}")).1.clone()
}

/// The reference has no weights of the hybrid in the original's layout, but all the names and shapes.
#[test]
fn the_hybrid_computes_the_same_from_the_originals_layout() {
    let copy = Copy::of(HYBRID);
    let converted = tensors(&copy.dir().join("model.safetensors"));
    let names = read(copy.dir().join("original/names.json"));
    let mut original = Tensors::new();
    for (name, shape) in names["tensors"].as_object().unwrap() {
        let shape: Vec<usize> = serde_json::from_value(shape.clone()).unwrap();
        let len = 4 * shape.iter().product::<usize>();
        let is_unused = name.contains(".attn_pool.") || name.contains("_layer_norm.");
        let data = if is_unused { vec![0; len] } else { of_original(name, &converted) };
        assert_eq!(data.len(), len, "{name}");
        original.insert(name.clone(), (shape, data));
    }
    write(&original, &copy.dir().join("original/model.safetensors"));
    let report = run(&copy.dir(), &DoctorOptions::default()).unwrap();
    assert!(report.passed(), "{:?}", report.first_failure());
    let names: Vec<&str> = report.parts.iter().map(|part| part.name.as_str()).collect();
    assert_eq!(names, [HYBRID, "vl1-hybrid-like/original"]);
    // The same numbers by the same steps: a matrix of three parts is three matrices.
    for (a, b) in report.parts[0].stages.iter().zip(&report.parts[1].stages) {
        assert_eq!((a.stage, a.checks, a.error), (b.stage, b.checks, b.error));
    }
}

fn published(config: &str, preprocessor: &str) -> Copy {
    let copy = Copy::of(HYBRID);
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs");
    fs::copy(configs.join(format!("{config}.config.json")), copy.dir().join("config.json")).unwrap();
    let to = copy.dir().join("preprocessor_config.json");
    if preprocessor.is_empty() {
        copy.edit("preprocessor_config.json", "/image_size", json!(if config.contains("7b") { 1024 } else { 384 }));
        copy.edit("preprocessor_config.json", "/do_normalize", json!(!config.contains("7b")));
    } else {
        fs::copy(configs.join(format!("{preprocessor}.preprocessor_config.json")), to).unwrap();
    }
    copy
}

#[test]
fn the_published_shapes_are_read_and_planned() {
    for (config, preprocessor, view, hidden, layers, billions) in [
        ("deepseek-vl-1.3b", "", 384, 2048, 24, 1.98),
        ("deepseek-vl-7b", "", 1024, 4096, 30, 7.34),
        ("deepseek-vl-7b.transformers", "deepseek-vl-7b.transformers", 1024, 4096, 30, 7.34),
    ] {
        let copy = published(config, preprocessor);
        let processor = Processor::read(&ModelFiles::in_dir(copy.dir()).unwrap()).unwrap();
        let spec = processor.spec();
        let eyes = spec.eyes.as_ref().unwrap();
        assert_eq!((spec.system(), eyes.family), ("DeepSeek-VL", Family::Vl));
        assert_eq!((eyes.tiling.tile_size(), eyes.tiling.pad_color()), (view, [127; 3]));
        let siglip = eyes.vision;
        assert_eq!((siglip.image_size, siglip.patch_size, siglip.width), (384, 16, 1024));
        assert_eq!((siglip.layers, siglip.heads, siglip.mlp, siglip.activation), (24, 16, 4096, Activation::Gelu));
        assert_eq!(
            (spec.language.hidden_size, spec.language.layers, spec.language.vocab_size),
            (hidden, layers, 102_400)
        );
        assert_eq!(spec.language.max_positions, 16384);
        if let Some(high) = &eyes.high {
            let sam = &high.sam;
            assert_eq!((sam.image_size, sam.width, sam.layers, sam.heads, sam.mlp), (1024, 768, 12, 12, 3072));
            assert_eq!((sam.window, &sam.global[..], sam.neck), (14, &[2, 5, 8, 11][..], 256));
            assert_eq!((sam.channels, sam.side, sam.grid()), ([512, 1024], 24, 64));
            let black = -(0.48145466_f32 / 0.26862954);
            assert!((high.normalizer.levels(0)[0] - black).abs() < 1e-6);
        }
        assert_eq!(eyes.high.is_some(), view == 1024);
        assert_eq!(eyes.tiling.normalizer().levels(2)[255], 1.0);
        let total = spec.parameters().total as f64 / 1e9;
        assert!((total / billions - 1.0).abs() < 0.01, "{config}: {total}");

        let question: Conversation =
            Message::question("?", [picture("page.png").into(), picture("wide.png").into()]).into();
        let weights = WeightBytes::assumed(spec, WeightType::AsStored, None);
        let plan = Plan::new(&processor, &question, &Options::default(), weights).unwrap();
        assert_eq!(plan.images.iter().map(|image| (image.tokens, image.cols)).collect::<Vec<_>>(), [(576, 0); 2]);
        assert_eq!(plan.memory.tiles, 2 * 3 * u64::from(view * view));
        assert!(plan.fits() && plan.memory.vision > 10_000_000 && plan.memory.vision < 1 << 30, "{:?}", plan.memory);
    }
}

/// Parameters are counted from the configuration, and from the files.
#[test]
fn weights_are_counted() {
    for name in [SMALL, HYBRID] {
        let files = ModelFiles::in_dir(reference().join(name)).unwrap();
        let spec = ModelSpec::read(&files).unwrap();
        let weights = WeightBytes::of(&files.checkpoint().unwrap(), WeightType::AsStored, None);
        assert_eq!(weights.total(), spec.parameters().total * 4, "{name}");
        assert!(weights.mapped > 5 * weights.held, "{name}");
    }
}

#[test]
fn errors_name_the_file_the_key_and_the_value() {
    let (config, preprocessor, processor) = ("config.json", "preprocessor_config.json", "processor_config.json");
    for (name, file, pointer, value, says) in [
        (SMALL, config, "/vision_config/hidden_act", json!("relu"), "vision_config.hidden_act is relu"),
        (SMALL, config, "/vision_config/num_attention_heads", json!(5), "vision_config.num_attention_heads is 5"),
        (SMALL, config, "/vision_config/num_attention_heads", json!(0), "vision_config.num_attention_heads is 0"),
        (SMALL, config, "/vision_config/num_hidden_layers", json!(1u64 << 40), "vision_config.num_hidden_layers is"),
        (SMALL, config, "/vision_config/layer_norm_eps", json!(1e-5), "vision_config.layer_norm_eps is"),
        (SMALL, config, "/vision_config/image_size", json!("big"), "vision_config.image_size"),
        (SMALL, config, "/text_config/model_type", json!("mamba"), "text_config.model_type is mamba"),
        (SMALL, config, "/text_config/vocab_size", json!("all"), "text_config.vocab_size"),
        (SMALL, config, "/text_config/hidden_size", json!(0), "text_config.hidden_size is 0"),
        (SMALL, config, "/text_config/num_attention_heads", json!(7), "num_attention_heads"),
        (SMALL, config, "/quantization_config", json!({"bits": 4}), "quantization_config is set"),
        (HYBRID, config, "/high_res_vision_config/use_rel_pos", json!(false), "high_res_vision_config.use_rel_pos is"),
        (HYBRID, config, "/high_res_vision_config/window_size", json!(0), "high_res_vision_config.window_size is 0"),
        (HYBRID, config, "/high_res_vision_config/window_size", json!(17), "high_res_vision_config.window_size is 17"),
        (HYBRID, config, "/vision_config/image_size", json!(260), "image_size of the tower is 260: more than"),
        (HYBRID, config, "/high_res_vision_config/global_attn_indexes", json!([]), "global_attn_indexes is []"),
        (HYBRID, config, "/high_res_vision_config/global_attn_indexes", json!([3]), "global_attn_indexes is [3]"),
        (HYBRID, config, "/high_res_vision_config/output_channels", json!(15), "resolution is 60: it does not fit"),
        (HYBRID, config, "/high_res_vision_config/image_size", json!(250), "image_size is 250: no multiple"),
        (SMALL, preprocessor, "/image_size", json!(65), "image_size is 65: it does not fit"),
        (SMALL, preprocessor, "/min_size", json!(0), "min_size is 0"),
        (SMALL, preprocessor, "/min_size", json!(65), "min_size is 65"),
        (SMALL, preprocessor, "/image_std", json!([0.5, 0.0, 0.5]), "image_std is"),
        (SMALL, preprocessor, "/image_mean", Value::Null, "image_mean"),
        (SMALL, preprocessor, "/image_mean", json!([0.5]), "image_mean"),
        (SMALL, preprocessor, "/rescale_factor", json!(1), "rescale_factor is 1"),
        (SMALL, preprocessor, "/size", json!({"height": 64, "width": 32}), "size.width is 32"),
        (HYBRID, preprocessor, "/high_res_size", json!({"height": 96, "width": 96}), "high_res_size.height is 96"),
        (SMALL, processor, "/num_image_tokens", json!(17), "num_image_tokens is 17: it does not fit"),
        (SMALL, processor, "/sft_format", json!("plain"), "sft_format is plain"),
        (SMALL, processor, "/add_special_token", json!(true), "add_special_token is true"),
    ] {
        let copy = Copy::of(name);
        copy.edit(file, pointer, value);
        let message = whole(&copy.spec().unwrap_err());
        assert!(message.contains(says) && message.contains(file), "{pointer}: {message}");
    }
    let (params, high) = ("/vision_config/params", "/vision_config/params/high_res_cfg");
    for (name, file, pointer, value, says) in [
        (SMALL, config, "/vision_config/cls", json!("Eye"), "vision_config.cls is Eye"),
        (SMALL, config, &format!("{params}/model_name"), json!("siglip_tiny"), "model_name is siglip_tiny: no tower"),
        (SMALL, config, &format!("{params}/model_name"), json!("sam_b_downsample"), "model_name is sam_b_downsample"),
        (SMALL, config, &format!("{params}/select_layer"), json!(-3), "select_layer is -3"),
        (SMALL, config, &format!("{params}/pixel_mean"), json!([0.5, 0.5, 0.5]), "pixel_mean is one of two"),
        (SMALL, config, &format!("{params}/image_size"), json!(-1), "vision_config.params.image_size"),
        (SMALL, config, "/aligner_config/params/projector_type", json!("linear"), "projector_type is linear"),
        (SMALL, config, "/aligner_config/params/depth", json!(1), "aligner_config.params.depth is 1"),
        (SMALL, config, "/aligner_config/params/n_embed", json!(63), "n_embed is 63: it does not fit"),
        (SMALL, config, "/aligner_config/params/input_dim", json!(47), "input_dim is 47: it does not fit"),
        (HYBRID, config, &format!("{params}/concat_type"), json!("add"), "concat_type is add"),
        (
            HYBRID,
            config,
            &format!("{high}/model_name"),
            json!("siglip_large_patch16_384"),
            "model_name is siglip_large",
        ),
        (HYBRID, config, params, json!({"low_res_cfg": {}}), "vision_config.params"),
        (HYBRID, preprocessor, "/do_normalize", json!(true), "do_normalize is true"),
        (SMALL, "tower_sizes.json", "/siglip_large_patch16_384/heads", json!(5), "vision_config.params.heads is 5"),
        (SMALL, "tower_sizes.json", "/siglip_large_patch16_384/mlp_ratio", json!("4"), "mlp_ratio"),
        (HYBRID, "tower_sizes.json", "/sam_b_downsample/layers", Value::Null, "sam_b_downsample"),
    ] {
        let copy = Copy::original(name);
        copy.edit(file, pointer, value);
        let message = whole(&copy.spec().unwrap_err());
        assert!(message.contains(says), "{pointer}: {message}");
    }
    let blind = Copy::of(SMALL);
    fs::remove_file(blind.dir().join(preprocessor)).unwrap();
    let error = blind.spec().unwrap_err();
    assert!(matches!(&error, Error::MissingFile { file, .. } if file == preprocessor), "{error}");
    // Newer files have one in the other.
    blind.edit(processor, "/image_processor", read(reference().join(SMALL).join(preprocessor)));
    blind.spec().unwrap();
    blind.edit(processor, "/image_processor/min_size", json!("x"));
    assert!(whole(&blind.spec().unwrap_err()).contains("image_processor.min_size"));
}

#[test]
fn loading_is_strict() {
    for (name, tensor) in [
        (SMALL, "model.vision_model.vision_model.encoder.layers.1.self_attn.k_proj.weight"),
        (SMALL, "model.aligner.linear2.bias"),
        (HYBRID, "model.high_res_vision_model.vision_encoder.layers.2.attn.rel_pos_w"),
        (HYBRID, "model.high_res_vision_alpha"),
        (HYBRID, "lm_head.weight"),
    ] {
        let copy = Copy::of(name);
        let path = copy.dir().join("model.safetensors");
        let mut all = tensors(&path);
        let (shape, data) = all.remove(tensor).unwrap();
        write(&all, &path);
        let load = || Model::from_pretrained(copy.dir().to_str().unwrap()).err().map(|error| whole(&error)).unwrap();
        let message = load();
        assert!(message.contains(tensor) && message.contains("missing"), "{message}");
        all.insert(tensor.into(), (vec![1, shape.iter().product()], data));
        write(&all, &path);
        let message = load();
        assert!(message.contains(tensor), "{message}");
    }
}

fn prompt(processor: &Processor, conversation: &Conversation) -> String {
    let ids = processor.prompt(conversation, &[]).unwrap().ids;
    processor.tokenizer().decode(&ids, false)
}

#[test]
fn prompts_are_the_originals() {
    let processor = Processor::read(&ModelFiles::in_dir(reference().join(SMALL)).unwrap()).unwrap();
    let begin = "<｜begin▁of▁sentence｜>";
    let hi = || Conversation::from(Message::user(" Hi ", []));
    assert_eq!(prompt(&processor, &hi()), format!("{begin}{VL_SYSTEM}\n\nUser: Hi\n\nAssistant:"));
    assert_eq!(prompt(&processor, &hi().with_system("")), format!("{begin}User: Hi\n\nAssistant:"));
    let history = hi().with_system(" Be brief. ").with(Message::assistant("Hello."));
    let begun = format!("{begin}Be brief. \n\nUser: Hi\n\nAssistant: Hello.");
    assert_eq!(prompt(&processor, &history), begun, "an answer that goes on");
    let on = history.with(Message::user("", []));
    assert_eq!(prompt(&processor, &on), format!("{begun}<｜end▁of▁sentence｜>User:Assistant:"));
    let system = hi().with_system("<image_placeholder>");
    assert!(matches!(processor.prompt(&system, &[]), Err(Error::ImageInSystem)));
    let image = hi().with(Message::user("<image>", []));
    assert!(matches!(processor.prompt(&image, &[]), Err(Error::ImageCount { placeholders: 1, images: 0, .. })));
}

#[test]
fn an_image_token_that_is_spelled_out_is_a_place_for_an_image() {
    let model = model(SMALL);
    let generation = GenerationOptions {
        max_new_tokens: 8,
        repetition_guard: None,
        markup_guard: false,
        ..GenerationOptions::default()
    };
    let options = Options { generation, ..Options::default() };
    let ask = |text: &str| model.generate(&Message::user(text, [picture("page.png").into()]).into(), &options).unwrap();
    let answer = ask("<image_placeholder>Describe each stage of this image.");
    assert_eq!((answer.image_tokens.as_slice(), answer.prompt_tokens), (&[16][..], 136));
    assert_eq!(answer.raw, ask("<image>Describe each stage of this image.").raw);
    assert!(answer.regions.is_empty());
}

#[test]
fn batches_and_inner_values() {
    let model = model(HYBRID);
    let generation = GenerationOptions {
        max_new_tokens: 6,
        repetition_guard: None,
        markup_guard: false,
        ..GenerationOptions::default()
    };
    let options = Options { generation, ..Options::default() };
    let ask = |text: &str, pictures: &[&str]| -> Conversation {
        Message::question(text, pictures.iter().map(|name| picture(name).into())).into()
    };
    let conversations = [ask("?", &["page.png", "wide.png"]), ask("Hello!", &[]), ask("And?", &["page.png"])];
    let batch = model.batch(&conversations, &options).unwrap();
    for (answer, conversation) in batch.iter().zip(&conversations) {
        assert_eq!(answer.tokens, model.generate(conversation, &options).unwrap().tokens);
    }
    let image = picture("page.png").into();
    assert_eq!(model.vision_features(&image, &options).unwrap().shape, [1, 576, 56]);
    assert_eq!(model.visual_tokens(&image, &options).unwrap().shape, [576, 72]);
    options.cancel.cancel();
    assert!(matches!(model.generate(&conversations[0], &options), Err(Error::Cancelled)));
    let tiling = seekvl::TilingOptions { candidates: Some(vec![(96, 96).into()]), ..Default::default() };
    let tiled = model.generate(&conversations[2], &Options { tiling, ..Options::default() });
    assert!(whole(&tiled.unwrap_err()).contains("does not cut pictures into tiles"));
}

/// One loaded model for every type of weights.
#[test]
fn rounded_weights_stay_near() {
    for name in [SMALL, HYBRID] {
        let check = |options: DoctorOptions| {
            let report = run(&reference().join(name), &options).unwrap();
            assert!(report.passed(), "{name}: {:?}", report.first_failure());
            let stages = &report.parts[0].stages;
            stages.iter().find(|stage| stage.stage == seekvl::doctor::Stage::Projector).unwrap().error
        };
        assert!(check(DoctorOptions { weights: WeightType::Bf16, ..DoctorOptions::default() }) > 1e-4);
        let quantization = Some(Quantization::Q8_0);
        assert!(check(DoctorOptions { quantization, ..DoctorOptions::default() }) > 1e-4);
    }
}
