//! A file's vocabulary as the `tokenizer.json` and `tokenizer_config.json` that it was made of, and back.
//!
//! Files that have `tokenizer.huggingface.json` (a key of GGUF's specification; `seekvl quantize` writes it) hold the former as
//! it is. Of others it is put together from the tokens, the merges, and the regular expressions that llama.cpp
//! (`llama-vocab.cpp`) has for the name of the pre-tokenizer.

use super::meta::Meta;
use crate::Result;
use seekvl_language::Tokenizer;
use seekvl_nn::{Array, Value as Stored};
use serde_json::{Map, Value, json};

const HUGGINGFACE: &str = "tokenizer.huggingface.json";
const MODEL: &str = "tokenizer.ggml.model";
const PRE: &str = "tokenizer.ggml.pre";
const TOKENS: &str = "tokenizer.ggml.tokens";
const TYPES: &str = "tokenizer.ggml.token_type";
const MERGES: &str = "tokenizer.ggml.merges";
const ADD_BOS: &str = "tokenizer.ggml.add_bos_token";
const TEMPLATE: &str = "tokenizer.chat_template";

/// Types of tokens.
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;

/// How a text is cut before tokens are merged.
struct Pre {
    names: &'static [&'static str],
    /// Each cuts what those before it have left in one piece.
    patterns: &'static [&'static str],
    /// Whether a piece that is a token is not taken apart.
    whole_tokens: bool,
    /// Whether the text is brought to Unicode's composed form.
    composed: bool,
}

const CJK: &str = "[一-龥ࠀ-一가-\u{d7ff}]+";
const GPT4: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const DEEPSEEK_WORDS: &str = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+";
/// Letters of scripts that have cases. Those that Unicode's composed form would replace are escaped, or an editor may do so.
const CASED: &str = "\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\u{1f7d}ᾀ-ᾴᾶ-ᾼ\u{1fbe}ῂ-ῄῆ-ῌῐ-\u{1fd3}ῖ-\u{1fdb}ῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\u{2126}ℨ\u{212a}-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ\u{10400}-\u{1044f}𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+";

const PRES: [Pre; 6] = [
    Pre {
        names: &["deepseek-llm"],
        patterns: &["[\r\n]", CASED, "\\s?[!-/:-~！-／：-～‘-‟\u{3000}-。]+", "\\s+$", CJK, "\\p{N}+"],
        whole_tokens: false,
        composed: false,
    },
    Pre {
        names: &["deepseek-coder"],
        patterns: &["[\r\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", CJK, "\\p{N}"],
        whole_tokens: false,
        composed: false,
    },
    Pre {
        names: &["deepseek-v3"],
        patterns: &["\\p{N}{1,3}", "[一-龥\u{3040}-ゟ゠-ヿ]+", DEEPSEEK_WORDS],
        whole_tokens: false,
        composed: false,
    },
    Pre { names: &["qwen2", "deepseek-r1-qwen"], patterns: &[QWEN], whole_tokens: false, composed: true },
    Pre { names: &["llama-bpe", "llama3", "llama-v3"], patterns: &[GPT4], whole_tokens: true, composed: false },
    Pre { names: &["gpt-2"], patterns: &[GPT2], whole_tokens: false, composed: false },
];

/// `tokenizer.json`, and `tokenizer_config.json`.
pub(super) fn files(meta: &Meta<'_>) -> Result<(String, Value)> {
    let model = meta.value(MODEL, Stored::as_str)?.ok_or_else(|| meta.missing(MODEL))?;
    if model != "gpt2" {
        return Err(meta.error(MODEL, model, "only gpt2, byte-level BPE, is supported"));
    }
    let tokens = meta.value(TOKENS, Stored::as_strings)?.ok_or_else(|| meta.missing(TOKENS))?;
    let json = match meta.value(HUGGINGFACE, Stored::as_str)? {
        Some(json) => json.to_owned(),
        None => put_together(meta, tokens)?.to_string(),
    };
    let mut config = Map::new();
    for (key, name) in [("bos", "bos_token"), ("eos", "eos_token"), ("padding", "pad_token")] {
        let key = format!("tokenizer.ggml.{key}_token_id");
        let Some(id) = meta.value(&key, Stored::as_u64)? else { continue };
        let token = usize::try_from(id).ok().and_then(|id| tokens.get(id));
        let token = token.ok_or_else(|| meta.error(&key, &id.to_string(), "there is no such token"))?;
        config.insert(name.into(), json!(token));
    }
    if let Some(adds) = meta.value(ADD_BOS, Stored::as_bool)? {
        config.insert("add_bos_token".into(), json!(adds));
    }
    if let Some(template) = meta.value(TEMPLATE, Stored::as_str)? {
        config.insert("chat_template".into(), json!(template));
    }
    Ok((json, Value::Object(config)))
}

