//! The decoder against the original, and against itself.

use crate::reference::{Golden, NAMES, checkpoint, decoder, error, spec};
use proptest::prelude::*;
use seekvl_language::{AttentionSpec, Cache, Decoder, LatentForm, Probe, Result, Routing, Span};
use seekvl_nn::{CacheType, Device, Loader, Tensor, WeightType, to_vec};

/// Measured errors are below 2e-6.
const TOLERANCE: f32 = 1e-5;

pub const FORMS: [LatentForm; 2] = [LatentForm::Absorbed, LatentForm::Expanded];

/// Everything that a pass shows.
#[derive(Default)]
struct Record {
    hidden: Vec<Tensor>,
    routed: Vec<(usize, Routing)>,
    normed: Option<Tensor>,
}

impl Probe for Record {
    fn hidden(&mut self, layer: usize, hidden: &Tensor) {
        assert_eq!(layer, self.hidden.len());
        self.hidden.push(hidden.clone());
    }

    fn routed(&mut self, layer: usize, experts: &mut Routing) {
        self.routed.push((layer, experts.clone()));
    }

    fn normed(&mut self, hidden: &Tensor) {
        self.normed = Some(hidden.clone());
    }
}

/// One sequence in passes of at most `chunk` rows: its hidden states after the final norm.
pub fn run(decoder: &Decoder, embeds: &Tensor, cache: &mut Cache, chunk: usize, form: LatentForm) -> Result<Tensor> {
    let rows = embeds.dim(0)?;
    let passes: Vec<Tensor> = (0..rows)
        .step_by(chunk)
        .map(|start| {
            let rows = chunk.min(rows - start);
            decoder.forward(&embeds.narrow(0, start, rows)?, &mut [Span { rows, cache: &mut *cache, form }], &mut ())
        })
        .collect::<Result<_>>()?;
    Ok(Tensor::cat(&passes, 0)?)
}

/// The prompt of a request as embeddings: stored, or looked up where the prompt has no image.
fn embeds(decoder: &Decoder, golden: &Golden, request: &str) -> Option<Tensor> {
    let stored = format!("{request}.inputs_embeds");
    if golden.has(&stored) {
        return Some(golden.tensor(&stored));
    }
    let text_only = matches!(request, "text_zh_code" | "prefill" | "stop");
    text_only.then(|| decoder.embed(&golden.ids(&format!("{request}.input_ids"))).unwrap())
}

/// Calls `check` for every request of every checkpoint whose embeddings are known, in both forms of latent attention.
fn each_request(mut check: impl FnMut(&str, &Decoder, &Golden, &str, &Tensor, LatentForm)) {
    for (name, form) in NAMES.into_iter().flat_map(|name| FORMS.map(|form| (name, form))) {
        let (decoder, golden) = (decoder(name), Golden::open(name));
        let mut checked = 0;
        for request in golden.requests() {
            let Some(embeds) = embeds(&decoder, &golden, &request) else { continue };
            check(name, &decoder, &golden, &request, &embeds, form);
            checked += 1;
        }
        assert_eq!(checked, 8, "{name}");
    }
}

pub fn bits(x: &Tensor) -> Vec<u32> {
    to_vec(x).unwrap().iter().map(|value| value.to_bits()).collect()
}

#[test]
fn stages_equal_the_original() {
    each_request(|name, decoder, golden, request, embeds, form| {
        let rows = embeds.dim(0).unwrap();
        let (mut record, mut cache) = (Record::default(), decoder.new_cache());
        let normed = decoder.forward(embeds, &mut [Span { rows, cache: &mut cache, form }], &mut record).unwrap();
        assert_eq!((cache.len(), record.hidden.len()), (rows, decoder.spec().layers));
        let close = |stage: &str, found: &Tensor| {
            let error = error(found, &golden.tensor(&format!("{request}.{stage}")));
            assert!(error <= TOLERANCE, "{name} {request} {stage}: {error:e}");
        };
        if request == "text" || request == "one_image" {
            record.hidden.iter().enumerate().for_each(|(layer, hidden)| close(&format!("hidden.{layer}"), hidden));
            close("hidden.norm", &normed);
            close("hidden.norm", record.normed.as_ref().unwrap());
        }
        assert_eq!(record.routed.iter().map(|routed| routed.0).collect::<Vec<_>>(), [1, 2]);
        for (layer, routing) in &record.routed {
            same_experts(routing, golden, &format!("{request}.router.{layer}"));
        }
        let logits = |first: usize| decoder.logits(&normed.narrow(0, first, rows - first).unwrap()).unwrap();
        match request {
            "text" => close("logits", &logits(0)),
            "one_image" => close("tail_logits", &logits(rows - 32)),
            _ => close("last_logits", &logits(rows - 1)),
        }
    });
}

