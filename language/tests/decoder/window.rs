//! Attention to a window, and caches that let go what is out of sight.

use crate::passes::{FORMS, bits, run};
use crate::reference::{checkpoint, decoder, loader, spec};
use seekvl_language::{AttentionSpec, Cache, Decoder, DecoderSpec, Error};

const WINDOW: usize = 40;
const NAMES: [&str; 2] = ["vl2-tiny-like", "vl2-small-like"];

fn windowed(name: &str, context: usize, window: usize) -> Decoder {
    let spec = DecoderSpec { max_positions: context, ..spec(name) }.with_window(window).unwrap();
    Decoder::load(&loader(checkpoint(name)).at("language"), &spec).unwrap()
}

fn ids(count: usize) -> Vec<u32> {
    (0..count as u32).map(|i| 3 + i * i % 501).collect()
}

#[test]
fn up_to_its_size_a_window_changes_nothing() {
    for (name, form) in NAMES.into_iter().flat_map(|name| FORMS.map(|form| (name, form))) {
        let (plain, narrow) = (decoder(name), windowed(name, 100, WINDOW));
        let embeds = plain.embed(&ids(WINDOW + 1)).unwrap();
        let all = bits(&run(&plain, &embeds, &mut plain.new_cache(), usize::MAX, form).unwrap());
        let seen = bits(&run(&narrow, &embeds, &mut narrow.new_cache(), usize::MAX, form).unwrap());
        let whole = WINDOW * plain.spec().hidden_size;
        assert_eq!(all[..whole], seen[..whole], "{name}, {form:?}");
        assert_ne!(all[whole..], seen[whole..], "{name}, {form:?}: the first token is out of sight of the last");
    }
}

/// Far beyond the context: the cache stays small, and rows do not depend on how they were cut into passes.
#[test]
fn a_sequence_may_be_longer_than_the_context() {
    for (name, form) in NAMES.into_iter().flat_map(|name| FORMS.map(|form| (name, form))) {
        let decoder = windowed(name, WINDOW + 10, WINDOW);
        let embeds = decoder.embed(&ids(700)).unwrap();
        let whole = bits(&run(&decoder, &embeds, &mut decoder.new_cache(), usize::MAX, form).unwrap());
        for chunk in [1, 7, 150] {
            let mut cache = decoder.new_cache();
            assert_eq!(bits(&run(&decoder, &embeds, &mut cache, chunk, form).unwrap()), whole, "{name} by {chunk}");
            let room =
                Cache::room(700, chunk, Some(WINDOW)) * decoder.spec().cache_bytes_per_token(decoder.cache_type());
            assert!(cache.len() == 700 && cache.bytes() <= room, "{} bytes, {room} expected", cache.bytes());
            assert!(room < 700 * decoder.spec().cache_bytes_per_token(decoder.cache_type()));
        }
    }
}

/// In each layer a token sees so many before it, so that layers together see as many times that.
#[test]
fn what_is_out_of_sight_has_no_part() {
    for (name, form) in NAMES.into_iter().flat_map(|name| FORMS.map(|form| (name, form))) {
        let decoder = windowed(name, 100, WINDOW);
        let (hidden, reach) = (decoder.spec().hidden_size, decoder.spec().layers * (WINDOW - 1));
        let mut other = ids(400);
        other[100] += 1;
        let rows = |ids: &[u32]| {
            bits(&run(&decoder, &decoder.embed(ids).unwrap(), &mut decoder.new_cache(), usize::MAX, form).unwrap())
        };
        let (a, b) = (rows(&ids(400)), rows(&other));
        let differs = |row: usize| a[row * hidden..][..hidden] != b[row * hidden..][..hidden];
        assert!((100..100 + WINDOW).all(differs), "{name}, {form:?}");
        assert!((0..100).chain(101 + reach..400).all(|row| !differs(row)), "{name}, {form:?}");
    }
}

#[test]
fn tokens_are_taken_back_as_far_as_they_are_there() {
    for name in NAMES {
        let decoder = windowed(name, 100, WINDOW);
        let (embeds, form) = (decoder.embed(&ids(600)).unwrap(), FORMS[0]);
        let whole = bits(&run(&decoder, &embeds, &mut decoder.new_cache(), 9, form).unwrap());
        let hidden = decoder.spec().hidden_size;
        for back in [1, Cache::BLOCK, 450] {
            let mut cache = decoder.new_cache();
            run(&decoder, &embeds, &mut cache, 9, form).unwrap();
            cache.truncate(600 - back);
            let kept = cache.len();
            assert_eq!(kept, if back <= Cache::BLOCK { 600 - back } else { 0 });
            let rest = run(&decoder, &embeds.narrow(0, kept, 600 - kept).unwrap(), &mut cache, 9, form).unwrap();
            assert_eq!(bits(&rest), whole[kept * hidden..], "{name}, {back} back");
        }
    }
}

#[test]
fn a_window_fits_the_context() {
    for window in [0, 4097, usize::MAX] {
        let error = spec(NAMES[0]).with_window(window).unwrap_err();
        assert!(matches!(error, Error::InvalidOption { name: "context_window", .. }), "{error}");
    }
    let narrow = spec(NAMES[0]).with_window(4096).unwrap();
    assert_eq!((spec(NAMES[0]).longest(), narrow.longest()), (4096, DecoderSpec::MOST_POSITIONS));
    assert!(matches!(spec(NAMES[1]).attention, AttentionSpec::Latent { .. }));
    // A cache with a window is another than one without.
    let (plain, narrow) = (decoder(NAMES[0]), windowed(NAMES[0], 4096, WINDOW));
    let embeds = plain.embed(&ids(3)).unwrap();
    let error = run(&plain, &embeds, &mut narrow.new_cache(), 3, FORMS[0]).unwrap_err();
    assert!(matches!(error, Error::ForeignCache), "{error}");
}
