//! Thousands of damaged copies of good files through the functions that `fuzz/` fuzzes: each is refused or read, and nothing else
//! happens.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../fuzz/targets.rs"]
mod targets;

use cap::Cap;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use seekvl::ModelFiles;
use seekvl::gguf::{FileType, quantize};
use std::alloc::System;
use std::fs;
use std::path::{Path, PathBuf};

/// A count or a length that is believed would ask for more than this, and end the test.
#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, 512 << 20);

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name)
}

/// One thing done to a file's first `reach` bytes.
#[derive(Clone, Debug)]
enum Damage {
    Cut(usize),
    Byte(usize, u8),
    /// Eight bytes at once, since counts and lengths are so long.
    Number(usize, u64),
    Swap(usize, usize),
}

fn damage(reach: usize) -> impl Strategy<Value = Damage> {
    let numbers = prop_oneof![Just(0), Just(1), Just(u64::MAX), Just(1 << 31), Just(1 << 40), any::<u64>()];
    prop_oneof![
        1 => (0..reach).prop_map(Damage::Cut),
        4 => (0..reach, any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        4 => (0..reach, numbers).prop_map(|(at, number)| Damage::Number(at, number)),
        1 => (0..reach, 0..reach).prop_map(|(a, b)| Damage::Swap(a, b)),
    ]
}

fn damaged(good: &[u8], list: &[Damage]) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for damage in list {
        let len = bytes.len();
        match *damage {
            Damage::Cut(at) => bytes.truncate(at),
            Damage::Byte(at, byte) if at < len => bytes[at] = byte,
            Damage::Number(at, number) if at + 8 <= len => bytes[at..at + 8].copy_from_slice(&number.to_le_bytes()),
            Damage::Swap(a, b) if a < len && b < len => bytes.swap(a, b),
            _ => {}
        }
    }
    bytes
}

/// Damages the first `reach` bytes of a good file, `cases` times.
fn try_all(good: &[u8], reach: usize, cases: u32, accepts: impl Fn(&[u8]) -> bool) {
    assert!(accepts(good), "the file is good");
    let reach = reach.min(good.len());
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let refused = std::cell::Cell::new(0);
    let run = runner.run(&prop::collection::vec(damage(reach), 1..4), |list| {
        refused.set(refused.get() + u32::from(!accepts(&damaged(good, &list))));
        Ok(())
    });
    run.unwrap();
    assert!(refused.get() > cases / 4, "{} of {cases} are refused", refused.get());
}

fn converted(name: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.gguf");
    quantize(&ModelFiles::in_dir(reference(name)).unwrap(), FileType::Q8_0, &path, &mut ()).unwrap();
    fs::read(path).unwrap()
}

/// The bytes before the tokens: counts and all keys of the model.
#[test]
fn gguf_metadata() {
    for name in ["vl2-tiny-like", "v2-like"] {
        let good = converted(name);
        let tokens = b"tokenizer.ggml.tokens";
        let before = good.windows(tokens.len()).position(|bytes| bytes == tokens).unwrap();
        try_all(&good, before + 64, 2000, targets::gguf);
    }
}

/// The names, shapes, types and places of tensors.
#[test]
fn gguf_tensors() {
    for name in ["llm-like", "v2-like"] {
        let good = converted(name);
        let first = b"token_embd.weight";
        let tensors = good.windows(first.len()).position(|bytes| bytes == first).unwrap() - 8;
        // The part before them stays good.
        let (header, rest) = good.split_at(tensors);
        let accepts = |bytes: &[u8]| targets::gguf(&[header, bytes].concat());
        try_all(rest, 6000, 2000, accepts);
    }
}

#[test]
fn safetensors_headers() {
    let good = fs::read(reference("llm-like").join("model.safetensors")).unwrap();
    let header = u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
    try_all(&good, 8 + header, 3000, targets::safetensors);
}

#[test]
fn configurations() {
    for name in ["vl2-base-like", "v3-like"] {
        let rest = ModelFiles::in_dir(reference(name)).unwrap();
        let good = fs::read(reference(name).join("config.json")).unwrap();
        try_all(&good, good.len(), 1000, |bytes| targets::config(bytes, &rest));
    }
}
