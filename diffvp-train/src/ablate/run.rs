//! Training, exporting and measuring every variant; what is done already is not done again.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use diffvp::SectionOrder;
use diffvp::runtime::SessionOptions;
use diffvp_exporter::graphs::DecoderOptions;
use diffvp_exporter::package::ExportOptions;

use super::pools;
use super::variants::{Group, Variant};
use crate::eval::phantoms::{PhantomRequest, PhantomScores, make_reports, score};
use crate::export::{ExportRequest, export};
use crate::fit::config::FitConfig;
use crate::fit::{FitRequest, Stages, fit};
use crate::synth::PhantomOptions;
use crate::{Error, Result};

/// An ablation.
#[derive(Debug, Clone)]
pub struct AblateRequest {
    /// The base run: encoder and classifier are trained, and all variants share them.
    pub run: PathBuf,
    /// The data set that it was trained with.
    pub data: PathBuf,
    /// Its cache of prepared volumes and features.
    pub cache: PathBuf,
    /// Folder of the ablation.
    pub out: PathBuf,
    /// Tables to make.
    pub groups: Vec<Group>,
    /// Names of the only rows to make; all rows of the tables without.
    pub rows: Vec<String>,
    /// Seeds of training; all of them in [`Group::Seeds`], the first elsewhere.
    pub seeds: Vec<u64>,
    /// Passes over the training scans; those of the base run without.
    pub epochs: Option<f64>,
    /// Seed of the phantoms that are reported, which no training has seen.
    pub phantom_seed: u64,
    /// Number of them.
    pub scans: u64,
    /// Threads; 0 for all cores.
    pub threads: usize,
    /// Whether to train on a GPU.
    pub cuda: bool,
}

/// A variant that was trained with one seed, and measured.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The table it belongs to.
    pub group: Group,
    /// What was changed.
    pub variant: Variant,
    /// Seed of its training.
    pub seed: u64,
    /// All numbers.
    pub scores: PhantomScores,
}

/// Trains and measures; `tell` hears of each step.
///
/// # Errors
/// Those of training, export and measuring; what was complete before stays, and the same call goes on.
pub fn ablate(request: &AblateRequest, tell: impl Fn(&str)) -> Result<Vec<Outcome>> {
    let base = FitConfig::open(&request.run.join("fit.toml"))?;
    let first = *request.seeds.first().ok_or_else(|| Error::training("an ablation needs a seed"))?;
    let mut steps: Vec<(Group, Variant, u64)> = Vec::new();
    for (group, mut variant) in chosen(&request.groups, &request.rows)? {
        // The base run's own number is no other model.
        variant.prefix_tokens = variant.prefix_tokens.filter(|p| *p != base.model.difference.prefix_tokens);
        let seeds = if group == Group::Seeds { request.seeds.as_slice() } else { &[first] };
        steps.extend(seeds.iter().map(|&seed| (group, variant.clone(), seed)));
    }
    let mut outcomes = Vec::new();
    for (index, (group, variant, seed)) in steps.iter().enumerate() {
        tell(&format!("{} of {}: {}, seed {seed}", index + 1, steps.len(), variant.name));
        let run = train(request, &base, variant, *seed)?;
        let package = package(request, variant, *seed, &run)?;
        let reports = make_reports(
            &PhantomRequest {
                package,
                seed: request.phantom_seed,
                scans: request.scans,
                phantoms: PhantomOptions::default(),
                sections: Some(SectionOrder::Sequential),
                file: request.out.join("reports").join(format!("{}-seed{seed}.jsonl", variant.slug())),
            },
            |_, _| (),
        )?;
        let scores = score(variant.name, &reports)?;
        tell(&format!("{}: micro F1 {:.3}, sides {:.3}", variant.name, scores.stated.micro().f1, scores.sides.value()));
        outcomes.push(Outcome { group: *group, variant: variant.clone(), seed: *seed, scores });
    }
    Ok(outcomes)
}

