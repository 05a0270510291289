//! The model "nano" as part of a program: the files of `model/`, which are in the layout of the Hugging Face hub.
#![no_std]
#![forbid(unsafe_code)]

/// Starts at an address that every type of numbers and a cache line are aligned to, so that weights need no copy.
#[repr(C, align(64))]
struct Aligned<T: ?Sized>(T);

static WEIGHTS: &Aligned<[u8]> = &Aligned(*include_bytes!("../model/model.safetensors"));

/// Names and contents. All weights are in `model.safetensors`.
pub static FILES: [(&str, &[u8]); 6] = [
    ("config.json", include_bytes!("../model/config.json")),
    ("processor_config.json", include_bytes!("../model/processor_config.json")),
    ("tokenizer.json", include_bytes!("../model/tokenizer.json")),
    ("tokenizer_config.json", include_bytes!("../model/tokenizer_config.json")),
    ("special_tokens_map.json", include_bytes!("../model/special_tokens_map.json")),
    ("model.safetensors", &WEIGHTS.0),
];
