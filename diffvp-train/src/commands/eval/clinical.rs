//! `diffvp-train eval clinical` and `diffvp-train eval label`.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use diffvp::CancelToken;
use diffvp::runtime::SessionOptions;
use diffvp_train::Result;
use diffvp_train::eval::clinical::{Labeller, Request, Truth, evaluate, json, label, text};

/// How to read findings from text.
#[derive(clap::Args)]
struct LabellerArguments {
    /// `builtin` for the rules that need no weights, or a folder with a text classifier: tokenizer.json and a graph in
    /// ONNX with 18 outputs (see docs/labeller.md).
    #[arg(long, value_name = "builtin|DIR", default_value = "builtin")]
    labeller: String,
    /// Column with the id of a report. Without it: the first of id, AccNum, AccessionNo, VolumeName, name, scan.
    #[arg(long, value_name = "COLUMN")]
    id: Option<String>,
    /// Threads for a classifier; 0 for all cores.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
}

impl LabellerArguments {
    fn open(&self) -> Result<Labeller> {
        Labeller::open(&self.labeller, &SessionOptions { threads: self.threads, ..SessionOptions::default() })
    }
}

/// Compare the 18 findings that predictions and references state
///
/// A labeller reads both texts of each row. Precision, recall and F1 (micro, macro,
/// weighted, per report, per finding) follow scikit-learn with zero_division=0.
/// With --labels, the truth is a table of labels instead of a text.
///
/// Examples:
///   diffvp-train eval clinical out.csv --reference GT --prediction Pred --json s.json
///   diffvp-train eval clinical out.csv --labels labels.csv --prediction Pred
/// The labeller itself is judged where a file has texts and labels:
///   diffvp-train eval clinical r.csv --labels r.csv --prediction report_text
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// CSV file, UTF-8, whose first row names the columns.
    #[arg(value_name = "FILE.csv")]
    file: PathBuf,
    /// Column with the reference reports.
    #[arg(long, value_name = "COLUMN", required_unless_present = "labels", conflicts_with = "labels")]
    reference: Option<String>,
    /// CSV file with the 18 label columns (0 or 1) in place of references, matched by id. May be FILE.csv itself.
    #[arg(long, value_name = "LABELS.csv")]
    labels: Option<PathBuf>,
    /// Column with the generated reports.
    #[arg(long, value_name = "COLUMN")]
    prediction: String,
    /// Write the numbers as JSON too.
    #[arg(long, value_name = "OUT.json")]
    json: Option<PathBuf>,
    #[command(flatten)]
    labeller: LabellerArguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let truth = match &arguments.labels {
        Some(labels) => Truth::Labels(labels.clone()),
        // clap sees to it that one of the two is there.
        None => Truth::Reference(arguments.reference.clone().unwrap_or_default()),
    };
    let request = Request {
        file: arguments.file.clone(),
        truth,
        prediction: arguments.prediction.clone(),
        id: arguments.labeller.id.clone(),
    };
    let labeller = arguments.labeller.open()?;
    let comparison = evaluate(&request, &labeller, &CancelToken::default(), progress())?;
    end_progress();
    print!("{}", text(&comparison));
    if let Some(out) = &arguments.json {
        let value = json(&comparison);
        diffvp::files::write_atomic(out, |file| {
            serde_json::to_writer_pretty(&mut *file, &value)?;
            writeln!(file)
        })?;
        eprintln!("{}", out.display());
    }
    Ok(())
}

/// Write the 18 findings that the texts of a column state.
///
/// The output has the columns id (or the number of the row, where the file has no id) and the 18 findings, 0 or 1: the
/// form that `eval clinical --labels` takes.
#[derive(clap::Args)]
pub(crate) struct LabelArguments {
    /// CSV file, UTF-8, whose first row names the columns.
    #[arg(value_name = "FILE.csv")]
    file: PathBuf,
    /// Column with the texts.
    #[arg(long, value_name = "COLUMN")]
    column: String,
    /// CSV file to write.
    #[arg(long, value_name = "LABELS.csv")]
    out: PathBuf,
    #[command(flatten)]
    labeller: LabellerArguments,
}

pub(crate) fn run_label(arguments: &LabelArguments) -> Result<()> {
    let labeller = arguments.labeller.open()?;
    let id = arguments.labeller.id.as_deref();
    let cancel = CancelToken::default();
    let (rows, warnings) =
        label(&arguments.file, &arguments.column, id, &labeller, &arguments.out, &cancel, progress())?;
    end_progress();
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    let made_by = labeller.description();
    eprintln!("{}: {rows} reports labelled by {} {}", arguments.out.display(), made_by.name, made_by.version);
    Ok(())
}

/// A line that changes, on a terminal only: a log of a run of seconds needs none.
fn progress() -> impl FnMut(u64) {
    let terminal = std::io::stderr().is_terminal();
    move |done| {
        if terminal {
            let _ = write!(std::io::stderr().lock(), "\r{done} reports");
        }
    }
}

fn end_progress() {
    if std::io::stderr().is_terminal() {
        eprintln!();
    }
}
