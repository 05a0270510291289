//! Models in GGUF files: what is written is read as the same model, and damaged files are errors.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use seekvl::doctor::{self, DoctorOptions};
use seekvl::gguf::{FileType, quantize};
use seekvl::{Error, Model, ModelFiles};
use std::fs;
use std::path::{Path, PathBuf};

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name)
}

/// A directory with a checkpoint's golden files and, instead of the checkpoint, its GGUF file.
fn converted(name: &str, to: FileType) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (from, part) = (reference(name), dir.path().join(name));
    fs::create_dir(&part).unwrap();
    for file in ["golden.json", "golden.safetensors"] {
        fs::copy(from.join(file), part.join(file)).unwrap();
    }
    #[cfg(unix)]
    for file in ["images", "preprocess.json", "preprocess.safetensors"] {
        std::os::unix::fs::symlink(reference(file), dir.path().join(file)).unwrap();
    }
    quantize(&ModelFiles::in_dir(from).unwrap(), to, &part.join("model.gguf"), &mut ()).unwrap();
    dir
}

/// Every stage of every checkpoint, as with the safetensors.
#[test]
fn references_pass_from_gguf() {
    for name in
        ["llm-like", "r1-distill-qwen-like", "v2-like", "v3-like", "vl2-tiny-like", "vl2-small-like", "vl2-base-like"]
    {
        let dir = converted(name, FileType::F32);
        let report = doctor::run(&dir.path().join(name), &DoctorOptions::default()).unwrap();
        assert!(report.passed(), "{name}: {:?}", report.first_failure());
        let logits = |part: &doctor::PartReport| part.stages.iter().any(|stage| stage.stage == doctor::Stage::Logits);
        assert!(report.parts.iter().any(logits), "{name}: {report:?}");
    }
}
