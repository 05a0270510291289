//! Which tensor of a file gets which type: the rules of llama.cpp's `llama-quant.cpp`, without an importance matrix.

use seekvl_language::{AttentionSpec, DecoderSpec};
use seekvl_nn::{Format, StoredDtype};
use std::fmt::{self, Display};
use std::str::FromStr;

/// What the matrices of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileType {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// bfloat16.
    Bf16,
    /// 8 bits.
    Q8_0,
    /// 4 bits with one level of scales; the output layer 6 bits.
    Q4_0,
    /// 4 bits with two levels of scales and minima; 6 where it matters more.
    Q4KM,
}

impl FileType {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::F32, Self::F16, Self::Bf16, Self::Q8_0, Self::Q4_0, Self::Q4KM];

    /// The number of `general.file_type`.
    pub(super) fn code(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q8_0 => 7,
            Self::Q4KM => 15,
            Self::Bf16 => 32,
        }
    }

    pub(super) fn is_quantized(self) -> bool {
        matches!(self, Self::Q8_0 | Self::Q4_0 | Self::Q4KM)
    }

    fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Q8_0 => "q8_0",
            Self::Q4_0 => "q4_0",
            Self::Q4KM => "q4_k_m",
        }
    }
}

impl Display for FileType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for FileType {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name));
        named.ok_or_else(|| format!("no file type is called {name:?}; there are f32, f16, bf16, q8_0, q4_0 and q4_k_m"))
    }
}

/// The type of a tensor called `name` in a file, of this row-major shape. Vectors, norms, routers and positions are f32, and the
/// convolution over patches too; the tower and the projector are Q8_0 in any quantised file, where llama.cpp, which has
/// them in a file of their own, leaves the choice to whoever quantises that.
pub(super) fn dtype(to: FileType, name: &str, shape: &[usize], spec: &DecoderSpec) -> StoredDtype {
    let is_matrix = shape.len() > 1 && name.ends_with(".weight") && !name.ends_with("_norm.weight");
    let kept = ["ffn_gate_inp.", "v.position_embd", "v.patch_embd"].iter().any(|part| name.contains(part));
    if !is_matrix || kept {
        return StoredDtype::F32;
    }
    let is_eye = name.starts_with("v.") || name.starts_with("mm.");
    let format = match to {
        FileType::F32 => return StoredDtype::F32,
        FileType::F16 => return StoredDtype::F16,
        FileType::Bf16 => return StoredDtype::BF16,
        FileType::Q8_0 | FileType::Q4_0 | FileType::Q4KM if is_eye => Format::Q8_0,
        FileType::Q8_0 => Format::Q8_0,
        FileType::Q4_0 => fit(Format::Q4_0, to, name, shape, spec),
        FileType::Q4KM => fit(Format::Q4K, to, name, shape, spec),
    };
    fallback(format, shape.last().copied().unwrap_or(0))
}

/// The format of a matrix of the language model in a file of 4 bits.
fn fit(format: Format, to: FileType, name: &str, shape: &[usize], spec: &DecoderSpec) -> Format {
    let has = |part: &str| name.contains(part);
    let is_output = name == "output.weight" || spec.tied_embeddings && name == "token_embd.weight";
    if is_output {
        return if shape.last().is_some_and(|cols| cols.is_multiple_of(format.values())) {
            Format::Q6K
        } else {
            Format::Q8_0
        };
    }
    let layer = super::names::numbered(name, "blk.").and_then(|(layer, _)| layer.parse().ok()).unwrap_or(0);
    let mixes = to == FileType::Q4KM;
    let eight_experts = spec.sparse.as_ref().is_some_and(|sparse| sparse.router.experts == 8);
    if has("attn_v.weight") || has("attn_kv_b.weight") {
        return match () {
            () if eight_experts => Format::Q8_0,
            () if mixes && deserves_more(layer, spec.layers) => Format::Q6K,
            () if mixes && is_70b(spec) => Format::Q5K,
            () => format,
        };
    }
    match () {
        () if has("attn_k.weight") && eight_experts => Format::Q8_0,
        () if has("attn_output.weight") && eight_experts && mixes => Format::Q5K,
        () if has("ffn_down") && mixes && deserves_more(layer, spec.layers) => Format::Q6K,
        () => format,
    }
}

