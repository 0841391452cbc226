//! One CSV file through a labeller, row by row.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

use diffvp::CancelToken;

use super::table::{Table, labels_by_id, no_id, wrong};
use super::{Description, Labeller, Labels, Scores};
use crate::Result;
use crate::labels::FINDINGS;

/// Rows that are in memory at a time.
const BATCH: usize = 512;
/// Rows that one warning names.
const NAMED_ROWS: usize = 5;

/// Where the true labels come from.
#[derive(Debug, Clone)]
pub enum Truth {
    /// The same labeller reads them from this column, as the published numbers have it.
    Reference(String),
    /// Label columns of a table, by id. May be the file of the predictions itself.
    Labels(PathBuf),
}

/// What to compare.
#[derive(Debug, Clone)]
pub struct Request {
    /// CSV file with the predictions.
    pub file: PathBuf,
    /// Where the truth is.
    pub truth: Truth,
    /// Column with the predicted texts.
    pub prediction: String,
    /// Column with the id of a report; without it, a column of a usual name, if there is one.
    pub id: Option<String>,
}

/// What a comparison found, and how.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// What made the labels.
    pub labeller: Description,
    /// What was compared.
    pub request: Request,
    /// The scores.
    pub scores: Scores,
    /// What the reader of the scores should know: empty texts, texts that were cut, ids that come twice.
    pub warnings: Vec<String>,
}

/// Labels references and predictions of a file, and scores them. `progress` hears the number of rows done.
///
/// # Errors
/// [`Error::Table`](crate::Error::Table) for columns that are not there and rows that cannot be read, and those of the labeller.
pub fn evaluate(
    request: &Request,
    labeller: &Labeller,
    cancel: &CancelToken,
    mut progress: impl FnMut(u64),
) -> Result<Comparison> {
    let mut table = Table::open(&request.file)?;
    let prediction = table.column(&request.prediction)?;
    let id = table.id_column(request.id.as_deref())?;
    let source = match &request.truth {
        Truth::Reference(column) => Source::Text(table.column(column)?),
        Truth::Labels(path) if same_file(path, &request.file) => Source::Own(table.label_columns()?),
        Truth::Labels(path) => {
            let id = id.ok_or_else(|| no_id(&table))?;
            Source::Other(id, labels_by_id(path, request.id.as_deref())?, path.clone())
        }
    };
    let mut scores = Scores::default();
    let mut notes = Notes::default();
    loop {
        let mut rows = Vec::new();
        while rows.len() < BATCH {
            let Some(row) = table.next()? else { break };
            rows.push(row);
        }
        if rows.is_empty() {
            break;
        }
        let mut texts = Vec::with_capacity(rows.len());
        for row in &rows {
            let text = table.text(row, prediction)?;
            if text.trim().is_empty() {
                notes.empty_predictions.add(row.number);
            }
            if let Some(id) = id {
                notes.id(table.text(row, id)?, row.number);
            }
            texts.push(text);
        }
        let (predicted, cut) = labeller.label(&texts, cancel)?;
        notes.cut += cut;
        let truth: Vec<Labels> = match &source {
            Source::Text(column) => {
                let references = rows.iter().map(|row| table.text(row, *column)).collect::<Result<Vec<_>>>()?;
                for (row, text) in rows.iter().zip(&references) {
                    if text.trim().is_empty() {
                        notes.empty_references.add(row.number);
                    }
                }
                let (labels, cut) = labeller.label(&references, cancel)?;
                notes.cut += cut;
                labels
            }
            Source::Own(columns) => rows.iter().map(|row| table.labels(row, columns)).collect::<Result<_>>()?,
            Source::Other(id, labels, path) => {
                let of = |row| {
                    let id = table.text(row, *id)?.trim();
                    let missing = || format!("row {}: {} has no labels for its id", row.number, path.display());
                    labels.get(id).copied().ok_or_else(|| wrong(table.path(), missing()))
                };
                rows.iter().map(of).collect::<Result<_>>()?
            }
        };
        for (truth, predicted) in truth.iter().zip(&predicted) {
            scores.add(truth, predicted);
        }
        progress(scores.reports());
    }
    if scores.reports() == 0 {
        return Err(wrong(table.path(), "it has a header and no rows".into()));
    }
    Ok(Comparison { labeller: labeller.description(), request: request.clone(), scores, warnings: notes.warnings() })
}

