//! The tokenizer and its stream, against the reference.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use seekvl_language::{Error, Tokenizer};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

const CHECKPOINTS: [&str; 3] = ["vl2-tiny-like", "vl2-small-like", "vl2-base-like"];

fn directory(checkpoint: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/reference")).join(checkpoint)
}

fn read_json(checkpoint: &str, file: &str) -> Value {
    serde_json::from_slice(&fs::read(directory(checkpoint).join(file)).unwrap()).unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| u32::try_from(id.as_u64().unwrap()).unwrap()).collect()
}

static TINY: LazyLock<Tokenizer> = LazyLock::new(|| Tokenizer::from_dir(&directory("vl2-tiny-like")).unwrap());

#[test]
fn it_encodes_and_decodes_as_the_reference() {
    for checkpoint in CHECKPOINTS {
        let tokenizer = Tokenizer::from_dir(&directory(checkpoint)).unwrap().with_vl2_tokens().unwrap();
        let golden = read_json(checkpoint, "golden.json");
        let cases = golden["tokenizer_cases"].as_array().unwrap();
        assert!(cases.len() > 10);
        for case in cases {
            let text = case["text"].as_str().unwrap();
            let ids = ids(&case["ids"]);
            assert_eq!(tokenizer.encode(text).unwrap(), ids, "{checkpoint}: {text:?}");
            assert_eq!(tokenizer.decode(&ids, false), case["decoded"].as_str().unwrap());
            assert_eq!(tokenizer.decode(&ids, true), case["decoded_skip_special"].as_str().unwrap());
        }
        for (token, id) in golden["token_ids"].as_object().unwrap() {
            assert_eq!(tokenizer.token_id(token).map(u64::from), id.as_u64(), "{checkpoint}: {token}");
        }
        assert_eq!(tokenizer.bos_id(), tokenizer.token_id("<｜begin▁of▁sentence｜>"));
        assert_eq!(tokenizer.eos_id(), tokenizer.token_id("<｜end▁of▁sentence｜>"));
        assert_eq!(tokenizer.pad_id(), tokenizer.token_id("<｜▁pad▁｜>"));
        assert!(tokenizer.is_special(tokenizer.token_id("<|det|>").unwrap()));
        assert!(!tokenizer.is_special(tokenizer.token_id("<think>").unwrap()));
    }
}

#[test]
fn it_decodes_the_answers_of_the_reference() {
    for checkpoint in CHECKPOINTS {
        let tokenizer = Tokenizer::from_dir(&directory(checkpoint)).unwrap();
        let golden = read_json(checkpoint, "golden.json");
        for (name, request) in golden["requests"].as_object().unwrap() {
            let texts = request["text"].as_array().unwrap();
            for (row, text) in request["greedy_ids"].as_array().unwrap().iter().zip(texts) {
                assert_eq!(tokenizer.decode(&ids(row), false), text.as_str().unwrap(), "{checkpoint} {name}");
            }
        }
    }
}

#[test]
fn special_tokens_that_lack_are_added_after_the_vocabulary() {
    let mut tokenizer = read_json("vl2-tiny-like", "tokenizer.json");
    let mut config = read_json("vl2-tiny-like", "tokenizer_config.json");
    // Only the first three special tokens and `<think>` are left.
    tokenizer["added_tokens"].as_array_mut().unwrap().truncate(4);
    config["added_tokens_decoder"] = json!({});
    config["additional_special_tokens"] = json!([]);
    config["eos_token"] = json!({ "content": "<｜end▁of▁sentence｜>", "lstrip": false });
    config["pad_token"] = Value::Null;
    let plain = Tokenizer::from_bytes(tokenizer.to_string().as_bytes(), Some(config.to_string().as_bytes())).unwrap();
    assert_eq!((plain.vocab_size(), plain.token_id("<image>"), plain.pad_id()), (721, None, None));
    assert_eq!(plain.eos_id(), Some(1));

    let full = plain.with_vl2_tokens().unwrap();
    assert_eq!(full.pad_id(), Some(2));
    assert_eq!(
        full.encode("<image><|ref|><|/ref|><|det|><|/det|><|grounding|><|User|><|Assistant|>").unwrap(),
        (721..729).collect::<Vec<_>>()
    );
    assert_eq!(full.decode(&[721, 42, 727], true), full.decode(&[42], false));
    assert_eq!(full.vocab_size(), 729);
    assert_eq!(full.clone().with_vl2_tokens().unwrap().vocab_size(), 729);
}

