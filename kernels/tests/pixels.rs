//! Weighted sums of pixels, in every family of instructions, against the same in 64 bits.

mod common;

use common::{config, cpus};
use proptest::collection::vec;
use proptest::prelude::*;
use seekvl_kernels::weighted_lines;

proptest! {
    #![proptest_config(config(64))]

    #[test]
    fn weighted_lines_are_exact(
        width in 0usize..200,
        gap in 0usize..9,
        weights in vec(-(1i32 << 18)..(1 << 19), 0..9),
        bits in 1u32..24,
        seed in any::<u8>(),
    ) {
        let stride = width + gap;
        let pixels = (0..stride * weights.len()).map(|i| (i * 97 + i / 7) as u8 ^ seed);
        let lines: Vec<u8> = pixels.chain(std::iter::repeat_n(0, width)).collect();
        let exact: Vec<u8> = (0..width)
            .map(|i| {
                let terms = weights.iter().enumerate();
                let sum: i64 = terms.map(|(t, &weight)| i64::from(weight) * i64::from(lines[t * stride + i])).sum();
                ((sum + (1 << (bits - 1))) >> bits).clamp(0, 255) as u8
            })
            .collect();
        for cpu in cpus() {
            let mut output = vec![0; width];
            weighted_lines(cpu, &lines, stride, &weights, bits, &mut output);
            prop_assert_eq!(&output, &exact, "{:?}", cpu.isa());
        }
    }
}
