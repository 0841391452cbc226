//! ONNX Runtime into the cache folder: one pinned library per platform, taken from the `onnxruntime` Python
//! package, which pip brings or the user hands over.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cache::{self, sha256_file};
use crate::{Failure, Result, fail, say};

/// The version that is fetched, tested and measured with.
const VERSION: &str = "1.31.1";

/// The pinned library of one platform.
struct Platform {
    os: &'static str,
    arch: &'static str,
    /// Platform tag that pip asks for.
    tag: &'static str,
    wheel_sha256: &'static str,
    /// File name of the library, in `onnxruntime/capi/` of the wheel and in the cache.
    library: &'static str,
    library_bytes: u64,
    library_sha256: &'static str,
}

const PLATFORMS: [Platform; 4] = [
    Platform {
        os: "linux",
        arch: "x86_64",
        tag: "manylinux_2_28_x86_64",
        wheel_sha256: "5752bd508126ae7c49894d3b9d2e83f0c3d487319246d04c444b393308d7ad7f",
        library: "libonnxruntime.so.1.31.1",
        library_bytes: 29_352_200,
        library_sha256: "fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3",
    },
    Platform {
        os: "linux",
        arch: "aarch64",
        tag: "manylinux_2_28_aarch64",
        wheel_sha256: "da05378364c44d4407e463982d2bf8d5e4cfea873283757e48beeb41df97b7f3",
        library: "libonnxruntime.so.1.31.1",
        library_bytes: 25_265_040,
        library_sha256: "8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467",
    },
    Platform {
        os: "macos",
        arch: "aarch64",
        tag: "macosx_14_0_arm64",
        wheel_sha256: "60b6b69bfe580eab576cacc5d132a0e9cf2a37fcfd18d46dd191042b1d1ed0d7",
        library: "libonnxruntime.1.31.1.dylib",
        library_bytes: 33_037_336,
        library_sha256: "f8b06155feece624e55e49124340eea279da812529ae6fbc46a9f2be9c9cad2e",
    },
    Platform {
        os: "windows",
        arch: "x86_64",
        tag: "win_amd64",
        wheel_sha256: "c3d91b5de31e2fc82d71bd65b2b22bddee8b49057a3a36338e9a868e0ea90c05",
        library: "onnxruntime.dll",
        library_bytes: 19_288_888,
        library_sha256: "8482d2ee174e28504f99730fb01d6861575870283de4ed3a897ad39170d9a9b9",
    },
];

/// The library that programs are started with: the one that `ORT_DYLIB_PATH` names, or the pinned one.
pub(crate) fn chosen(wheel: Option<&Path>) -> Result<PathBuf> {
    let Some(named) = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()).map(PathBuf::from) else {
        return ensure(wheel);
    };
    if !named.is_file() {
        return fail(format!("ORT_DYLIB_PATH names {}, which is no file: correct it, or unset it", named.display()));
    }
    say(&format!("ONNX Runtime as ORT_DYLIB_PATH names it: {}", named.display()));
    // Programs are started in other folders than this one.
    std::path::absolute(&named).map_err(|error| Failure::Sentence(format!("{}: {error}", named.display())))
}

/// Makes sure that the pinned library is in the cache and returns its path. Once it is there, nothing is
/// started or fetched.
pub(crate) fn ensure(wheel: Option<&Path>) -> Result<PathBuf> {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let Some(platform) = PLATFORMS.iter().find(|p| p.os == os && p.arch == arch) else {
        return fail(format!(
            "no ONNX Runtime is pinned for {os} on {arch}: install version {VERSION} yourself and set ORT_DYLIB_PATH \
             to its library"
        ));
    };
    let folder = cache::dir()?.join(format!("onnxruntime-{VERSION}"));
    let library = folder.join(platform.library);
    if library.is_file() {
        match sha256_file(&library) {
            Ok(found) if found == platform.library_sha256 => {
                say(&format!("ONNX Runtime {VERSION} is in the cache: {}", library.display()));
                return Ok(library);
            }
            _ => say(&format!("{} is not the pinned library; fetching it again", library.display())),
        }
    }
    match wheel {
        Some(wheel) => unpack(platform, wheel, &library)?,
        None => {
            let temporary = tempfile::tempdir()
                .map_err(|error| Failure::Sentence(format!("cannot make a temporary folder: {error}")))?;
            unpack(platform, &download(platform, temporary.path())?, &library)?;
        }
    }
    say(&format!("ONNX Runtime {VERSION} is now in the cache: {}", library.display()));
    Ok(library)
}

/// Lets pip bring the wheel into a folder.
fn download(platform: &Platform, folder: &Path) -> Result<PathBuf> {
    let advice = format!(
        "On a machine with network and pip run\n  {}\nand hand the file over with `cargo xtask runtime --wheel FILE`; \
         or set ORT_DYLIB_PATH to a libonnxruntime {VERSION} that you have.",
        pip_line("python3", platform, ".")
    );
    let Some(python) = python_with_pip() else {
        return fail(format!(
            "ONNX Runtime {VERSION} comes by pip, and neither python3 nor python with pip was found: install python3 \
             with pip (on Debian and Ubuntu the packages python3 and python3-pip). {advice}"
        ));
    };
    let target = folder.to_string_lossy();
    say(&format!("fetching ONNX Runtime {VERSION}: {}", pip_line(&python, platform, &target)));
    let mut command = Command::new(&python);
    command.args(pip_arguments(platform, &target)).args(["--quiet", "--disable-pip-version-check"]);
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| Failure::Sentence(format!("{python} cannot be started: {error}")))?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        return fail(format!("pip could not bring ONNX Runtime {VERSION}:\n{}\n{advice}", told.trim()));
    }
    let wheel = fs::read_dir(folder).ok().into_iter().flatten().flatten().map(|entry| entry.path());
    match wheel.filter(|path| path.extension().is_some_and(|e| e == "whl")).max() {
        Some(wheel) => Ok(wheel),
        None => fail(format!("pip said that it worked, and brought no wheel. {advice}")),
    }
}

