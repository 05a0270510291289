//! What is measured of a model.
#![cfg(feature = "nano")]

use seekvl::bench::{Cases, bench};
use seekvl::{Error, Model};

#[test]
fn every_stage_is_measured() -> seekvl::Result<()> {
    let cases =
        Cases { tiles: vec![1, 3], prompts: vec![7], contexts: vec![0, 20], answer: 4, runs: 1, ..Cases::default() };
    let mut told = Vec::new();
    let report = bench(&Model::nano()?, &cases, |stage| told.push(stage.to_owned()))?;
    assert_eq!(told.first().map(String::as_str), Some("preprocessing"));
    assert_eq!(report.vision.iter().map(|one| one.tiles).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(report.prefill.len(), 1);
    assert_eq!(report.decode.iter().map(|one| one.context).collect::<Vec<_>>(), [0, 20]);
    let (preprocess, whole) = (report.preprocess.expect("a picture"), report.end_to_end.expect("a question"));
    assert!(preprocess.views > 1 && whole.prompt_tokens > 100 && whole.first_token_seconds < whole.seconds);
    let vision = report.vision.iter().flat_map(|one| [one.seconds, one.seconds_per_tile, one.share_of_limit]);
    let prefill = report.prefill.iter().flat_map(|one| [one.seconds, one.tokens_per_second, one.share_of_limit]);
    let decode = report.decode.iter().flat_map(|one| [one.tokens_per_second, one.share_of_limit]);
    for figure in vision.chain(prefill).chain(decode).chain([report.machine.read_gb_s, report.machine.int8_gop_s]) {
        assert!(figure.is_finite() && figure > 0.0, "{report:?}");
    }
    Ok(())
}

#[test]
fn what_cannot_be_measured_is_an_error() -> seekvl::Result<()> {
    let model = Model::nano()?;
    let none = Cases {
        preprocessing: false,
        tiles: vec![],
        prompts: vec![],
        contexts: vec![],
        end_to_end: false,
        ..Cases::default()
    };
    let cases = [
        Cases { tiles: vec![0], ..none.clone() },
        Cases { prompts: vec![0], ..none.clone() },
        Cases { contexts: vec![1 << 20], ..none },
    ];
    for (case, at) in cases.into_iter().zip(0..) {
        let error = bench(&model, &case, |_| ()).expect_err("it cannot be measured");
        assert!(matches!((at, &error), (0 | 1, Error::NothingToMeasure(_)) | (2, Error::Language(_))), "{error}");
    }
    Ok(())
}
