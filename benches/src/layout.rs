//! The tensors of a checkpoint: names as published, shapes as its configuration gives them.

use crate::config::{Config, LanguageConfig, ProjectorConfig, VisionConfig};

/// One tensor of a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorSpec {
    /// Its name in the checkpoint.
    pub name: String,
    /// Its shape, outermost dimension first.
    pub shape: Vec<usize>,
    /// What its random values look like.
    pub init: Init,
}

/// The distribution of a tensor's values, chosen so that activations stay of the order of one through any depth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// Around zero, with a variance of one over the number of inputs.
    Weight {
        /// How many inputs each output sums.
        fan_in: usize,
    },
    /// Around zero, small.
    Bias,
    /// Around one: the weight of a norm.
    Gain,
}

/// Every tensor of the checkpoint that `config` describes.
pub fn layout(config: &Config) -> Vec<TensorSpec> {
    let mut list = List::default();
    if let Some((vision_config, projector_config)) = &config.eyes {
        vision(&mut list, vision_config);
        projector(&mut list, projector_config);
    }
    language(&mut list, if config.eyes.is_some() { "language." } else { "" }, &config.language);
    list.0
}

/// The tensors so far.
#[derive(Default)]
struct List(Vec<TensorSpec>);

impl List {
    fn push(&mut self, name: String, shape: &[usize], init: Init) {
        self.0.push(TensorSpec { name, shape: shape.to_vec(), init });
    }

    fn matrix(&mut self, name: &str, outputs: usize, inputs: usize) {
        self.push(format!("{name}.weight"), &[outputs, inputs], Init::Weight { fan_in: inputs });
    }

    fn linear(&mut self, name: &str, outputs: usize, inputs: usize) {
        self.matrix(name, outputs, inputs);
        self.push(format!("{name}.bias"), &[outputs], Init::Bias);
    }

    fn rms_norm(&mut self, name: &str, width: usize) {
        self.push(format!("{name}.weight"), &[width], Init::Gain);
    }

    fn layer_norm(&mut self, name: &str, width: usize) {
        self.rms_norm(name, width);
        self.push(format!("{name}.bias"), &[width], Init::Bias);
    }

    fn gated(&mut self, name: &str, hidden: usize, width: usize) {
        self.matrix(&format!("{name}.gate_proj"), hidden, width);
        self.matrix(&format!("{name}.up_proj"), hidden, width);
        self.matrix(&format!("{name}.down_proj"), width, hidden);
    }
}

/// timm's SigLIP, with the attention pooling that the checkpoints carry and the model leaves unused.
fn vision(list: &mut List, config: &VisionConfig) {
    let (width, patch) = (config.width, config.patch_size);
    let patches = (config.image_size / patch).pow(2);
    let hidden = (width as f64 * config.mlp_ratio) as usize;
    let mlp = |list: &mut List, name: &str| {
        list.linear(&format!("{name}.fc1"), hidden, width);
        list.linear(&format!("{name}.fc2"), width, hidden);
    };

    let fan_in = 3 * patch * patch;
    list.push("vision.patch_embed.proj.weight".into(), &[width, 3, patch, patch], Init::Weight { fan_in });
    list.push("vision.patch_embed.proj.bias".into(), &[width], Init::Bias);
    list.push("vision.pos_embed".into(), &[1, patches, width], Init::Weight { fan_in: width });
    for index in 0..config.layers {
        let block = format!("vision.blocks.{index}");
        list.layer_norm(&format!("{block}.norm1"), width);
        list.linear(&format!("{block}.attn.qkv"), 3 * width, width);
        list.linear(&format!("{block}.attn.proj"), width, width);
        list.layer_norm(&format!("{block}.norm2"), width);
        mlp(list, &format!("{block}.mlp"));
    }
    list.layer_norm("vision.norm", width);

    list.push("vision.attn_pool.latent".into(), &[1, 1, width], Init::Weight { fan_in: width });
    list.linear("vision.attn_pool.q", width, width);
    list.linear("vision.attn_pool.kv", 2 * width, width);
    list.linear("vision.attn_pool.proj", width, width);
    list.layer_norm("vision.attn_pool.norm", width);
    mlp(list, "vision.attn_pool.mlp");
}

