//! A loaded model with the settings of a command: answers questions and prints the answers.

use crate::exit::{Exit, Result};
use crate::interrupt::Interrupt;
use crate::output::{Format, Output, Thoughts};
use crate::picture::Picture;
use crate::progress::Bars;
use crate::report::Report;
use crate::settings::{ModelSettings, Settings};
use crate::words::Words;
use seekvl::boxes::{BoundingBox, Region};
use seekvl::template::Prompt;
use seekvl::{
    Answer, Cancel, Conversation, Delta, FinishReason, Model, Options, Phase, Processor, Recall, Rgb, Stream,
};
use std::io;
use std::time::{Duration, Instant};

/// Said to whoever names no model.
const ABOUT_NANO: &str = "\
nano answers, a tiny model trained on synthetic pictures: it knows colours, kinds and places of
simple things, and reads a line with some mistakes; documents and charts it mostly gets wrong.
For DeepSeek-VL2, add --model deepseek-ai/deepseek-vl2-tiny, which is downloaded once from the
Hugging Face hub. (--model nano or --quiet hides this.)";

/// What of an answer is printed as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// What it says.
    Words,
    /// What it says, with the markup of boxes.
    Markup,
    /// The boxes, one a line.
    Boxes,
}

/// Begins an answer.
trait Start: for<'m> FnOnce(&'m Model, &Options, &mut Recall) -> seekvl::Result<Stream<'m>> {}

impl<F: for<'m> FnOnce(&'m Model, &Options, &mut Recall) -> seekvl::Result<Stream<'m>>> Start for F {}

pub struct Session {
    pub output: Output,
    pub show: Show,
    model: Model,
    model_name: String,
    loading: Duration,
    system: Option<String>,
    options: Options,
    /// Of the answers so far, for the next.
    recall: Recall,
    interrupt: Interrupt,
    bars: Bars,
}

impl Session {
    /// Loads the model.
    pub fn open(settings: &Settings) -> Result<Self> {
        let interrupt = Interrupt::install()?;
        if settings.model.is_default {
            settings.output.hint(ABOUT_NANO);
        }
        let mut bars = Bars::new(settings.output.quiet);
        let started = Instant::now();
        let model = load(&settings.model, &mut bars)?;
        Ok(Self {
            output: settings.output.open(),
            show: Show::Words,
            model,
            model_name: settings.model.name.clone(),
            loading: started.elapsed(),
            system: settings.system.clone(),
            options: settings.options.clone(),
            recall: Recall::default(),
            interrupt,
            bars,
        })
    }

    /// A conversation of which nothing was said yet.
    pub fn conversation(&self) -> Conversation {
        Conversation { system: self.system.clone(), ..Conversation::new() }
    }

    /// Answers, and prints the answer: to a terminal as it comes, else when it is complete.
    pub fn answer(&mut self, conversation: &Conversation, pictures: &[Picture]) -> Result<Answer> {
        self.respond(|model, options, recall| model.stream_with(conversation, options, recall), pictures)
    }

    /// As [`Session::answer`], to a prompt that `make` makes.
    pub fn go_on(&mut self, make: impl Fn(&Processor) -> seekvl::Result<Prompt>) -> Result<Answer> {
        self.respond(|model, options, _| model.stream_prompt(make(model.processor())?, options), &[])
    }

    fn respond(&mut self, start: impl Start, pictures: &[Picture]) -> Result<Answer> {
        let interrupt = self.interrupt.clone();
        let mut answer = interrupt.guard(|cancel| self.generate(start, cancel))?;
        answer.timings.images += pictures.iter().map(|picture| picture.decoding).sum();
        match self.output.format {
            Format::Json => {
                let report = Report::new(&self.model_name, self.loading, &self.options, pictures, &answer);
                self.output.json(&report)?;
            }
            Format::Text if self.show == Show::Boxes => self.print_boxes(&answer, pictures)?,
            Format::Text if self.output.streams() => self.output.text("\n")?,
            Format::Text if self.show == Show::Markup => self.output.line(&answer.raw)?,
            Format::Text => self.output.line(&answer.text)?,
        }
        self.warn(&answer);
        Ok(answer)
    }

