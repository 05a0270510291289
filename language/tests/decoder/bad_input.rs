//! What the decoder refuses, and how it says so.

use crate::reference::{NAMES, checkpoint, decoder, loader, spec};
use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize};
use seekvl_language::{Cache, Decoder, DecoderSpec, Error, LatentForm, Result, Span};
use seekvl_nn::{Checkpoint, DType, Device, Loader, Tensor, WeightType, to_vec};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A checkpoint's decoder tensors, to be damaged.
fn tensors(name: &str) -> BTreeMap<String, (Vec<usize>, Vec<u8>)> {
    let source = checkpoint(name);
    let loader = loader(source.clone());
    source
        .tensors()
        .filter(|(name, _)| name.starts_with("language."))
        .map(|(name, stored)| {
            let values = to_vec(&loader.tensor(name, &stored.shape).unwrap()).unwrap();
            (name.to_owned(), (stored.shape.clone(), values.iter().flat_map(|value| value.to_le_bytes()).collect()))
        })
        .collect()
}

fn load(name: &str, damage: impl FnOnce(&mut BTreeMap<String, (Vec<usize>, Vec<u8>)>)) -> Result<(Decoder, Loader)> {
    let mut tensors = tensors(name);
    damage(&mut tensors);
    let views =
        tensors.iter().map(|(name, (shape, bytes))| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    let checkpoint = Checkpoint::from_bytes("damaged.safetensors", serialize(views, None).unwrap())?;
    let loader = Loader::new(Arc::new(checkpoint), Device::Cpu, WeightType::AsStored)?;
    Ok((Decoder::load(&loader.at("language"), &spec(name))?, loader))
}

fn span(rows: usize, cache: &mut Cache) -> Span<'_> {
    Span { rows, cache, form: LatentForm::Absorbed }
}

fn message<T>(result: Result<T>) -> String {
    result.err().expect("an error").to_string()
}

#[test]
fn every_missing_tensor_is_named() {
    for name in NAMES {
        for tensor in tensors(name).keys() {
            let message = message(load(name, |tensors| drop(tensors.remove(tensor))));
            assert_eq!(message, format!("tensor {tensor} is missing from damaged.safetensors"));
        }
    }
}

#[test]
fn a_misshapen_tensor_is_named_with_both_shapes() {
    for name in NAMES {
        for tensor in tensors(name).keys() {
            let message = message(load(name, |tensors| tensors.get_mut(tensor).unwrap().0.insert(0, 1)));
            assert!(
                message.starts_with(&format!("tensor {tensor} in damaged.safetensors has shape [1, ")),
                "{message}"
            );
        }
    }
}

#[test]
fn every_tensor_is_used_and_a_strange_one_is_named() {
    for name in NAMES {
        load(name, |_| ()).unwrap().1.finish().unwrap();
        let strange = "language.model.layers.3.input_layernorm.weight";
        let (_, loader) = load(name, |tensors| drop(tensors.insert(strange.into(), (vec![1], vec![0; 4])))).unwrap();
        assert!(message(loader.finish().map_err(Error::from)).contains(strange));
    }
}

#[test]
fn nan_weights_show_in_the_output() {
    for name in NAMES {
        let poison = |tensors: &mut BTreeMap<String, (Vec<usize>, Vec<u8>)>| {
            let router = &mut tensors.get_mut("language.model.layers.1.mlp.gate.weight").unwrap().1;
            router[..4].copy_from_slice(&(-f32::NAN).to_le_bytes());
        };
        let (decoder, _) = load(name, poison).unwrap();
        let mut cache = decoder.new_cache();
        let hidden = decoder.forward(&decoder.embed(&[3, 4]).unwrap(), &mut [span(2, &mut cache)], &mut ());
        assert!(to_vec(&decoder.logits(&hidden.unwrap()).unwrap()).unwrap().iter().any(|logit| logit.is_nan()));
    }
}

#[test]
fn passes_that_do_not_fit_are_refused_and_leave_caches_alone() {
    let (decoder, other) = (decoder(NAMES[0]), decoder(NAMES[1]));
    let embeds = decoder.embed(&[1, 2, 3]).unwrap();
    let pass = |embeds: &Tensor, rows: &[usize], caches: &mut [Cache]| {
        let mut spans: Vec<_> = rows.iter().zip(caches).map(|(&rows, cache)| span(rows, cache)).collect();
        decoder.forward(embeds, &mut spans, &mut ())
    };
    let mut caches = [decoder.new_cache(), decoder.new_cache()];
    for rows in [&[2][..], &[], &[4], &[3, 0], &[usize::MAX, 4]] {
        assert!(matches!(pass(&embeds, rows, &mut caches), Err(Error::Spans { rows: 3, .. })), "{rows:?}");
    }
    let wide = Tensor::zeros((3, 7), DType::F32, &Device::Cpu).unwrap();
    assert!(matches!(pass(&wide, &[3], &mut caches), Err(Error::Rows { .. })));
    assert!(matches!(decoder.logits(&wide), Err(Error::Rows { .. })));
    assert!(matches!(pass(&embeds.flatten_all().unwrap(), &[3], &mut caches), Err(Error::Rows { .. })));
    let empty = embeds.narrow(0, 0, 0).unwrap();
    assert!(matches!(pass(&empty, &[], &mut caches), Err(Error::Rows { .. })));
    assert!(matches!(pass(&embeds, &[3], &mut [other.new_cache()]), Err(Error::ForeignCache)));
    assert_eq!(message(decoder.embed(&[768])), "id 768 is outside the table of 768 rows");
    assert!(caches.iter().all(|cache| cache.is_empty()));
}

#[test]
fn the_context_is_a_limit() {
    let name = NAMES[0];
    let spec = DecoderSpec { max_positions: 70, ..spec(name) };
    let decoder = Decoder::load(&loader(checkpoint(name)).at("language"), &spec).unwrap();
    let mut cache = decoder.new_cache();
    let embeds = decoder.embed(&[1; 71]).unwrap();
    let mut pass = |rows| decoder.forward(&embeds.narrow(0, 0, rows).unwrap(), &mut [span(rows, &mut cache)], &mut ());
    assert_eq!(message(pass(71)), "a sequence of 71 tokens does not fit the model's context of 70");
    pass(66).unwrap();
    assert_eq!(message(pass(5)), "a sequence of 71 tokens does not fit the model's context of 70");
    pass(4).unwrap();
    assert_eq!((cache.len(), cache.limit()), (70, 70));
    assert_eq!(cache.bytes(), Cache::BLOCK * decoder.spec().cache_bytes_per_token(decoder.cache_type()));
}

#[test]
fn an_impossible_specification_is_refused() {
    let spec = DecoderSpec { layers: 0, ..spec(NAMES[0]) };
    let message = message(Decoder::load(&loader(checkpoint(NAMES[0])).at("language"), &spec));
    assert_eq!(message, "configuration of the language model: num_hidden_layers is 0: not between 1 and 4096");
}
