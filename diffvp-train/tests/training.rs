//! Training as a user runs it: the program is started, killed, started again, and shared by processes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use diffvp_exporter::config::Strides;
use diffvp_exporter::weights::{SafetensorsWeights, Weights};
use diffvp_train::adapter::LoraConfig;
use diffvp_train::fit::config::FitConfig;
use diffvp_train::fit::describe::to_toml;
use diffvp_train::fit::presets::tiny;
use diffvp_train::synth::{DatasetOptions, PhantomOptions, Size, write_dataset};

/// The smallest config in which every stage does something.
fn config() -> FitConfig {
    let mut config = tiny();
    config.model.input = [16, 32, 32];
    (config.model.encoder.width, config.model.classifier.backbone.width) = (4, 4);
    config.model.encoder.strides = Strides::Plain16;
    config.model.classifier.backbone.strides = Strides::Plain16;
    (config.model.resampler.tokens, config.model.resampler.dim, config.model.resampler.head_dim) = (8, 32, 8);
    config.model.decoder.layers = 1;
    for step in &mut config.preprocessing.steps {
        if let diffvp::volume::Step::Resize { size, .. } = step {
            *size = config.model.input;
        }
    }
    for schedule in [
        &mut config.encoder.schedule,
        &mut config.classifier.schedule,
        &mut config.warm_up.schedule,
        &mut config.generator.schedule,
    ] {
        (schedule.epochs, schedule.batch, schedule.micro_batch) = (1.0, 4, 2);
        (schedule.validate_every, schedule.checkpoint_every, schedule.warm_up_steps) = (3, 2, 2);
    }
    // Dropout is the hardest to resume.
    config.generator.lora =
        Some(LoraConfig { rank: 2, alpha: 4.0, dropout: 0.2, targets: vec!["q_proj".into(), "v_proj".into()] });
    config
}

struct Work {
    folder: tempfile::TempDir,
}

