//! Scoring of a file: all metrics of all its pairs, on all cores, a chunk of texts in memory.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use rayon::prelude::*;

use super::bleu::BleuCounts;
use super::cider::DocumentFrequencies;
use super::meteor::Meteor;
use super::metrics::Metric;
use super::pairs::{Pair, PairSource};
use super::python::trim;
use super::rouge::{RougeScore, rouge};
use super::strip::{Strip, has_headings};
use crate::{Error, Result};

/// Rows scored at once, unless their texts are long.
const CHUNK_ROWS: usize = 512;
/// Bytes of text scored at once, beyond the last row.
const CHUNK_BYTES: usize = 8 << 20;
/// Rows that a warning names.
const NAMED_ROWS: usize = 5;

/// How texts are scored.
#[derive(Default)]
pub struct ScoreOptions {
    /// What is taken off both texts first.
    pub strip: Strip,
    /// METEOR, where WordNet is there.
    pub meteor: Option<Meteor>,
}

/// Scores of one report.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportScores {
    /// Number of the row, from 1.
    pub row: u64,
    /// Identifier, where the table has them.
    pub id: Option<String>,
    /// BLEU-1 to BLEU-4.
    pub bleu: [f64; 4],
    /// METEOR.
    pub meteor: Option<f64>,
    /// ROUGE-1, ROUGE-2, ROUGE-L.
    pub rouge: [RougeScore; 3],
    /// CIDEr.
    pub cider: f64,
    /// Of the reference as scored: comparisons check that they are of the same texts.
    pub(crate) reference_hash: u64,
}

/// Scores of a file.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// Name of the file, without folder.
    pub name: String,
    /// What was taken off.
    pub strip: Strip,
    /// Scores of each report, in the order of the table.
    pub reports: Vec<ReportScores>,
    /// BLEU's counts over all reports.
    pub corpus: BleuCounts,
    /// What a reader must know.
    pub warnings: Vec<String>,
    /// Whether the table has identifiers.
    pub has_ids: bool,
}

impl Evaluation {
    /// A metric's value of each report; nothing where it was not computed.
    pub fn values(&self, metric: Metric) -> Option<Vec<f64>> {
        self.reports.iter().map(|report| metric.of(report)).collect()
    }
}

/// Rows in which something is odd.
#[derive(Default)]
struct Oddities {
    empty_predictions: Vec<u64>,
    empty_references: Vec<u64>,
    headings: Vec<u64>,
    duplicates: Vec<u64>,
    first_rows: HashMap<String, u64>,
}

/// Scores all pairs of a table. `progress` is told the rows done, in both passes.
///
/// An empty prediction or reference scores 0 in every metric; it is never left out.
///
/// # Errors
/// Those of [`PairSource::open`] and its rows; [`Error::Table`] where there is no row.
pub fn score(source: &PairSource, options: &ScoreOptions, progress: &dyn Fn(u64)) -> Result<Evaluation> {
    let failed = |detail: &str| Error::Table { path: source.path.clone(), detail: detail.into() };
    let (mut evaluation, frequencies) = first_pass(source.name(), source.open()?, options, progress)?;
    if evaluation.reports.is_empty() {
        return Err(failed("no rows below the header"));
    }
    if second_pass(&mut evaluation, source.open()?, &frequencies, progress)? != evaluation.reports.len() {
        return Err(failed("the file changed while it was read"));
    }
    Ok(evaluation)
}

/// Scores pairs that are in memory already.
///
/// # Errors
/// [`Error::Incomparable`] where there are none.
pub fn score_pairs(name: &str, pairs: &[Pair], options: &ScoreOptions) -> Result<Evaluation> {
    if pairs.is_empty() {
        return Err(Error::Incomparable(format!("{name}: no reports")));
    }
    let rows = || pairs.iter().cloned().map(Ok);
    let (mut evaluation, frequencies) = first_pass(name.to_owned(), rows(), options, &|_| ())?;
    second_pass(&mut evaluation, rows(), &frequencies, &|_| ())?;
    Ok(evaluation)
}

/// Everything but CIDEr, which needs all references first.
fn first_pass(
    name: String,
    rows: impl Iterator<Item = Result<Pair>>,
    options: &ScoreOptions,
    progress: &dyn Fn(u64),
) -> Result<(Evaluation, DocumentFrequencies)> {
    let mut frequencies = DocumentFrequencies::default();
    let mut oddities = Oddities::default();
    let mut corpus = BleuCounts::default();
    let mut reports: Vec<ReportScores> = Vec::new();
    for_each_chunk(rows, options.strip, |chunk| {
        for pair in &*chunk {
            oddities.note(pair);
        }
        let references: Vec<&str> = chunk.iter().map(|pair| pair.reference.as_str()).collect();
        frequencies.add(&references);
        let scored: Vec<(ReportScores, BleuCounts)> =
            chunk.par_iter_mut().map(|pair| score_pair(pair, options.meteor.as_ref())).collect();
        for (scores, counts) in scored {
            corpus.add(&counts);
            reports.push(scores);
        }
        progress(reports.len() as u64);
    })?;
    let has_ids = reports.iter().all(|report| report.id.is_some());
    let warnings = oddities.warnings(options, reports.len());
    Ok((Evaluation { name, strip: options.strip, reports, corpus, warnings, has_ids }, frequencies))
}

