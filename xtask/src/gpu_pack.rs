//! `cargo xtask gpu-pack`: everything that `gpu-check` needs on a machine with a GPU that has neither cargo nor a network,
//! in pieces that can be carried one by one.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cache::sha256_file;
use crate::process::{cargo, output, root, run as execute};
use crate::runtime::python_with_pip;
use crate::{Failure, Result, fail, say};

/// Gather programs and ONNX Runtime with CUDA in OUT/piece-1, OUT/piece-2 and so on. There: copy the pieces into one folder
/// and run `sh FOLDER/piece-1/unpack.sh FOLDER TARGET`, then `sh TARGET/gpu-check.sh ARGUMENTS`.
///
/// The machine needs the libraries of CUDA 13 and cuDNN 9, such as those that PyTorch brings.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder for the pieces; older pieces there are replaced.
    out: PathBuf,
    /// Take the libraries from this file of the `onnxruntime-gpu` Python package instead of asking pip. Its SHA-256 must be
    /// the pinned one.
    #[arg(long, value_name = "FILE.whl")]
    wheel: Option<PathBuf>,
    /// Largest size of a piece in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 48)]
    piece: u64,
}

const PACKAGE: &str = "onnxruntime-gpu==1.31.1";
const WHEEL_SHA256: &str = "05d548956197b9d01f59b625de740e0d6be3593f874e241a12dc0362650ecdf7";
const LIBRARIES: [&str; 3] =
    ["libonnxruntime.so.1.31.1", "libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so"];

/// Bytes of the archive that are compressed, and later unpacked, by one process.
const PART: u64 = 24 << 20;

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return fail("the pack holds programs for Linux on x86_64: make it there");
    }
    let temporary =
        tempfile::tempdir().map_err(|e| Failure::Sentence(format!("cannot make a temporary folder: {e}")))?;
    let pack = temporary.path().join("pack");
    for folder in ["lib", "bin"] {
        fs::create_dir_all(pack.join(folder)).map_err(wrong(&pack))?;
    }
    let wheel = match &arguments.wheel {
        Some(wheel) => wheel.clone(),
        None => download(temporary.path())?,
    };
    libraries(&wheel, &pack.join("lib"))?;
    programs(&pack.join("bin"))?;
    let script = root().join("tests/reference/gpu_speed.py");
    fs::copy(&script, pack.join("gpu_speed.py")).map_err(wrong(&script))?;
    fs::write(pack.join("gpu-check.sh"), include_str!("gpu_check.sh")).map_err(wrong(&pack))?;

    let archive = temporary.path().join("pack.tar");
    execute(Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(&pack).arg("."))?;
    let hash = sha256_file(&archive).map_err(wrong(&archive))?;
    let parts = compress(&archive, temporary.path())?;
    let limit = arguments.piece << 20;
    let pieces = distribute(&parts, limit)?;
    let unpack = include_str!("gpu_unpack.sh").replace("@SHA256@", &hash).replace("@PARTS@", &parts.len().to_string());
    write(&arguments.out, &pieces, &unpack)
}

fn wrong(path: &Path) -> impl Fn(io::Error) -> Failure {
    let path = path.to_path_buf();
    move |error| Failure::Sentence(format!("{}: {error}", path.display()))
}

fn download(folder: &Path) -> Result<PathBuf> {
    let fixed = ["-m", "pip", "download", PACKAGE, "--no-deps", "--only-binary=:all:", "--python-version", "3.12"];
    let platform = ["--platform", "manylinux_2_28_x86_64", "--quiet", "-d"];
    let Some(python) = python_with_pip() else {
        return fail(format!(
            "{PACKAGE} comes by pip, and neither python3 nor python with pip was found: hand its file over with --wheel"
        ));
    };
    execute(Command::new(python).args(fixed).args(platform).arg(folder))?;
    let files = fs::read_dir(folder).map_err(wrong(folder))?.flatten().map(|entry| entry.path());
    match files.filter(|path| path.extension().is_some_and(|e| e == "whl")).max() {
        Some(wheel) => Ok(wheel),
        None => fail("pip said that it worked, and brought no wheel"),
    }
}

