//! Writing a model into a GGUF file.

use super::plan::{Piece, pieces};
use super::{FileType, SAMPLING, metadata, mixture, tokenizer, vision};
use crate::chat_template;
use crate::config::{Family, ProcessorConfig, RawConfig};
use crate::files::ModelFiles;
use crate::hub::Progress;
use crate::processor::Processor;
use crate::{Error, Result};
use half::{bf16, f16};
use seekvl_nn::{Cpu, Device, GgufEntry, GgufWriter, Loader, StoredDtype, Value as Stored, WeightType, quantize_rows};
use serde_json::{Map, Value};
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Numbers that are held at once, roughly: a few megabytes.
const AT_ONCE: usize = 1 << 20;

/// Writes a model into one GGUF file: the language model as llama.cpp's converters have it, the vision tower and the projector of
/// DeepSeek-VL2 beside it, and the tokenizer. Returns the file's size in bytes.
///
/// Weights are read, rounded and written a few rows at a time. The file is written under a name that ends in `.part` and gets
/// its own when it is complete; a file of that name is replaced then, or the one that a link of that name leads to. A file under
/// the first name is not touched: it is another's.
///
/// # Errors
/// [`Error::NoGguf`] for a model that has no form there; a checkpoint with tensors that are missing, misshapen or unknown; a file
/// that cannot be written.
pub fn quantize(files: &ModelFiles, to: FileType, out: &Path, progress: &mut dyn Progress) -> Result<u64> {
    let out = &destination(out)?;
    let processor = Processor::read(files)?;
    if processor.spec().eyes.as_ref().is_some_and(|eyes| eyes.family == Family::Vl) {
        return Err(Error::NoGguf { reason: "there are no keys for DeepSeek-VL's vision towers".into() });
    }
    let mut loader = Loader::new(Arc::new(files.checkpoint()?), Device::Cpu, WeightType::AsStored)?;
    if let Some(blocks) = processor.spec().fp8_blocks {
        loader = loader.with_fp8_blocks(blocks);
    }
    let keys = keys(files, &processor, to)?;
    let pieces = pieces(&loader, processor.spec())?;
    loader.finish()?;
    check_complete(&pieces, &processor)?;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Read { path, source }
    };
    let mut part = out.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let file = File::create_new(&part).map_err(taken).map_err(failed(&part))?;
    let written = write(file, out, &keys, &pieces, &processor, to, progress);
    let moved = written.map_err(failed(&part)).and_then(|()| fs::rename(&part, out).map_err(failed(out)));
    if moved.is_err() {
        // What failed is told; this could only fail for the same reason.
        let _ = fs::remove_file(&part);
    }
    moved?;
    fs::metadata(out).map(|data| data.len()).map_err(failed(out))
}

/// The file that `out` names or leads to.
fn destination(out: &Path) -> Result<PathBuf> {
    let failed = |source| Error::Read { path: out.into(), source };
    match fs::metadata(out) {
        Ok(data) if !data.is_file() => Err(failed(io::Error::other("it is there, and no file"))),
        Ok(_) => out.canonicalize().map_err(failed),
        Err(_) => Ok(out.into()),
    }
}

/// What to do about a `.part` that is there.
fn taken(error: io::Error) -> io::Error {
    let reason = "it is there already, of an earlier run that was interrupted, or another's; remove it first";
    match error.kind() {
        io::ErrorKind::AlreadyExists => io::Error::new(error.kind(), reason),
        _ => error,
    }
}

fn keys(files: &ModelFiles, processor: &Processor, to: FileType) -> Result<Vec<(String, Stored)>> {
    let spec = processor.spec();
    let name = files.dir.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let mut keys = metadata::language(spec, name.as_deref().unwrap_or("model"))?.values;
    keys.push(("general.file_type".into(), Stored::U32(to.code())));
    if to.is_quantized() {
        keys.push(("general.quantization_version".into(), Stored::U32(2)));
    }
    if let (Some(_), Some(file)) = (&spec.eyes, &files.processor_config) {
        let config: RawConfig = files.config.read_json()?;
        let (texts, tiling): (ProcessorConfig, _) = (file.read_json()?, file.read_json()?);
        keys.extend(vision::metadata(&config, &texts, &tiling));
    }
    let template = if spec.eyes.is_some() { None } else { chat_template::source(files)?.map(|(_, source)| source) };
    keys.extend(tokenizer::metadata(processor.tokenizer(), spec.language.vocab_size, template)?);
    let other_end = |id: &&u32| processor.tokenizer().eos_id() != Some(**id);
    if let Some(id) = processor.end_ids().iter().find(other_end) {
        keys.push(("tokenizer.ggml.eot_token_id".into(), Stored::U32(*id)));
    }
    if let Some(file) = &files.generation_config {
        keys.extend(sampling(&file.read_json()?));
    }
    Ok(keys)
}

