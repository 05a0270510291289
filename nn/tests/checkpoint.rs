//! Good and damaged safetensors files.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use safetensors::tensor::{Dtype, TensorView, serialize};
use seekvl_nn::{Checkpoint, DType, Device, Error, Loader, Tensor, WeightType, to_vec};
use std::path::PathBuf;
use std::sync::Arc;

/// A file with `a` f32 `[2, 3]`, `b` bf16 `[3]`, `c` f16 `[2, 2]` and `d` i64 `[1]`.
fn file() -> Vec<u8> {
    let a: Vec<u8> = [1f32, 2., 3., 4., 5., 6.].iter().flat_map(|v| v.to_le_bytes()).collect();
    let b: Vec<u8> = [1f32, -2., 0.5].iter().flat_map(|v| half::bf16::from_f32(*v).to_le_bytes()).collect();
    let c: Vec<u8> = [1f32, 2., 3., 65504.].iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect();
    let view = |dtype, shape: &[usize], data| TensorView::new(dtype, shape.to_vec(), data).unwrap();
    let tensors = [
        ("a", view(Dtype::F32, &[2, 3], &a)),
        ("b", view(Dtype::BF16, &[3], &b)),
        ("c", view(Dtype::F16, &[2, 2], &c)),
        ("d", view(Dtype::I64, &[1], &[0; 8])),
    ];
    serialize(tensors, None).unwrap()
}

fn loader(weights: WeightType) -> Loader {
    let checkpoint = Checkpoint::from_bytes("memory", file()).unwrap();
    Loader::new(Arc::new(checkpoint), Device::Cpu, weights).unwrap()
}

#[test]
fn every_float_type_is_read() {
    let loader = loader(WeightType::AsStored);
    assert_eq!(to_vec(&loader.tensor("a", &[2, 3]).unwrap()).unwrap(), [1., 2., 3., 4., 5., 6.]);
    assert_eq!(to_vec(&loader.tensor("b", &[3]).unwrap()).unwrap(), [1., -2., 0.5]);
    assert_eq!(to_vec(&loader.tensor("c", &[2, 2]).unwrap()).unwrap(), [1., 2., 3., 65504.]);
}

#[test]
fn weights_are_kept_in_the_type_asked_for() {
    let kept = |weights, name, shape: &[usize]| loader(weights).weight(name, shape).unwrap().dtype();
    assert_eq!(kept(WeightType::AsStored, "a", &[2, 3]), DType::F32);
    assert_eq!(kept(WeightType::AsStored, "c", &[2, 2]), DType::F32);
    assert_eq!(kept(WeightType::Bf16, "a", &[2, 3]), DType::BF16);
    assert_eq!(kept(WeightType::F32, "c", &[2, 2]), DType::F32);
    assert!(matches!(
        Loader::new(Arc::new(Checkpoint::from_bytes("memory", file()).unwrap()), Device::Cpu, WeightType::F16),
        Err(Error::HalfOnCpu)
    ));
}

#[test]
fn products_slices_and_transposes_see_the_same_numbers() {
    for weights in [WeightType::F32, WeightType::Bf16] {
        let weight = loader(weights).weight("a", &[2, 3]).unwrap();
        let x = Tensor::new(&[[1f32, 1., 1.], [1., 0., -1.]], &Device::Cpu).unwrap();
        let bias = Tensor::new(&[10f32, 20.], &Device::Cpu).unwrap();
        assert_eq!(to_vec(&weight.apply(&x, Some(&bias)).unwrap()).unwrap(), [16., 35., 8., 18.]);
        assert_eq!(to_vec(&weight.slice(1..2).unwrap().apply(&x, None).unwrap()).unwrap(), [15., -2.]);
        let y = Tensor::new(&[[1f32, 2.]], &Device::Cpu).unwrap();
        assert_eq!(to_vec(&weight.transposed().unwrap().apply(&y, None).unwrap()).unwrap(), [9., 12., 15.]);
    }
}

#[test]
fn wrong_names_shapes_and_types_are_named() {
    let loader = loader(WeightType::AsStored);
    let message = |result: Result<Tensor, Error>| result.unwrap_err().to_string();
    assert_eq!(message(loader.at("x").tensor("y", &[1])), "tensor x.y is missing from memory");
    let shape = message(loader.tensor("a", &[3, 2]));
    assert!(shape.contains("tensor a in memory has shape [2, 3]") && shape.contains("[3, 2]"), "{shape}");
    assert!(message(loader.tensor("d", &[1])).contains("tensor d in memory is of type I64"));
}

#[test]
fn unused_tensors_are_named_unless_skipped() {
    let loader = loader(WeightType::AsStored);
    loader.tensor("a", &[2, 3]).unwrap();
    loader.skip("c");
    let Err(Error::Unknown { count: 2, names, .. }) = loader.finish() else { panic!("two tensors are unused") };
    assert_eq!(names, ["b", "d"]);
    loader.skip("");
    loader.finish().unwrap();
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    let whole = file();
    for len in 0..whole.len() {
        let cut = Checkpoint::from_bytes("cut", whole[..len].to_vec());
        assert!(matches!(cut, Err(Error::Format { .. })), "{len} bytes");
    }
}

#[test]
fn lying_headers_are_errors() {
    let header = |json: &str, data: usize| {
        let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
        bytes.extend(json.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        Checkpoint::from_bytes("lying", bytes)
    };
    let tensor =
        |shape: &str, end: &str| format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":[0,{end}]}}}}"#);
    assert!(header(&tensor("[2]", "8"), 8).is_ok());
    for (shape, end) in [("[3]", "8"), ("[2]", "18446744073709551615"), ("[4294967296,4294967296]", "8"), ("[2]", "-1")]
    {
        assert!(matches!(header(&tensor(shape, end), 8), Err(Error::Format { .. })), "{shape} {end}");
    }
    let huge = u64::MAX.to_le_bytes();
    assert!(matches!(Checkpoint::from_bytes("huge", huge), Err(Error::Format { .. })));
}

#[test]
fn files_are_mapped_and_repeated_tensors_refused() {
    let dir = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> = ["one", "two"].iter().map(|name| dir.path().join(name)).collect();
    for path in &paths {
        std::fs::write(path, file()).unwrap();
    }
    let one = Checkpoint::open(&paths[..1]).unwrap();
    assert_eq!(one.tensors().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    assert!(
        matches!(Checkpoint::open(&paths), Err(Error::Duplicate { name, .. }) if ["a", "b", "c", "d"].contains(&&*name))
    );
    let missing = Checkpoint::open(&[dir.path().join("none")]).err().map(|e| e.to_string());
    assert!(missing.is_some_and(|message| message.contains("none")));
}
