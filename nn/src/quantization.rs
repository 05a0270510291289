//! Which weights are rounded to 4 to 8 bits when a checkpoint is loaded, and to what.

use seekvl_kernels::quantized::Format;
use std::fmt::{self, Display};
use std::str::FromStr;

/// A mixture of formats for the weights of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quantization {
    /// 8 bits.
    Q8_0,
    /// 4 bits with one level of scales; the output layer 6 bits.
    Q4_0,
    /// 4 bits with two levels of scales and minima; what is more sensitive, and the output layer, 6 bits.
    Q4KM,
}

/// Inputs below which a matrix stays as it is: it would be filled up to a whole block.
const FEWEST_INPUTS: usize = 32;

impl Quantization {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Q8_0, Self::Q4_0, Self::Q4KM];

    /// The format of the matrix that a checkpoint calls `name`, or `None` where it is kept as it would be without
    /// quantisation. This is the one place that decides.
    ///
    /// | matrices | `q8_0` | `q4_0` | `q4_k_m` |
    /// | --- | --- | --- | --- |
    /// | token embedding | stored | stored | stored |
    /// | up-projection of latent attention, `kv_b_proj` | stored | stored | stored |
    /// | convolutions, over patches too | stored | stored | stored |
    /// | matrices of less than 32 inputs | stored | stored | stored |
    /// | vision tower and projector | Q8_0 | Q8_0 | Q8_0 |
    /// | output layer, `lm_head` | Q8_0 | Q6_K | Q6_K |
    /// | values and latents: `v_proj`, `kv_a_proj_with_mqa` | Q8_0 | Q4_0 | Q6_K |
    /// | `down_proj` of layers 0, 2, 4, .. | Q8_0 | Q4_0 | Q6_K |
    /// | all other matrices of the language model | Q8_0 | Q4_0 | Q4_K |
    ///
    /// Vectors (norms, biases, positions) and routers, which the models ask for as f32, are never quantised.
    ///
    /// Rows of the embedding are looked up, not multiplied: it stays in the mapped file, of which only the rows in use
    /// are read; so it does where it serves as output layer too. `kv_b_proj` is cut by heads, and transposed for the
    /// keys. The patches are 0.2 % of the tower's work, and their pixels have few values. The mixture follows what is
    /// customary for files of this name: outputs of feed-forward layers, and whatever the cache keeps, lose most.
    ///
    /// No number of inputs is refused: rows are filled up with zeros to 32 weights, where a file of such blocks would
    /// need whole blocks of 256.
    pub fn format(self, name: &str, inputs: usize) -> Option<Format> {
        let path = name.strip_suffix(".weight").unwrap_or(name);
        let parts: Vec<&str> = path.split('.').collect();
        let has = |part: &str| parts.contains(&part);
        let layer = parts.windows(2).find_map(|pair| (pair[0] == "layers").then(|| pair[1].parse::<usize>().ok())?);
        let has_any = |names: &[&str]| names.iter().any(|name| has(name));
        if inputs < FEWEST_INPUTS || has_any(&["embed_tokens", "kv_b_proj", "patch_embed", "patch_embedding"]) {
            return None;
        }
        // DeepSeek-VL's names begin with `vision_model`, `aligner` or, in Transformers, `model.` and one of these.
        if parts.iter().any(|part| part.contains("vision")) || has_any(&["projector", "aligner"]) {
            return Some(Format::Q8_0);
        }
        let sensitive = has("v_proj")
            || has("kv_a_proj_with_mqa")
            || has("down_proj") && layer.is_some_and(|layer| layer.is_multiple_of(2));
        Some(match self {
            Self::Q8_0 => Format::Q8_0,
            Self::Q4_0 | Self::Q4KM if has("lm_head") => Format::Q6K,
            Self::Q4_0 => Format::Q4_0,
            Self::Q4KM if sensitive => Format::Q6K,
            Self::Q4KM => Format::Q4K,
        })
    }
}

impl Display for Quantization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Q8_0 => "q8_0",
            Self::Q4_0 => "q4_0",
            Self::Q4KM => "q4_k_m",
        })
    }
}

/// Words that name no [`Quantization`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no quantisation is called {0:?}; there are q8_0, q4_0 and q4_k_m")]
pub struct UnknownQuantization(String);

impl FromStr for Quantization {
    type Err = UnknownQuantization;

    fn from_str(name: &str) -> Result<Self, UnknownQuantization> {
        let named = Self::ALL.into_iter().find(|quantization| quantization.to_string().eq_ignore_ascii_case(name));
        named.ok_or_else(|| UnknownQuantization(name.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for quantization in Quantization::ALL {
            assert_eq!(quantization.to_string().parse(), Ok(quantization));
        }
        assert_eq!("Q4_K_M".parse(), Ok(Quantization::Q4KM));
        let error = "q3_k".parse::<Quantization>().map_err(|error| error.to_string());
        assert_eq!(error, Err("no quantisation is called \"q3_k\"; there are q8_0, q4_0 and q4_k_m".into()));
    }

    #[test]
    fn every_kind_of_matrix_has_its_format() {
        use Format::{Q4_0, Q4K, Q6K, Q8_0};
        let cases = [
            ("language.model.embed_tokens.weight", [None; 3]),
            ("language.model.layers.3.self_attn.kv_b_proj.weight", [None; 3]),
            ("vision.patch_embed.proj.weight", [None; 3]),
            ("vision.blocks.2.mlp.fc2.weight", [Some(Q8_0); 3]),
            ("projector.layers.0.weight", [Some(Q8_0); 3]),
            ("vision_model.vision_tower.blocks.2.mlp.fc2.weight", [Some(Q8_0); 3]),
            ("model.vision_model.vision_model.encoder.layers.0.self_attn.v_proj.weight", [Some(Q8_0); 3]),
            ("model.vision_model.vision_model.embeddings.patch_embedding.weight", [None; 3]),
            ("model.high_res_vision_model.vision_encoder.layers.0.mlp.lin1.weight", [Some(Q8_0); 3]),
            ("aligner.high_up_proj.weight", [Some(Q8_0); 3]),
            ("model.aligner.linear1.weight", [Some(Q8_0); 3]),
            ("model.language_model.layers.1.self_attn.v_proj.weight", [Some(Q8_0), Some(Q4_0), Some(Q6K)]),
            ("language.lm_head.weight", [Some(Q8_0), Some(Q6K), Some(Q6K)]),
            ("language.model.layers.3.self_attn.v_proj.weight", [Some(Q8_0), Some(Q4_0), Some(Q6K)]),
            ("language.model.layers.3.self_attn.kv_a_proj_with_mqa.weight", [Some(Q8_0), Some(Q4_0), Some(Q6K)]),
            ("language.model.layers.2.mlp.experts.7.down_proj.weight", [Some(Q8_0), Some(Q4_0), Some(Q6K)]),
            ("language.model.layers.3.mlp.experts.6.down_proj.weight", [Some(Q8_0), Some(Q4_0), Some(Q4K)]),
            ("language.model.layers.2.mlp.experts.6.up_proj.weight", [Some(Q8_0), Some(Q4_0), Some(Q4K)]),
            ("language.model.layers.0.self_attn.q_proj.weight", [Some(Q8_0), Some(Q4_0), Some(Q4K)]),
        ];
        for (name, formats) in cases {
            assert_eq!(Quantization::ALL.map(|quantization| quantization.format(name, 896)), formats, "{name}");
            assert_eq!(Quantization::ALL.map(|quantization| quantization.format(name, 31)), [None; 3], "{name}");
        }
    }
}