fn sampling(config: &Map<String, Value>) -> Vec<(String, Stored)> {
    if config.get("do_sample") != Some(&Value::Bool(true)) {
        return Vec::new();
    }
    let value = |name: &str| match config.get(name)? {
        value if name == "top_k" => Some(Stored::I32(value.as_i64()?.try_into().ok()?)),
        value => Some(Stored::F32(value.as_f64()? as f32)),
    };
    let pairs = SAMPLING.iter().filter_map(|(key, name)| Some((format!("general.sampling.{key}"), value(name)?)));
    pairs.collect()
}

/// Whether there is all that the configuration asks for: each tensor that there is was found to be known.
fn check_complete(pieces: &[Piece], processor: &Processor) -> Result<()> {
    let spec = processor.spec();
    let weights = pieces.iter().filter(|piece| piece.name != super::names::FACTORS);
    let found: u64 = weights.map(|piece| piece.shape.iter().product::<usize>() as u64).sum();
    let expected = spec.parameters().total - spec.language.mtp_parameters();
    if found == expected {
        return Ok(());
    }
    let reason = format!("the checkpoint has {found} weights, its configuration {expected}");
    Err(Error::NoGguf { reason })
}

fn write(
    file: File,
    name: &Path,
    keys: &[(String, Stored)],
    pieces: &[Piece],
    processor: &Processor,
    to: FileType,
    progress: &mut dyn Progress,
) -> io::Result<()> {
    let entry = |piece: &Piece| GgufEntry {
        dtype: mixture::dtype(to, &piece.name, &piece.shape, &processor.spec().language),
        name: piece.name.clone(),
        shape: piece.shape.clone(),
    };
    let entries: Vec<GgufEntry> = pieces.iter().map(entry).collect();
    let mut writer = GgufWriter::new(BufWriter::new(file), keys, &entries)?;
    let total: usize = entries.iter().filter_map(GgufEntry::bytes).sum();
    progress.start(&name.file_name().unwrap_or_default().to_string_lossy(), total as u64);
    for (piece, entry) in pieces.iter().zip(&entries) {
        write_piece(piece, entry, &mut writer, progress)?;
        piece.source.release();
    }
    progress.finish();
    writer.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

fn write_piece<W: io::Write>(
    piece: &Piece,
    entry: &GgufEntry,
    writer: &mut GgufWriter<W>,
    progress: &mut dyn Progress,
) -> io::Result<()> {
    let read = piece.source.reader();
    let elements: usize = piece.shape.iter().product();
    let cols = piece.source.cols().max(1);
    let (rows, step) = (elements / cols, (AT_ONCE / cols).max(1));
    let mut values = vec![0.0; cols];
    for first in (0..rows).step_by(step) {
        let count = step.min(rows - first);
        let bytes = match entry.dtype {
            StoredDtype::Blocks(format) => {
                let row = format.row_bytes(cols).ok_or_else(|| io::Error::other("rows of no whole blocks"))?;
                let mut bytes = vec![0; count * row];
                quantize_rows(Cpu::detect(), format, cols, |row, values| read(first + row, values), &mut bytes);
                bytes
            }
            dtype => {
                let mut bytes = Vec::with_capacity(count * cols * size_of::<f32>());
                for row in first..first + count {
                    read(row, &mut values);
                    match dtype {
                        StoredDtype::F16 => bytes.extend(values.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes())),
                        StoredDtype::BF16 => bytes.extend(values.iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes())),
                        _ => bytes.extend(values.iter().flat_map(|x| x.to_le_bytes())),
                    }
                }
                bytes
            }
        };
        writer.write(&bytes)?;
        progress.advance(bytes.len() as u64);
    }
    Ok(())
}
