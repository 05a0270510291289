//! Neither the number of threads nor what else is in a batch changes a bit.
#![cfg(feature = "nano")]
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use seekvl::{Answer, GenerationOptions, Message, Model, NANO, Options, Quantization, WeightType, set_threads};

fn models() -> impl Iterator<Item = Model> {
    let rounded = Quantization::ALL.map(|quantization| Model::builder().quantization(Some(quantization)));
    let kept = [WeightType::Bf16, WeightType::F32].map(|weights| Model::builder().weights(weights));
    kept.into_iter().chain(rounded).map(|builder| builder.load(NANO).unwrap())
}

fn picture(name: &str) -> String {
    format!("{}/examples/images/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// All that is known of an answer's tokens.
fn bits(answer: &Answer) -> Vec<(u32, Vec<u32>)> {
    let known = |token: &seekvl::Token| {
        let logprobs = token.logprobs.as_ref().unwrap();
        let top = logprobs.top.iter().flat_map(|top| [top.id, top.logprob.to_bits()]);
        (token.id, top.chain([logprobs.chosen.to_bits()]).collect())
    };
    answer.tokens.iter().map(known).collect()
}

#[test]
fn threads_do_not_matter() {
    let (receipt, options) = (picture("receipt.png"), Options::default());
    let question = Message::question("What is the total?", [receipt.as_str().into()]).into();
    for model in models() {
        let compute = |threads: usize| -> Vec<u32> {
            set_threads(threads);
            let features = model.vision_features(&receipt.as_str().into(), &options).unwrap();
            let logits = model.logits(&question, &options, true).unwrap();
            [features, logits].iter().flat_map(|array| &array.values).map(|x| x.to_bits()).collect()
        };
        let alone = compute(1);
        for threads in [2, 3, 16, 0] {
            assert!(alone == compute(threads), "{threads} threads");
        }
    }
}

#[test]
fn company_does_not_matter() {
    let generation = GenerationOptions { max_new_tokens: 16, top_logprobs: Some(3), ..GenerationOptions::default() };
    let options = Options { generation, ..Options::default() };
    let ask = |name: &str, question: &str| Message::question(question, [picture(name).as_str().into()]).into();
    let all = [
        ask("receipt.png", "What is the total?"),
        ask("shapes.png", "What colour is the triangle?"),
        ask("bars.png", "Which is the largest of all the bars that are to be seen here?"),
    ];
    for model in models() {
        let alone: Vec<_> = all.iter().map(|one| bits(&model.generate(one, &options).unwrap())).collect();
        let together = model.batch(&all, &options).unwrap();
        assert!(alone == together.iter().map(bits).collect::<Vec<_>>());
    }
}