/// The first and the last eighth of the layers, and every third between.
fn deserves_more(layer: usize, layers: usize) -> bool {
    let eighth = layers / 8;
    layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2
}

/// Eighty layers with grouped queries: their values are small, and used often.
fn is_70b(spec: &DecoderSpec) -> bool {
    let grouped = matches!(spec.attention, AttentionSpec::Grouped { heads, kv_heads, .. } if heads != kv_heads);
    spec.layers == 80 && grouped
}

/// Rows that are no whole blocks have a format of smaller blocks, or else floats.
fn fallback(format: Format, cols: usize) -> StoredDtype {
    let smaller = match format {
        Format::Q4K => Some(Format::Q5_0),
        Format::Q5K => Some(Format::Q5_1),
        Format::Q6K => Some(Format::Q8_0),
        _ => None,
    };
    let fits = |format: &Format| cols.is_multiple_of(format.values());
    [Some(format), smaller].into_iter().flatten().find(fits).map_or(StoredDtype::F16, StoredDtype::Blocks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use seekvl_language::LanguageConfig;

    #[test]
    fn names_are_read_as_they_are_written() {
        for kind in FileType::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert!("q3_k".parse::<FileType>().is_err());
    }

    /// As `llama-quantize` has it for a model of 32 layers.
    #[test]
    fn every_kind_of_tensor_has_its_type() {
        use Format::{Q4_0, Q4K, Q6K, Q8_0};
        let config = LanguageConfig { use_mla: false, num_hidden_layers: 32, ..LanguageConfig::default() };
        let spec = DecoderSpec::from_config(&config).expect("a specification");
        let block = StoredDtype::Blocks;
        let all = |name: &str, cols: usize| {
            [FileType::Q8_0, FileType::Q4_0, FileType::Q4KM].map(|to| dtype(to, name, &[8, cols], &spec))
        };
        let cases = [
            ("token_embd.weight", [Q8_0, Q4_0, Q4K]),
            ("output.weight", [Q8_0, Q6K, Q6K]),
            ("blk.0.attn_v.weight", [Q8_0, Q4_0, Q6K]),
            ("blk.4.attn_v.weight", [Q8_0, Q4_0, Q4K]),
            ("blk.6.attn_v.weight", [Q8_0, Q4_0, Q6K]),
            ("blk.28.ffn_down.weight", [Q8_0, Q4_0, Q6K]),
            ("blk.7.ffn_down_exps.weight", [Q8_0, Q4_0, Q4K]),
            ("blk.7.ffn_up.weight", [Q8_0, Q4_0, Q4K]),
            ("v.blk.0.ffn_up.weight", [Q8_0, Q8_0, Q8_0]),
        ];
        for (name, formats) in cases {
            assert_eq!(all(name, 512), formats.map(block), "{name}");
        }
        let floats =
            ["blk.0.attn_norm.weight", "blk.0.ffn_gate_inp.weight", "v.position_embd.weight", "blk.0.attn_q.bias"];
        for name in floats {
            assert_eq!(all(name, 512), [StoredDtype::F32; 3], "{name}");
        }
        let (q5_0, f16) = (StoredDtype::Blocks(Format::Q5_0), StoredDtype::F16);
        assert_eq!(all("blk.4.ffn_down.weight", 1408), [block(Q8_0), block(Q4_0), q5_0]);
        assert_eq!(all("blk.0.ffn_down.weight", 1408), [block(Q8_0), block(Q4_0), block(Q8_0)]);
        assert_eq!(all("output.weight", 1408), [block(Q8_0), block(Q8_0), block(Q8_0)]);
        assert_eq!(all("blk.4.ffn_up.weight", 72), [f16; 3]);
    }
}