/// CIDEr; returns the number of rows.
fn second_pass(
    evaluation: &mut Evaluation,
    rows: impl Iterator<Item = Result<Pair>>,
    frequencies: &DocumentFrequencies,
    progress: &dyn Fn(u64),
) -> Result<usize> {
    let mut done = 0;
    for_each_chunk(rows, evaluation.strip, |chunk| {
        let values: Vec<f64> = chunk.par_iter().map(|p| frequencies.score(&p.reference, &p.prediction)).collect();
        for (report, value) in evaluation.reports.iter_mut().skip(done).zip(&values) {
            report.cider = *value;
        }
        done += values.len();
        progress(done as u64);
    })?;
    Ok(done)
}

fn for_each_chunk(
    mut rows: impl Iterator<Item = Result<Pair>>,
    strip: Strip,
    mut work: impl FnMut(&mut [Pair]),
) -> Result<()> {
    let mut chunk = Vec::new();
    loop {
        let mut bytes = 0;
        while chunk.len() < CHUNK_ROWS && bytes < CHUNK_BYTES {
            let Some(pair) = rows.next() else { break };
            let pair = pair?;
            bytes += pair.reference.len() + pair.prediction.len();
            chunk.push(pair);
        }
        if chunk.is_empty() {
            return Ok(());
        }
        if strip != Strip::None {
            chunk.par_iter_mut().for_each(|pair: &mut Pair| {
                pair.reference = strip.apply(&pair.reference);
                pair.prediction = strip.apply(&pair.prediction);
            });
        }
        work(&mut chunk);
        chunk.clear();
    }
}

fn score_pair(pair: &mut Pair, meteor: Option<&Meteor>) -> (ReportScores, BleuCounts) {
    let (reference, prediction) = (pair.reference.as_str(), pair.prediction.as_str());
    let counts = BleuCounts::of(reference, prediction);
    let scores = ReportScores {
        row: pair.row,
        bleu: std::array::from_fn(|i| counts.score(i + 1)),
        meteor: meteor.map(|meteor| meteor.score(reference, prediction)),
        rouge: rouge(reference, prediction),
        cider: 0.0,
        reference_hash: hash(reference),
        id: pair.id.take(),
    };
    (scores, counts)
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

impl Oddities {
    fn note(&mut self, pair: &Pair) {
        if trim(&pair.prediction).is_empty() {
            self.empty_predictions.push(pair.row);
        }
        if trim(&pair.reference).is_empty() {
            self.empty_references.push(pair.row);
        }
        if has_headings(&pair.reference) || has_headings(&pair.prediction) {
            self.headings.push(pair.row);
        }
        if let Some(id) = &pair.id
            && self.first_rows.insert(id.clone(), pair.row).is_some()
        {
            self.duplicates.push(pair.row);
        }
    }

    fn warnings(&self, options: &ScoreOptions, reports: usize) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut warn = |rows: &[u64], what: &str| {
            if !rows.is_empty() {
                let named: Vec<String> = rows.iter().take(NAMED_ROWS).map(u64::to_string).collect();
                let more = if rows.len() > NAMED_ROWS { ", …" } else { "" };
                warnings.push(format!("{} of {reports} rows {what} (row {}{more})", rows.len(), named.join(", ")));
            }
        };
        warn(&self.empty_predictions, "have an empty prediction, which scores 0");
        warn(&self.empty_references, "have an empty reference, which scores 0");
        warn(&self.duplicates, "repeat an identifier of an earlier row; each is scored");
        if options.strip == Strip::None {
            warn(
                &self.headings,
                "have headings such as `The region 0 is lung:`; published numbers are without: --strip radgenome",
            );
        }
        match &options.meteor {
            None => warnings.push(
                "METEOR is left out: it needs WordNet 3.0; install Debian's `wordnet-base`, or name its folder with --wordnet"
                    .into(),
            ),
            Some(meteor) if !meteor.wordnet().is_version_3_0() => {
                warnings.push("METEOR: the dictionary does not say that it is WordNet 3.0; values may differ from published ones".into());
            }
            Some(_) => {}
        }
        if reports == 1 {
            warnings.push("CIDEr of a single report is 0: no n-gram is rarer than another".into());
        }
        warnings
    }
}
