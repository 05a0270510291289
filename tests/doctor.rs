//! The doctor finds nothing wrong with this build, and finds what is wrong with damaged data.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use safetensors::SafeTensors;
use seekvl::doctor::{DoctorOptions, LayerPart, Report, Stage, run};
use seekvl::{LatentForm, Quantization, WeightType};
use std::fs;
use std::path::{Path, PathBuf};

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference")
}

fn check(dir: &Path) -> Report {
    run(dir, &DoctorOptions::default()).unwrap()
}

#[test]
fn every_stage_of_every_checkpoint_equals_the_originals() {
    let report = check(&reference());
    assert!(report.passed(), "{:?}", report.first_failure());
    let names: Vec<&str> = report.parts.iter().map(|part| part.name.as_str()).collect();
    let text = ["llm-like", "r1-distill-llama-like", "r1-distill-qwen-like", "v2-like", "v3-like"];
    assert_eq!(names[0], ".");
    assert_eq!(names[1..6], text);
    assert_eq!(names[6..9], ["vl1-hybrid-like", "vl1-like", "vl1-like/original"]);
    assert_eq!(names[9..], ["vl2-base-like", "vl2-fullres-like", "vl2-small-like", "vl2-tiny-like"]);
    for part in &report.parts[1..6] {
        let checks = |stage| part.stages.iter().find(|report| report.stage == stage).map_or(0, |report| report.checks);
        for stage in [Stage::Logits, Stage::Greedy, Stage::Text, Stage::Chunked] {
            assert_eq!(checks(stage), 3, "{}, {stage}", part.name);
        }
        let is_sparse = part.name.starts_with('v');
        assert_eq!(checks(Stage::Layer(2, LayerPart::Experts)), if is_sparse { 3 } else { 0 }, "{}", part.name);
        let drafts = part.name == "v3-like";
        for stage in [Stage::DraftExperts, Stage::DraftExpertWeights, Stage::DraftLogits, Stage::Drafted] {
            assert_eq!(checks(stage), if drafts { 3 } else { 0 }, "{}, {stage}", part.name);
        }
        let worst = part.stages.iter().map(|stage| stage.error).fold(0.0, f64::max);
        assert!(worst < 2e-5, "{}: {worst:e}", part.name);
    }
    for part in &report.parts[6..9] {
        let checks = |stage| part.stages.iter().find(|report| report.stage == stage).map_or(0, |report| report.checks);
        for stage in [Stage::Logits, Stage::Greedy, Stage::Text, Stage::Pixels] {
            assert_eq!(checks(stage), 3, "{}, {stage}", part.name);
        }
        let is_hybrid = part.name.contains("hybrid");
        assert_eq!(checks(Stage::Projector), if is_hybrid { 1 } else { 2 }, "{}", part.name);
        for stage in [Stage::HighNeck, Stage::HighVision] {
            assert_eq!(checks(stage), usize::from(is_hybrid), "{}, {stage}", part.name);
        }
        for stage in [Stage::Templates, Stage::PixelValues, Stage::Vision] {
            assert_eq!(checks(stage), 1, "{}, {stage}", part.name);
        }
        let worst = part.stages.iter().map(|stage| stage.error).fold(0.0, f64::max);
        assert!(worst < 2e-5, "{}: {worst:e}", part.name);
    }
    for part in &report.parts[9..] {
        let checks = |stage| part.stages.iter().find(|report| report.stage == stage).map_or(0, |report| report.checks);
        let is_real = part.name == "vl2-fullres-like";
        let (singles, batched, layer) = if is_real { (2, 0, 1) } else { (11, 5, 2) };
        assert_eq!(checks(Stage::Greedy), singles, "every single request of {}", part.name);
        assert_eq!(checks(Stage::Batch), batched, "every row of both batches of {}", part.name);
        assert_eq!(checks(Stage::Logits), singles, "{}", part.name);
        assert_eq!(checks(Stage::Layer(layer, LayerPart::Experts)), singles, "{}", part.name);
        // Far below the bound, as between two implementations in f32.
        let worst = part.stages.iter().map(|stage| stage.error).fold(0.0, f64::max);
        assert!(worst < 2e-5, "{}: {worst:e}", part.name);
    }
}

#[test]
fn bf16_stays_within_its_bound() {
    let options = DoctorOptions { weights: WeightType::Bf16, ..DoctorOptions::default() };
    let report = run(&reference(), &options).unwrap();
    assert!(report.passed(), "{:?}", report.first_failure());
    assert_all_is_judged(&report);
}

