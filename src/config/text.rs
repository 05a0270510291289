//! `config.json` of a language model without eyes, and of weights in 8 bits.

use super::{Keys, ModelSpec};
use crate::files::typed;
use crate::{Error, Result};
use seekvl_language::{Architecture, DecoderSpec, LanguageConfig};
use seekvl_nn::BlockSize;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::Path;

/// `quantization_config`, as DeepSeek-V3 has it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct QuantizationConfig {
    quant_method: String,
    fmt: Option<String>,
    weight_block_size: Option<[usize; 2]>,
}

impl ModelSpec {
    pub(super) fn text(path: &Path, architecture: Architecture, mut config: Map<String, Value>) -> Result<Self> {
        let keys = Keys { path };
        architecture.fill_defaults(&mut config);
        let quantization = config.remove("quantization_config").filter(|value| !value.is_null());
        let fp8_blocks = quantization.map(|value| fp8_blocks(&keys, typed(path, value)?)).transpose()?;
        let raw = LanguageConfig { architecture, ..typed(path, Value::Object(config))? };
        let language = DecoderSpec::from_config(&raw)
            .map_err(|source| Error::LanguageConfig { path: path.into(), source: Box::new(source) })?;
        Ok(Self { architecture, language, eyes: None, fp8_blocks, names: &[] })
    }
}

fn fp8_blocks(keys: &Keys<'_>, raw: QuantizationConfig) -> Result<BlockSize> {
    keys.is("quantization_config.quant_method", &raw.quant_method, "fp8")?;
    if let Some(format) = &raw.fmt {
        keys.is("quantization_config.fmt", format, "e4m3")?;
    }
    let key = "quantization_config.weight_block_size";
    let [rows, cols] =
        raw.weight_block_size.ok_or_else(|| keys.error(key, "missing", "weights need scales by blocks"))?;
    Ok(BlockSize { rows: keys.size(key, rows)?, cols: keys.size(key, cols)? })
}
