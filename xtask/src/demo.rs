//! `cargo xtask demo`: a chest CT becomes a report.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{cargo, line, root, run as execute};
use crate::{Failure, Result, cache, fail, runtime, say};

/// A chest CT becomes a report: build, make the demo scan and model package, print the report.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Your own scan (NIfTI file, DICOM file or folder) instead of the synthetic one.
    #[arg(long, value_name = "PATH")]
    scan: Option<PathBuf>,
    /// Where the difference map goes.
    #[arg(long, value_name = "FILE.png", default_value = "demo-map.png")]
    map: PathBuf,
    /// As in `cargo xtask runtime`.
    #[arg(long, value_name = "FILE.whl")]
    wheel: Option<PathBuf>,
}

/// One thing that the demo needs: which program makes it, how, and what lies in the folder afterwards.
/// `{name}` in an argument stands for that path inside the demo folder.
struct Step {
    about: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
    output: &'static str,
}

/// The demo, step by step. A step runs again where its output is missing, or its command line, its program
/// or a step before it has changed.
const STEPS: [Step; 3] = [
    Step {
        about: "making synthetic scans",
        program: "diffvp-train",
        arguments: &["synth", "--out", "{scans}", "--scans", "8", "--valid", "1", "--seed", "0"],
        output: "scans",
    },
    Step {
        about: "making the demo model, untrained",
        program: "diffvp-train",
        arguments: &["init", "--preset", "demo", "--seed", "0", "--out", "{run}"],
        output: "run",
    },
    Step {
        about: "exporting the model package",
        program: "diffvp-train",
        arguments: &["export", "{run}", "--references", "{scans}", "--out", "{demo.diffvp}"],
        output: "demo.diffvp",
    },
];

/// The scan that is reported without `--scan`, inside the demo folder.
const SCAN: &str = "scans/dataset/valid_preprocessed/valid_1/valid_1a/valid_1_a_1.nii.gz";

/// The package, inside the demo folder.
const PACKAGE: &str = "demo.diffvp";

const BUILD: &str = "build --release --package diffvp --package diffvp-train --features diffvp/cli --bins";

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if let Some(scan) = &arguments.scan
        && !scan.exists()
    {
        return fail(format!("{}: no such file or folder", scan.display()));
    }
    let library = runtime::chosen(arguments.wheel.as_deref())?;
    execute(cargo().args(BUILD.split(' ')))?;
    let folder = cache::dir()?.join("demo");
    fs::create_dir_all(&folder).map_err(|e| Failure::Sentence(format!("{}: {e}", folder.display())))?;
    let mut before = String::new();
    for step in &STEPS {
        before = make(step, &folder, &library, &before)?;
    }
    let mut report = Command::new(program("diffvp"));
    report.arg("report").arg(arguments.scan.clone().unwrap_or_else(|| folder.join(SCAN)));
    report.arg("--package").arg(folder.join(PACKAGE)).arg("--map").arg(&arguments.map);
    execute(report.env("ORT_DYLIB_PATH", &library))?;
    say(&format!("the difference map is in {}", arguments.map.display()));
    Ok(())
}

/// Runs a step where it is needed; returns its stamp, which names everything that its output depends on.
fn make(step: &Step, folder: &Path, library: &Path, before: &str) -> Result<String> {
    let mut command = Command::new(program(step.program));
    command.args(step.arguments.iter().map(|argument| in_folder(argument, folder)));
    command.env("ORT_DYLIB_PATH", library);
    let executable = program(step.program);
    let hash = cache::sha256_file(&executable)
        .map_err(|e| Failure::Sentence(format!("{}: {e}: cargo did not build it", executable.display())))?;
    let stamp = cache::sha256(format!("{before}\n{hash}\n{}", line(&command)).as_bytes());
    let (output, mark) = (folder.join(step.output), folder.join(format!("{}.stamp", step.output)));
    if output.exists() && fs::read_to_string(&mark).is_ok_and(|found| found == stamp) {
        say(&format!("{}: done before", step.about));
        return Ok(stamp);
    }
    say(step.about);
    let on = |path: &Path, error: std::io::Error| Failure::Sentence(format!("{}: {error}", path.display()));
    // Without its stamp a half-made output is not taken for a whole one.
    for old in [&mark, &output] {
        match fs::symlink_metadata(old) {
            Ok(found) if found.is_dir() => fs::remove_dir_all(old).map_err(|e| on(old, e))?,
            Ok(_) => fs::remove_file(old).map_err(|e| on(old, e))?,
            Err(_) => {}
        }
    }
    execute(&mut command)?;
    if !output.exists() {
        return fail(format!("{} ended well, but {} is not there", step.program, output.display()));
    }
    fs::write(&mark, &stamp).map_err(|e| on(&mark, e))?;
    Ok(stamp)
}

fn in_folder(argument: &str, folder: &Path) -> OsString {
    match argument.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        Some(name) => folder.join(name).into_os_string(),
        None => argument.into(),
    }
}

/// A program of this workspace, as `cargo build --release` leaves it.
fn program(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let target = root().join(target.unwrap_or_else(|| "target".into()));
    target.join("release").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_of_the_demo_is_made_by_a_step() {
        let made =
            |name: &str| STEPS.iter().any(|step| name == step.output || name.starts_with(&format!("{}/", step.output)));
        assert!(made(SCAN) && made(PACKAGE));
        for argument in STEPS.iter().flat_map(|step| step.arguments) {
            if let Some(name) = argument.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                assert!(made(name), "{argument}");
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_step_runs_once_and_again_when_its_past_changes() {
        let folder = tempfile::tempdir().unwrap();
        let step = |arguments| Step { about: "test", program: "/bin/sh", arguments, output: "out" };
        let count = |step: &Step, before: &str| {
            make(step, folder.path(), Path::new("none"), before).unwrap();
            fs::read_to_string(folder.path().join("out.count")).unwrap().len()
        };
        let script = "printf x >> \"$0.count\"; : > \"$0\"";
        let args: &'static [&'static str] = vec!["-c", script, "{out}"].leak();
        assert_eq!(count(&step(args), ""), 1);
        assert_eq!(count(&step(args), ""), 1);
        assert_eq!(count(&step(args), "another past"), 2);
        fs::remove_file(folder.path().join("out")).unwrap();
        assert_eq!(count(&step(args), "another past"), 3);
        let failing: &'static [&'static str] = vec!["-c", "exit 3"].leak();
        assert!(matches!(make(&step(failing), folder.path(), Path::new("none"), ""), Err(Failure::Said(3))));
        assert!(!folder.path().join("out").exists());
    }
}