    /// Answers; a terminal sees the text as it comes.
    fn generate(&mut self, start: impl Start, cancel: Cancel) -> Result<Answer> {
        let Self { output, model, bars, recall, .. } = self;
        let streams = output.streams() && self.show != Show::Boxes;
        let options = Options { cancel, ..self.options.clone() };
        bars.spin("looking and reading");
        let mut words = Words::new(self.show == Show::Markup);
        let mut thoughts = Thoughts::default();
        let mut stream = start(model, &options, recall)?;
        while let Some(delta) = stream.next_delta() {
            let Delta { phase, text } = delta?;
            if !streams {
                continue;
            }
            bars.clear();
            match phase {
                Phase::Thinking => thoughts.show(&text),
                Phase::Answer => {
                    thoughts.end();
                    output.text(words.push(&text))?;
                }
            }
        }
        bars.clear();
        thoughts.end();
        let answer = stream.finish_into(recall);
        if streams {
            output.text(words.rest(&answer))?;
        }
        Ok(answer)
    }

    /// The boxes, one a line; what is no box is only warned of.
    fn print_boxes(&mut self, answer: &Answer, pictures: &[Picture]) -> io::Result<()> {
        let Some(picture) = pictures.last() else { return Ok(()) };
        let boxes = answer.regions.iter().flat_map(|region| region.boxes.iter().map(move |one| (region, one)));
        let mut any = false;
        for (region, one) in boxes {
            match box_line(region, one, &picture.pixels) {
                Some(line) => self.output.line(line)?,
                None => self.output.warn(format_args!("{:?} is no box ({})", one.raw, one.reading)),
            }
            any |= one.relative.is_some();
        }
        if !any {
            self.output.warn(format_args!("the answer has no box; it is: {}", answer.text));
        }
        Ok(())
    }

    /// Says why an answer is not whole.
    fn warn(&self, answer: &Answer) {
        let tokens = answer.tokens.len();
        match answer.finish {
            FinishReason::Stop | FinishReason::StopString => {}
            FinishReason::Length => {
                self.output.warn(format_args!("the answer was cut off after {tokens} tokens; --max-tokens allows more"))
            }
            FinishReason::Context => self
                .output
                .warn(format_args!("the answer was cut off after {tokens} tokens, which fill the model's context")),
            FinishReason::Repetition => self.output.warn(
                "the answer went round in circles and was cut back to where that began; \
                 --repetition-penalty 1.1 may help",
            ),
            FinishReason::Cancelled => self.output.warn("the answer was interrupted"),
        }
    }
}

/// Label, left, top, right and bottom in pixels, and how the box was read, with tabs between.
fn box_line(region: &Region, one: &BoundingBox, image: &Rgb) -> Option<String> {
    let [left, top, right, bottom] = one.pixels(image.width(), image.height())?;
    let label = region.label.as_deref().unwrap_or_default().replace(char::is_control, " ");
    Some(format!("{label}\t{left:.1}\t{top:.1}\t{right:.1}\t{bottom:.1}\t{}", one.reading))
}

/// The exit code for an answer.
pub fn exit(answer: &Answer) -> Exit {
    if answer.finish == FinishReason::Cancelled { Exit::Interrupted } else { Exit::Done }
}

pub fn load(settings: &ModelSettings, bars: &mut Bars) -> Result<Model> {
    bars.spin("loading the model");
    seekvl::set_threads(settings.threads);
    let mut builder = Model::builder()
        .weights(settings.weights)
        .quantization(settings.quantization)
        .expert_budget(settings.expert_budget)
        .context_window(settings.context_window)
        .cache_type(settings.cache_type)
        .mtp(settings.mtp)
        .device(settings.device.clone())
        .local_files_only(settings.source.offline);
    if let Some(revision) = &settings.source.revision {
        builder = builder.revision(revision);
    }
    let model = builder.progress(&mut *bars).load(&settings.name);
    bars.clear();
    Ok(model?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use seekvl::PixelLayout;
    use seekvl::boxes::Grounded;

    #[test]
    fn a_box_is_a_line() {
        let image = Rgb::from_raw(20, 10, PixelLayout::L8, vec![0; 200]).unwrap();
        let answer = "<|ref|>a\tcup<|/ref|><|det|>[[0, 0, 999, 999], [0, 0, 1200, 500], [1, 2]]<|/det|>";
        let region = &Grounded::parse(answer).regions[0];
        let lines: Vec<_> = region.boxes.iter().map(|one| box_line(region, one, &image)).collect();
        assert_eq!(lines[0].as_deref(), Some("a cup\t0.0\t0.0\t20.0\t10.0\tas written"));
        let repaired = "a cup\t0.0\t0.0\t20.0\t5.0\trepaired: clamped to 0..=999";
        assert_eq!(lines[1].as_deref(), Some(repaired));
        assert_eq!(lines[2], None);
    }
}
