//! One checkpoint against its golden files.

use super::golden::{self, Golden, Request, Tensors, lossy_pictures};
use super::set::sha256;
use super::{DoctorOptions, LayerPart, Notebook, PartReport, Stage};
use crate::config::is_known as is_known_type;
use crate::conversation::{Conversation, Image};
use crate::files::{self, CONFIG, ModelFiles, Wanted, read_json};
use crate::model::Seen;
use crate::processor::Prepared;
use crate::{Error, Model, Result, TilingOptions};
use seekvl_language::{
    Cancel, Engine, GenerationOptions, LatentForm, Mtp, Probe, Request as EngineRequest, Routing, Sampling, Span,
    TokenSequence,
};
use seekvl_nn::{Tensor, to_vec};
use seekvl_vision::{Conversion, DecodeOptions, Rgb, SiglipProbe, Tiles};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
    let kind: Kind = read_json(&dir.join(CONFIG))?;
    Ok(kind.model_type.as_deref().is_some_and(is_known_type))
}

pub fn check(dir: &Path, options: &DoctorOptions) -> Result<PartReport> {
    let path = dir.join(golden::JSON);
    let golden: Golden = read_json(&path)?;
    let other =
        |id| Error::Reference { path: path.clone(), reason: format!("model {id:?} is not part of this program") };
    let files = match &golden.model {
        Some(id) => files::embedded(id, Wanted::Everything).ok_or_else(|| other(id))??,
        None => ModelFiles::in_dir(dir)?,
    };
    let set = match dir.canonicalize().ok().as_deref().and_then(Path::parent) {
        Some(parent) => parent.to_owned(),
        None => dir.join(".."),
    };
    let model = Model::builder()
        .weights(options.weights)
        .quantization(options.quantization)
        .device(options.device.clone())
        .load_files(&files)?;
    let mut doctor = Doctor {
        lossy: lossy_pictures(&set)?,
        set,
        tensors: Tensors::read(&dir.join(golden::TENSORS))?,
        model: &model,
        new_tokens: golden.new_tokens,
        latent_form: options.latent_form,
        notebook: Notebook::new(options),
    };
    doctor.tokenizer(&golden);
    for (name, request) in &golden.requests {
        doctor.notebook.begin();
        if let Some(prompt) = request.prompt() {
            doctor.plain(name, request, prompt)?;
        } else if request.rows.is_empty() {
            doctor.single(name, request)?;
        } else {
            let rows = request.rows.iter().map(|row| golden.requests.get(row));
            let rows: Option<Vec<&Request>> = rows.collect();
            let unknown = || Error::Reference { path: path.clone(), reason: format!("{name} has a row that is none") };
            doctor.batch(name, request, &rows.ok_or_else(unknown)?)?;
        }
    }
    Ok(doctor.notebook.into_report(super::name(dir)))
}

mod plain;

struct Doctor<'m> {
    /// The directory with `images/` and `preprocess.json`.
    set: PathBuf,
    lossy: BTreeMap<String, Arc<Rgb>>,
    tensors: Tensors,
    model: &'m Model,
    new_tokens: usize,
    latent_form: Option<LatentForm>,
    notebook: Notebook,
}

