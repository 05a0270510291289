//! One checkpoint against its golden files.

use super::golden::{self, Golden, Request, Tensors, lossy_pictures};
use super::set::sha256;
use super::{DoctorOptions, LayerPart, Notebook, PartReport, Stage};
use crate::config::is_known as is_known_type;
use crate::conversation::{Conversation, Image};
use crate::files::{self, CONFIG, ModelFiles, WEIGHTS, Wanted, read_json};
use crate::processor::Prepared;
use crate::recall::Pictures;
use crate::{Error, Model, Result, TilingOptions};
use seekvl_language::{
    Cancel, Engine, GenerationOptions, LatentForm, Mtp, Request as EngineRequest, Sampling, Span, TokenSequence,
};
use seekvl_nn::{Tensor, to_vec};
use seekvl_vision::{Conversion, DecodeOptions, Rgb, Tiles, shrink};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The directory of the other layout of a checkpoint.
const ORIGINAL: &str = "original";

/// Whether this version runs the checkpoint's system.
pub fn is_known(dir: &Path) -> Result<bool> {
    #[derive(Deserialize)]
    struct Source {
        model: Option<String>,
    }
    #[derive(Deserialize)]
    struct Kind {
        model_type: Option<String>,
    }
    if read_json::<Source>(&dir.join(golden::JSON))?.model.is_some() {
        return Ok(true);
    }
    let config = dir.join(CONFIG);
    if !config.is_file() {
        // Then there is a GGUF file, or nothing.
        return Ok(ModelFiles::in_dir(dir).is_ok());
    }
    let kind: Kind = read_json(&config)?;
    Ok(kind.model_type.as_deref().is_some_and(is_known_type))
}

/// Checks a checkpoint, and then the other layout of it, if it has one.
pub fn check(dir: &Path, options: &DoctorOptions) -> Result<Vec<PartReport>> {
    let path = dir.join(golden::JSON);
    let golden: Golden = read_json(&path)?;
    let other =
        |id| Error::Reference { path: path.clone(), reason: format!("model {id:?} is not part of this program") };
    let files = match &golden.model {
        Some(id) => files::embedded(id, Wanted::Everything).ok_or_else(|| other(id))??,
        None => ModelFiles::in_dir(dir)?,
    };
    let name = super::name(dir);
    let mut parts = vec![check_layout(dir, &golden, &files, name.clone(), options)?];
    let original = dir.join(ORIGINAL);
    if original.join(CONFIG).is_file() && original.join(WEIGHTS).is_file() {
        let files = files.with_layout(&original);
        parts.push(check_layout(dir, &golden, &files, format!("{name}/{ORIGINAL}"), options)?);
    }
    Ok(parts)
}

fn check_layout(
    dir: &Path,
    golden: &Golden,
    files: &ModelFiles,
    part: String,
    options: &DoctorOptions,
) -> Result<PartReport> {
    let set = match dir.canonicalize().ok().as_deref().and_then(Path::parent) {
        Some(parent) => parent.to_owned(),
        None => dir.join(".."),
    };
    let model = Model::builder()
        .weights(options.weights)
        .quantization(options.quantization)
        .device(options.device.clone())
        .load_files(files)?;
    let mut doctor = Doctor {
        lossy: lossy_pictures(&set)?,
        set,
        tensors: Tensors::read(&dir.join(golden::TENSORS))?,
        model: &model,
        golden,
        latent_form: options.latent_form,
        notebook: Notebook::new(options),
    };
    doctor.tokenizer();
    doctor.template()?;
    for (name, request) in &golden.requests {
        doctor.notebook.begin();
        if let Some(prompt) = request.prompt() {
            doctor.plain(name, request, prompt)?;
        } else if request.rows.is_empty() {
            doctor.single(name, request)?;
        } else {
            let rows = request.rows.iter().map(|row| golden.requests.get(row));
            let rows: Option<Vec<&Request>> = rows.collect();
            let path = dir.join(golden::JSON);
            let unknown = || Error::Reference { path, reason: format!("{name} has a row that is none") };
            doctor.batch(name, request, &rows.ok_or_else(unknown)?)?;
        }
    }
    Ok(doctor.notebook.into_report(part))
}

mod plain;
mod probes;

use probes::{DecoderCheck, TowerCheck};

struct Doctor<'m> {
    /// The directory with `images/` and `preprocess.json`.
    set: PathBuf,
    lossy: BTreeMap<String, Arc<Rgb>>,
    tensors: Tensors,
    model: &'m Model,
    golden: &'m Golden,
    latent_form: Option<LatentForm>,
    notebook: Notebook,
}