/// The reference lists a token's experts by index, the router by score.
fn same_experts(routing: &Routing, golden: &Golden, stage: &str) {
    let (mut ids, mut weights) = (Vec::new(), Vec::new());
    for (token, token_weights) in routing.ids.chunks(routing.top_k).zip(routing.weights.chunks(routing.top_k)) {
        let mut experts: Vec<_> = token.iter().zip(token_weights).collect();
        experts.sort_by_key(|expert| expert.0);
        ids.extend(experts.iter().map(|expert| *expert.0));
        weights.extend(experts.iter().map(|expert| *expert.1));
    }
    assert_eq!(ids, golden.ids(&format!("{stage}.ids")), "{stage}");
    let expected = golden.tensor(&format!("{stage}.weights"));
    let error = error(&Tensor::from_vec(weights, expected.dims(), expected.device()).unwrap(), &expected);
    assert!(error <= 1e-5, "{stage}: {error:e}");
}

#[test]
fn greedy_tokens_equal_the_original() {
    each_request(|name, decoder, golden, request, embeds, form| {
        let expected = golden.ids(&format!("{request}.greedy_ids"));
        let mut cache = decoder.new_cache();
        let mut hidden = run(decoder, embeds, &mut cache, usize::MAX, form).unwrap();
        let mut found = Vec::new();
        while found.len() < 24 && found.last().is_none_or(|id| !decoder.spec().eos.contains(id)) {
            let last = hidden.narrow(0, hidden.dim(0).unwrap() - 1, 1).unwrap();
            let logits = to_vec(&decoder.logits(&last).unwrap()).unwrap();
            let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0 as u32;
            found.push(best);
            hidden = run(decoder, &decoder.embed(&[best]).unwrap(), &mut cache, 1, LatentForm::Absorbed).unwrap();
        }
        assert_eq!(found, expected, "{name} {request}");
    });
}

#[test]
fn chunks_and_single_tokens_equal_the_whole() {
    each_request(|name, decoder, _, request, embeds, form| {
        let whole = run(decoder, embeds, &mut decoder.new_cache(), usize::MAX, form).unwrap();
        for chunk in [7, 1] {
            let cut = run(decoder, embeds, &mut decoder.new_cache(), chunk, form).unwrap();
            assert_eq!(bits(&cut), bits(&whole), "{name} {request} by {chunk}");
        }
    });
}

/// In f32 they differ by roundings alone: less than what either may differ from the original by.
#[test]
fn both_forms_of_latent_attention_give_the_same() {
    for name in NAMES {
        let (decoder, golden) = (decoder(name), Golden::open(name));
        let embeds = embeds(&decoder, &golden, "one_image").unwrap();
        let [absorbed, expanded] =
            FORMS.map(|form| run(&decoder, &embeds, &mut decoder.new_cache(), usize::MAX, form).unwrap());
        let error = error(&expanded, &absorbed);
        let is_latent = matches!(decoder.spec().attention, AttentionSpec::Latent { .. });
        assert_eq!(error > 0.0, is_latent, "{name}: {error:e}");
        assert!(error < TOLERANCE, "{name}: {error:e}");
    }
}

#[test]
fn a_cut_back_cache_equals_a_new_one() {
    each_request(|name, decoder, _, request, embeds, form| {
        let rows = embeds.dim(0).unwrap();
        let mut cache = decoder.new_cache();
        let whole = run(decoder, embeds, &mut cache, 5, form).unwrap();
        let bytes = cache.bytes();
        cache.truncate(rows / 2);
        assert_eq!((cache.len(), cache.bytes()), (rows / 2, bytes));
        let again =
            run(decoder, &embeds.narrow(0, rows / 2, rows - rows / 2).unwrap(), &mut cache, usize::MAX, form).unwrap();
        assert_eq!(bits(&again), bits(&whole.narrow(0, rows / 2, rows - rows / 2).unwrap()), "{name} {request}");
    });
}

#[test]
fn a_packed_batch_equals_single_sequences() {
    // The last two are of one form, the others alternate.
    let forms = |form: LatentForm| [FORMS[1 - form as usize], form, FORMS[1 - form as usize], FORMS[1 - form as usize]];
    for (name, form) in NAMES.into_iter().flat_map(|name| FORMS.map(|form| (name, form))) {
        let (decoder, golden) = (decoder(name), Golden::open(name));
        let prompts =
            ["text", "one_image", "stop", "multi_turn"].map(|request| embeds(&decoder, &golden, request).unwrap());
        let mut caches = prompts.each_ref().map(|_| decoder.new_cache());
        // The second comes with a part of it cached, as in continuous batching.
        run(&decoder, &prompts[1].narrow(0, 0, 10).unwrap(), &mut caches[1], 10, form).unwrap();
        let rest: Vec<Tensor> = prompts
            .iter()
            .zip(&caches)
            .map(|(prompt, cache)| prompt.narrow(0, cache.len(), prompt.dim(0).unwrap() - cache.len()).unwrap())
            .collect();
        let spans = rest.iter().zip(&mut caches).zip(forms(form));
        let mut spans: Vec<Span<'_>> =
            spans.map(|((rows, cache), form)| Span { rows: rows.dim(0).unwrap(), cache, form }).collect();
        let packed = decoder.forward(&Tensor::cat(&rest, 0).unwrap(), &mut spans, &mut ()).unwrap();
        let mut start = 0;
        for ((prompt, rest), form) in prompts.iter().zip(&rest).zip(forms(form)) {
            let single = run(&decoder, prompt, &mut decoder.new_cache(), usize::MAX, form).unwrap();
            let (rows, skipped) = (rest.dim(0).unwrap(), prompt.dim(0).unwrap() - rest.dim(0).unwrap());
            let part = packed.narrow(0, start, rows).unwrap();
            assert_eq!(bits(&part), bits(&single.narrow(0, skipped, rows).unwrap()), "{name}");
            start += rows;
        }
    }
}

