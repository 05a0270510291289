//! The engine over the reference's decoders.
#![allow(clippy::unwrap_used)]

use safetensors::SafeTensors;
use seekvl_language::{
    Cancel, Completed, Decoder, DecoderSpec, Engine, Error, Event, FinishReason, Generation, GenerationOptions,
    LanguageConfig, RepetitionGuard, Request, Sampling, TokenSequence, Tokenizer,
};
use seekvl_nn::{Checkpoint, Device, Loader, Tensor, WeightType};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

struct Model {
    decoder: Decoder,
    tokenizer: Tokenizer,
    golden: Value,
    tensors: Vec<u8>,
}

fn directory(checkpoint: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/reference")).join(checkpoint)
}

/// A checkpoint's decoder, whose specification `change` may change.
fn decoder(checkpoint: &str, change: impl FnOnce(&mut DecoderSpec)) -> Decoder {
    let directory = directory(checkpoint);
    let config: Value = serde_json::from_slice(&fs::read(directory.join("config.json")).unwrap()).unwrap();
    let config: LanguageConfig = serde_json::from_value(config["language_config"].clone()).unwrap();
    let mut spec = DecoderSpec::from_config(&config).unwrap();
    change(&mut spec);
    let files = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
    let shards: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|e| e == "safetensors") && !path.ends_with("golden.safetensors"))
        .collect();
    let weights = Arc::new(Checkpoint::open(&shards).unwrap());
    let loader = Loader::new(weights, Device::Cpu, WeightType::AsStored).unwrap();
    Decoder::load(&loader.at("language"), &spec).unwrap()
}

impl Model {
    fn load(checkpoint: &str) -> Self {
        let directory = directory(checkpoint);
        Self {
            decoder: decoder(checkpoint, |_| {}),
            tokenizer: Tokenizer::from_dir(&directory).unwrap().with_vl2_tokens().unwrap(),
            golden: serde_json::from_slice(&fs::read(directory.join("golden.json")).unwrap()).unwrap(),
            tensors: fs::read(directory.join("golden.safetensors")).unwrap(),
        }
    }

    fn data(&self, request: &str, tensor: &str) -> Option<Vec<u8>> {
        let tensors = SafeTensors::deserialize(&self.tensors).unwrap();
        Some(tensors.tensor(&format!("{request}.{tensor}")).ok()?.data().to_vec())
    }

    /// The reference's prompt, with its embeddings in place of images.
    fn prompt(&self, request: &str) -> TokenSequence {
        let ids = self.data(request, "input_ids").unwrap();
        let ids = ids.chunks_exact(8).map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap()) as u32);
        let mut prompt = TokenSequence::new(ids.collect());
        let images = self.data(request, "images_seq_mask").unwrap();
        if images.contains(&1) {
            let values = self.data(request, "inputs_embeds").unwrap();
            let values: Vec<f32> =
                values.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
            let width = values.len() / images.len();
            let values = Tensor::from_vec(values, (images.len(), width), &Device::Cpu).unwrap();
            let mut end = 0;
            for run in images.chunk_by(|a, b| a == b) {
                let start = end;
                end += run.len();
                if run[0] == 1 {
                    prompt.insert(start, values.narrow(0, start, run.len()).unwrap()).unwrap();
                }
            }
        }
        prompt
    }

    fn request(&self, name: &str) -> Request {
        Request::new(self.prompt(name), options())
    }

    fn engine(&self) -> Engine<'_> {
        Engine::new(&self.decoder, &self.tokenizer)
    }

    fn answers(&self, requests: Vec<Request>) -> Vec<Completed> {
        self.engine().start(requests, Cancel::new()).unwrap().finish().unwrap()
    }

    fn answer(&self, request: Request) -> Completed {
        self.answers(vec![request]).remove(0)
    }

    fn expected(&self, request: &str, key: &str) -> &Value {
        &self.golden["requests"][request][key][0]
    }
}

static TINY: LazyLock<Model> = LazyLock::new(|| Model::load("vl2-tiny-like"));

