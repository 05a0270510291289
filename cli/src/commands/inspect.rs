//! `seekvl inspect`.

use crate::args::InspectArgs;
use crate::exit::{Exit, Result};
use crate::output::Format;
use crate::progress::Bars;
use crate::settings::{OutputSettings, SourceSettings};
use crate::table::{pair, table};
use comfy_table::Table;
use indicatif::{BinaryBytes, HumanCount};
use seekvl::inspect::{LanguageInfo, ModelInfo, inspect, inspect_configuration};
use std::path::Path;

pub fn run(args: InspectArgs) -> Result<Exit> {
    let source = SourceSettings::from(args.source);
    let settings = OutputSettings::from(args.output);
    let path = Path::new(&args.model);
    let info = match path.extension().is_some_and(|extension| extension == "json") && path.is_file() {
        true => inspect_configuration(path)?,
        false => inspect(&source.resolve(&args.model, &mut Bars::new(settings.quiet))?)?,
    };
    let mut output = settings.open();
    match output.format {
        Format::Json => output.json(&info)?,
        Format::Text => output.line(describe(&info).trim_fmt())?,
    }
    Ok(Exit::Done)
}

fn describe(info: &ModelInfo) -> Table {
    let mut rows = table();
    let mut add = |name: &str, value: String| {
        rows.add_row(pair(name, value));
    };
    add("system", info.system.into());
    match &info.directory {
        Some(path) if path.is_file() => add("file", path.display().to_string()),
        Some(path) => add("directory", path.display().to_string()),
        None => add("directory", "none: it is part of this program".into()),
    }
    if let Some(vision) = &info.vision {
        add("vision", format!("{} blocks of width {}, {} heads", vision.layers, vision.width, vision.heads));
        let (tile, patch) = (vision.tile_size, vision.patch_size);
        let tiles = if vision.max_tiles == 0 { "views" } else { "tiles" };
        add("", format!("{tiles} of {tile} x {tile} pixels, patches of {patch} x {patch}, {} each", vision.patches));
        match vision.max_tiles {
            0 => add("", "an image is looked at as a whole".into()),
            tiles => add("", format!("an image has up to {tiles} tiles and a view of the whole")),
        }
        if let Some(high) = &vision.high {
            let (side, layers, global) = (high.image_size, high.layers, high.global);
            add(
                "",
                format!("and {layers} blocks of width {}, {} heads, on {side} x {side} pixels", high.width, high.heads),
            );
            add("", format!("{global} of them attend to everything, the rest to windows of {0} x {0}", high.window));
        }
    }
    if let Some(projector) = &info.projector {
        let joined = projector.downsample * projector.downsample;
        add(
            "projector",
            if joined == 1 { "a patch to a token".into() } else { format!("{joined} patches to a token") },
        );
        let (each, least) = (projector.tokens_per_view, projector.least_image_tokens);
        add("", format!("{each} tokens a view, at least {least} an image"));
    }
    describe_language(&info.language, &mut add);

    let parameters = &info.parameters;
    add("parameters", format!("{} in total", HumanCount(parameters.total)));
    add("  vision", HumanCount(parameters.vision as u64).to_string());
    add("  projector", HumanCount(parameters.projector as u64).to_string());
    let (all, active) = (HumanCount(parameters.language), HumanCount(parameters.language_per_token));
    add("  language", format!("{all}, of which {active} work on a token"));
    for (dtype, stored) in &info.stored {
        let (tensors, bytes) = (HumanCount(stored.tensors as u64), BinaryBytes(stored.bytes));
        add("stored", format!("{dtype}: {bytes} in {tensors} tensors, {} numbers", HumanCount(stored.elements)));
    }
    match info.files {
        0 => add("files", "no weights here".into()),
        files => add("files", files.to_string()),
    }
    rows
}

fn describe_language(language: &LanguageInfo, add: &mut impl FnMut(&str, String)) {
    let (layers, hidden) = (language.layers, language.hidden_size);
    add("language", format!("{layers} layers of width {hidden}, a vocabulary of {}", language.vocab_size));
    add("", format!("{} attention with {} heads", language.attention, language.heads));
    if language.sparse_layers > 0 {
        let (experts, chosen) = (language.experts, language.experts_per_token);
        let sparse = language.sparse_layers;
        add("", format!("{sparse} layers with {experts} experts, {chosen} for each token"));
    }
    add("context", format!("{} tokens", language.context));
    let (cache, mha) = (language.cache_bytes_per_token, language.mha_cache_bytes_per_token);
    let bytes = |bytes: usize| BinaryBytes(bytes as u64);
    let [f32, bf16, q8_0] = [cache.f32, cache.bf16, cache.q8_0].map(bytes);
    add("cache", format!("{f32} a token in f32, {bf16} in bf16, {q8_0} in q8_0"));
    let share = 100.0 * cache.f32 as f64 / mha.f32.max(1) as f64;
    add("", format!("{share:.1} % of the {} of multi-head attention", bytes(mha.f32)));
}
