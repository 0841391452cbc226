//! `diffvp-train data …`: what a data set holds, and what is wrong with it.

use std::path::PathBuf;

use diffvp_train::data::{Checked, Normals, OpenOptions, check};
use diffvp_train::{Error, Result};

use super::progress::Progress;

/// Work on data sets: RadGenome-ChestCT, CT-RATE v1 and v2, CTRG-Chest-548K, and those of `diffvp-train synth`.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Say what a data set holds, and what is missing, unreadable, without spacing or not in Hounsfield units.
    ///
    /// Exit status: 0 where nothing is wrong, 41 where something is.
    Check(CheckArguments),
}

/// Check a data set.
#[derive(clap::Args)]
pub(crate) struct CheckArguments {
    /// Folder of the data set.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Look at the tables and at which volumes are there, and open none.
    #[arg(long)]
    tables_only: bool,
    /// What makes a scan a normal reference: all 18 labels 0, a report that states no abnormality, or both.
    #[arg(long, value_enum, value_name = "WAY", default_value_t)]
    normals: Normals,
    /// Spacing x, y, z in mm of the volumes of a data set that tells none (CTRG-Chest-548K).
    #[arg(long, value_name = "MM", num_args = 3)]
    spacing_mm: Option<Vec<f64>>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Most problems that are listed; all with --json.
    #[arg(long, value_name = "N", default_value_t = 50)]
    list: usize,
}

pub(crate) fn run(command: &Command) -> Result<()> {
    let Command::Check(arguments) = command;
    let progress = Progress::new("scans");
    let spacing_mm = arguments.spacing_mm.as_ref().map(|mm| std::array::from_fn(|axis| mm[axis]));
    let options = OpenOptions { normals: arguments.normals, spacing_mm, ..OpenOptions::default() };
    let checked = check(&arguments.folder, &options, !arguments.tables_only, |done, all| {
        progress.tell(done as u64, all as u64);
    })?;
    progress.end();
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&checked).unwrap_or_default());
    } else {
        print(&checked, arguments.list);
    }
    match checked.problems.len() {
        0 => Ok(()),
        problems => Err(Error::ProblemsFound { path: arguments.folder.clone(), problems }),
    }
}

fn print(checked: &Checked, list: usize) {
    let [train, validation, test] = checked.scans;
    println!("layout       {:?}", checked.layout);
    println!("scans        {train} for training, {validation} for validation, {test} for testing");
    let [table, text, missing] = checked.labels_from;
    println!("labels       {table} from tables, {text} read from reports, {missing} unknown");
    let [train, others] = checked.normal;
    println!("normal       {train} for training, {others} others, by {}", checked.normals);
    for (_, name) in Normals::ALL {
        let [train, others] = checked.normal_by[name];
        println!("  by {name:7}  {train} for training, {others} others");
    }
    match checked.opened {
        0 => println!("volumes      not opened"),
        n => println!("volumes      {n} opened"),
    }
    println!("fingerprint  {}", checked.fingerprint);
    for p in checked.findings.iter().filter(|p| p.of > 0) {
        println!("  {:34} {:6} of {} ({:.1} %)", p.finding, p.scans, p.of, 100.0 * p.scans as f64 / p.of as f64);
    }
    for problem in checked.problems.iter().take(list) {
        println!("problem: {}: {}", problem.path.display(), problem.detail);
    }
    if checked.problems.len() > list {
        println!("… and {} more (--list N, or --json for all)", checked.problems.len() - list);
    }
}
