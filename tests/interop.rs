//! GGUF files that others wrote, and what llama.cpp makes of them (`tests/interop/llama.py`).
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use seekvl::doctor::{self, DoctorOptions, Stage};
use std::path::Path;

/// Tokenizers and greedy tokens are llama.cpp's, and so are logits within what rounding activations makes of them, which it does to
/// f16, or to 8 bits by other blocks.
#[test]
fn files_of_gguf_answer_as_in_llama_cpp() {
    for (name, bound) in [("floats", 1e-3), ("llama", 0.07), ("qwen2", 0.07), ("deepseek2", 0.07), ("k", 0.07)] {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(name);
        let report = doctor::run(&dir, &DoctorOptions::default()).unwrap();
        let stages = &report.parts[0].stages;
        for stage in [Stage::Tokenizer, Stage::Tokens, Stage::Logits, Stage::Greedy, Stage::Chunked, Stage::Text] {
            let of_it = stages.iter().find(|report| report.stage == stage).unwrap();
            let bound = if stage == Stage::Logits { bound } else { 0.0 };
            assert!(of_it.error <= bound, "{name}: {of_it:?}");
        }
    }
}
