//! Models in GGUF files: what is written is read as the same model, and damaged files are errors.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use seekvl::doctor::{self, DoctorOptions};
use seekvl::gguf::{FileType, quantize};
use seekvl::{Device, Error, Model, ModelFiles, Processor, WeightType};
use seekvl_language::{Decoder, LatentForm, Span};
use seekvl_nn::{Format, Gguf, GgufEntry, GgufWriter, Loader, StoredDtype, Value, to_vec};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name)
}

/// Writes a reference's checkpoint to `model.gguf` in a new directory.
fn written(name: &str, to: FileType) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.gguf");
    quantize(&ModelFiles::in_dir(reference(name)).unwrap(), to, &path, &mut ()).unwrap();
    (dir, path)
}

/// A set of references with one checkpoint, which is a GGUF file.
fn converted(name: &str, to: FileType) -> tempfile::TempDir {
    let (dir, path) = written(name, to);
    let part = dir.path().join(name);
    fs::create_dir(&part).unwrap();
    fs::rename(path, part.join("model.gguf")).unwrap();
    for file in ["golden.json", "golden.safetensors"] {
        fs::copy(reference(name).join(file), part.join(file)).unwrap();
    }
    #[cfg(unix)]
    for file in ["images", "preprocess.json", "preprocess.safetensors"] {
        std::os::unix::fs::symlink(reference(file), dir.path().join(file)).unwrap();
    }
    dir
}

/// Every stage of every checkpoint, within the bounds that the safetensors keep.
#[test]
fn references_pass_from_gguf() {
    let all = [
        "llm-like",
        "r1-distill-llama-like",
        "r1-distill-qwen-like",
        "v2-like",
        "v3-like",
        "vl2-tiny-like",
        "vl2-small-like",
        "vl2-base-like",
    ];
    for name in all {
        let dir = converted(name, FileType::F32);
        let report = doctor::run(&dir.path().join(name), &DoctorOptions::default()).unwrap();
        assert!(report.passed(), "{name}: {:?}", report.first_failure());
        let logits = |part: &doctor::PartReport| part.stages.iter().any(|stage| stage.stage == doctor::Stage::Logits);
        assert!(report.parts.iter().any(logits), "{name}: {report:?}");
    }
}

/// The logits of a prompt's tokens.
fn logits(decoder: &Decoder) -> Vec<f32> {
    let ids: Vec<u32> = (5..40).collect();
    let mut cache = decoder.new_cache();
    let mut spans = [Span { rows: ids.len(), cache: &mut cache, form: LatentForm::Absorbed }];
    let hidden = decoder.forward(&decoder.embed(&ids).unwrap(), &mut spans, &mut ()).unwrap();
    to_vec(&decoder.logits(&hidden).unwrap()).unwrap()
}