fn pip_arguments<'a>(platform: &'a Platform, folder: &'a str) -> Vec<&'a str> {
    let mut arguments = vec!["-m", "pip", "download", PACKAGE, "--no-deps", "--only-binary=:all:"];
    arguments.extend(["--python-version", "3.11", "--platform", platform.tag, "-d", folder]);
    arguments
}

const PACKAGE: &str = "onnxruntime==1.31.1";

fn pip_line(python: &str, platform: &Platform, folder: &str) -> String {
    format!("{python} {}", pip_arguments(platform, folder).join(" "))
}

pub(crate) fn python_with_pip() -> Option<String> {
    let works = |name: &&str| {
        let mut command = Command::new(name);
        command.args(["-m", "pip", "--version"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    ["python3", "python"].iter().find(|name| works(name)).map(|name| (*name).to_owned())
}

/// Takes the library out of a wheel: both must have the pinned hash. The library appears whole or not at all.
fn unpack(platform: &Platform, wheel: &Path, library: &Path) -> Result<()> {
    let on_wheel = |error: &dyn std::fmt::Display| Failure::Sentence(format!("{}: {error}", wheel.display()));
    let found = sha256_file(wheel).map_err(|e| on_wheel(&e))?;
    if found != platform.wheel_sha256 {
        return fail(format!(
            "{}: not the pinned wheel of onnxruntime {VERSION} for {} ({}, for Python 3.11): its SHA-256 is {found}, \
             expected {}",
            wheel.display(),
            platform.os,
            platform.tag,
            platform.wheel_sha256
        ));
    }
    let mut archive = zip::ZipArchive::new(File::open(wheel).map_err(|e| on_wheel(&e))?).map_err(|e| on_wheel(&e))?;
    let entry = archive.by_name(&format!("onnxruntime/capi/{}", platform.library)).map_err(|e| on_wheel(&e))?;
    let on_library = |error: &dyn std::fmt::Display| {
        Failure::Sentence(format!(
            "{}: {error}: set DIFFVP_CACHE to a folder with room that you may write",
            library.display()
        ))
    };
    let folder = library.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|e| on_library(&e))?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".fetching-").suffix(".tmp");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    let mut file = builder.tempfile_in(folder).map_err(|e| on_library(&e))?;
    io::copy(&mut entry.take(platform.library_bytes + 1), &mut file).map_err(|e| on_library(&e))?;
    file.as_file().sync_all().map_err(|e| on_library(&e))?;
    let found = sha256_file(file.path()).map_err(|e| on_library(&e))?;
    if found != platform.library_sha256 {
        return fail(format!(
            "the library in {} has the SHA-256 {found}, expected {}",
            wheel.display(),
            platform.library_sha256
        ));
    }
    file.persist(library).map_err(|e| on_library(&e.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_one_version() {
        assert_eq!(PACKAGE, format!("onnxruntime=={VERSION}"));
        for platform in &PLATFORMS {
            assert!(platform.os == "windows" || platform.library.contains(VERSION));
            for hash in [platform.wheel_sha256, platform.library_sha256] {
                assert!(hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()));
            }
        }
    }

    #[test]
    fn another_wheel_is_refused_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let wheel = folder.path().join("other.whl");
        fs::write(&wheel, b"PK not really").unwrap();
        let library = folder.path().join("cache/lib");
        match unpack(&PLATFORMS[0], &wheel, &library) {
            Err(Failure::Sentence(text)) => assert!(text.contains("not the pinned wheel"), "{text}"),
            other => panic!("{other:?}"),
        }
        assert!(!library.parent().unwrap().exists());
    }

    /// A wheel with the right hash whose library has another: what a mistaken pin would look like.
    #[test]
    fn another_library_is_refused_and_leaves_nothing() {
        use std::io::Write;
        let folder = tempfile::tempdir().unwrap();
        let wheel = folder.path().join("made.whl");
        let mut writer = zip::ZipWriter::new(File::create(&wheel).unwrap());
        let options = zip::write::SimpleFileOptions::default();
        writer.start_file("onnxruntime/capi/libtest.so", options).unwrap();
        writer.write_all(b"some library").unwrap();
        writer.finish().unwrap();
        let wheel_sha256: &'static str = sha256_file(&wheel).unwrap().leak();
        let library_sha256: &'static str = cache::sha256(b"some library").leak();
        let platform = |library_bytes, library_sha256| Platform {
            os: "test",
            arch: "test",
            tag: "test",
            wheel_sha256,
            library: "libtest.so",
            library_bytes,
            library_sha256,
        };
        let library = folder.path().join("cache/libtest.so");
        for wrong in [platform(12, PLATFORMS[0].library_sha256), platform(4, library_sha256)] {
            assert!(unpack(&wrong, &wheel, &library).is_err());
            assert_eq!(fs::read_dir(library.parent().unwrap()).unwrap().count(), 0);
        }
        unpack(&platform(12, library_sha256), &wheel, &library).unwrap();
        assert_eq!(fs::read(&library).unwrap(), b"some library");
    }
}
