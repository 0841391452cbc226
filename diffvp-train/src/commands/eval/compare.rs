//! `diffvp-train eval compare`.

use std::path::{Path, PathBuf};

use diffvp_train::eval::statistics::{Side, compare, comparison_json, comparison_markdown};
use diffvp_train::eval::text::{PairSource, ScoreOptions};
use diffvp_train::{Error, Result};

use super::text::{Texts, score_all, write_json};

/// Compare two methods report by report: differences, bootstrap intervals, t-tests.
///
/// A and B are each a table of predictions, or a folder with one table a seed (.csv or .tsv, taken in the order of their names).
/// Reports are matched by identifier where every table has one, else by row, and must have the same references.
///
/// Example: diffvp-train eval compare baseline/ ours/ --reference GT --prediction Pred --strip radgenome
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The method to compare with.
    a: PathBuf,
    /// The method that is compared.
    b: PathBuf,
    #[command(flatten)]
    texts: Texts,
    /// Write all numbers as JSON.
    #[arg(long, value_name = "OUT.json")]
    json: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let options = arguments.texts.options()?;
    let a = side(&arguments.a, &arguments.texts, &options)?;
    let b = side(&arguments.b, &arguments.texts, &options)?;
    let comparisons = compare(&a, &b)?;
    print!("{}", comparison_markdown(&a, &b, &comparisons));
    if let Some(path) = &arguments.json {
        write_json(path, &comparison_json(&a, &b, &comparisons))?;
    }
    Ok(())
}

fn side(path: &Path, texts: &Texts, options: &ScoreOptions) -> Result<Side> {
    let sources: Vec<PairSource> = tables(path)?.iter().map(|table| texts.source(table)).collect();
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    Ok(Side { name, runs: score_all(&sources, options)? })
}

/// The tables of a folder in the order of their names, or the one that is named.
pub(crate) fn tables(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let failed = |detail: String| Error::Table { path: path.to_path_buf(), detail };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|error| failed(error.to_string()))? {
        let file = entry.map_err(|error| failed(error.to_string()))?.path();
        if file.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv") || e.eq_ignore_ascii_case("tsv")) {
            found.push(file);
        }
    }
    found.sort();
    if found.is_empty() { Err(failed("no .csv or .tsv in this folder".into())) } else { Ok(found) }
}
