//! The whole recipe in miniature: phantoms → encoder → classifier → generator → package → reports on phantoms that
//! training never saw.

use std::path::Path;
use std::process::Command;

use diffvp::{Reporter, Scan};
use diffvp_exporter::config::Strides;
use diffvp_train::fit::config::FitConfig;
use diffvp_train::fit::describe::to_toml;
use diffvp_train::fit::presets::tiny;
use diffvp_train::synth::{DatasetOptions, PhantomOptions, Size, phantom, write_dataset};

const TRAINING_SCANS: u64 = 500;
const NEW_SCANS: u64 = 60;

/// Of the findings, these can be seen in voxels of about 8 × 8 × 13 mm (the others are at chance here).
const VISIBLE: [&str; 4] = ["Cardiomegaly", "Pleural effusion", "Lung opacity", "Consolidation"];

fn config() -> FitConfig {
    let mut config = tiny();
    config.model.input = [24, 48, 48];
    config.model.encoder.strides = Strides::Plain16;
    config.model.classifier.backbone.strides = Strides::Plain16;
    for step in &mut config.preprocessing.steps {
        if let diffvp::volume::Step::Resize { size, .. } = step {
            *size = config.model.input;
        }
    }
    config.classifier.schedule.epochs = 14.0;
    config
}

fn diffvp_train(arguments: &[&str], paths: &[(&str, &Path)]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_diffvp-train"));
    command.args(arguments);
    for (option, path) in paths {
        command.arg(option).arg(path);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The training loss of a stage: mean of the first and of the last ten steps.
fn losses(stage: &Path) -> (f64, f64) {
    let text = std::fs::read_to_string(stage.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let losses: Vec<f64> = lines.filter(|l| l["group"] == "train").map(|l| l["loss"].as_f64().unwrap()).collect();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    (mean(&losses[..10]), mean(&losses[losses.len() - 10..]))
}

/// How well a package does on new phantoms.
#[derive(Debug)]
struct Score {
    /// Mean over the visible findings of the probability that a scan with it is ranked above one without.
    auc: f64,
    /// F1 of "the report's findings" over the visible ones, at the package's thresholds.
    f1: f64,
    /// Part of the reports that have every section's first letter, a full stop at the end, and no stray bytes.
    readable: f64,
}

fn score(package: &Path) -> Score {
    let reporter = Reporter::builder(package).threads(1).build().unwrap();
    let options = PhantomOptions { size: Size::Tiny, ..PhantomOptions::default() };
    let folder = tempfile::tempdir().unwrap();
    let mut ranked: Vec<Vec<(f32, bool)>> = vec![Vec::new(); VISIBLE.len()];
    let (mut hits, mut wrong, mut readable) = (0, 0, 0);
    for index in 0..NEW_SCANS {
        let made = phantom(977, index, &options).unwrap();
        let path = folder.path().join("scan.nii.gz");
        diffvp::scan::write_nifti(&made.volume, &path).unwrap();
        let report = reporter.report(&Scan::open(&path).unwrap()).unwrap();
        for (label, ranked) in VISIBLE.iter().zip(&mut ranked) {
            let finding = report.findings().iter().find(|f| f.name == *label).unwrap();
            let there = made.truth.has(label);
            ranked.push((finding.probability, there));
            hits += usize::from(finding.present && there);
            wrong += usize::from(finding.present != there);
        }
        let text = report.text();
        let sections = ["Heart", "Lung", "Mediastinum", "Pleura"];
        readable +=
            usize::from(sections.iter().all(|s| text.contains(s)) && text.is_ascii() && text.trim().ends_with('.'));
    }
    let auc = |pairs: &Vec<(f32, bool)>| {
        let of = |wanted: bool| pairs.iter().filter(move |p| p.1 == wanted).map(|p| p.0);
        let all: Vec<f64> = of(true)
            .flat_map(|a| of(false).map(move |b| if a > b { 1.0 } else { f64::from(u8::from(a == b)) * 0.5 }))
            .collect();
        all.iter().sum::<f64>() / all.len() as f64
    };
    Score {
        auc: ranked.iter().map(auc).sum::<f64>() / VISIBLE.len() as f64,
        f1: 2.0 * hits as f64 / (2 * hits + wrong).max(1) as f64,
        readable: readable as f64 / NEW_SCANS as f64,
    }
}

#[test]
fn a_miniature_learns_to_report() {
    let work = tempfile::tempdir().unwrap();
    let path = |name: &str| work.path().join(name);
    let options = PhantomOptions { size: Size::Tiny, ..PhantomOptions::default() };
    write_dataset(
        &path("data"),
        6,
        &options,
        &DatasetOptions { train: TRAINING_SCANS, valid: 0, masks: true },
        |_, _| {},
    )
    .unwrap();
    let train = |config: &FitConfig, run: &str| {
        std::fs::write(path("fit.toml"), to_toml(config)).unwrap();
        let (config, data, run, cache) = (path("fit.toml"), path("data"), path(run), path("cache"));
        let paths = [("--config", &*config), ("--data", &*data), ("--run", &*run), ("--cache", &*cache)];
        diffvp_train(&["fit", "all", "--threads", "1"], &paths);
    };
    let export = |run: &str, package: &str| {
        let run = path(run);
        diffvp_train(&["export", run.to_str().unwrap(), "--quantize", "int4-32"], &[("--out", &*path(package))]);
    };
    train(&config(), "run");
    for (stage, falls_to) in [("encoder", 0.7), ("classifier", 0.9), ("warm_up", 0.9), ("generator", 0.5)] {
        let (first, last) = losses(&path("run").join(stage));
        println!("{stage}: loss {first:.3} → {last:.3}");
        assert!(last < falls_to * first, "{stage}: {first} → {last}");
    }
    export("run", "trained.diffvp");
    let trained = score(&path("trained.diffvp"));

    // The same, with one step a stage: what chance reaches.
    let mut untrained = config();
    for schedule in [
        &mut untrained.encoder.schedule,
        &mut untrained.classifier.schedule,
        &mut untrained.warm_up.schedule,
        &mut untrained.generator.schedule,
    ] {
        (schedule.epochs, schedule.learning_rate) = (0.01, 1e-9);
    }
    train(&untrained, "chance");
    export("chance", "chance.diffvp");
    let chance = score(&path("chance.diffvp"));
    println!("trained {trained:?}, untrained {chance:?}");
    assert!(trained.auc > 0.7 && trained.auc > chance.auc + 0.1, "{trained:?} {chance:?}");
    assert!(trained.f1 > chance.f1 + 0.1, "{trained:?} {chance:?}");
    assert!(trained.readable > 0.8 && chance.readable < 0.2, "{trained:?} {chance:?}");
}
