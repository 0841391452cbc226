//! `diffvp-train eval phantoms`.

use std::path::PathBuf;

use clap::ValueEnum;
use diffvp::SectionOrder;
use diffvp_train::Result;
use diffvp_train::eval::phantoms::{PhantomRequest, json, make_reports, markdown, score};
use diffvp_train::synth::PhantomOptions;

use super::text::write_json;
use crate::commands::progress::Progress;
use crate::commands::synth::{DomainName, SizeName};

/// Report phantoms that no training has seen, and compare with what is exactly in them
///
/// Findings stated (precision, recall, F1), sides and lobes where stated, sizes in mm,
/// BLEU-4 and ROUGE-L; a column a seed. Sentences are read by the built-in labeller.
/// The reports are kept in --out, and a run that was broken off goes on there.
///
///   diffvp-train eval phantoms --package demo.diffvp --out reports --seeds 101,102,103
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The model package.
    #[arg(long, value_name = "PACKAGE")]
    package: PathBuf,
    /// Folder of the reports, one file of JSON lines a seed.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Seeds of the phantoms. Use none that the package was trained with.
    #[arg(long, value_name = "S,…", value_delimiter = ',', default_value = "101,102,103")]
    seeds: Vec<u64>,
    /// Phantoms of each seed.
    #[arg(long, value_name = "N", default_value_t = 400)]
    scans: u64,
    /// Fraction of phantoms without any finding.
    #[arg(long, value_name = "F", default_value_t = 0.25)]
    normal_fraction: f64,
    /// Number of voxels.
    #[arg(long, value_enum, default_value = "demo")]
    size: SizeName,
    /// Write sections one after the other (sequential) or all at once (parallel); the package's first order without this.
    #[arg(long, value_name = "ORDER")]
    sections: Option<SectionOrder>,
    /// Scanner.
    #[arg(long, value_enum, default_value = "a")]
    domain: DomainName,
    /// Write all numbers as JSON.
    #[arg(long, value_name = "OUT.json")]
    json: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let phantoms = PhantomOptions {
        size: arguments.size.into(),
        normal_fraction: arguments.normal_fraction,
        domain: arguments.domain.into(),
    };
    let mut seeds = Vec::new();
    for &seed in &arguments.seeds {
        let name = arguments.domain.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default();
        let order = arguments.sections.map(|order| format!("_{order}")).unwrap_or_default();
        let request = PhantomRequest {
            package: arguments.package.clone(),
            seed,
            scans: arguments.scans,
            phantoms: phantoms.clone(),
            sections: arguments.sections,
            file: arguments.out.join(format!("{name}_{seed}{order}.jsonl")),
        };
        let progress = Progress::new("reports");
        let reports = make_reports(&request, |done, all| progress.tell(done, all))?;
        progress.end();
        seeds.push((seed, score(&format!("seed {seed}"), &reports)?));
    }
    print!("{}", markdown(&seeds));
    if let Some(path) = &arguments.json {
        write_json(path, &json(&seeds))?;
    }
    Ok(())
}