fn put_together(meta: &Meta<'_>, tokens: &[String]) -> Result<Value> {
    let name = meta.value(PRE, Stored::as_str)?.ok_or_else(|| meta.missing(PRE))?;
    let pre = PRES.iter().find(|pre| pre.names.contains(&name));
    let pre = pre.ok_or_else(|| meta.error(PRE, name, "a pre-tokenizer that is not known"))?;
    let merges = meta.value(MERGES, Stored::as_strings)?.ok_or_else(|| meta.missing(MERGES))?;
    let types = meta.value(TYPES, Stored::as_i32s)?.unwrap_or_default();
    let vocab: Map<String, Value> = tokens.iter().enumerate().map(|(id, token)| (token.clone(), json!(id))).collect();
    if vocab.len() < tokens.len() {
        return Err(meta.error(TOKENS, &tokens.len().to_string(), "a token is there twice"));
    }
    let added = types.iter().zip(tokens).enumerate().filter(|(_, (kind, _))| matches!(**kind, CONTROL | USER_DEFINED));
    let added: Vec<Value> = added
        .map(|(id, (kind, token))| {
            json!({
                "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": *kind == CONTROL,
            })
        })
        .collect();
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
    let mut steps: Vec<Value> = pre.patterns.iter().map(|pattern| split(pattern)).collect();
    steps.push(byte_level.clone());
    Ok(json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": pre.composed.then(|| json!({"type": "NFC"})),
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": steps},
        "post_processor": null, "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": pre.whole_tokens,
            "vocab": vocab, "merges": merges,
        },
    }))
}

fn split(pattern: &str) -> Value {
    json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false})
}

/// The keys for a tokenizer and a chat template, of a model with `size` rows for tokens.
pub(super) fn metadata(tokenizer: &Tokenizer, size: usize, template: Option<String>) -> Result<Vec<(String, Stored)>> {
    let json = tokenizer.to_json()?;
    // What it has just written.
    let parsed: Value = serde_json::from_str(&json).unwrap_or_default();
    let added = parsed["added_tokens"].as_array().cloned().unwrap_or_default();
    let added: Vec<u64> = added.iter().filter_map(|token| token["id"].as_u64()).collect();
    let (mut tokens, mut types) = (Vec::with_capacity(size), Vec::with_capacity(size));
    for id in 0..size as u32 {
        let token = tokenizer.token(id);
        types.push(match token {
            None => UNUSED,
            Some(_) if tokenizer.is_special(id) => CONTROL,
            Some(_) if added.contains(&u64::from(id)) => USER_DEFINED,
            Some(_) => NORMAL,
        });
        tokens.push(token.unwrap_or_else(|| format!("[PAD{id}]")));
    }
    let merges = parsed["model"]["merges"].as_array().cloned().unwrap_or_default();
    let merge = |merge: &Value| match merge {
        Value::String(merge) => merge.clone(),
        pair => format!("{} {}", pair[0].as_str().unwrap_or_default(), pair[1].as_str().unwrap_or_default()),
    };
    let mut keys = vec![(MODEL, Stored::String("gpt2".into()))];
    // Without the name, llama.cpp warns of what it makes of the text.
    keys.extend(pre_name(&parsed).map(|name| (PRE, Stored::String(name.into()))));
    keys.extend([
        (TOKENS, Stored::Array(Array::String(tokens))),
        (TYPES, Stored::Array(Array::I32(types))),
        (MERGES, Stored::Array(Array::String(merges.iter().map(merge).collect()))),
        (ADD_BOS, Stored::Bool(tokenizer.begin_id().is_some())),
    ]);
    let ids = [("bos", tokenizer.bos_id()), ("eos", tokenizer.eos_id()), ("padding", tokenizer.pad_id())];
    let ids = ids.into_iter().filter_map(|(name, id)| Some((format!("tokenizer.ggml.{name}_token_id"), id?)));
    let mut keys: Vec<(String, Stored)> = keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    keys.extend(ids.map(|(key, id)| (key, Stored::U32(id))));
    keys.extend(template.map(|template| (TEMPLATE.into(), Stored::String(template))));
    keys.push((HUGGINGFACE.into(), Stored::String(json)));
    Ok(keys)
}

/// What llama.cpp calls the pre-tokenizer of a `tokenizer.json`, if it is one of those above.
fn pre_name(tokenizer: &Value) -> Option<&'static str> {
    let steps = match &tokenizer["pre_tokenizer"]["pretokenizers"] {
        Value::Array(steps) => steps,
        // GPT-2's expression is the byte level's own.
        _ => return (tokenizer["pre_tokenizer"]["type"] == "ByteLevel").then_some("gpt-2"),
    };
    let patterns = steps.iter().filter_map(|step| match step["type"].as_str()? {
        "Digits" if step["individual_digits"] == true => Some("\\p{N}"),
        "Split" => step["pattern"]["Regex"].as_str(),
        _ => None,
    });
    let patterns: Vec<&str> = patterns.collect();
    // DeepSeek LLM has no token of two digits, so that its merges take numbers apart too.
    let same = |ours: &str, theirs: &str| ours == theirs || (ours, theirs) == ("\\p{N}+", "\\p{N}");
    let is_it = |pre: &&Pre| {
        pre.patterns.len() == patterns.len()
            && pre.patterns.iter().zip(&patterns).all(|(ours, theirs)| same(ours, theirs))
    };
    PRES.iter().find(is_it).and_then(|pre| pre.names.first().copied())
}
