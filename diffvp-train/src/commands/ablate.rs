//! `diffvp-train ablate`.

use std::path::PathBuf;

use diffvp_train::Result;
use diffvp_train::ablate::{AblateRequest, Group, ablate, json, markdown};

use super::eval::write_json;

/// Train variants of a run and print what each part of the method is worth
///
/// Every variant shares the run's encoder and classifier, trains a generator of its own, is
/// exported, and reports phantoms that no training has seen. Broken off, the same command goes on.
///
///   diffvp-train ablate run --data data --cache run/cache --out ablation --groups parts,pool
///   diffvp-train ablate run --data data --out ablation --groups parts --row "no E, both Δ" --threads 1
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The base run: `fit encoder` and `fit classifier` are done in it.
    run: PathBuf,
    /// The data set that it was trained with.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Cache of prepared volumes and features; RUN/cache by default.
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Folder for runs, packages, reports and tables.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Tables to make.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "parts,prefix,pool,seeds")]
    groups: Vec<Group>,
    /// Only this row, named as in the tables; may be given several times. Rows can be trained by several commands at a time, and
    /// the command without this then makes the tables of all.
    #[arg(long = "row", value_name = "NAME")]
    rows: Vec<String>,
    /// Seeds of training: all of them in the table of seeds, the first elsewhere.
    #[arg(long, value_name = "S,…", value_delimiter = ',', default_value = "21,22,23,24,25")]
    seeds: Vec<u64>,
    /// Passes over the training scans for each generator; those of the run's config without this.
    #[arg(long, value_name = "N")]
    epochs: Option<f64>,
    /// Seed of the phantoms that are reported. Use none that the run was trained with.
    #[arg(long, value_name = "S", default_value_t = 201)]
    phantom_seed: u64,
    /// Phantoms reported by each variant.
    #[arg(long, value_name = "N", default_value_t = 400)]
    scans: u64,
    /// Train on the GPU.
    #[arg(long)]
    cuda: bool,
    /// Threads of libtorch; 0 for all cores, or beside a GPU one.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let request = AblateRequest {
        run: arguments.run.clone(),
        data: arguments.data.clone(),
        cache: arguments.cache.clone().unwrap_or_else(|| arguments.run.join("cache")),
        out: arguments.out.clone(),
        groups: arguments.groups.clone(),
        rows: arguments.rows.clone(),
        seeds: arguments.seeds.clone(),
        epochs: arguments.epochs,
        phantom_seed: arguments.phantom_seed,
        scans: arguments.scans,
        threads: arguments.threads,
        cuda: arguments.cuda,
    };
    let outcomes = ablate(&request, |line| eprintln!("ablate: {line}"))?;
    let table = markdown(&outcomes);
    print!("{table}");
    diffvp::files::write_atomic(arguments.out.join("tables.md"), |out| {
        std::io::Write::write_all(out, table.as_bytes())
    })?;
    write_json(&arguments.out.join("numbers.json"), &json(&outcomes))
}
