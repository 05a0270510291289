//! The files beside the checkpoints, which need no weights.

use super::golden::{Preprocess, lossy_pictures};
use super::{DoctorOptions, Notebook, PartReport, Stage};
use crate::conversation::{Conversation, RoleMessage};
use crate::files::{ModelFiles, read_json};
use crate::processor::Processor;
use crate::{Error, Result};
use seekvl_projector::{ImageLayout, ViewOrder};
use seekvl_vision::{Conversion, DecodeOptions, Resolution, Rgb, Tiles, TilingConfig, TilingSpec};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;

/// Checks what there is of them; `None` if there is nothing.
pub fn check(dir: &Path) -> Result<Option<PartReport>> {
    let mut notebook = Notebook::new(&DoctorOptions::default());
    type Check = fn(&Path, &Path, &mut Notebook) -> Result<()>;
    let checks: [(&str, Check); 3] =
        [("tiling.json", tiling), ("preprocess.json", preprocessing), ("templates.json", templates)];
    for (file, check) in checks {
        let path = dir.join(file);
        if path.is_file() {
            check(dir, &path, &mut notebook)?;
        }
    }
    Ok((!notebook.stages.is_empty()).then(|| notebook.into_report(".".into())))
}

fn spec(candidates: &[[u32; 2]]) -> Result<TilingSpec> {
    let candidate_resolutions = candidates.iter().map(|&[width, height]| Resolution { width, height }).collect();
    let config = TilingConfig { candidate_resolutions, image_mean: [0.5; 3], image_std: [0.5; 3], normalize: true };
    Ok(TilingSpec::try_from(config)?)
}

#[derive(Deserialize)]
struct Tiling {
    candidate_resolutions: Vec<[u32; 2]>,
    image_size: usize,
    patch_size: usize,
    downsample_ratio: usize,
    cases: Vec<TilingCase>,
}

/// Size, best resolution, tokens, and where the picture lands in the global view and in the local ones.
type TilingCase = (u32, u32, u32, u32, usize, Option<[u32; 4]>, Option<[u32; 4]>);

fn tiling(_: &Path, path: &Path, notebook: &mut Notebook) -> Result<()> {
    let tiling: Tiling = read_json(path)?;
    let spec = spec(&tiling.candidate_resolutions)?;
    let side = (tiling.image_size.checked_div(tiling.patch_size).unwrap_or(0)).div_ceil(tiling.downsample_ratio.max(1));
    let layout = ImageLayout { side, order: ViewOrder::GlobalFirst };
    for (width, height, best_width, best_height, tokens, global, local) in tiling.cases {
        let request = format!("{width}x{height}");
        let best = spec.best_resolution(width, height);
        let grid = spec.grid(width, height, true);
        let slots = layout.slots(grid.cols as usize, grid.rows as usize);
        let view = Resolution { width: spec.tile_size(), height: spec.tile_size() };
        let place =
            |canvas| seekvl_vision::Placement::fit(width, height, canvas).map(|at| [at.x, at.y, at.width, at.height]);
        let got = [Some([best.width, best.height, slots as u32, 0]), place(view), place(best)];
        let expected = [Some([best_width, best_height, tokens as u32, 0]), global, local];
        notebook.same(Stage::Tiling, &request, &got, &expected);
    }
    Ok(())
}

fn preprocessing(dir: &Path, path: &Path, notebook: &mut Notebook) -> Result<()> {
    let preprocess: Preprocess = read_json(path)?;
    let spec = spec(&preprocess.candidate_resolutions)?;
    let lossy = lossy_pictures(dir)?;
    for (name, expected) in &preprocess.images {
        let decode = DecodeOptions { conversion: Conversion::AsStored, ..DecodeOptions::default() };
        let picture = match lossy.get(name) {
            Some(picture) => picture.clone(),
            None => Arc::new(Rgb::open(dir.join("images").join(name), &decode)?),
        };
        let tiles = Tiles::new(&picture, &spec, true);
        let grid = tiles.grid();
        notebook.same(Stage::Tiling, name, &[grid.cols, grid.rows], &expected.images_spatial_crop);
        let mut got = vec![sha256(picture.pixels())];
        got.extend(tiles.views().map(sha256));
        let mut hashes = vec![expected.rgb_sha256.clone()];
        hashes.extend(expected.tile_sha256.iter().cloned());
        notebook.same(Stage::Preprocessing, name, &got, &hashes);
    }
    Ok(())
}

/// In hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Deserialize)]
struct Templates {
    tokenizer: String,
    conversations: Vec<TemplateCase>,
}

#[derive(Deserialize)]
struct TemplateCase {
    name: String,
    messages: Vec<RoleMessage>,
    /// None where the original refuses the conversation.
    input_ids: Option<Vec<u32>>,
}

fn templates(dir: &Path, path: &Path, notebook: &mut Notebook) -> Result<()> {
    let templates: Templates = read_json(path)?;
    if Path::new(&templates.tokenizer).components().count() != 1 {
        return Err(Error::Reference { path: path.into(), reason: "tokenizer is not the name of a directory".into() });
    }
    let processor = Processor::read(&ModelFiles::in_dir(dir.join(&templates.tokenizer))?)?;
    for case in templates.conversations {
        let Some(expected) = case.input_ids else { continue };
        let prompt = processor.prompt(&Conversation::from_messages(case.messages)?, &[])?;
        notebook.same(Stage::Templates, &case.name, &prompt.ids, &expected);
    }
    Ok(())
}
