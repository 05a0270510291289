//! Matrices in 8 bits with a scale for each block.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use half::bf16;
use safetensors::tensor::{Dtype, TensorView, serialize};
use seekvl_nn::{BlockSize, Checkpoint, DType, Device, Embedding, Error, Loader, Tensor, Weight, WeightType, to_vec};
use std::sync::Arc;

const BLOCKS: BlockSize = BlockSize { rows: 128, cols: 128 };
const ROWS: usize = 130;
const COLS: usize = 259;
/// Not a number, the largest, and the smallest there is.
const ODD: [(usize, u8); 3] = [(5, 0x7f), (COLS * ROWS - 1, 0xfe), (COLS * 128, 0x01)];

/// The bytes of `w` `[130, 259]`, and its scales `[2, 3]`.
fn bytes_and_scales() -> (Vec<u8>, Vec<f32>) {
    // Every number but those that are none.
    let mut bytes: Vec<u8> = (0..ROWS * COLS).map(|i| (i * 37 % 254) as u8 + u8::from(i * 37 % 254 > 0x7e)).collect();
    for (at, byte) in ODD {
        bytes[at] = byte;
    }
    (bytes, vec![0.5, 1.0 / 3.0, 7e-4, 1.25e-3, 3.0, 0.1])
}

fn loader(dtype: Dtype, scale_shape: &[usize], weights: WeightType) -> Loader {
    let (bytes, scales) = bytes_and_scales();
    let scales: Vec<u8> = scales.iter().flat_map(|scale| scale.to_le_bytes()).collect();
    let view = |dtype, shape: &[usize], data| TensorView::new(dtype, shape.to_vec(), data).unwrap();
    let file = serialize(
        [
            ("w.weight", view(dtype, &[ROWS, COLS], &bytes)),
            ("w.weight_scale_inv", view(Dtype::F32, scale_shape, &scales)),
        ],
        None,
    );
    let checkpoint = Checkpoint::from_bytes("memory", file.unwrap()).unwrap();
    Loader::new(Arc::new(checkpoint), Device::Cpu, weights).unwrap()
}

/// By the definition: sign, exponent and mantissa put into the bits of an `f32`, except where those of an e4m3 are subnormal.
fn expected() -> Vec<f32> {
    let (bytes, scales) = bytes_and_scales();
    let number = |byte: u8| {
        let (sign, exponent, mantissa) = (u32::from(byte >> 7), u32::from(byte >> 3 & 15), u32::from(byte & 7));
        let magnitude = match exponent {
            15 if mantissa == 7 => return f32::NAN,
            0 => mantissa as f32 / 512.0,
            _ => f32::from_bits(((exponent + 120) << 23) | (mantissa << 20)),
        };
        f32::from_bits(magnitude.to_bits() | sign << 31)
    };
    let scale = |i: usize| scales[i / COLS / 128 * 3 + i % COLS / 128];
    bytes.iter().enumerate().map(|(i, &byte)| number(byte) * scale(i)).collect()
}

/// The numbers of a weight, `[rows, cols]`, as an embedding reads them: a product would spread those that are none.
fn numbers(weight: &Weight) -> Vec<f32> {
    let ids: Vec<u32> = (0..ROWS as u32).collect();
    to_vec(&Embedding::new(weight.clone()).forward(&ids).unwrap()).unwrap()
}

fn same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
}

#[test]
fn every_byte_is_its_number_times_its_blocks_scale() {
    let expected = expected();
    for kept in [WeightType::F32, WeightType::Bf16, WeightType::AsStored] {
        let loader = loader(Dtype::F8_E4M3, &[2, 3], kept).with_fp8_blocks(BLOCKS);
        let weight = loader.weight("w.weight", &[ROWS, COLS]).unwrap();
        assert_eq!(weight.dtype(), if kept == WeightType::F32 { DType::F32 } else { DType::BF16 });
        let round = |x: f32| if kept == WeightType::F32 { x } else { bf16::from_f32(x).to_f32() };
        for (i, (&got, &expected)) in numbers(&weight).iter().zip(&expected).enumerate() {
            assert!(same(got, round(expected)), "{i}: {got} {expected}");
        }
        // Both the matrix and its scales are ticked off.
        loader.finish().unwrap();
    }
}

#[test]
fn products_see_the_numbers() {
    let loader = loader(Dtype::F8_E4M3, &[2, 3], WeightType::F32).with_fp8_blocks(BLOCKS);
    let linear = loader.linear("w", COLS, ROWS, false).unwrap();
    let mut unit = vec![0f32; COLS];
    unit[200] = 2.0;
    let product = to_vec(&linear.forward(&Tensor::from_vec(unit, (1, COLS), &Device::Cpu).unwrap()).unwrap()).unwrap();
    let expected = expected();
    // The first row has the number that is none.
    for row in 1..ROWS {
        assert_eq!(product[row], 2.0 * expected[row * COLS + 200], "{row}");
    }
    assert!(product[0].is_nan());
}

#[test]
fn a_checkpoint_that_is_not_what_it_says_is_refused() {
    let error = |loader: &Loader| loader.weight("w.weight", &[ROWS, COLS]).err().unwrap();
    let plain = loader(Dtype::F8_E4M3, &[2, 3], WeightType::AsStored);
    assert!(matches!(error(&plain), Error::UnsupportedType { .. }), "without the configuration's word");
    let turned = loader(Dtype::F8_E4M3, &[3, 2], WeightType::AsStored).with_fp8_blocks(BLOCKS);
    assert!(matches!(error(&turned), Error::Shape { name, .. } if name == "w.weight_scale_inv"));
    let other = loader(Dtype::F8_E5M2, &[2, 3], WeightType::AsStored).with_fp8_blocks(BLOCKS);
    assert!(matches!(error(&other), Error::UnsupportedType { .. }));
}