/// What the reference ran with.
fn options() -> GenerationOptions {
    GenerationOptions { max_new_tokens: 24, ..GenerationOptions::default() }
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

/// All events, and the answers after them.
fn run(mut generation: Generation<'_>) -> (Vec<Event>, Vec<Completed>) {
    let events = generation.by_ref().map(Result::unwrap).collect();
    (events, generation.into_completed())
}

const REQUESTS: [&str; 5] = ["text", "text_zh_code", "one_image", "multi_turn", "stop"];

#[test]
fn answers_are_the_reference_s_alone_and_together() {
    for checkpoint in ["vl2-tiny-like", "vl2-small-like", "vl2-base-like"] {
        let model = Model::load(checkpoint);
        let requests = || REQUESTS.map(|name| model.request(name)).into();
        let together = model.answers(requests());
        let chunked = [1, 7, 50]
            .map(|rows| model.engine().prefill_chunk(rows).start(requests(), Cancel::new()).unwrap().finish().unwrap());
        for (index, name) in REQUESTS.into_iter().enumerate() {
            let alone = model.answer(model.request(name));
            let expected = (ids(model.expected(name, "greedy_ids")), model.expected(name, "text").as_str().unwrap());
            for answer in [&alone, &together[index]].into_iter().chain(chunked.iter().map(|answers| &answers[index])) {
                assert_eq!(answer.ids(), expected.0, "{checkpoint} {name}");
                // The reference writes the end of sentence out.
                let text = expected.1.trim_end_matches("<｜end▁of▁sentence｜>");
                assert_eq!(answer.text, text, "{checkpoint} {name}");
                let stopped = expected.0.last() == model.tokenizer.eos_id().as_ref();
                assert_eq!(answer.finish, if stopped { FinishReason::Stop } else { FinishReason::Length });
                assert_eq!(answer.cache.len(), answer.prompt_tokens + answer.tokens.len() - 1);
            }
        }
        assert_eq!(together[4].finish, FinishReason::Stop);
    }
}

#[test]
fn the_penalty_s_answers_are_the_reference_s() {
    for checkpoint in ["vl2-tiny-like", "vl2-small-like", "vl2-base-like"] {
        let model = Model::load(checkpoint);
        let penalty = &model.golden["requests"]["prefill"]["repetition_penalty"];
        let mut request = model.request("prefill");
        let value = penalty["value"].as_f64().unwrap() as f32;
        request.options.sampling = Sampling::greedy().repetition_penalty(value).unwrap();
        assert_eq!(model.answer(request).ids(), ids(&penalty["ids"][0]), "{checkpoint}");
    }
}

#[test]
fn sampled_answers_with_log_probabilities_do_not_depend_on_the_batch() {
    let request = |name| {
        let mut request = TINY.request(name);
        request.options.sampling = Sampling::greedy().temperature(1.5).unwrap().top_k(40).seed(11);
        request.options.top_logprobs = Some(3);
        request
    };
    let together = TINY.answers(vec![request("text"), request("one_image"), request("text")]);
    assert_eq!(together[0].tokens, together[2].tokens);
    assert_ne!(together[0].ids(), ids(TINY.expected("text", "greedy_ids")));
    for (name, answer) in ["text", "one_image"].into_iter().zip(&together) {
        assert_eq!(TINY.answer(request(name)).tokens, answer.tokens);
        for token in &answer.tokens {
            let logprobs = token.logprobs.as_ref().unwrap();
            assert_eq!(logprobs.top.len(), 3);
            assert!(logprobs.top.is_sorted_by(|a, b| a.logprob >= b.logprob));
            assert!(logprobs.chosen <= logprobs.top[0].logprob && logprobs.top[0].logprob < 0.0);
        }
    }
}

#[test]
fn the_pieces_make_the_text() {
    let requests = REQUESTS.map(|name| TINY.request(name)).into();
    let (events, answers) = run(TINY.engine().start(requests, Cancel::new()).unwrap());
    for (sequence, answer) in answers.iter().enumerate() {
        let events: Vec<&Event> = events.iter().filter(|event| event.sequence == sequence).collect();
        assert_eq!(events.iter().map(|event| event.delta.as_str()).collect::<String>(), answer.text);
        assert!(events.iter().map(|event| event.token.as_ref().unwrap()).eq(&answer.tokens));
        let (last, others) = events.split_last().unwrap();
        assert_eq!(last.finish, Some(answer.finish));
        assert!(others.iter().all(|event| event.finish.is_none()));
        assert!(!answer.timings.prefill.is_zero() && !answer.timings.decode.is_zero());
    }
}

#[test]
fn a_conversation_goes_on_from_its_cache() {
    for keep in [usize::MAX, 30, 3] {
        let first = TINY.answer(TINY.request("text"));
        let mut ids = [TINY.prompt("text").ids(), &first.ids()].concat();
        ids.extend(TINY.tokenizer.encode("<|User|>: and 3?\n\n<|Assistant|>:").unwrap());
        let mut next = Request::new(TokenSequence::new(ids.clone()), options());
        let whole = TINY.answer(Request::new(TokenSequence::new(ids), options()));
        let mut cache = first.cache;
        cache.truncate(keep);
        let cached = cache.len();
        next.cache = Some(cache);
        let answers = TINY.engine().prefill_chunk(4).start(vec![next], Cancel::new()).unwrap().finish().unwrap();
        assert_eq!((whole.cached_tokens, answers[0].cached_tokens), (0, cached));
        assert_eq!(answers[0].ids(), whole.ids());
        assert_eq!(answers[0].cache.len(), whole.cache.len());
    }
}

#[test]
fn stop_strings_end_the_text() {
    let text = TINY.expected("text", "text").as_str().unwrap();
    let stop: String = text.chars().skip(12).take(5).collect();
    let mut request = TINY.request("text");
    request.options.stop = vec!["nowhere in it".into(), stop.clone()];
    let (events, answers) = run(TINY.engine().start(vec![request], Cancel::new()).unwrap());
    assert_eq!(answers[0].finish, FinishReason::StopString);
    assert_eq!(answers[0].text, text[..text.find(&stop).unwrap()]);
    assert!(answers[0].tokens.len() < 24);
    assert_eq!(events.iter().map(|event| event.delta.as_str()).collect::<String>(), answers[0].text);

    let mut request = TINY.request("text");
    request.options.stop = vec![String::new()];
    assert!(matches!(
        TINY.engine().start(vec![request], Cancel::new()),
        Err(Error::InvalidOption { name: "stop", .. })
    ));
}

#[test]
fn loops_end_and_are_cut() {
    // The reference's answer ends with one token three times.
    let free = TINY.answer(TINY.request("text_zh_code"));
    let kept = free.tokens.len() - 2;
    assert!(free.tokens[kept..].iter().all(|token| *token == free.tokens[kept - 1]));

    let mut request = TINY.request("text_zh_code");
    request.options.repetition_guard = Some(RepetitionGuard::new(4, 3, 0).unwrap());
    let (events, answers) = run(TINY.engine().start(vec![request], Cancel::new()).unwrap());
    let [guarded] = answers.try_into().unwrap();
    assert_eq!(guarded.finish, FinishReason::Repetition);
    assert_eq!(guarded.tokens, free.tokens[..kept]);
    assert_eq!(guarded.text, TINY.tokenizer.decode(&guarded.ids(), false));
    assert_eq!(events.iter().map(|event| event.delta.as_str()).collect::<String>(), free.text);
    assert_eq!(guarded.cache.len(), guarded.prompt_tokens + kept);

    // The cache that is left is good for going on.
    let ids = [TINY.prompt("text_zh_code").ids(), &guarded.ids(), &[5, 6, 7]].concat();
    let whole = TINY.answer(Request::new(TokenSequence::new(ids.clone()), options()));
    let going_on = Request { prompt: TokenSequence::new(ids), options: options(), cache: Some(guarded.cache) };
    assert_eq!(TINY.answer(going_on).ids(), whole.ids());
}

#[test]
fn the_context_is_a_limit() {
    let prompt = TINY.prompt("text");
    let model = |context: usize| decoder("vl2-tiny-like", |spec| spec.max_positions = context);
    let start = |decoder: &Decoder, max_new_tokens| {
        let request = Request::new(prompt.clone(), GenerationOptions { max_new_tokens, ..options() });
        Engine::new(decoder, &TINY.tokenizer).start(vec![request], Cancel::new())?.finish()
    };
    let roomy = model(prompt.len() + 5);
    let answer = start(&roomy, 24).unwrap().remove(0);
    assert_eq!((answer.finish, answer.tokens.len()), (FinishReason::Context, 5));
    assert_eq!(answer.ids(), ids(TINY.expected("text", "greedy_ids"))[..5]);
    assert_eq!(start(&roomy, 5).unwrap()[0].finish, FinishReason::Length);

    let full = start(&model(prompt.len()), 24).unwrap().remove(0);
    assert_eq!((full.finish, full.tokens.len()), (FinishReason::Context, 0));
    let error = start(&model(prompt.len() - 1), 24).unwrap_err();
    assert!(matches!(error, Error::PromptTooLong { sequence: 0, prompt: 26, context: 25 }), "{error}");
}

#[test]
fn nothing_asked_nothing_done() {
    assert!(TINY.answers(Vec::new()).is_empty());
    let mut nothing = TINY.request("text");
    nothing.options.max_new_tokens = 0;
    let (events, answers) = run(TINY.engine().start(vec![TINY.request("stop"), nothing], Cancel::new()).unwrap());
    assert_eq!(events[0], Event { sequence: 1, delta: String::new(), token: None, finish: Some(FinishReason::Length) });
    assert_eq!((answers[1].tokens.len(), answers[1].text.as_str(), answers[1].cache.len()), (0, "", 0));
    assert_eq!(answers[0].finish, FinishReason::Stop);
}

#[test]
fn cancelling_keeps_what_there_is() {
    let cancel = Cancel::new();
    let mut generation = TINY.engine().start(vec![TINY.request("text"), TINY.request("stop")], cancel.clone()).unwrap();
    for _ in 0..6 {
        assert!(generation.next().unwrap().unwrap().finish.is_none());
    }
    cancel.cancel();
    let (events, answers) = run(generation);
    assert!(events.iter().all(|event| event.finish == Some(FinishReason::Cancelled) && event.token.is_none()));
    assert_eq!(events.len(), 2);
    assert!(answers.iter().all(|answer| answer.finish == FinishReason::Cancelled && answer.tokens.len() == 3));
    assert_eq!(answers[0].ids(), ids(TINY.expected("text", "greedy_ids"))[..3]);

    let (events, answers) = run(TINY.engine().start(vec![TINY.request("text")], cancel).unwrap());
    assert_eq!((events.len(), answers[0].tokens.len(), answers[0].cache.len()), (1, 0, 0));
}

#[test]
fn a_generation_that_is_given_up_gives_what_there_is() {
    let mut generation = TINY.engine().start(vec![TINY.request("text")], Cancel::new()).unwrap();
    generation.next().unwrap().unwrap();
    let answers = generation.into_completed();
    assert_eq!((answers[0].finish, answers[0].tokens.len()), (FinishReason::Cancelled, 1));
}

#[test]
fn what_is_no_number_is_an_error_and_the_others_keep_theirs() {
    let mut broken = TINY.prompt("text");
    let width = TINY.decoder.spec().hidden_size;
    broken.insert(3, Tensor::full(f32::NAN, (1, width), &Device::Cpu).unwrap()).unwrap();
    let requests = vec![TINY.request("text"), Request::new(broken, options())];
    let mut generation = TINY.engine().start(requests, Cancel::new()).unwrap();
    assert_eq!(generation.next().unwrap().unwrap().sequence, 0);
    let error = generation.next().unwrap().unwrap_err();
    assert!(matches!(error, Error::NonFiniteLogits { position: 26, .. }), "{error}");
    assert!(generation.next().is_none());
    let answers = generation.into_completed();
    assert_eq!(answers.iter().map(|answer| answer.tokens.len()).collect::<Vec<_>>(), [1, 0]);
}

#[test]
fn requests_are_checked() {
    let start = |request| TINY.engine().start(vec![TINY.request("text"), request], Cancel::new()).err().unwrap();
    let empty = start(Request::new(TokenSequence::new(Vec::new()), options()));
    assert!(matches!(empty, Error::EmptyPrompt { sequence: 1 }), "{empty}");

    let mut full = TINY.request("text");
    let mut prompt = TINY.prompt("text").ids().to_vec();
    full.cache = Some(TINY.answer(TINY.request("text")).cache);
    prompt.push(3);
    full.prompt = TokenSequence::new(prompt);
    let full = start(full);
    assert!(matches!(full, Error::CacheTooLong { sequence: 1, cached: 49, prompt: 27 }), "{full}");

    let mut narrow = TINY.request("text");
    narrow.prompt.insert(0, Tensor::full(0f32, (2, 3), &Device::Cpu).unwrap()).unwrap();
    let narrow = start(narrow);
    assert!(matches!(narrow, Error::InsertWidth { found: 3, .. }), "{narrow}");

    let foreign = Request::new(TokenSequence::new(vec![1, 1 << 20]), options());
    let mut generation = TINY.engine().start(vec![foreign], Cancel::new()).unwrap();
    assert!(generation.next().unwrap().unwrap_err().to_string().contains(&(1 << 20).to_string()));
}