/// A checkpoint of Llama's or Qwen2's class whose rows are whole blocks of 256, and its directory.
fn whole_blocks(class: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        fs::copy(reference("llm-like").join(file), dir.path().join(file)).unwrap();
    }
    let config = serde_json::json!({
        "model_type": class, "vocab_size": 704, "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 4,
        "num_attention_heads": 8, "num_key_value_heads": 2, "max_position_embeddings": 64, "bos_token_id": 700,
        "eos_token_id": 701, "tie_word_embeddings": false,
    });
    fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    let mut shapes = vec![
        ("model.embed_tokens.weight".to_owned(), vec![704, 256]),
        ("model.norm.weight".to_owned(), vec![256]),
        ("lm_head.weight".to_owned(), vec![704, 256]),
    ];
    for layer in 0..4 {
        let mut add =
            |name: &str, shape: &[usize]| shapes.push((format!("model.layers.{layer}.{name}"), shape.to_vec()));
        for (name, rows) in [("q", 256), ("k", 64), ("v", 64)] {
            add(&format!("self_attn.{name}_proj.weight"), &[rows, 256]);
            if class == "qwen2" {
                add(&format!("self_attn.{name}_proj.bias"), &[rows]);
            }
        }
        add("self_attn.o_proj.weight", &[256, 256]);
        add("mlp.gate_proj.weight", &[512, 256]);
        add("mlp.up_proj.weight", &[512, 256]);
        add("mlp.down_proj.weight", &[256, 512]);
        add("input_layernorm.weight", &[256]);
        add("post_attention_layernorm.weight", &[256]);
    }
    let mut state = 7u32;
    let mut number = |spread: f32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        spread * ((state >> 8) as f32 / (1 << 23) as f32 - 1.0)
    };
    let mut data = |shape: &[usize]| {
        let count: usize = shape.iter().product();
        let (spread, middle) = if shape.len() == 1 { (0.5, 1.0) } else { (0.15, 0.0) };
        (0..count).flat_map(|_| (middle + number(spread)).to_le_bytes()).collect::<Vec<u8>>()
    };
    let tensors: Vec<_> = shapes.into_iter().map(|(name, shape)| (name, data(&shape), shape)).collect();
    let views =
        tensors.iter().map(|(name, data, shape)| (name, TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
    serialize_to_file(views, None, &dir.path().join("model.safetensors")).unwrap();
    dir
}

/// A quantised file answers, bit for bit, as the checkpoint does that is rounded to the same formats when it is loaded.
#[test]
fn a_file_is_the_same_quantisation_made_at_load() {
    for (class, to) in
        [("llama", FileType::Q8_0), ("llama", FileType::Q4KM), ("qwen2", FileType::Q4_0), ("qwen2", FileType::Q4KM)]
    {
        let dir = whole_blocks(class);
        let files = ModelFiles::in_dir(dir.path()).unwrap();
        let path = dir.path().join("model.gguf");
        quantize(&files, to, &path, &mut ()).unwrap();
        let model = Model::from_pretrained(&path.to_string_lossy()).unwrap();
        let checkpoint = ModelFiles::in_gguf(path).unwrap().checkpoint().unwrap();
        let types = checkpoint.tensors().map(|(name, tensor)| (name.to_owned(), tensor.dtype));
        let types: BTreeMap<String, StoredDtype> = types.collect();
        let count = |format| types.values().filter(|&&dtype| dtype == StoredDtype::Blocks(format)).count();
        if to == FileType::Q4KM {
            // The output, and of layers 2 and 3 the values and what leads down; the embedding and all else.
            assert_eq!((count(Format::Q6K), count(Format::Q4K)), (1 + 2 * 2, 1 + 4 * 7 - 2 * 2), "{class}");
        }
        let format = move |name: &str, _| match types[name] {
            StoredDtype::Blocks(format) => Some(format),
            _ => None,
        };
        let spec = Processor::read(&files).unwrap().spec().language.clone();
        let loader = Loader::new(Arc::new(files.checkpoint().unwrap()), Device::Cpu, WeightType::AsStored).unwrap();
        let decoder = Decoder::load(&loader.quantized_by(format).unwrap(), &spec).unwrap();
        assert!(logits(model.decoder()) == logits(&decoder), "{class} {to}");
        assert!(logits(&decoder).iter().all(|x| x.is_finite()) && logits(&decoder).iter().any(|x| x.abs() > 0.1));
    }
}

/// Rows that are no whole blocks included, which fall back to other types.
#[test]
fn every_type_is_written_and_read() {
    for to in FileType::ALL {
        for name in ["v2-like", "llm-like", "vl2-tiny-like"] {
            let (_dir, path) = written(name, to);
            let model = Model::from_pretrained(&path.to_string_lossy()).unwrap();
            let plain = Model::from_pretrained(&reference(name).to_string_lossy()).unwrap();
            let (a, b) = (logits(model.decoder()), logits(plain.decoder()));
            let square =
                |values: &mut dyn Iterator<Item = f32>| values.map(|x| f64::from(x) * f64::from(x)).sum::<f64>();
            let error = square(&mut a.iter().zip(&b).map(|(a, b)| a - b)) / square(&mut b.iter().copied());
            let bound = match to {
                FileType::F32 => 1e-12,
                FileType::F16 => 1e-4,
                // A rounding may tip an expert.
                FileType::Bf16 | FileType::Q8_0 => 0.05,
                // (Of another model's logits it is 2.)
                FileType::Q4_0 | FileType::Q4KM => 0.9,
            };
            assert!(error <= bound, "{name} {to}: {error}");
        }
    }
}

/// A GGUF file can be quantised too, and gives what its checkpoint gives.
#[test]
fn a_file_of_floats_is_quantised_as_its_checkpoint() {
    for name in ["llm-like", "v2-like", "vl2-tiny-like"] {
        let (dir, path) = written(name, FileType::F32);
        let (_other, straight) = written(name, FileType::Q4KM);
        let again = dir.path().join("again.gguf");
        quantize(&ModelFiles::in_gguf(path).unwrap(), FileType::Q4KM, &again, &mut ()).unwrap();
        let tensors = |path: &Path| {
            let checkpoint = ModelFiles::in_gguf(path.to_owned()).unwrap().checkpoint().unwrap();
            let loader = Loader::new(Arc::new(checkpoint), Device::Cpu, WeightType::AsStored).unwrap();
            let checkpoint = ModelFiles::in_gguf(path.to_owned()).unwrap().checkpoint().unwrap();
            let rows = |(name, tensor): (&str, &seekvl_nn::StoredTensor)| {
                (name.to_owned(), loader.rows(name, &tensor.shape).unwrap().all())
            };
            checkpoint.tensors().map(rows).collect::<BTreeMap<_, _>>()
        };
        assert!(tensors(&again) == tensors(&straight), "{name}");
        assert_eq!(dir.path().read_dir().unwrap().count(), 2, "no part is left");
    }
}

/// The file with its metadata changed.
fn edited(path: &Path, edit: impl FnOnce(&mut BTreeMap<String, Value>)) -> PathBuf {
    let file = Gguf::open(path).unwrap();
    let mut metadata = file.metadata().map(|(key, value)| (key.to_owned(), value.clone())).collect();
    edit(&mut metadata);
    let entries: Vec<_> = file
        .tensors()
        .iter()
        .map(|tensor| GgufEntry { name: tensor.name.clone(), dtype: tensor.dtype, shape: tensor.shape.clone() })
        .collect();
    let bytes = fs::read(path).unwrap();
    let metadata: Vec<_> = metadata.into_iter().collect();
    let mut writer = GgufWriter::new(Vec::new(), &metadata, &entries).unwrap();
    // The data stand at the end, in this order, each filled up to 32 bytes.
    let sizes: Vec<usize> = entries.iter().map(|entry| entry.bytes().unwrap()).collect();
    let mut at = bytes.len() - sizes.iter().map(|size| size.next_multiple_of(32)).sum::<usize>();
    for size in sizes {
        writer.write(&bytes[at..at + size]).unwrap();
        at += size.next_multiple_of(32);
    }
    let out = path.with_file_name("edited.gguf");
    fs::write(&out, writer.finish().unwrap()).unwrap();
    out
}

/// Tokens, merges and the name of the pre-tokenizer make the tokenizer that the file was made of.
#[test]
fn tokenizers_are_put_together() {
    for name in ["llm-like", "v2-like", "v3-like", "r1-distill-qwen-like"] {
        let (_dir, path) = written(name, FileType::F16);
        let path = edited(&path, |metadata| {
            metadata.remove("tokenizer.huggingface.json").unwrap();
        });
        let made = Processor::read(&ModelFiles::in_gguf(path).unwrap()).unwrap();
        let original = Processor::read(&ModelFiles::in_dir(reference(name)).unwrap()).unwrap();
        let texts = [
            "The quick brown fox, 12345 times: don't!\n\n  It's 3.14 — naïve café\t\r\n",
            "深度求索 こんにちは 한국어 😀 fn main() { println!(\"{}\", 0x1F); }   ",
            "<｜begin▁of▁sentence｜>User: a<think>b</think><｜end▁of▁sentence｜>",
        ];
        for text in texts {
            assert_eq!(
                made.tokenizer().encode(text).unwrap(),
                original.tokenizer().encode(text).unwrap(),
                "{name}: {text}"
            );
        }
        assert_eq!(made.tokenizer().begin_id(), original.tokenizer().begin_id());
        assert_eq!(made.tokenizer().eos_id(), original.tokenizer().eos_id());
    }
}

/// The error of loading, with its sources.
fn error(path: &Path) -> String {
    let error = Model::from_pretrained(&path.to_string_lossy()).err().expect("a damaged file does not load");
    let (mut message, mut source) = (error.to_string(), std::error::Error::source(&error));
    while let Some(error) = source {
        message.push_str(&format!(": {error}"));
        source = error.source();
    }
    message
}

#[test]
fn what_is_wrong_is_named() {
    let (_dir, path) = written("v2-like", FileType::F32);
    let set = |key: &'static str, value: Value| {
        move |metadata: &mut BTreeMap<String, Value>| {
            metadata.insert(key.into(), value);
        }
    };
    let text = |text: &str| Value::String(text.into());
    let cases: [(&str, Value, &str); 7] = [
        ("general.architecture", text("mamba"), "general.architecture is mamba"),
        ("deepseek2.expert_gating_func", Value::U32(7), "deepseek2.expert_gating_func is 7"),
        ("deepseek2.rope.scaling.type", text("longrope"), "deepseek2.rope.scaling.type is longrope"),
        ("deepseek2.block_count", Value::U32(2), "the model does not know"),
        ("deepseek2.block_count", text("many"), "deepseek2.block_count is \"many\""),
        ("tokenizer.ggml.model", text("llama"), "tokenizer.ggml.model is llama"),
        ("tokenizer.ggml.bos_token_id", Value::U32(99_999), "tokenizer.ggml.bos_token_id is 99999"),
    ];
    for (key, value, expected) in cases {
        let message = error(&edited(&path, set(key, value)));
        assert!(message.contains("edited.gguf") && message.contains(expected), "{message}");
    }
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 33]).unwrap();
    assert!(error(&path).contains("cut short"), "{}", error(&path));
    fs::write(&path, b"GGUX").unwrap();
    assert!(matches!(Model::from_pretrained(&path.to_string_lossy()), Err(Error::NotAModel { .. })));
}