/// The projector of two layers, and the rows that stand between visual tokens.
fn projector(list: &mut List, config: &ProjectorConfig) {
    let width = config.n_embed;
    list.linear("projector.layers.0", width, config.input_dim * config.downsample_ratio.pow(2));
    list.linear("projector.layers.2", width, width);
    for name in ["image_newline", "view_seperator"] {
        list.push(name.into(), &[width], Init::Weight { fan_in: width });
    }
}

/// The decoder, without layers for multi-token prediction.
fn language(list: &mut List, at: &str, config: &LanguageConfig) {
    let width = config.hidden_size;
    list.matrix(&format!("{at}model.embed_tokens"), config.vocab_size, width);
    for index in 0..config.num_hidden_layers {
        let layer = format!("{at}model.layers.{index}");
        list.rms_norm(&format!("{layer}.input_layernorm"), width);
        match config.kv_lora_rank {
            Some(rank) if config.use_mla => latent_attention(list, &format!("{layer}.self_attn"), config, rank),
            _ => grouped_attention(list, &format!("{layer}.self_attn"), config),
        }
        list.rms_norm(&format!("{layer}.post_attention_layernorm"), width);
        match config.n_routed_experts {
            Some(experts) if index >= config.first_k_dense_replace => {
                sparse(list, &format!("{layer}.mlp"), config, experts);
            }
            _ => list.gated(&format!("{layer}.mlp"), config.intermediate_size, width),
        }
    }
    list.rms_norm(&format!("{at}model.norm"), width);
    if !config.is_tied {
        list.matrix(&format!("{at}lm_head"), config.vocab_size, width);
    }
}

fn grouped_attention(list: &mut List, name: &str, config: &LanguageConfig) {
    let width = config.hidden_size;
    let head = width / config.num_attention_heads;
    let (queries, keys) = (config.num_attention_heads * head, config.num_key_value_heads * head);
    for (part, outputs) in [("q_proj", queries), ("k_proj", keys), ("v_proj", keys)] {
        let name = format!("{name}.{part}");
        if config.has_bias {
            list.linear(&name, outputs, width);
        } else {
            list.matrix(&name, outputs, width);
        }
    }
    list.matrix(&format!("{name}.o_proj"), width, queries);
}

fn latent_attention(list: &mut List, name: &str, config: &LanguageConfig, rank: usize) {
    let (width, heads) = (config.hidden_size, config.num_attention_heads);
    let (nope, rope, value) = (config.qk_nope_head_dim, config.qk_rope_head_dim, config.v_head_dim);
    match config.q_lora_rank {
        None => list.matrix(&format!("{name}.q_proj"), heads * (nope + rope), width),
        Some(rank) => {
            list.matrix(&format!("{name}.q_a_proj"), rank, width);
            list.rms_norm(&format!("{name}.q_a_layernorm"), rank);
            list.matrix(&format!("{name}.q_b_proj"), heads * (nope + rope), rank);
        }
    }
    list.matrix(&format!("{name}.kv_a_proj_with_mqa"), rank + rope, width);
    list.rms_norm(&format!("{name}.kv_a_layernorm"), rank);
    list.matrix(&format!("{name}.kv_b_proj"), heads * (nope + value), rank);
    list.matrix(&format!("{name}.o_proj"), width, heads * value);
}

fn sparse(list: &mut List, name: &str, config: &LanguageConfig, experts: usize) {
    let (width, hidden) = (config.hidden_size, config.moe_intermediate_size);
    list.matrix(&format!("{name}.gate"), experts, width);
    if config.topk_method == "noaux_tc" {
        list.push(format!("{name}.gate.e_score_correction_bias"), &[experts], Init::Bias);
    }
    for expert in 0..experts {
        list.gated(&format!("{name}.experts.{expert}"), hidden, width);
    }
    if let Some(shared) = config.n_shared_experts {
        list.gated(&format!("{name}.shared_experts"), shared * hidden, width);
    }
}