impl Doctor<'_> {
    fn tokenizer(&mut self, golden: &Golden) {
        let tokenizer = self.model.processor().tokenizer();
        for case in &golden.tokenizer_cases {
            let ids = tokenizer.encode(&case.text).unwrap_or_default();
            self.notebook.same(Stage::Tokenizer, &format!("{:?}", case.text), &ids, &case.ids);
            let got = [tokenizer.decode(&case.ids, false), tokenizer.decode(&case.ids, true)];
            let expected = [case.decoded.clone(), case.decoded_skip_special.clone()];
            self.notebook.same(Stage::Tokenizer, &format!("{:?}", case.text), &got, &expected);
        }
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
        let mut conversation = Conversation::from_messages(request.messages.clone())?;
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
        self.notebook.same(
            Stage::Tokens,
            name,
            &counts,
            request.num_image_tokens.get(row).map_or(&[][..], Vec::as_slice),
        );
        Ok(())
    }

    fn pixels(&mut self, name: &str, request: &Request, prepared: &Prepared) -> Result<()> {
        if let Some((crops, _)) = self.tensors.integers(&format!("{name}.images_spatial_crop"))? {
            let grids = prepared.tiles.iter().map(Tiles::grid);
            let mut got: Vec<i64> = grids.flat_map(|grid| [grid.cols.into(), grid.rows.into()]).collect();
            got.resize(got.len().max(crops.len()), 0);
            self.notebook.same(Stage::Tiles, name, &got, &crops);
        }
        let got: Vec<String> = prepared.tiles.iter().flat_map(|tiles| tiles.views().map(sha256)).collect();
        self.notebook.same(Stage::Pixels, name, &got, &request.tile_sha256);
        if let Some((expected, _)) = self.tensors.octets(&format!("{name}.pixels_u8"))? {
            let got: Vec<u8> = prepared.tiles.iter().flat_map(Tiles::as_bytes).copied().collect();
            self.notebook.same(Stage::Pixels, name, &got, expected);
        }
        if let Some((expected, _)) = self.tensors.floats(&format!("{name}.pixel_values"))?
            && let Some(eyes) = &self.model.processor().spec().eyes
        {
            let normalizer = eyes.tiling.normalizer();
            let mut got = vec![0f32; expected.len()];
            let views = prepared.tiles.iter().flat_map(Tiles::views);
            for (view, planes) in
                views.zip(got.chunks_exact_mut(expected.len().max(1) / request.tile_sha256.len().max(1)))
            {
                if view.len() == planes.len() {
                    normalizer.planes(view, planes);
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
        let (mut features, mut tokens) = (Vec::new(), Vec::new());
        for (index, (tiles, slots)) in prepared.tiles.iter().zip(&prepared.prompt.images).enumerate() {
            let patches = eyes.patches(tiles, tiles.len())?;
            let mut probe = SiglipCheck { doctor: self, name, is_first: index == 0, failure: None };
            let Some(seen) = eyes.siglip().forward(&patches, &mut probe)? else { return Err(Error::Cancelled) };
            if let Some(failure) = probe.failure {
                return Err(failure);
            }
            let projected = eyes.projector().forward(&seen)?;
            sequence.insert(slots.start, eyes.arrange(&projected, tiles.grid())?)?;
            features.extend(to_vec(&seen)?);
            tokens.extend(to_vec(&projected)?);
        }
        // A reference may hold the first views only.
        self.beginning(Stage::Vision, name, "vision", &features)?;
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
        let mut probe = DecoderCheck { doctor: self, name, failure: None };
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
            sequences.push(self.model.sequence(&prepared, &mut Seen::new(), &Cancel::new())?);
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
            max_new_tokens: self.new_tokens,
            sampling,
            repetition_guard: None,
            ..GenerationOptions::default()
        };
        let requests = sequences.into_iter().map(|sequence| EngineRequest::new(sequence, options.clone())).collect();
        let engine = Engine::new(self.model.decoder(), self.model.processor().tokenizer());
        let engine = engine.prefill_chunk(chunk).drafting(mtp).latent_form(self.latent_form);
        let completed = engine.start(requests, Cancel::new())?.finish()?;
        Ok(completed.iter().map(|completed| completed.ids()).collect())
    }
}

/// Compares the vision tower's blocks; the reference has those of the request's first views.
struct SiglipCheck<'a, 'm> {
    doctor: &'a mut Doctor<'m>,
    name: &'a str,
    is_first: bool,
    failure: Option<Error>,
}

impl SiglipCheck<'_, '_> {
    fn check(&mut self, first: usize, stage: Stage, tensor: &str, x: &Tensor) {
        if self.is_first {
            let checked = self.compare(first, stage, tensor, x);
            self.failure = self.failure.take().or(checked.err());
        }
    }

    /// Views from `first` on, as far as the reference has them.
    fn compare(&mut self, first: usize, stage: Stage, tensor: &str, x: &Tensor) -> Result<()> {
        let (views, _, _) = x.dims3().map_err(seekvl_nn::Error::from)?;
        let got = to_vec(x)?;
        let Some((expected, _)) = self.doctor.tensors.floats(&format!("{}.{tensor}", self.name))? else {
            return Ok(());
        };
        let start = first * (got.len() / views.max(1));
        if let Some(expected) = expected.get(start..).filter(|rest| !rest.is_empty()) {
            let both = got.len().min(expected.len());
            self.doctor.notebook.values(stage, self.name, &got[..both], &expected[..both]);
        }
        Ok(())
    }
}

impl SiglipProbe for SiglipCheck<'_, '_> {
    fn embedded(&mut self, first: usize, x: &Tensor) {
        self.check(first, Stage::VisionEmbed, "vision_embed", x);
    }

    fn block(&mut self, first: usize, block: usize, x: &Tensor) {
        self.check(first, Stage::VisionBlock(block), &format!("vision_block.{block}"), x);
    }
}

/// Compares the language model's layers.
struct DecoderCheck<'a, 'm> {
    doctor: &'a mut Doctor<'m>,
    name: &'a str,
    failure: Option<Error>,
}

impl DecoderCheck<'_, '_> {
    fn check(&mut self, stage: Stage, tensor: &str, x: &Tensor) {
        let checked = to_vec(x).map_err(Error::from);
        let checked = checked.and_then(|x| self.doctor.beginning(stage, self.name, tensor, &x));
        self.failure = self.failure.take().or(checked.err());
    }

    fn check_experts(&mut self, layer: usize, routing: &Routing) -> Result<()> {
        let (doctor, name) = (&mut *self.doctor, self.name);
        let ids = doctor.tensors.integers(&format!("{name}.router.{layer}.ids"))?;
        let weights = doctor.tensors.floats(&format!("{name}.router.{layer}.weights"))?;
        let (Some((ids, _)), Some((weights, _))) = (ids, weights) else { return Ok(()) };
        let mut got: Vec<(i64, f32)> =
            routing.ids.iter().zip(&routing.weights).map(|(&id, &weight)| (id.into(), weight)).collect();
        for row in got.chunks_mut(routing.top_k.max(1)) {
            row.sort_by_key(|(id, _)| *id);
        }
        let (got_ids, got_weights): (Vec<i64>, Vec<f32>) = got.into_iter().unzip();
        doctor.notebook.chosen(Stage::Layer(layer, LayerPart::Experts), name, &got_ids, &ids);
        if got_ids != ids {
            doctor.notebook.tip();
        } else {
            doctor.notebook.values(Stage::Layer(layer, LayerPart::ExpertWeights), name, &got_weights, &weights);
        }
        Ok(())
    }
}

impl Probe for DecoderCheck<'_, '_> {
    fn hidden(&mut self, layer: usize, hidden: &Tensor) {
        self.check(Stage::Layer(layer, LayerPart::Output), &format!("hidden.{layer}"), hidden);
    }

    fn routed(&mut self, layer: usize, routing: &Routing) {
        let checked = self.check_experts(layer, routing);
        self.failure = self.failure.take().or(checked.err());
    }

    fn normed(&mut self, hidden: &Tensor) {
        self.check(Stage::HiddenNorm, "hidden.norm", hidden);
    }
}