#[test]
fn embeddings_equal_the_original() {
    for name in NAMES {
        let (decoder, golden) = (decoder(name), Golden::open(name));
        let found = decoder.embed(&golden.ids("text.input_ids")).unwrap();
        assert_eq!(bits(&found), bits(&golden.tensor("text.inputs_embeds")));
    }
}

#[test]
fn cache_takes_what_the_specification_says() {
    for name in NAMES {
        let decoder = decoder(name);
        let mut cache = decoder.new_cache();
        assert_eq!(cache.bytes(), 0);
        let ids = vec![5; 100];
        run(&decoder, &decoder.embed(&ids).unwrap(), &mut cache, usize::MAX, LatentForm::Absorbed).unwrap();
        let block = Cache::BLOCK * decoder.spec().cache_bytes_per_token(CacheType::F32);
        assert_eq!(cache.bytes(), block, "{name}");
        // What is there stays where it is.
        run(&decoder, &decoder.embed(&ids).unwrap(), &mut cache, usize::MAX, LatentForm::Absorbed).unwrap();
        assert_eq!(cache.bytes(), 2 * block, "{name}");
        assert_eq!(Cache::room(200, 100, None), 2 * Cache::BLOCK);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// However sequences are cut, packed and cut back, each row comes out the same.
    #[test]
    fn any_schedule_gives_the_same_rows(
        which in 0..NAMES.len(),
        ids in prop::collection::vec(prop::collection::vec(0u32..600, 1..40), 1..4),
        steps in prop::collection::vec(1usize..9, 40),
        form in prop::sample::select(FORMS.to_vec()),
    ) {
        let decoder = decoder(NAMES[which]);
        let mut caches: Vec<Cache> = ids.iter().map(|_| decoder.new_cache()).collect();
        let mut found: Vec<Vec<u32>> = vec![Vec::new(); ids.len()];
        for step in steps {
            let mut packed = Vec::new();
            let mut spans = Vec::new();
            for (ids, cache) in ids.iter().zip(&mut caches) {
                let rows = step.min(ids.len() - cache.len());
                if rows > 0 {
                    packed.extend_from_slice(&ids[cache.len()..][..rows]);
                    spans.push(Span { rows, cache, form });
                }
            }
            if spans.is_empty() {
                break;
            }
            let out = bits(&decoder.forward(&decoder.embed(&packed)?, &mut spans, &mut ())?);
            let mut rows = out.chunks_exact(decoder.spec().hidden_size);
            for ((ids, cache), found) in ids.iter().zip(&caches).zip(&mut found) {
                let done = found.len() / decoder.spec().hidden_size;
                prop_assert!(cache.len() <= ids.len());
                rows.by_ref().take(cache.len() - done).for_each(|row| found.extend_from_slice(row));
            }
        }
        for (ids, found) in ids.iter().zip(&found) {
            let whole = run(&decoder, &decoder.embed(ids)?, &mut decoder.new_cache(), usize::MAX, form)?;
            prop_assert_eq!(&found[..], &bits(&whole)[..found.len()]);
        }
    }
}

/// Only the first layer is compared: behind it, rounding sends some tokens to other experts.
#[test]
fn bf16_weights_stay_near_and_keep_their_promises() {
    for (name, form) in NAMES.into_iter().flat_map(|name| FORMS.map(|form| (name, form))) {
        let loader = Loader::new(checkpoint(name), Device::Cpu, WeightType::Bf16).unwrap();
        let decoder = Decoder::load(&loader.at("language"), &spec(name)).unwrap();
        let golden = Golden::open(name);
        let embeds = golden.tensor("text.inputs_embeds");
        let (mut record, mut cache) = (Record::default(), decoder.new_cache());
        let mut spans = [Span { rows: embeds.dim(0).unwrap(), cache: &mut cache, form }];
        let whole = decoder.forward(&embeds, &mut spans, &mut record).unwrap();
        let error = error(&record.hidden[0], &golden.tensor("text.hidden.0"));
        assert!((1e-4..1e-2).contains(&error), "{name}: {error:e}");
        let cut = run(&decoder, &embeds, &mut decoder.new_cache(), 7, form).unwrap();
        assert_eq!(bits(&cut), bits(&whole), "{name}");
    }
}

#[test]
fn models_and_caches_cross_threads() {
    fn crosses<T: Send + Sync>() {}
    crosses::<Decoder>();
    crosses::<Cache>();
}
