//! `diffvp-train eval regions`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use diffvp_train::eval::regions::{NumberedRegions, Presence, numbered, presence, read_long, region_pairs};
use diffvp_train::eval::text::{Evaluation, Pair, PairSource, ScoreOptions, Strip, markdown, score_pairs, to_json};
use diffvp_train::{Error, Result};
use serde_json::json;

use super::compare::tables;
use super::text::{Texts, score_all, write_json};

/// Metrics by region, and whether the right regions are reported.
///
/// PREDICTIONS is one of
/// (1) a table of whole reports with headings such as `The region 3 is lung:`, which are taken apart;
/// (2) a folder with one table a region, named `REGION_reports.csv` or `REGION.csv`;
/// (3) with --long, a table with the columns Volumename, Anatomy and Sentence, and --references one of the same form.
///
/// A region is scored where reference and prediction both have it, as published region tables are; --missing-scores-zero counts a
/// region that the prediction lacks as 0.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Table or folder.
    predictions: PathBuf,
    /// Column of the references.
    #[arg(long, value_name = "COLUMN", required_unless_present = "long")]
    reference: Option<String>,
    /// Column of the predictions.
    #[arg(long, value_name = "COLUMN", required_unless_present = "long")]
    prediction: Option<String>,
    /// The tables are long: Volumename, Anatomy, Sentence.
    #[arg(long, requires = "references")]
    long: bool,
    /// Table of the references, if they are not in PREDICTIONS itself.
    #[arg(long, value_name = "REFERENCES.csv")]
    references: Option<PathBuf>,
    /// Score a region that only the reference has, as 0, instead of leaving it out.
    #[arg(long)]
    missing_scores_zero: bool,
    /// Folder of WordNet 3.0's dictionary, for METEOR [default: /usr/share/wordnet, where it is].
    #[arg(long, value_name = "DIR")]
    wordnet: Option<PathBuf>,
    /// Write all numbers as JSON.
    #[arg(long, value_name = "OUT.json")]
    json: Option<PathBuf>,
    /// Write one table a region into this folder.
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
}

/// Pairs by region, and what reports say about which regions there are.
type Regions = BTreeMap<String, Vec<Pair>>;

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let texts = Texts {
        reference: arguments.reference.clone().unwrap_or_default(),
        prediction: arguments.prediction.clone().unwrap_or_default(),
        references: arguments.references.clone(),
        id: None,
        strip: Strip::None,
        wordnet: arguments.wordnet.clone(),
    };
    let options = texts.options()?;
    let mut whole = None;
    let evaluations = if arguments.predictions.is_dir() {
        folder(&arguments.predictions, &texts, &options)?
    } else {
        let (regions, reports) = match &arguments.references {
            Some(references) if arguments.long => long(references, &arguments.predictions)?,
            _ => {
                let pairs: Vec<Pair> = texts.source(&arguments.predictions).open()?.collect::<Result<_>>()?;
                (region_pairs(&pairs, true), pairs)
            }
        };
        if regions.is_empty() {
            let detail = "no report has a heading such as `The region 0 is lung:`".into();
            return Err(Error::Table { path: arguments.predictions.clone(), detail });
        }
        let regions = kept(regions, arguments.missing_scores_zero);
        if let Some(folder) = &arguments.write {
            write_tables(folder, &regions)?;
        }
        whole = Some((presence(&reports), numbered(&reports)));
        regions.iter().map(|(region, pairs)| score_pairs(region, pairs, &options)).collect::<Result<Vec<_>>>()?
    };
    print!("{}", markdown(&evaluations));
    if arguments.missing_scores_zero {
        println!("- a region that the prediction lacks scores 0");
    } else {
        println!("- a region is scored where both reports have it");
    }
    let mut value = to_json(&evaluations, false);
    value["missing_regions"] = json!(if arguments.missing_scores_zero { "score 0" } else { "left out" });
    if let Some((presence, numbered)) = &whole {
        print!("{}", presence_markdown(presence, numbered));
        value["presence"] = json!({ "convention": PRESENCE, "values": presence });
        value["numbered_regions"] = json!({ "convention": NUMBERED, "values": numbered });
    }
    if let Some(path) = &arguments.json {
        write_json(path, &value)?;
    }
    Ok(())
}

const PRESENCE: &str = "a region is present where its heading has any text; decisions over all (report, region) pairs";
const NUMBERED: &str = "Reg2RG: each numbered region of the reference must have the same name (its first word) under the same number \
                        in the prediction; 1e-5 is added to each denominator";