/// Writes the labels of a column of a file, with its ids if it has any, else the numbers of its rows. Returns the number
/// of rows and warnings as [`Comparison`] has them.
///
/// # Errors
/// As [`evaluate`], and [`diffvp::Error::Write`].
pub fn label(
    file: &Path,
    column: &str,
    id: Option<&str>,
    labeller: &Labeller,
    out: &Path,
    cancel: &CancelToken,
    mut progress: impl FnMut(u64),
) -> Result<(u64, Vec<String>)> {
    let mut table = Table::open(file)?;
    let text = table.column(column)?;
    let id = table.id_column(id)?;
    let mut notes = Notes::default();
    let mut done = 0;
    // The writer is inside `write_atomic`, whose errors are of I/O: ours goes around it.
    let mut failure = None;
    let written = diffvp::files::write_atomic(out, |file| {
        let mut writer = csv::Writer::from_writer(file);
        writer.write_record(["id"].into_iter().chain(FINDINGS))?;
        let mut step = || -> Result<Vec<(String, Labels)>> {
            let mut rows = Vec::new();
            while rows.len() < BATCH {
                let Some(row) = table.next()? else { break };
                rows.push(row);
            }
            let texts = rows.iter().map(|row| table.text(row, text)).collect::<Result<Vec<_>>>()?;
            let (labels, cut) = labeller.label(&texts, cancel)?;
            notes.cut += cut;
            let mut named = Vec::with_capacity(rows.len());
            for ((row, text), labels) in rows.iter().zip(texts).zip(labels) {
                if text.trim().is_empty() {
                    notes.empty_predictions.add(row.number);
                }
                let name = match id {
                    Some(id) => table.text(row, id)?.to_owned(),
                    None => row.number.to_string(),
                };
                if id.is_some() {
                    notes.id(&name, row.number);
                }
                named.push((name, labels));
            }
            Ok(named)
        };
        loop {
            let named = match step() {
                Ok(named) if named.is_empty() => break,
                Ok(named) => named,
                Err(error) => {
                    failure = Some(error);
                    return Err(std::io::Error::other("the labels could not be made"));
                }
            };
            for (name, labels) in &named {
                let cells = labels.iter().map(|&label| if label { "1" } else { "0" });
                writer.write_record([name.as_str()].into_iter().chain(cells))?;
            }
            done += named.len() as u64;
            progress(done);
        }
        writer.flush()
    });
    if let Some(error) = failure {
        return Err(error);
    }
    written?;
    Ok((done, notes.warnings()))
}

enum Source {
    Text(usize),
    Own([usize; 18]),
    Other(usize, HashMap<String, Labels>, PathBuf),
}

fn same_file(a: &Path, b: &Path) -> bool {
    a == b || matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// What is said after all rows are read.
#[derive(Default)]
struct Notes {
    empty_predictions: Rows,
    empty_references: Rows,
    /// Hashes of the ids so far, with their row: a file of a million ids takes megabytes, and no id is kept.
    ids: HashMap<u64, u64>,
    hasher: RandomState,
    repeated: Rows,
    cut: u64,
}

#[derive(Default)]
struct Rows {
    count: u64,
    first: Vec<u64>,
}

impl Rows {
    fn add(&mut self, row: u64) {
        self.count += 1;
        if self.first.len() < NAMED_ROWS {
            self.first.push(row);
        }
    }

    fn say(&self, what: &str, warnings: &mut Vec<String>) {
        if self.count > 0 {
            let rows: Vec<String> = self.first.iter().map(u64::to_string).collect();
            let more = if self.count > self.first.len() as u64 { ", …" } else { "" };
            warnings.push(format!("{} {what} (rows {}{more})", self.count, rows.join(", ")));
        }
    }
}

impl Notes {
    fn id(&mut self, id: &str, row: u64) {
        if self.ids.insert(self.hasher.hash_one(id.trim()), row).is_some() {
            self.repeated.add(row);
        }
    }

    fn warnings(self) -> Vec<String> {
        let mut warnings = Vec::new();
        self.empty_predictions.say("texts are empty: counted as without findings, not left out", &mut warnings);
        self.empty_references.say("references are empty: counted as without findings, not left out", &mut warnings);
        self.repeated.say("rows have the id of a row before: all were counted", &mut warnings);
        if self.cut > 0 {
            warnings.push(format!("{} texts were longer than the labeller reads, and cut at the end", self.cut));
        }
        warnings
    }
}
