//! Caches of each type.

use crate::passes::{FORMS, bits, run};
use crate::reference::{Golden, NAMES, checkpoint, error, loader, spec};
use seekvl_language::{Decoder, DecoderSpec, Error, Probe, Span};
use seekvl_nn::{CacheType, Tensor};

fn typed(name: &str, kind: CacheType) -> Decoder {
    let spec = DecoderSpec { cache_type: Some(kind), ..spec(name) };
    Decoder::load(&loader(checkpoint(name)).at("language"), &spec).unwrap()
}

/// What the first layer gives.
#[derive(Default)]
struct First(Option<Tensor>);

impl Probe for First {
    fn hidden(&mut self, _: usize, hidden: &Tensor) {
        self.0.get_or_insert_with(|| hidden.clone());
    }
}

/// Of the first layer, whose attention is what the cache changes: later ones may choose other experts, which says nothing
/// of the cache. Measured: 5e-7, 3.3e-3 and 1.2e-2.
#[test]
fn each_type_is_as_near_to_the_original_as_it_can_be() {
    let bounds = [(CacheType::F32, 0.0, 1e-5), (CacheType::Bf16, 1e-4, 5e-3), (CacheType::Q8_0, 1e-3, 2e-2)];
    for (name, (kind, least, most)) in NAMES.into_iter().flat_map(|name| bounds.map(|bound| (name, bound))) {
        let (decoder, golden) = (typed(name, kind), Golden::open(name));
        for (form, request) in FORMS.into_iter().flat_map(|form| [(form, "text"), (form, "one_image")]) {
            let embeds = golden.tensor(&format!("{request}.inputs_embeds"));
            let (rows, mut first, mut cache) = (embeds.dim(0).unwrap(), First::default(), decoder.new_cache());
            decoder.forward(&embeds, &mut [Span { rows, cache: &mut cache, form }], &mut first).unwrap();
            let error = error(&first.0.unwrap(), &golden.tensor(&format!("{request}.hidden.0")));
            assert!((least..=most).contains(&error), "{name} {kind} {form:?} {request}: {error:e}");
        }
    }
}

/// A row is rounded by itself, and what comes later reads what is kept.
#[test]
fn the_length_of_passes_does_not_matter() {
    for (name, kind) in NAMES.into_iter().flat_map(|name| CacheType::ALL.map(|kind| (name, kind))) {
        let (decoder, embeds) = (typed(name, kind), Golden::open(name).tensor("one_image.inputs_embeds"));
        for form in FORMS {
            let pass = |chunk: usize| bits(&run(&decoder, &embeds, &mut decoder.new_cache(), chunk, form).unwrap());
            assert!(pass(1 << 20) == pass(97), "{name} {kind} {form:?}");
        }
    }
}

#[test]
fn each_type_takes_its_bytes() {
    let token = |kind: CacheType| {
        let decoder = typed("vl2-small-like", kind);
        let mut cache = decoder.new_cache();
        let embeds = decoder.embed(&[1]).unwrap();
        decoder.forward(&embeds, &mut [Span { rows: 1, cache: &mut cache, form: FORMS[0] }], &mut ()).unwrap();
        (cache.kind(), cache.bytes() as f64)
    };
    let [(_, f32), (_, bf16), (kind, q8_0)] = CacheType::ALL.map(token);
    assert_eq!(kind, CacheType::Q8_0);
    assert!(bf16 == f32 / 2.0 && (8.5..9.0).contains(&(32.0 * q8_0 / f32)), "{f32} {bf16} {q8_0}");
}

#[test]
fn a_cache_of_another_type_is_refused() {
    let (decoder, other) = (typed(NAMES[0], CacheType::Q8_0), typed(NAMES[0], CacheType::Bf16));
    let (embeds, mut cache) = (decoder.embed(&[1]).unwrap(), other.new_cache());
    let span = Span { rows: 1, cache: &mut cache, form: FORMS[0] };
    assert!(matches!(decoder.forward(&embeds, &mut [span], &mut ()), Err(Error::ForeignCache)));
}
