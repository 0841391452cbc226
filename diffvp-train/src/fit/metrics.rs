//! What a run tells: a progress bar or log lines, `metrics.jsonl`, and TensorBoard files.

use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use diffvp::files::write_atomic;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value};

use super::events::EventFile;
use crate::{Error, Result};

/// Log lines are this far apart where nobody watches a bar.
const BETWEEN_LINES: Duration = Duration::from_secs(20);

/// The teller of one stage.
pub(super) struct Metrics {
    path: PathBuf,
    file: File,
    events: EventFile,
    bar: ProgressBar,
    quiet: bool,
    stage: String,
    first_step: u64,
    steps: u64,
    start: Instant,
    last_line: Instant,
}

impl Metrics {
    /// Goes on from `step`: lines of later steps, from a run that was broken off behind its checkpoint, are removed.
    ///
    /// # Errors
    /// Where the folder cannot be written.
    pub(super) fn open(folder: &Path, stage: &str, step: u64, steps: u64) -> Result<Self> {
        let path = folder.join("metrics.jsonl");
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        let before = |line: &&str| {
            let value: Option<Value> = serde_json::from_str(line).ok();
            value.and_then(|v| v["step"].as_u64()).is_some_and(|s| s <= step)
        };
        let lines: Vec<&str> = if step == 0 { Vec::new() } else { kept.lines().filter(before).collect() };
        write_atomic(&path, |out| lines.iter().try_for_each(|line| writeln!(out, "{line}")))?;
        let file = OpenOptions::new().append(true).open(&path).map_err(|e| failed(&path, e))?;
        let terminal = std::io::stderr().is_terminal();
        let bar = if terminal { ProgressBar::new(steps) } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} {elapsed} left {eta} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(stage.to_string());
        bar.set_position(step);
        bar.reset_eta();
        let now = Instant::now();
        Ok(Metrics {
            events: EventFile::create(folder, step)?,
            path,
            file,
            bar,
            quiet: terminal,
            stage: stage.to_string(),
            first_step: step,
            steps,
            start: now,
            last_line: now.checked_sub(BETWEEN_LINES).unwrap_or(now),
        })
    }

    /// Values of a step, counted from 1, under a group such as `train` or `validation`.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub(super) fn record(&mut self, step: u64, group: &str, values: &[(String, f64)]) -> Result<()> {
        let named: Vec<(String, f64)> =
            values.iter().map(|(n, v)| (format!("{}/{group}/{n}", self.stage), *v)).collect();
        self.events.scalars(step, &named)?;
        let mut line = Map::new();
        line.insert("step".into(), step.into());
        line.insert("group".into(), group.into());
        line.extend(values.iter().map(|(name, value)| (name.clone(), Value::from(*value))));
        writeln!(self.file, "{}", Value::Object(line)).map_err(|e| failed(&self.path, e))
    }

    /// Shows how far the stage is.
    pub(super) fn show(&mut self, step: u64, message: &str) {
        self.bar.set_position(step);
        self.bar.set_message(message.to_string());
        if !self.quiet && (self.last_line.elapsed() >= BETWEEN_LINES || step == self.steps) {
            self.last_line = Instant::now();
            let done = (step - self.first_step).max(1) as f64;
            let left = self.start.elapsed().as_secs_f64() / done * (self.steps - step) as f64;
            eprintln!("{}: step {step} of {}, {message}, about {} left", self.stage, self.steps, duration(left));
        }
    }

    /// A line that stays.
    pub(super) fn say(&mut self, text: &str) {
        if self.quiet { self.bar.println(text) } else { eprintln!("{text}") }
    }

    /// Makes sure that everything told is on the disk.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn sync(&mut self) -> Result<()> {
        self.file.sync_data().map_err(|e| failed(&self.path, e))
    }

    /// Ends the bar.
    pub(super) fn finish(&self) {
        self.bar.finish();
    }
}

fn failed(path: &Path, source: std::io::Error) -> Error {
    diffvp::Error::Write { path: path.to_path_buf(), source }.into()
}

fn duration(seconds: f64) -> String {
    match seconds.round() as u64 {
        s if s < 120 => format!("{s} s"),
        s if s < 7200 => format!("{} min", s / 60),
        s => format!("{} h {} min", s / 3600, s % 3600 / 60),
    }
}