fn libraries(wheel: &Path, folder: &Path) -> Result<()> {
    let found = sha256_file(wheel).map_err(wrong(wheel))?;
    if found != WHEEL_SHA256 {
        return fail(format!(
            "{}: not the pinned wheel of {PACKAGE} (manylinux_2_28_x86_64, for Python 3.12): its SHA-256 is {found}, \
             expected {WHEEL_SHA256}",
            wheel.display()
        ));
    }
    let on_wheel = |error: zip::result::ZipError| Failure::Sentence(format!("{}: {error}", wheel.display()));
    let mut archive = zip::ZipArchive::new(File::open(wheel).map_err(wrong(wheel))?).map_err(on_wheel)?;
    for name in LIBRARIES {
        let mut entry = archive.by_name(&format!("onnxruntime/capi/{name}")).map_err(on_wheel)?;
        let path = folder.join(name);
        let mut file = File::create(&path).map_err(wrong(&path))?;
        io::copy(&mut entry, &mut file).map_err(wrong(&path))?;
    }
    Ok(())
}

/// Release builds of the programs, without symbols that nothing there reads.
fn programs(folder: &Path) -> Result<()> {
    let build = "build --release --message-format=json-render-diagnostics --package diffvp --package diffvp-train --bins \
                 --features diffvp/cli";
    let check = "bench --no-run --message-format=json-render-diagnostics --package diffvp-tests --bench gpu";
    for (line, names) in
        [(build, &[("diffvp", "diffvp"), ("diffvp-train", "diffvp-train")][..]), (check, &[("gpu", "gpu-check")])]
    {
        let told = output(cargo().args(line.split_whitespace()))?;
        for (target, name) in names {
            let Some(program) = executable(&String::from_utf8_lossy(&told), target) else {
                return fail(format!("cargo built no {target}"));
            };
            let path = folder.join(name);
            fs::copy(&program, &path).map_err(wrong(&program))?;
            execute(Command::new("strip").arg(&path))?;
        }
    }
    Ok(())
}

/// The program that cargo's messages name for a target.
fn executable(messages: &str, target: &str) -> Option<PathBuf> {
    let message = |line: &str| serde_json::from_str::<serde_json::Value>(line).ok();
    let of_target = |m: &serde_json::Value| m["target"]["name"] == target && m["executable"].is_string();
    messages.lines().filter_map(message).rfind(of_target)?["executable"].as_str().map(PathBuf::from)
}

/// Parts of the archive, each compressed alone, so that they are unpacked side by side.
fn compress(archive: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut file = File::open(archive).map_err(wrong(archive))?;
    let mut parts = Vec::new();
    loop {
        let path = folder.join(format!("part-{:03}", parts.len()));
        let mut part = File::create(&path).map_err(wrong(&path))?;
        if io::copy(&mut Read::take(&mut file, PART), &mut part).map_err(wrong(&path))? == 0 {
            return Ok(parts);
        }
        drop(part);
        let status = Command::new("xz").args(["-3", "-T1"]).arg(&path).stdin(Stdio::null()).status();
        if !status.map_err(|e| Failure::Sentence(format!("xz cannot be started: {e}")))?.success() {
            return fail("xz failed");
        }
        parts.push(path.with_extension("xz"));
        say(&format!("compressed {} MiB", parts.len() as u64 * (PART >> 20)));
    }
}

/// Fills pieces with parts in their order.
fn distribute(parts: &[PathBuf], limit: u64) -> Result<Vec<Vec<PathBuf>>> {
    let mut pieces: Vec<(u64, Vec<PathBuf>)> = Vec::new();
    for path in parts {
        let bytes = fs::metadata(path).map_err(wrong(path))?.len();
        match pieces.last_mut() {
            Some((filled, piece)) if *filled + bytes <= limit => {
                *filled += bytes;
                piece.push(path.clone());
            }
            _ if bytes <= limit => pieces.push((bytes, vec![path.clone()])),
            _ => return fail(format!("a part of {bytes} bytes does not fit into a piece: raise --piece")),
        }
    }
    Ok(pieces.into_iter().map(|piece| piece.1).collect())
}

