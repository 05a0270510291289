//! Which instructions the processor has, and the one place where a kernel meets them.

use crate::simd::{Kernel, Portable, Simd};
use std::sync::OnceLock;

/// A family of instructions that the kernels are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Isa {
    /// Plain Rust, on every processor.
    Portable,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512 F, BW and VL.
    Avx512,
    /// [`Isa::Avx512`] and the bf16 dot product.
    Avx512Bf16,
    /// 64-bit Arm.
    Neon,
}

impl Isa {
    /// All families, best first.
    pub const ALL: [Self; 5] = [Self::Avx512Bf16, Self::Avx512, Self::Avx2, Self::Neon, Self::Portable];

    /// Whether the running processor has this family.
    fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 => Self::Avx512.is_available() && is_x86_feature_detected!("avx512bf16"),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            #[allow(unreachable_patterns, reason = "which families are left depends on the target")]
            _ => false,
        }
    }
}

/// Proof that the running processor has an [`Isa`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu(Isa);

impl Cpu {
    /// The best that the running processor has.
    pub fn detect() -> Self {
        static BEST: OnceLock<Cpu> = OnceLock::new();
        *BEST.get_or_init(|| Isa::ALL.into_iter().find_map(Self::force).unwrap_or(Self(Isa::Portable)))
    }

    /// A given family, or `None` where the processor lacks it. Tests use it to force each path.
    pub fn force(isa: Isa) -> Option<Self> {
        isa.is_available().then_some(Self(isa))
    }

    /// The family that this value proves.
    pub fn isa(self) -> Isa {
        self.0
    }

    /// Runs `kernel` with the vectors of this family.
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Out {
        match self.0 {
            // SAFETY: a `Cpu` of this family exists only where `Isa::is_available` found its features.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Bf16 => unsafe { crate::simd::Avx512::<true>::new() }.vectorize(kernel),
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { crate::simd::Avx512::<false>::new() }.vectorize(kernel),
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { crate::simd::Avx2::new() }.vectorize(kernel),
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => unsafe { crate::simd::Neon::new() }.vectorize(kernel),
            _ => Portable.vectorize(kernel),
        }
    }
}
