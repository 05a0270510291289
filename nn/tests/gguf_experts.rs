//! Experts that stay in a GGUF file.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use seekvl_kernels::Cpu;
use seekvl_kernels::quantized::Format;
use seekvl_kernels::quantized::blocks::quantize_rows;
use seekvl_nn::{
    Checkpoint, Device, ExpertStore, Experts, Gguf, GgufEntry, GgufTensor, GgufWriter, Loader, Role, StoredDtype,
    Tensor, WeightType, to_vec,
};
use std::sync::Arc;

/// Blocks as they are, as others that have the same numbers, and as numbers: a GGUF file has the experts of a layer in one
/// tensor, and the store counts for each what it takes in memory.
#[test]
fn experts_of_a_gguf_file_stay_there() {
    const EXPERTS: usize = 6;
    const SIDES: [(&str, usize, usize); 3] = [("gate", 512, 256), ("up", 512, 256), ("down", 256, 512)];
    let q8_0 = Format::Q8_0;
    for (kinds, bits) in [
        ([Format::Q4K, Format::Q4K, Format::Q6K], 6),
        ([q8_0; 3], 9),
        ([Format::Q5_0; 3], 6),
        ([q8_0, q8_0, Format::Q5_1], 8),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.gguf");
        let entries: Vec<_> = (SIDES.iter().zip(kinds))
            .map(|((name, rows, cols), kind)| GgufEntry {
                name: format!("ffn_{name}_exps.weight"),
                dtype: StoredDtype::Blocks(kind),
                shape: vec![EXPERTS, *rows, *cols],
            })
            .collect();
        let file = std::fs::File::create(&path).unwrap();
        let mut writer = GgufWriter::new(file, &[], &entries).unwrap();
        for (entry, kind) in entries.iter().zip(kinds) {
            let cols = entry.shape[2];
            let fill = |row: usize, values: &mut [f32]| {
                let value = |col: usize| ((row * 7919 + col * 104_729) % 1009) as f32 / 1009.0 - 0.5;
                values.iter_mut().enumerate().for_each(|(col, to)| *to = value(col));
            };
            let mut bytes = vec![0; entry.bytes().unwrap()];
            quantize_rows(Cpu::detect(), kind, cols, fill, &mut bytes);
            writer.write(&bytes).unwrap();
        }
        writer.finish().unwrap();

        let load = |store: Option<&Arc<ExpertStore>>| {
            let role = |tensor: &GgufTensor| {
                let name = tensor.name.trim_start_matches("ffn_").trim_end_matches("_exps.weight");
                Role::Stacked((0..EXPERTS).map(|expert| format!("{expert}.{name}_proj.weight")).collect())
            };
            let checkpoint = Checkpoint::from_gguf(&[Gguf::open(&path).unwrap()], role).unwrap();
            let mut loader = Loader::new(Arc::new(checkpoint), Device::Cpu, WeightType::AsStored).unwrap();
            if let Some(store) = store {
                loader = loader.with_expert_store(store.clone()).unwrap();
            }
            let experts = loader.experts(EXPERTS, 256, 512).unwrap();
            loader.finish().unwrap();
            experts
        };
        let held = load(None);
        let one = held.bytes_of_one() as u64;
        assert!(one < (3 * 256 * 512 * bits / 8) as u64, "{kinds:?}: {one}");
        let store = Arc::new(ExpertStore::new(2 * one));
        let stored = load(Some(&store));
        assert_eq!(stored.bytes_of_one() as u64, one, "{kinds:?}");
        let x = Tensor::arange(0f32, 1024f32, &Device::Cpu).unwrap().sin().unwrap().reshape((4, 256)).unwrap();
        let pass =
            |experts: &Experts| to_vec(&experts.forward(&x, 2, &[0, 1, 5, 2, 3, 4, 1, 0], &[0.5; 8]).unwrap()).unwrap();
        assert_eq!(pass(&stored), pass(&held), "{kinds:?}");
        let counts = store.counts();
        assert_eq!((counts.reads, counts.most_resident), (6, 2 * one), "{kinds:?}");
        assert_eq!(counts.bytes_read, entries.iter().map(|entry| entry.bytes().unwrap() as u64).sum::<u64>());
    }
}