#[test]
fn the_configuration_may_bring_tokens_but_not_other_ids() {
    let mut tokenizer = read_json("vl2-tiny-like", "tokenizer.json");
    tokenizer["added_tokens"].as_array_mut().unwrap().truncate(4);
    let config = read_json("vl2-tiny-like", "tokenizer_config.json").to_string();
    let completed = Tokenizer::from_bytes(tokenizer.to_string().as_bytes(), Some(config.as_bytes())).unwrap();
    assert_eq!(completed.token_id("<|Assistant|>"), Some(728));

    let config = config.replace("\"728\"", "\"990\"");
    let error = Tokenizer::from_bytes(tokenizer.to_string().as_bytes(), Some(config.as_bytes())).unwrap_err();
    assert!(error.to_string().contains("as 990"), "{error}");
}

#[test]
fn damaged_files_are_errors() {
    let json = fs::read(directory("vl2-tiny-like").join("tokenizer.json")).unwrap();
    assert!(matches!(Tokenizer::from_bytes(&json[..json.len() / 2], None), Err(Error::TokenizerFile { .. })));
    assert!(matches!(Tokenizer::from_bytes(b"", None), Err(Error::TokenizerFile { .. })));
    assert!(matches!(Tokenizer::from_bytes(&json, Some(b"{\"bos_token\": 3}")), Err(Error::TokenizerFile { .. })));
    assert!(matches!(Tokenizer::from_dir(Path::new("/nowhere")), Err(Error::ReadFile { .. })));
    let mut other = read_json("vl2-tiny-like", "tokenizer.json");
    other["decoder"] = Value::Null;
    assert!(matches!(Tokenizer::from_bytes(other.to_string().as_bytes(), None), Err(Error::NotByteLevel)));
}

#[test]
fn texts_are_never_cut_but_their_length_is_bounded() {
    let mut cutting = read_json("vl2-tiny-like", "tokenizer.json");
    cutting["truncation"] = json!({ "direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0 });
    let tokenizer = Tokenizer::from_bytes(cutting.to_string().as_bytes(), None).unwrap();
    assert_eq!(tokenizer.encode("12 34 56 78").unwrap(), TINY.encode("12 34 56 78").unwrap());

    for text in [" ", "a", "中"] {
        let long = text.repeat((4 << 20) / text.len());
        assert_eq!(TINY.decode(&TINY.encode(&long).unwrap(), false), long);
    }
    assert!(matches!(TINY.encode(&"a".repeat((4 << 20) + 1)), Err(Error::TextTooLong { .. })));
}

/// What the tokenizers crate itself decodes.
fn decoded_by_the_library(ids: &[u32], skip_special: bool) -> String {
    static LIBRARY: LazyLock<tokenizers::Tokenizer> =
        LazyLock::new(|| tokenizers::Tokenizer::from_file(directory("vl2-tiny-like").join("tokenizer.json")).unwrap());
    LIBRARY.decode(ids, skip_special).unwrap()
}

#[test]
fn characters_are_not_split() {
    let ids = TINY.encode("𝄞中").unwrap();
    let mut stream = TINY.stream(false);
    let pieces: Vec<String> = ids.iter().map(|&id| stream.push(id)).collect();
    assert!(pieces.len() > 2 && pieces[0].is_empty());
    assert_eq!(pieces.concat(), "𝄞中");
    assert_eq!(stream.finish(), "");
    // The beginning of a character, and something else.
    assert_eq!(stream.push(ids[0]), "");
    assert_eq!(stream.push(1), "\u{fffd}<｜end▁of▁sentence｜>");
    assert_eq!(stream.push(ids[0]), "");
    assert_eq!(stream.finish(), "\u{fffd}");
    assert_eq!(stream.finish(), "");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    // Ids up to 255 are mostly single bytes; those past 728 are none of the vocabulary's.
    #[test]
    fn the_pieces_are_the_text(
        ids in prop::collection::vec(prop_oneof![3 => 130u32..256, 2 => 0u32..740], 0..24), skip_special: bool,
    ) {
        let text = decoded_by_the_library(&ids, skip_special);
        prop_assert_eq!(&TINY.decode(&ids, skip_special), &text);
        let mut stream = TINY.stream(skip_special);
        let mut pieces: String = ids.iter().map(|&id| stream.push(id)).collect();
        pieces += &stream.finish();
        prop_assert_eq!(pieces, text);
    }

    #[test]
    fn text_comes_back(text in ".{0,40}") {
        prop_assert_eq!(TINY.decode(&TINY.encode(&text).unwrap(), false), text);
    }
}