/// A checkpoint that lacks a tensor is not written, and what was there before stays.
#[test]
fn towers_without_keys_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["vl1-like", "vl1-hybrid-like"] {
        let files = ModelFiles::in_dir(reference(name)).unwrap();
        let failed = quantize(&files, FileType::Q8_0, &dir.path().join("model.gguf"), &mut ()).unwrap_err();
        assert!(matches!(failed, Error::NoGguf { .. }), "{failed}");
    }
}

#[test]
fn a_failure_leaves_the_old_file() {
    let dir = tempfile::tempdir().unwrap();
    for file in fs::read_dir(reference("llm-like")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), dir.path().join(file.file_name())).unwrap();
    }
    let config = dir.path().join("config.json");
    let text = fs::read_to_string(&config).unwrap().replace("\"num_hidden_layers\": 3", "\"num_hidden_layers\": 4");
    fs::write(&config, text).unwrap();
    let out = dir.path().join("out.gguf");
    fs::write(&out, "precious").unwrap();
    let written = quantize(&ModelFiles::in_dir(dir.path()).unwrap(), FileType::F16, &out, &mut ());
    assert!(matches!(written, Err(Error::NoGguf { .. })), "{written:?}");
    assert_eq!(fs::read_to_string(&out).unwrap(), "precious");
}