/// The rows of some tables, or those of them that have these names.
fn chosen(groups: &[Group], names: &[String]) -> Result<Vec<(Group, Variant)>> {
    let of = |&group: &Group| Variant::of(group).into_iter().map(move |variant| (group, variant));
    let mut rows: Vec<(Group, Variant)> = groups.iter().flat_map(of).collect();
    if let Some(unknown) = names.iter().find(|name| rows.iter().all(|(_, row)| row.name != name.as_str())) {
        let mut seen = HashSet::new();
        let known: Vec<&str> = rows.iter().map(|(_, row)| row.name).filter(|name| seen.insert(*name)).collect();
        let known = known.join("\", \"");
        return Err(Error::training(format!("no row is called \"{unknown}\": there are \"{known}\"")));
    }
    rows.retain(|(_, row)| names.is_empty() || names.iter().any(|name| name == row.name));
    Ok(rows)
}

/// Trains the generator of a variant in a run of its own, beside the base run's encoder and classifier.
fn train(request: &AblateRequest, base: &FitConfig, variant: &Variant, seed: u64) -> Result<PathBuf> {
    let run = request.out.join("runs").join(format!("{}-seed{seed}", variant.trained()));
    for file in ["encoder/weights.safetensors", "classifier/weights.safetensors", "classifier/findings.json"] {
        copy(&request.run.join(file), &run.join(file))?;
    }
    // One warm-up a seed: no variant changes what it depends on.
    let shared = request.out.join("warm_up").join(format!("seed{seed}"));
    let warm_up = run.join("warm_up");
    copy_folder(&shared, &warm_up)?;
    let mut config = variant.config(base, seed);
    if let Some(epochs) = request.epochs {
        config.generator.schedule.epochs = epochs;
    }
    fit(
        FitRequest {
            config,
            data: request.data.clone(),
            run: run.clone(),
            cache: Some(request.cache.clone()),
            cuda: request.cuda,
            threads: request.threads,
            processes: 1,
            resume: true,
            skip_bad: false,
        },
        Stages::Generator,
    )?;
    copy_folder(&warm_up, &shared)?;
    Ok(run)
}

fn package(request: &AblateRequest, variant: &Variant, seed: u64, run: &Path) -> Result<PathBuf> {
    let package = request.out.join("packages").join(format!("{}-seed{seed}.diffvp", variant.slug()));
    if diffvp::package::Package::open(&package).is_ok() {
        return Ok(package);
    }
    let references = pools::scans(variant.bank, &request.data, &request.out, request.phantom_seed + 1)?;
    let request = ExportRequest {
        references,
        data: Default::default(),
        options: ExportOptions { decoder: DecoderOptions::f32(), ..ExportOptions::default() },
        rounded: None,
        session: SessionOptions { threads: request.threads, ..SessionOptions::default() },
    };
    export(run, &package, &request, |_, _| ())?;
    Ok(package)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let read = |source| diffvp::Error::Read { path: from.to_path_buf(), source };
    let bytes = std::fs::read(from).map_err(read)?;
    if std::fs::read(to).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let folder = to.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|source| diffvp::Error::Write { path: folder.to_path_buf(), source })?;
    Ok(diffvp::files::write_atomic(to, |out| std::io::Write::write_all(out, &bytes))?)
}

/// Copies the files of a folder that are not there yet; nothing where there is no folder.
fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(from) else { return Ok(()) };
    for entry in entries.flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_file() && !target.exists() {
            copy(&entry.path(), &target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_chosen_by_their_names() {
        let names = |groups: &[Group], rows: &[&str]| {
            let rows: Vec<String> = rows.iter().map(|name| name.to_string()).collect();
            chosen(groups, &rows).map(|rows| rows.into_iter().map(|(group, row)| (group, row.name)).collect::<Vec<_>>())
        };
        let both = [Group::Parts, Group::Seeds];
        assert_eq!(names(&both, &[]).unwrap().len(), Variant::of(both[0]).len() + Variant::of(both[1]).len());
        assert_eq!(names(&both, &["full"]).unwrap(), [(Group::Parts, "full"), (Group::Seeds, "full")]);
        let error = names(&[Group::Prefix], &["p = 5"]).unwrap_err().to_string();
        assert!(error.contains("\"p = 5\"") && error.contains("\"p = 4\", \"p = 8\""), "{error}");
    }
}