/// That rounding is seen, and nothing of it passes for want of a bound, behind tipped experts too.
fn assert_all_is_judged(report: &Report) {
    for part in &report.parts[1..] {
        for stage in &part.stages {
            if matches!(
                stage.stage,
                Stage::Logits | Stage::DraftLogits | Stage::Vision | Stage::Layer(_, LayerPart::Output)
            ) {
                assert!(stage.bound.is_some() && stage.error > 1e-4, "{}: {stage:?}", part.name);
            }
        }
    }
}

#[test]
fn a_wrong_layer_of_rounded_weights_is_named() {
    for (name, tensor, expected) in [
        ("llm-like", "model.layers.1.self_attn.o_proj.weight", Stage::Layer(1, LayerPart::Output)),
        ("v2-like", "model.layers.2.mlp.shared_experts.down_proj.weight", Stage::Layer(2, LayerPart::Output)),
        ("v3-like", "model.layers.3.eh_proj.weight", Stage::DraftExperts),
        ("vl2-tiny-like", "vision.blocks.1.mlp.fc2.weight", Stage::VisionBlock(1)),
        ("vl2-tiny-like", "language.model.layers.2.mlp.gate.weight", Stage::Layer(2, LayerPart::Experts)),
    ] {
        let dir = copy(name);
        negate(&dir.path().join(name).join("model.safetensors"), tensor);
        for quantization in [None, Some(Quantization::Q8_0)] {
            let options = DoctorOptions { weights: WeightType::Bf16, quantization, ..DoctorOptions::default() };
            let report = run(&dir.path().join(name), &options).unwrap();
            let first = report.first_failure().map(|(_, report)| report.stage);
            assert_eq!(first, Some(expected), "{name}: {tensor} {quantization:?}");
        }
    }
}

#[test]
fn both_forms_of_latent_attention_equal_the_original() {
    for name in ["v2-like", "v3-like", "vl2-small-like", "vl2-base-like"] {
        for form in [LatentForm::Absorbed, LatentForm::Expanded] {
            let options = DoctorOptions { latent_form: Some(form), ..DoctorOptions::default() };
            let report = run(&reference().join(name), &options).unwrap();
            assert!(report.passed(), "{name}, {form:?}: {:?}", report.first_failure());
            let worst = report.parts[0].stages.iter().map(|stage| stage.error).fold(0.0, f64::max);
            assert!(worst > 0.0 && worst < 2e-5, "{name}, {form:?}: {worst:e}");
        }
    }
}

#[test]
fn a_wrong_layer_of_a_language_model_is_named() {
    for (name, tensor, expected) in [
        ("v2-like", "model.layers.1.mlp.gate.weight", Stage::Layer(1, LayerPart::Experts)),
        ("llm-like", "model.layers.2.self_attn.o_proj.weight", Stage::Layer(2, LayerPart::Output)),
        ("r1-distill-qwen-like", "model.layers.0.self_attn.k_proj.bias", Stage::Layer(0, LayerPart::Output)),
        ("v3-like", "model.layers.3.eh_proj.weight", Stage::DraftExperts),
    ] {
        let dir = copy(name);
        nudge(&dir.path().join(name).join("model.safetensors"), tensor, 0.5);
        let report = check(&dir.path().join(name));
        let (_, first) = report.first_failure().unwrap();
        assert_eq!(first.stage, expected, "{name}: {tensor}");
    }
}

#[test]
fn a_wrong_layer_of_two_towers_is_named() {
    let high = "model.high_res_vision_model.vision_encoder";
    for (tensor, expected) in [
        ("model.vision_model.vision_model.encoder.layers.1.self_attn.v_proj.weight".into(), Stage::Vision),
        (format!("{high}.layers.0.attn.rel_pos_h"), Stage::HighNeck),
        (format!("{high}.layers.1.attn.rel_pos_w"), Stage::HighNeck),
        (format!("{high}.pos_embed"), Stage::HighNeck),
        (format!("{high}.neck.conv2.weight"), Stage::HighNeck),
        ("model.high_res_vision_neck.conv1.weight".into(), Stage::HighVision),
        ("model.high_res_vision_proj.conv2.weight".into(), Stage::HighVision),
        ("model.high_res_vision_alpha".into(), Stage::HighVision),
        ("model.aligner.vision_proj.weight".into(), Stage::Projector),
        ("model.aligner.proj.bias".into(), Stage::Projector),
        ("model.language_model.layers.1.mlp.down_proj.weight".into(), Stage::Logits),
    ] {
        let dir = copy("vl1-hybrid-like");
        nudge(&dir.path().join("vl1-hybrid-like/model.safetensors"), &tensor, 0.5);
        let report = check(&dir.path().join("vl1-hybrid-like"));
        assert_eq!(report.first_failure().map(|(_, report)| report.stage), Some(expected), "{tensor}");
    }
}

