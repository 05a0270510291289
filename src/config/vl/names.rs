//! What DeepSeek-VL's checkpoints call the tensors that the models ask for by DeepSeek-VL2's names.

use seekvl_nn::Renaming;

/// The original's, with one tower.
pub const ORIGINAL: &[Renaming] = &[
    Renaming::prefix("vision.", "vision_model.vision_tower."),
    Renaming::prefix("projector.", "aligner."),
    Renaming::prefix("language.", "language_model."),
];

/// The original's, with two.
pub const ORIGINAL_HYBRID: &[Renaming] = &[
    Renaming::prefix("vision.", "vision_model.vision_tower_low.vision_tower."),
    Renaming::prefix("high.", "vision_model.vision_tower_high.vision_tower."),
    Renaming::prefix("unused.", "vision_model."),
    Renaming::prefix("projector.", "aligner."),
    Renaming::prefix("language.", "language_model."),
];

const PATCHES: Renaming =
    Renaming::prefix("vision.patch_embed.proj.", "model.vision_model.vision_model.embeddings.patch_embedding.");
const POSITIONS: Renaming =
    Renaming::prefix("vision.pos_embed", "model.vision_model.vision_model.embeddings.position_embedding.weight");
const BLOCKS: Renaming = Renaming {
    asked: "vision.blocks.",
    stored: "model.vision_model.vision_model.encoder.layers.",
    parts: &[
        (".attn.q.", ".self_attn.q_proj."),
        (".attn.k.", ".self_attn.k_proj."),
        (".attn.v.", ".self_attn.v_proj."),
        (".attn.proj.", ".self_attn.out_proj."),
        (".norm", ".layer_norm"),
    ],
};
const NORM: Renaming = Renaming::prefix("vision.norm.", "model.vision_model.vision_model.post_layernorm.");
const POOLING: Renaming = Renaming::prefix("vision.attn_pool.", "model.vision_model.vision_model.head.");
const MODEL: Renaming = Renaming::prefix("language.model.", "model.language_model.");
const OUTPUT: Renaming = Renaming::prefix("language.", "");

/// Transformers', with one tower.
pub const TRANSFORMERS: &[Renaming] = &[
    PATCHES,
    POSITIONS,
    BLOCKS,
    NORM,
    POOLING,
    Renaming::prefix("projector.layers.0.", "model.aligner.linear1."),
    Renaming::prefix("projector.layers.2.", "model.aligner.linear2."),
    MODEL,
    OUTPUT,
];

const NECK: &[(&str, &str)] =
    &[("0.weight", "conv1.weight"), ("1.", "layer_norm1."), ("2.weight", "conv2.weight"), ("3.", "layer_norm2.")];

/// Transformers', with two.
pub const TRANSFORMERS_HYBRID: &[Renaming] = &[
    PATCHES,
    POSITIONS,
    BLOCKS,
    NORM,
    POOLING,
    Renaming {
        asked: "high.blocks.",
        stored: "model.high_res_vision_model.vision_encoder.layers.",
        parts: &[(".norm", ".layer_norm")],
    },
    Renaming { asked: "high.neck.", stored: "model.high_res_vision_model.vision_encoder.neck.", parts: NECK },
    Renaming { asked: "high.neck_hd.", stored: "model.high_res_vision_neck.", parts: NECK },
    Renaming::prefix("high.downsamples.0.", "model.high_res_vision_proj.conv1."),
    Renaming::prefix("high.downsamples.1.", "model.high_res_vision_proj.conv2."),
    Renaming::prefix("high.hd_alpha_downsamples", "model.high_res_vision_alpha"),
    Renaming {
        asked: "high.",
        stored: "model.high_res_vision_model.vision_encoder.",
        parts: &[("patch_embed.proj.", "patch_embed.projection.")],
    },
    Renaming::prefix("projector.high_up_proj.", "model.aligner.high_res_vision_proj."),
    Renaming::prefix("projector.low_up_proj.", "model.aligner.vision_proj."),
    Renaming::prefix("projector.layers.1.", "model.aligner.proj."),
    MODEL,
    OUTPUT,
];
