//! `seekvl doctor`.

use crate::args::DoctorArgs;
use crate::exit::{Exit, Failure, Result};
use crate::output::{Format, Output, complain};
use crate::progress::Bars;
use crate::settings::{OutputSettings, device};
use crate::table::{number, titled};
use comfy_table::Cell;
use seekvl::doctor::{self, DoctorOptions, StageReport};
use serde::Serialize;
use std::io;

/// What `--json` says.
#[derive(Serialize)]
struct Report<'a> {
    passed: bool,
    /// The first stage that diverges.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_failure: Option<FirstFailure<'a>>,
    #[serde(flatten)]
    report: &'a doctor::Report,
}

#[derive(Serialize)]
struct FirstFailure<'a> {
    part: &'a str,
    #[serde(flatten)]
    stage: &'a StageReport,
}

pub fn run(args: DoctorArgs) -> Result<Exit> {
    let settings = OutputSettings::from(args.output);
    let options = DoctorOptions {
        weights: args.dtype.into(),
        quantization: args.quantization.map(Into::into),
        device: device(args.device)?,
        latent_form: args.latent_form.map(Into::into),
    };
    let mut bars = Bars::new(settings.quiet);
    bars.spin("running the reference's requests");
    let report = doctor::run(&args.reference, &options).map_err(|error| match error {
        seekvl::Error::NoReference { .. } => Failure::new(Exit::Failed, error),
        seekvl::Error::Vision(_) => Failure::new(Exit::BadImage, error),
        error => error.into(),
    })?;
    bars.clear();

    let mut output = settings.open();
    match output.format {
        Format::Json => {
            let first_failure = report.first_failure().map(|(part, stage)| FirstFailure { part, stage });
            output.json(&Report { passed: report.passed(), first_failure, report: &report })?;
        }
        Format::Text => print(&mut output, &report)?,
    }
    let Some((part, stage)) = report.first_failure() else { return Ok(Exit::Done) };
    let note = stage.note.as_deref().unwrap_or_default();
    let (name, error, bound) = (stage.stage, stage.error, stage.bound.unwrap_or_default());
    complain(format_args!(
        "{part}: the first stage that diverges is {name}, by {error:.1e} where {bound:.1e} is allowed ({note})"
    ));
    Ok(Exit::Diverged)
}

fn print(output: &mut Output, report: &doctor::Report) -> io::Result<()> {
    for part in &report.parts {
        if let Some(reason) = &part.skipped {
            output.line(format_args!("{}: not checked, {reason}\n", part.name))?;
            continue;
        }
        output.line(format_args!("{}:", part.name))?;
        let mut stages = titled(["stage", "checks", "largest error", "bound", "", "largest in"]);
        for stage in &part.stages {
            let verdict = match (stage.passed, stage.bound) {
                (true, None) => "not judged",
                (true, Some(_)) => "ok",
                (false, _) => "DIVERGES",
            };
            stages.add_row([
                Cell::new(stage.stage),
                number(stage.checks),
                number(format_args!("{:.1e}", stage.error)),
                number(stage.bound.map_or_else(String::new, |bound| format!("{bound:.1e}"))),
                Cell::new(verdict),
                Cell::new(stage.note.as_deref().unwrap_or_default()),
            ]);
        }
        output.line(format_args!("{}\n", stages.trim_fmt()))?;
    }
    if report.passed() {
        let all_judged = report.parts.iter().flat_map(|part| &part.stages).all(|stage| stage.bound.is_some());
        output.line(match all_judged {
            true => "All stages agree with the reference.",
            false => "All stages that are judged agree with the reference.",
        })?;
    }
    Ok(())
}