fn folder(path: &Path, texts: &Texts, options: &ScoreOptions) -> Result<Vec<Evaluation>> {
    let sources: Vec<PairSource> = tables(path)?.iter().map(|table| texts.source(table)).collect();
    // A folder of results also holds other tables.
    let (usable, others): (Vec<_>, Vec<_>) =
        sources.into_iter().partition(|source| !matches!(source.open(), Err(Error::MissingColumn { .. })));
    for source in &others {
        eprintln!("{}: left out: it lacks the columns", source.name());
    }
    if usable.is_empty() {
        let detail = format!("no table has the columns `{}` and `{}`", texts.reference, texts.prediction);
        return Err(Error::Table { path: path.to_path_buf(), detail });
    }
    let mut evaluations = score_all(&usable, options)?;
    for evaluation in &mut evaluations {
        let name = evaluation.name.rsplit_once('.').map_or(evaluation.name.as_str(), |(stem, _)| stem);
        evaluation.name = name.strip_suffix("_reports").unwrap_or(name).to_owned();
    }
    Ok(evaluations)
}

/// Long tables as pairs by region, and as reports with headings.
fn long(references: &Path, predictions: &Path) -> Result<(Regions, Vec<Pair>)> {
    let (references, mut predictions) = (read_long(references)?, read_long(predictions)?);
    let mut reports = Vec::new();
    let report = |regions: &BTreeMap<String, String>| {
        let headed = |(number, (region, text)): (usize, (&String, &String))| {
            format!("The region {number} is {region}: {text}\n")
        };
        regions.iter().filter(|(region, _)| !region.is_empty()).enumerate().map(headed).collect::<String>()
    };
    let mut missing = 0;
    for (row, (volume, regions)) in references.iter().enumerate() {
        let prediction = predictions.remove(volume);
        missing += u64::from(prediction.is_none());
        reports.push(Pair {
            row: row as u64 + 1,
            id: Some(volume.clone()),
            reference: report(regions),
            prediction: report(&prediction.unwrap_or_default()),
        });
    }
    if missing > 0 {
        eprintln!("warning: {missing} of {} volumes have no prediction", references.len());
    }
    if !predictions.is_empty() {
        eprintln!("warning: {} predicted volumes have no reference and are left out", predictions.len());
    }
    Ok((region_pairs(&reports, true), reports))
}

/// Takes regions without a prediction out, unless they score 0.
fn kept(regions: Regions, missing_scores_zero: bool) -> Regions {
    let keep = |pairs: Vec<Pair>| -> Vec<Pair> {
        pairs.into_iter().filter(|pair| missing_scores_zero || !pair.prediction.is_empty()).collect()
    };
    regions.into_iter().map(|(region, pairs)| (region, keep(pairs))).filter(|(_, pairs)| !pairs.is_empty()).collect()
}

fn write_tables(folder: &Path, regions: &Regions) -> Result<()> {
    let failed = |source: std::io::Error| diffvp::Error::Write { path: folder.to_path_buf(), source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    for (region, pairs) in regions {
        let safe: String =
            region.chars().map(|c| if c.is_alphanumeric() || " -_".contains(c) { c } else { '_' }).collect();
        diffvp::files::write_atomic(folder.join(format!("{safe}_reports.csv")), |out| {
            let mut table = csv::Writer::from_writer(out);
            table.write_record(["AccNum", "GT_combined_report", "Pred_combined_report"])?;
            for pair in pairs {
                let row = pair.row.to_string();
                table.write_record([pair.id.as_deref().unwrap_or(&row), &pair.reference, &pair.prediction])?;
            }
            table.flush()
        })?;
    }
    Ok(())
}

fn presence_markdown(presence: &Presence, numbered: &NumberedRegions) -> String {
    let mut out = Vec::new();
    let _ = writeln!(
        out,
        "\nPresence of regions: accuracy {:.4}, micro F1 {:.4}, macro F1 {:.4}\n",
        presence.accuracy, presence.micro_f1, presence.macro_f1
    );
    let _ = writeln!(out, "| region | precision | recall | F1 |\n|---|---|---|---|");
    for (region, rates) in &presence.regions {
        let _ = writeln!(out, "| {region} | {:.4} | {:.4} | {:.4} |", rates.precision, rates.recall, rates.f1);
    }
    let _ = writeln!(out, "\n- {PRESENCE}\n");
    let _ = writeln!(
        out,
        "Numbered regions: accuracy per report {:.4}±{:.4}\n",
        numbered.accuracy_mean, numbered.accuracy_std
    );
    let _ = writeln!(out, "| region | precision | recall | F1 |\n|---|---|---|---|");
    for (region, rates) in &numbered.regions {
        let _ = writeln!(out, "| {region} | {:.4} | {:.4} | {:.4} |", rates.precision, rates.recall, rates.f1);
    }
    let _ = writeln!(out, "\n- {NUMBERED}");
    String::from_utf8_lossy(&out).into_owned()
}
