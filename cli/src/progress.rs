//! Progress bars on standard error, where it is a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::borrow::Cow;
use std::time::Duration;

const BYTES: &str = "{msg} [{bar:30}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";

/// Shows how a download goes, and that something takes a while.
pub struct Bars {
    bar: ProgressBar,
    quiet: bool,
}

impl Bars {
    /// Bars that stay hidden if `quiet`, and where standard error is no terminal.
    pub fn new(quiet: bool) -> Self {
        Self { bar: ProgressBar::hidden(), quiet }
    }

    fn show(&mut self, bar: ProgressBar) {
        self.clear();
        if self.quiet {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        self.bar = bar;
    }

    /// Turns a spinner until the next step.
    pub fn spin(&mut self, message: impl Into<Cow<'static, str>>) {
        self.show(ProgressBar::new_spinner().with_message(message));
        self.bar.enable_steady_tick(Duration::from_millis(100));
    }

    /// Takes everything off the screen.
    pub fn clear(&self) {
        if !self.bar.is_finished() {
            self.bar.finish_and_clear();
        }
    }
}

impl seekvl::hub::Progress for &mut Bars {
    fn start(&mut self, file: &str, bytes: u64) {
        let style = ProgressStyle::with_template(BYTES).unwrap_or_else(|_| ProgressStyle::default_bar());
        self.show(ProgressBar::new(bytes).with_style(style).with_message(file.to_owned()));
    }

    fn advance(&mut self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn finish(&mut self) {
        self.clear();
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.clear();
    }
}