#[test]
fn quantised_weights_stay_within_their_bounds() {
    for (quantization, least) in [(Quantization::Q8_0, 1e-3), (Quantization::Q4_0, 0.05), (Quantization::Q4KM, 0.02)] {
        let options = DoctorOptions { quantization: Some(quantization), ..DoctorOptions::default() };
        let report = run(&reference(), &options).unwrap();
        assert!(report.passed(), "{quantization}: {:?}", report.first_failure());
        if quantization == Quantization::Q8_0 {
            assert_all_is_judged(&report);
        }
        let of_llm = report.parts.iter().find(|part| part.name == "llm-like").unwrap();
        let logits = of_llm.stages.iter().find(|stage| stage.stage == Stage::Logits).unwrap();
        assert!(logits.bound.is_some() && logits.error > least, "rounded weights differ: {logits:?}");
    }
}

/// A copy of a checkpoint whose files may be changed.
fn copy(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join(name)).unwrap();
    fs::create_dir(dir.path().join("images")).unwrap();
    for folder in [name, "images"] {
        for file in fs::read_dir(reference().join(folder)).unwrap() {
            let file = file.unwrap();
            if file.file_type().unwrap().is_file() {
                fs::copy(file.path(), dir.path().join(folder).join(file.file_name())).unwrap();
            }
        }
    }
    dir
}

/// Adds `by` to the middle element of an f32 tensor.
fn nudge(file: &Path, tensor: &str, by: f32) {
    change(file, tensor, |values| values[values.len() / 2] += by);
}

/// Turns the sign of all elements.
fn negate(file: &Path, tensor: &str) {
    change(file, tensor, |values| values.iter_mut().for_each(|value| *value = -*value));
}

fn change(file: &Path, tensor: &str, change: impl FnOnce(&mut [f32])) {
    let mut bytes = fs::read(file).unwrap();
    let data = SafeTensors::deserialize(&bytes).unwrap().tensor(tensor).unwrap().data().as_ptr_range();
    let [start, end] = [data.start, data.end].map(|at| at.addr() - bytes.as_ptr().addr());
    let part = bytes[start..end].as_chunks_mut().0;
    let mut values: Vec<f32> = part.iter().map(|value| f32::from_le_bytes(*value)).collect();
    change(&mut values);
    part.iter_mut().zip(values).for_each(|(bytes, value)| *bytes = value.to_le_bytes());
    fs::write(file, bytes).unwrap();
}

#[test]
fn the_first_stage_that_diverges_is_named() {
    for (tensor, stage) in [
        ("vision.patch_embed.proj.weight", Stage::VisionEmbed),
        ("vision.blocks.1.mlp.fc2.weight", Stage::VisionBlock(1)),
        ("vision.norm.bias", Stage::Vision),
        ("projector.layers.2.weight", Stage::Projector),
        ("image_newline", Stage::InputsEmbeds),
        ("language.model.layers.0.self_attn.v_proj.weight", Stage::Layer(0, LayerPart::Output)),
        ("language.model.layers.1.mlp.shared_experts.up_proj.weight", Stage::Layer(1, LayerPart::Output)),
        ("language.model.norm.weight", Stage::HiddenNorm),
        ("language.lm_head.weight", Stage::Logits),
    ] {
        let dir = copy("vl2-tiny-like");
        let checkpoint = dir.path().join("vl2-tiny-like");
        nudge(&checkpoint.join("model.safetensors"), tensor, 0.5);
        let report = check(&checkpoint);
        assert_eq!(report.first_failure().map(|(_, report)| report.stage), Some(stage), "{tensor}");
    }
}

#[test]
fn wrong_expectations_are_found() {
    let dir = copy("vl2-tiny-like");
    let checkpoint = dir.path().join("vl2-tiny-like");
    let golden = fs::read_to_string(checkpoint.join("golden.json")).unwrap();
    let (request, ids) = golden.split_once("\"stop\"").unwrap();
    let wrong = ids.replacen("712", "713", 1);
    assert_ne!(ids, wrong);
    fs::write(checkpoint.join("golden.json"), format!("{request}\"stop\"{wrong}")).unwrap();
    let report = check(&checkpoint);
    let failed: Vec<Stage> = report.parts[0].stages.iter().filter(|stage| !stage.passed).map(|s| s.stage).collect();
    assert_eq!(failed, [Stage::Greedy, Stage::Text, Stage::Chunked]);
}

#[test]
fn a_directory_without_reference_data_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let error = run(dir.path(), &DoctorOptions::default()).unwrap_err();
    assert!(error.to_string().contains("has no reference data"), "{error}");
    fs::write(dir.path().join("golden.json"), "{}").unwrap();
    assert!(run(dir.path(), &DoctorOptions::default()).is_err());
}
