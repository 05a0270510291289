//! What is fuzzed: bytes that someone else made. Each returns whether they were accepted; none may panic, hang, or allocate without
//! bound. `tests/mutations.rs` runs the same functions on damaged copies of good files, without cargo-fuzz.

use seekvl::{Checkpoint, Model, ModelFile, ModelFiles, Processor};
use std::path::PathBuf;

fn file(name: &str, content: &[u8]) -> ModelFile {
    ModelFile::InMemory { path: PathBuf::from(name), content: content.to_vec().into() }
}

/// A whole GGUF file: header, configuration, tokenizer, and all weights.
pub fn gguf(bytes: &[u8]) -> bool {
    let files = ModelFiles::in_gguf(file("fuzz.gguf", bytes));
    files.and_then(|files| Model::builder().load_files(&files)).is_ok()
}

/// A safetensors file.
pub fn safetensors(bytes: &[u8]) -> bool {
    Checkpoint::from_bytes("fuzz.safetensors", bytes.to_vec()).is_ok()
}

/// `config.json`; the other files are those of a good model.
pub fn config(bytes: &[u8], rest: &ModelFiles) -> bool {
    let files = ModelFiles { config: file("config.json", bytes), ..rest.clone() };
    Processor::read(&files).is_ok()
}
