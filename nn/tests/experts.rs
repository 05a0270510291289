//! Experts that stay in their file: the same results, within the budget.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use half::bf16;
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use seekvl_nn::{Checkpoint, Device, Error, ExpertStore, Experts, Loader, Quantization, Tensor, WeightType, to_vec};
use std::path::Path;
use std::sync::Arc;

const EXPERTS: usize = 48;
const HIDDEN: usize = 512;
const INNER: usize = 640;
/// Bytes of an expert.
const BYTES: u64 = (3 * HIDDEN * INNER * 2) as u64;
const LAYERS: usize = 2;

/// Two layers of experts with some random weights, 94 MB.
fn write(path: &Path) {
    let mut state = 1u64;
    let mut numbers = |count: usize| -> Vec<u8> {
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            bf16::from_f32(((state >> 40) as f32 / (1 << 24) as f32 - 0.5) * 0.2).to_le_bytes()
        };
        (0..count).flat_map(|_| next()).collect()
    };
    let mut tensors = Vec::new();
    for layer in 0..LAYERS {
        for expert in 0..EXPERTS {
            for (name, shape) in
                [("gate_proj", [INNER, HIDDEN]), ("up_proj", [INNER, HIDDEN]), ("down_proj", [HIDDEN, INNER])]
            {
                tensors.push((format!("{layer}.{expert}.{name}.weight"), shape.to_vec(), numbers(HIDDEN * INNER)));
            }
        }
    }
    let views =
        tensors.iter().map(|(name, shape, data)| (name, TensorView::new(Dtype::BF16, shape.clone(), data).unwrap()));
    serialize_to_file(views, None, path).unwrap();
}

fn load(
    path: &Path,
    quantization: Option<Quantization>,
    store: Option<&Arc<ExpertStore>>,
) -> Result<Vec<Experts>, Error> {
    let checkpoint = Arc::new(Checkpoint::open(&[path.into()])?);
    let mut loader = Loader::new(checkpoint, Device::Cpu, WeightType::AsStored)?;
    if let Some(quantization) = quantization {
        loader = loader.quantized(quantization)?;
    }
    if let Some(store) = store {
        loader = loader.with_expert_store(store.clone())?;
    }
    let layers = (0..LAYERS).map(|layer| loader.at(layer).experts(EXPERTS, HIDDEN, INNER)).collect::<Result<_, _>>()?;
    loader.finish()?;
    Ok(layers)
}

/// Row `i` goes to experts `i` and `5 i + 1`, and so on over the layers.
fn pass(layers: &[Experts], rows: usize) -> Vec<u32> {
    let x = Tensor::arange(0f32, (rows * HIDDEN) as f32, &Device::Cpu).unwrap();
    let mut x = x.sin().unwrap().reshape((rows, HIDDEN)).unwrap();
    let ids: Vec<u32> =
        (0..rows).flat_map(|row| [row % EXPERTS, (5 * row + 1) % EXPERTS]).map(|id| id as u32).collect();
    let weights = vec![0.5; ids.len()];
    for layer in layers {
        x = layer.forward(&x, 2, &ids, &weights).unwrap();
    }
    to_vec(&x).unwrap().iter().map(|value| value.to_bits()).collect()
}

/// Bytes of memory that this process has, on Linux.
fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// One test, so that nothing else takes memory meanwhile.
#[test]
fn results_are_the_same_and_memory_keeps_to_the_budget() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    write(&path);

    let budget = 5 * BYTES + 1;
    let store = Arc::new(ExpertStore::new(budget));
    let layers = load(&path, None, Some(&store)).unwrap();
    assert_eq!(store.counts().bytes_read, 0, "loading reads none");
    let before = memory();
    let mut found = Vec::new();
    for rows in [1, 3, 60, 2, 60] {
        found.push(pass(&layers, rows));
        assert!(store.counts().resident <= budget);
    }
    let counts = store.counts();
    assert_eq!(counts.most_resident, 5 * BYTES);
    assert_eq!(counts.bytes_read, counts.reads * BYTES);
    // What 60 rows need is 43 experts of each layer, 264 MB in two passes.
    if let (Some(before), Some(after)) = (before, memory()) {
        let slack = 8 << 20;
        assert!(after < before + budget + slack, "{after} after {before}, a budget of {budget}");
    }

    // Those that were used last are still there.
    let one = |layers: &[Experts]| pass(&layers[..1], 1);
    one(&layers);
    let before = store.counts();
    one(&layers);
    let now = store.counts();
    assert_eq!((now.hits - before.hits, now.reads - before.reads), (2, 0));

    let held = load(&path, None, None).unwrap();
    let expected: Vec<_> = [1, 3, 60, 2, 60].iter().map(|&rows| pass(&held, rows)).collect();
    assert_eq!(found, expected);

    // Rounded as they are read.
    let store = Arc::new(ExpertStore::new(3 * BYTES));
    let layers = load(&path, Some(Quantization::Q4_0), Some(&store)).unwrap();
    let held = load(&path, Some(Quantization::Q4_0), None).unwrap();
    assert_eq!(pass(&layers, 7), pass(&held, 7));
    let counts = store.counts();
    assert_eq!(counts.bytes_read, counts.reads * BYTES);
    assert!(counts.most_resident < 3 * BYTES && counts.most_resident > BYTES, "{counts:?}");

    // Threads take turns.
    let store = Arc::new(ExpertStore::new(2 * BYTES));
    let layers = load(&path, None, Some(&store)).unwrap();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(|| pass(&layers, 3))).collect();
        threads.into_iter().for_each(|thread| assert_eq!(thread.join().unwrap(), expected[1]));
    });
    assert!(store.counts().most_resident <= 2 * BYTES);

    let small = Arc::new(ExpertStore::new(BYTES - 1));
    let error = load(&path, None, Some(&small)).err().unwrap();
    assert!(matches!(error, Error::ExpertBudget { needed: BYTES, .. }), "{error}");
}

#[test]
fn a_file_that_is_cut_short_meanwhile_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    let data = vec![0u8; 3 * 32 * 32 * 4];
    let names = ["gate_proj", "up_proj", "down_proj"].map(|name| format!("0.{name}.weight"));
    let views = names.iter().map(|name| (name, TensorView::new(Dtype::F32, vec![32, 32], &data[..4096]).unwrap()));
    serialize_to_file(views, None, &path).unwrap();
    let store = Arc::new(ExpertStore::new(1 << 20));
    let checkpoint = Arc::new(Checkpoint::open(std::slice::from_ref(&path)).unwrap());
    let loader = Loader::new(checkpoint, Device::Cpu, WeightType::AsStored).unwrap();
    let experts = loader.with_expert_store(store.clone()).unwrap().experts(1, 32, 32).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(5000).unwrap();
    let x = Tensor::ones((1, 32), seekvl_nn::DType::F32, &Device::Cpu).unwrap();
    let error = experts.forward(&x, 1, &[0], &[1.0]).unwrap_err();
    assert!(matches!(error, Error::Open { .. }), "{error}");
    assert_eq!(store.counts().resident, 0);
}