fn write(out: &Path, pieces: &[Vec<PathBuf>], unpack: &str) -> Result<()> {
    fs::create_dir_all(out).map_err(wrong(out))?;
    for entry in fs::read_dir(out).map_err(wrong(out))?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("piece-") {
            fs::remove_dir_all(entry.path()).map_err(wrong(&entry.path()))?;
        }
    }
    for (index, piece) in pieces.iter().enumerate() {
        let folder = out.join(format!("piece-{}", index + 1));
        fs::create_dir_all(&folder).map_err(wrong(&folder))?;
        let mut bytes = 0;
        for path in piece {
            bytes += fs::copy(path, folder.join(path.file_name().unwrap_or_default())).map_err(wrong(path))?;
        }
        let mut script = File::create(folder.join("unpack.sh")).map_err(wrong(&folder))?;
        script.write_all(unpack.as_bytes()).map_err(wrong(&folder))?;
        say(&format!("{}: {:.1} MB", folder.display(), bytes as f64 / 1e6));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_hold_all_parts_in_order_and_no_more_than_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let part = |(index, size): (usize, &usize)| {
            let path = folder.path().join(format!("part-{index:03}.xz"));
            fs::write(&path, vec![0; *size]).unwrap();
            path
        };
        let parts: Vec<PathBuf> = [40, 40, 30, 70, 100].iter().enumerate().map(part).collect();
        let pieces = distribute(&parts, 100).unwrap();
        assert_eq!(pieces, [&parts[..2], &parts[2..4], &parts[4..]]);
        assert!(distribute(&parts, 99).is_err());
    }

    #[test]
    fn the_program_is_found_in_cargos_messages() {
        let messages = "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"gpu\"},\"executable\":null}\nnot JSON\n\
                        {\"target\":{\"name\":\"gpu\"},\"executable\":\"/t/gpu-1\"}\n{\"target\":{\"name\":\"x\"}}";
        assert_eq!(executable(messages, "gpu"), Some("/t/gpu-1".into()));
        assert_eq!(executable(messages, "x"), None);
    }

    #[test]
    fn another_wheel_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let wheel = folder.path().join("other.whl");
        fs::write(&wheel, b"PK not really").unwrap();
        match libraries(&wheel, folder.path()) {
            Err(Failure::Sentence(text)) => assert!(text.contains("not the pinned wheel"), "{text}"),
            other => panic!("{other:?}"),
        }
    }

    /// What is packed is what comes out, by the script that travels.
    #[test]
    fn an_archive_survives_the_way() {
        let has = |name: &str| {
            Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
        };
        if !["xz", "tar", "sha256sum", "sh"].into_iter().all(has) {
            println!("skipped: needs xz, tar, sha256sum and sh");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (pack, out, target) = (folder.path().join("pack"), folder.path().join("out"), folder.path().join("a b"));
        fs::create_dir(&pack).unwrap();
        let bytes: Vec<u8> = (0..3 * PART / 2).map(|i| ((i * i) >> 7) as u8).collect();
        fs::write(pack.join("file"), &bytes).unwrap();
        let archive = folder.path().join("pack.tar");
        execute(Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(&pack).arg(".")).unwrap();
        let parts = compress(&archive, folder.path()).unwrap();
        let script = |hash: &str| include_str!("gpu_unpack.sh").replace("@SHA256@", hash).replace("@PARTS@", "2");
        let unpack = || Command::new("sh").arg(out.join("piece-1/unpack.sh")).arg(&out).arg(&target).status().unwrap();
        write(&out, &[parts[..1].to_vec(), parts[1..].to_vec()], &script(&sha256_file(&archive).unwrap())).unwrap();
        assert!(unpack().success());
        assert_eq!(fs::read(target.join("file")).unwrap(), bytes);
        fs::remove_dir_all(&target).unwrap();
        write(&out, &[parts], &script(&"0".repeat(64))).unwrap();
        assert!(!unpack().success());
        assert!(!target.join("file").exists());
    }
}