impl Doctor<'_> {
    fn tokenizer(&mut self) {
        let tokenizer = self.model.processor().tokenizer();
        for case in &self.golden.tokenizer_cases {
            let ids = tokenizer.encode(&case.text).unwrap_or_default();
            self.notebook.same(Stage::Tokenizer, &format!("{:?}", case.text), &ids, &case.ids);
            let got = [tokenizer.decode(&case.ids, false), tokenizer.decode(&case.ids, true)];
            let expected = [case.decoded.clone(), case.decoded_skip_special.clone()];
            self.notebook.same(Stage::Tokenizer, &format!("{:?}", case.text), &got, &expected);
        }
    }

    fn template(&mut self) -> Result<()> {
        let Some(cases) = &self.golden.template else { return Ok(()) };
        let processor = self.model.processor();
        let conversation = Conversation::from_messages(cases.multi_turn.messages.clone())?;
        let got = processor.prompt(&conversation, &[])?.ids;
        let expected = processor.raw_prompt(&cases.multi_turn.prompt)?.ids;
        self.notebook.same(Stage::Templates, "multi_turn", &got, &expected);
        Ok(())
    }

    fn single(&mut self, name: &str, request: &Request) -> Result<()> {
        let prepared = self.prepare(request)?;
        self.tokens(name, request, &prepared, 0)?;
        self.pixels(name, request, &prepared)?;
        let sequence = self.see(name, &prepared)?;
        let (_, last) = self.language(name, &sequence)?;
        self.sampling(name, request, &sequence, &last)?;
        self.greedy(name, request, sequence)
    }

    fn prepare(&self, request: &Request) -> Result<Prepared> {
        let mut conversation = Conversation::from_messages(request.messages(self.golden.image_token.as_deref()))?;
        for image in conversation.messages.iter_mut().flat_map(|message| &mut message.images) {
            *image = self.picture(image)?;
        }
        let decode = DecodeOptions { conversion: Conversion::AsStored, ..DecodeOptions::default() };
        self.model.processor().prepare(&conversation, &TilingOptions::default(), &decode)
    }

    /// A picture of the reference: its own pixels where they depend on a codec and are given, else its file.
    fn picture(&self, image: &Image) -> Result<Image> {
        let Image::Path(path) = image else { return Ok(image.clone()) };
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(match self.lossy.get(&file) {
            Some(picture) => Image::Pixels(picture.clone()),
            None => Image::Path(self.set.join(path)),
        })
    }

    /// The prompt of row `row` of a request, padded on the left there.
    fn tokens(&mut self, name: &str, request: &Request, prepared: &Prepared, row: usize) -> Result<()> {
        let tensor = format!("{name}.input_ids");
        let (ids, shape) = self.tensors.integers(&tensor)?.ok_or_else(|| self.tensors.missing(&tensor))?;
        // Single rows may be without: nothing of them is padding.
        let all = vec![1; ids.len()];
        let mask = self.tensors.octets(&format!("{name}.attention_mask"))?.map_or(&all[..], |(mask, _)| mask);
        let width = shape.get(1).copied().unwrap_or(0);
        let of_row = row * width..(row + 1) * width;
        let (Some(ids), Some(mask)) = (ids.get(of_row.clone()), mask.get(of_row)) else {
            return Err(self.tensors.missing(&tensor));
        };
        let expected: Vec<i64> = ids.iter().zip(mask).filter(|(_, mask)| **mask != 0).map(|(id, _)| *id).collect();
        let got: Vec<i64> = prepared.prompt.ids.iter().map(|&id| id.into()).collect();
        self.notebook.same(Stage::Tokens, name, &got, &expected);
        let counts: Vec<usize> = prepared.prompt.images.iter().map(ExactSizeIterator::len).collect();
        let expected = match (request.num_image_tokens.get(row), self.golden.num_image_tokens) {
            (Some(counts), _) => counts.clone(),
            (None, tokens) => vec![tokens.unwrap_or_default(); request.images().len()],
        };
        self.notebook.same(Stage::Tokens, name, &counts, &expected);
        Ok(())
    }

    fn pixels(&mut self, name: &str, request: &Request, prepared: &Prepared) -> Result<()> {
        if let Some((crops, _)) = self.tensors.integers(&format!("{name}.images_spatial_crop"))? {
            let grids = prepared.tiles.iter().map(Tiles::grid);
            let mut got: Vec<i64> = grids.flat_map(|grid| [grid.cols.into(), grid.rows.into()]).collect();
            got.resize(got.len().max(crops.len()), 0);
            self.notebook.same(Stage::Tiles, name, &got, &crops);
        }
        if !request.tile_sha256.is_empty() || prepared.tiles.is_empty() {
            let got: Vec<String> = prepared.tiles.iter().flat_map(|tiles| tiles.views().map(sha256)).collect();
            self.notebook.same(Stage::Pixels, name, &got, &request.tile_sha256);
        }
        if let Some((expected, _)) = self.tensors.octets(&format!("{name}.pixels_u8"))? {
            let got: Vec<u8> = prepared.tiles.iter().flat_map(Tiles::as_bytes).copied().collect();
            self.notebook.same(Stage::Pixels, name, &got, expected);
        }
        if let Some((expected, _)) = self.tensors.floats(&format!("{name}.pixel_values"))?
            && let Some(eyes) = &self.model.processor().spec().eyes
        {
            let (normalizer, size) = (eyes.tiling.normalizer(), eyes.vision.image_size);
            let views: Vec<(&[u8], usize)> = prepared
                .tiles
                .iter()
                .flat_map(|tiles| tiles.views().map(|view| (view, tiles.size() as usize)))
                .collect();
            let mut got = vec![0f32; views.len() * 3 * size * size];
            for ((view, from), planes) in views.into_iter().zip(got.chunks_exact_mut(3 * size * size)) {
                if from == size {
                    normalizer.planes(view, planes);
                } else {
                    normalizer.planes(&shrink(view, from, size), planes);
                }
            }
            self.notebook.values(Stage::PixelValues, name, &got, &expected);
        }
        Ok(())
    }

    /// Tower and projector; the sequence that the language model is given.
    fn see(&mut self, name: &str, prepared: &Prepared) -> Result<TokenSequence> {
        let mut sequence = TokenSequence::new(prepared.prompt.ids.clone());
        let Some(eyes) = self.model.eyes() else { return Ok(sequence) };
        let (mut features, mut high, mut tokens) = (Vec::new(), Vec::new(), Vec::new());
        for (index, (tiles, slots)) in prepared.tiles.iter().zip(&prepared.prompt.images).enumerate() {
            let patches = eyes.patches(tiles.size(), &tiles.views().collect::<Vec<_>>())?;
            let mut probe = TowerCheck { doctor: self, name, is_first: index == 0, failure: None };
            let Some(seen) = eyes.features(&patches, &mut probe)? else { return Err(Error::Cancelled) };
            if let Some(failure) = probe.failure {
                return Err(failure);
            }
            let projected = eyes.project(&seen)?;
            sequence.insert(slots.start, eyes.arrange(&projected, tiles.grid())?)?;
            features.extend(to_vec(&seen.low)?);
            high.extend(seen.high.as_ref().map(to_vec).transpose()?.unwrap_or_default());
            tokens.extend(to_vec(&projected)?);
        }
        // A reference may hold the first views only.
        self.beginning(Stage::Vision, name, "vision", &features)?;
        self.beginning(Stage::HighVision, name, "high_res", &high)?;
        self.beginning(Stage::Projector, name, "aligned", &tokens)?;
        self.beginning(Stage::Projector, name, "projector", &tokens)?;
        Ok(sequence)
    }

    fn beginning(&mut self, stage: Stage, name: &str, tensor: &str, got: &[f32]) -> Result<()> {
        if let Some((expected, _)) = self.tensors.floats(&format!("{name}.{tensor}"))? {
            self.notebook.values(stage, name, &got[..got.len().min(expected.len())], &expected);
        }
        Ok(())
    }

    /// The whole prompt in one pass; the states of all positions, and the logits of the last.
    fn language(&mut self, name: &str, sequence: &TokenSequence) -> Result<(Tensor, Vec<f32>)> {
        let decoder = self.model.decoder();
        let embeds = sequence.embeddings(decoder, 0..sequence.len())?;
        self.beginning(Stage::InputsEmbeds, name, "inputs_embeds", &to_vec(&embeds)?)?;
        let mut cache = decoder.new_cache();
        let form = self.form(sequence.len());
        let mut spans = [Span { rows: sequence.len(), cache: &mut cache, form }];
        let mut probe = DecoderCheck { doctor: self, name, is_draft: false, failure: None };
        let hidden = decoder.forward(&embeds, &mut spans, &mut probe)?;
        if let Some(failure) = probe.failure {
            return Err(failure);
        }
        let vocab = decoder.spec().vocab_size;
        let logits = to_vec(&decoder.logits(&hidden)?)?;
        for tensor in ["logits", "tail_logits", "last_logits"] {
            if let Some((expected, _)) = self.tensors.floats(&format!("{name}.{tensor}"))? {
                let got = &logits[logits.len().saturating_sub(expected.len())..];
                self.notebook.values(Stage::Logits, name, got, &expected);
            }
        }
        Ok((hidden, logits[logits.len() - vocab..].to_vec()))
    }

    /// How latent attention reads a prompt.
    fn form(&self, tokens: usize) -> LatentForm {
        self.latent_form.unwrap_or_else(|| self.model.decoder().spec().attention.cheaper_form(tokens, 0))
    }

    fn sampling(&mut self, name: &str, request: &Request, sequence: &TokenSequence, logits: &[f32]) -> Result<()> {
        let Some(case) = &request.sampling else { return Ok(()) };
        let sampling = Sampling::greedy()
            .repetition_penalty(case.repetition_penalty)?
            .temperature(case.temperature)?
            .top_k(case.top_k)
            .top_p(case.top_p)?;
        let got = sampling.distribution(logits, sequence.ids())?;
        if let Some((expected, _)) = self.tensors.floats(&format!("{name}.sampling_probs"))? {
            self.notebook.probabilities(Stage::Sampling, name, &got, &expected);
        }
        Ok(())
    }

    fn greedy(&mut self, name: &str, request: &Request, sequence: TokenSequence) -> Result<()> {
        let tokenizer = self.model.processor().tokenizer();
        let none = Vec::new();
        let expected = request.greedy_ids.first().unwrap_or(&none);
        let ids = self.generate(vec![sequence.clone()], Sampling::greedy(), 0)?.concat();
        self.notebook.chosen(Stage::Greedy, name, &ids, expected);
        let got = [tokenizer.decode(expected, false), tokenizer.decode(expected, true)];
        self.notebook.same(Stage::Text, name, &got, &request.answer());
        if let Some(incremental) = &request.incremental {
            let ids = self.generate(vec![sequence.clone()], Sampling::greedy(), incremental.chunk_size)?.concat();
            self.notebook.chosen(Stage::Chunked, name, &ids, expected);
        }
        if let Some(penalty) = &request.repetition_penalty {
            let sampling = Sampling::greedy().repetition_penalty(penalty.value)?;
            let ids = self.generate(vec![sequence], sampling, 0)?.concat();
            self.notebook.chosen(Stage::Penalty, name, &ids, penalty.ids.first().unwrap_or(&none));
        }
        Ok(())
    }

    fn batch(&mut self, name: &str, request: &Request, rows: &[&Request]) -> Result<()> {
        let mut sequences = Vec::new();
        for (row, single) in rows.iter().enumerate() {
            let prepared = self.prepare(single)?;
            self.tokens(name, request, &prepared, row)?;
            sequences.push(self.model.sequence(&prepared, &mut Pictures::new(0), &Cancel::new())?.0);
        }
        let eos = self.model.processor().tokenizer().eos_id().unwrap_or_default();
        let ids = self.generate(sequences, Sampling::greedy(), 0)?;
        for (row, (mut got, expected)) in ids.into_iter().zip(&request.greedy_ids).enumerate() {
            // Rows that are finished are filled up in the reference.
            got.resize(got.len().max(expected.len()), eos);
            self.notebook.chosen(Stage::Batch, &format!("{name}, row {row}"), &got, expected);
        }
        Ok(())
    }

    fn generate(&self, sequences: Vec<TokenSequence>, sampling: Sampling, chunk: usize) -> Result<Vec<Vec<u32>>> {
        self.generate_drafting(sequences, sampling, chunk, None)
    }

    fn generate_drafting(
        &self,
        sequences: Vec<TokenSequence>,
        sampling: Sampling,
        chunk: usize,
        mtp: Option<&Mtp>,
    ) -> Result<Vec<Vec<u32>>> {
        let options = GenerationOptions {
            max_new_tokens: self.golden.new_tokens,
            sampling,
            repetition_guard: None,
            markup_guard: false,
            ..GenerationOptions::default()
        };
        let requests = sequences.into_iter().map(|sequence| EngineRequest::new(sequence, options.clone())).collect();
        let engine = Engine::new(self.model.decoder(), self.model.processor().tokenizer());
        let engine = engine.prefill_chunk(chunk).drafting(mtp).latent_form(self.latent_form);
        let completed = engine.start(requests, Cancel::new())?.finish()?;
        Ok(completed.iter().map(|completed| completed.ids()).collect())
    }
}