impl Work {
    fn new(scans: u64, config: &FitConfig) -> Work {
        let folder = tempfile::tempdir().unwrap();
        let options = PhantomOptions { size: Size::Tiny, ..PhantomOptions::default() };
        write_dataset(
            &folder.path().join("data"),
            3,
            &options,
            &DatasetOptions { train: scans, valid: 0, masks: true },
            |_, _| {},
        )
        .unwrap();
        std::fs::write(folder.path().join("fit.toml"), to_toml(config)).unwrap();
        Work { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn fit(&self, stage: &str, run: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_diffvp-train"));
        command.args(["fit", stage, "--threads", "1"]).args(more);
        for (option, path) in [("--config", "fit.toml"), ("--data", "data"), ("--run", run), ("--cache", "cache")] {
            command.arg(option).arg(self.path(path));
        }
        command.stdout(Stdio::null());
        command
    }

    fn run(&self, stage: &str, run: &str, more: &[&str]) -> String {
        let output = self.fit(stage, run, more).stderr(Stdio::piped()).output().unwrap();
        let text = text(&output);
        assert!(output.status.success(), "{text}");
        text
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Lines of `metrics.jsonl` without what depends on the clock.
fn metrics(stage: &Path) -> Vec<BTreeMap<String, serde_json::Value>> {
    let text = std::fs::read_to_string(stage.join("metrics.jsonl")).unwrap_or_default();
    let parse = |line: &str| {
        let mut line: BTreeMap<String, serde_json::Value> = serde_json::from_str(line).ok()?;
        line.remove("scans_per_second");
        Some(line)
    };
    text.lines().filter_map(parse).collect()
}

/// Kills a run, without warning, once a stage is behind a checkpoint and inside an epoch.
fn kill_at(mut child: Child, stage: &Path, lines: usize) {
    let start = Instant::now();
    while metrics(stage).len() < lines {
        assert!(child.try_wait().unwrap().is_none(), "the run ended before it could be killed");
        assert!(start.elapsed() < Duration::from_secs(240), "no progress in {}", stage.display());
        std::thread::sleep(Duration::from_millis(3));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_killed_run_goes_on_bit_for_bit() {
    let work = Work::new(40, &config());
    work.run("all", "whole", &[]);
    let stages = [
        ("encoder", "encoder", 4),
        ("classifier", "classifier", 5),
        ("warm_up", "generator", 4),
        ("generator", "generator", 5),
    ];
    for (index, (stage, command, lines)) in stages.into_iter().enumerate() {
        let resume: &[&str] = if index > 0 { &["--resume"] } else { &[] };
        let child = work.fit(command, "killed", resume).stderr(Stdio::null()).spawn().unwrap();
        kill_at(child, &work.path("killed").join(stage), lines);
        if command != "generator" {
            work.run(command, "killed", &["--resume"]);
        }
    }
    work.run("generator", "killed", &["--resume"]);
    for stage in ["encoder", "classifier", "warm_up", "generator"] {
        let file = |run: &str, name: &str| std::fs::read(work.path(run).join(stage).join(name)).unwrap();
        assert_eq!(metrics(&work.path("killed").join(stage)), metrics(&work.path("whole").join(stage)), "{stage}");
        assert!(file("killed", "weights.safetensors") == file("whole", "weights.safetensors"), "{stage}");
    }
    let adapter = |run: &str| std::fs::read(work.path(run).join("adapter/adapter_model.safetensors")).unwrap();
    assert!(adapter("killed") == adapter("whole"));
}

/// Two processes with half of each batch are one process with the whole.
#[test]
fn two_processes_are_one_with_twice_the_batch() {
    let work = Work::new(30, &config());
    work.run("all", "one", &[]);
    work.run("all", "two", &["--processes", "2"]);
    for stage in ["encoder", "classifier", "warm_up", "generator"] {
        let open =
            |run: &str| SafetensorsWeights::open(work.path(run).join(stage).join("weights.safetensors")).unwrap();
        let (one, two) = (open("one"), open("two"));
        for (name, shape) in one.tensors() {
            let (a, b) = (one.tensor(name, shape).unwrap(), two.tensor(name, shape).unwrap());
            let largest = a.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
            let error = a.iter().zip(&b).fold(0f32, |m, (a, b)| m.max((a - b).abs())) / largest;
            assert!(error < 1e-4, "{stage} {name}: {error:e}");
        }
    }
    let message = text(&work.fit("encoder", "three", &["--processes", "3"]).stderr(Stdio::piped()).output().unwrap());
    assert!(message.contains("3 processes cannot share 2 parts"), "{message}");
}

#[test]
fn bad_input_is_named_and_leaves_nothing_half_written() {
    let mut bad = config();
    bad.classifier.start_from_encoder = false;
    bad.classifier.schedule.learning_rate = 1e30;
    bad.classifier.schedule.clip_norm = 0.0;
    bad.encoder.schedule.epochs = 0.0;
    let work = Work::new(12, &bad);
    let fails = |stage: &str, run: &str, more: &[&str]| {
        let output = work.fit(stage, run, more).stderr(Stdio::piped()).output().unwrap();
        assert!(!output.status.success());
        text(&output)
    };
    let message = fails("generator", "run", &[]);
    assert!(message.contains("fit encoder"), "what is missing: {message}");
    let message = fails("classifier", "run", &[]);
    assert!(message.contains("learning rate") && message.contains("step"), "{message}");
    let volume = work.path("data").join("dataset/train_preprocessed/train_1/train_1a/train_1_a_1.nii.gz");
    let whole = std::fs::read(&volume).unwrap();
    std::fs::write(&volume, &whole[..whole.len() / 2]).unwrap();
    std::fs::remove_dir_all(work.path("cache")).unwrap();
    let name = volume.file_name().unwrap().to_string_lossy().into_owned();
    let message = fails("classifier", "other", &[]);
    assert!(message.contains(&name) && message.contains("--skip-bad"), "{message}");
    assert!(!work.path("other/classifier").exists());
    let message = fails("classifier", "other", &["--skip-bad"]);
    assert!(message.contains("skipped 1 scans") && message.contains(&name), "{message}");
    std::fs::write(work.path("fit.toml"), "sede = 1\n").unwrap();
    assert!(fails("encoder", "run", &[]).contains("fit.toml"));
}
