//! `diffvp-train eval text`.

use std::cell::Cell;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use diffvp_train::eval::text::{
    DEBIAN_FOLDER, Evaluation, Meteor, PairSource, ScoreOptions, Strip, WordNet, bar_chart, markdown, score,
    seeds_json, seeds_markdown, to_csv, to_json,
};
use diffvp_train::{Error, Result};

/// Score the texts of tables.
///
/// Each FILE is CSV (or .tsv) with a header; results of several files stand below each other. The table goes to standard
/// output as Markdown, with the convention of every number below it. An empty prediction scores 0 and is never left out.
///
/// Example: diffvp-train eval text ours.csv baseline.csv --reference GT --prediction Pred --strip radgenome --plot scores.svg
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Tables of predictions (and references).
    #[arg(required = true, value_name = "FILE.csv")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    texts: Texts,
    /// The files are runs of one method with different seeds: also print the mean and spread of their means.
    #[arg(long)]
    seeds: bool,
    /// Write all numbers and conventions, per report and in total, as JSON.
    #[arg(long, value_name = "OUT.json")]
    json: Option<PathBuf>,
    /// Write a CSV with one line a report; with several files, one CSV each, with the file's name put before OUT.csv.
    #[arg(long, value_name = "OUT.csv")]
    per_report: Option<PathBuf>,
    /// Write a bar chart of the means.
    #[arg(long, value_name = "OUT.svg")]
    plot: Option<PathBuf>,
}

/// Where texts are and how they are scored: shared by the subcommands.
#[derive(clap::Args)]
pub(crate) struct Texts {
    /// Column of the references.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) reference: String,
    /// Column of the predictions.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) prediction: String,
    /// Table of the references, row by row with each FILE, if they are not in FILE itself.
    #[arg(long, value_name = "REFERENCES.csv")]
    pub(crate) references: Option<PathBuf>,
    /// Column of identifiers. Repeated ones are warned of; they are written to results only if this is given.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) id: Option<String>,
    /// Headings taken off both texts before scoring.
    #[arg(long, value_enum, default_value = "none")]
    pub(crate) strip: Strip,
    /// Folder of WordNet 3.0's dictionary, for METEOR [default: /usr/share/wordnet, where it is].
    #[arg(long, value_name = "DIR")]
    pub(crate) wordnet: Option<PathBuf>,
}

impl Texts {
    /// The table in a file.
    pub(crate) fn source(&self, path: &Path) -> PairSource {
        PairSource {
            path: path.to_path_buf(),
            reference: self.reference.clone(),
            prediction: self.prediction.clone(),
            references: self.references.clone(),
            id: self.id.clone(),
        }
    }

    /// How to score.
    pub(crate) fn options(&self) -> Result<ScoreOptions> {
        let usual = || Some(PathBuf::from(DEBIAN_FOLDER)).filter(|folder| folder.is_dir());
        let folder = self.wordnet.clone().or_else(usual);
        let meteor = folder.map(|folder| WordNet::open(&folder)).transpose()?.map(Meteor::new);
        Ok(ScoreOptions { strip: self.strip, meteor })
    }
}

/// Scores files with progress and warnings on standard error.
pub(crate) fn score_all(sources: &[PairSource], options: &ScoreOptions) -> Result<Vec<Evaluation>> {
    let mut evaluations = Vec::with_capacity(sources.len());
    for source in sources {
        let name = source.name();
        let start = Instant::now();
        let last = Cell::new(start);
        let evaluation = score(source, options, &|rows| {
            let interval = if std::io::stderr().is_terminal() { 1 } else { 10 };
            if last.get().elapsed() > Duration::from_secs(interval) {
                last.set(Instant::now());
                eprintln!("{name}: {rows} rows");
            }
        })?;
        let seconds = start.elapsed().as_secs_f64();
        let rate = evaluation.reports.len() as f64 / seconds;
        eprintln!("{name}: {} reports in {seconds:.2} s ({rate:.0} a second)", evaluation.reports.len());
        for warning in &evaluation.warnings {
            eprintln!("{name}: warning: {warning}");
        }
        evaluations.push(evaluation);
    }
    Ok(evaluations)
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let sources: Vec<PairSource> = arguments.files.iter().map(|path| arguments.texts.source(path)).collect();
    // What is wrong with a later file is said before the first is scored.
    for source in &sources {
        drop(source.open()?);
    }
    let evaluations = score_all(&sources, &arguments.texts.options()?)?;
    let rows: Vec<usize> = evaluations.iter().map(|evaluation| evaluation.reports.len()).collect();
    if rows.iter().any(|&count| count != rows[0]) {
        eprintln!("warning: the files have different numbers of reports; their numbers are not of the same reports");
    }
    print!("{}", markdown(&evaluations));
    let with_ids = arguments.texts.id.is_some();
    if arguments.seeds {
        print!("{}", seeds_markdown(&evaluations));
    }
    if let Some(path) = &arguments.json {
        let mut value = to_json(&evaluations, with_ids);
        if arguments.seeds {
            value["seeds"] = seeds_json(&evaluations);
        }
        write_json(path, &value)?;
    }
    if let Some(path) = &arguments.plot {
        let chart = bar_chart(&evaluations);
        diffvp::files::write_atomic(path, |out| out.write_all(chart.as_bytes()))?;
    }
    if let Some(path) = &arguments.per_report {
        for (evaluation, source) in evaluations.iter().zip(&sources) {
            let path = if sources.len() == 1 { path.clone() } else { beside(path, source)? };
            diffvp::files::write_atomic(&path, |out| to_csv(evaluation, with_ids, out))?;
        }
    }
    Ok(())
}

fn beside(path: &Path, source: &PairSource) -> Result<PathBuf> {
    let stem = source.path.file_stem().unwrap_or_default().to_string_lossy();
    let Some(name) = path.file_name() else {
        return Err(Error::Incomparable(format!("--per-report {}: not a file name", path.display())));
    };
    Ok(path.with_file_name(format!("{stem}.{}", name.to_string_lossy())))
}

/// Writes JSON whole.
pub(crate) fn write_json(path: &Path, value: &serde_json::Value) -> Result<()> {
    Ok(diffvp::files::write_atomic(path, |out| {
        serde_json::to_writer_pretty(&mut *out, value)?;
        out.write_all(b"\n")
    })?)
}
