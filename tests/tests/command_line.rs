//! The `diffvp` command as a user meets it: reports, and for each kind of bad input its own exit status and
//! one sentence, never a panic and never a file half written.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use diffvp::files::sha256_file;
use diffvp_tests::demo::{chest, package, package_copy, package_other, program};
use serde_json::{Value, json};

fn diffvp(arguments: &[&str]) -> Output {
    Command::new(program("diffvp")).args(arguments).output().unwrap()
}

/// Runs the command on bad input and returns what it said.
fn refused(status: i32, arguments: &[&str]) -> String {
    let output = diffvp(arguments);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {told}");
    assert!(output.stdout.is_empty(), "{arguments:?} printed a report");
    assert!(told.starts_with("diffvp: ") || told.contains("\ndiffvp: "), "{arguments:?}: {told}");
    assert!(!told.contains("panicked"), "{arguments:?}: {told}");
    told
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A scan that can be reported.
fn scan(folder: &Path) -> PathBuf {
    let path = folder.join("scan.nii.gz");
    diffvp::scan::write_nifti(&chest(3), &path).unwrap();
    path
}

/// A NIfTI-1 header of `dims` with 16-bit voxels, and as many bytes of voxels as asked for.
fn nifti(dims: &[i16], voxels: usize) -> Vec<u8> {
    let mut bytes = vec![0; 352 + voxels];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, &348i32.to_le_bytes());
    put(40, &(dims.len() as i16).to_le_bytes());
    for (i, dim) in dims.iter().enumerate() {
        put(42 + 2 * i, &dim.to_le_bytes());
    }
    put(70, &4i16.to_le_bytes());
    put(72, &16i16.to_le_bytes());
    for i in 0..4 {
        put(76 + 4 * i, &1f32.to_le_bytes());
    }
    put(108, &352f32.to_le_bytes());
    put(344, b"n+1\0");
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_report_is_the_same_twice_apart_from_timings() {
    let folder = tempfile::tempdir().unwrap();
    let scan = scan(folder.path());
    let map = folder.path().join("map.png");
    let arguments = ["report", text(&scan), "--package", text(package()), "--json", "--map", text(&map), "--seed", "4"];
    let run = || {
        let output = diffvp(&arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let printed = String::from_utf8(output.stdout).unwrap();
        // The last fields, which are times and what depends on them.
        let begin = printed.find("\"timings_ms\"").unwrap();
        (printed[..begin].to_owned(), std::fs::read(&map).unwrap(), printed)
    };
    let (first, second) = (run(), run());
    assert_eq!(first.0, second.0, "the bytes before the timings");
    assert_eq!(first.1, second.1, "the picture");
    assert!(first.1.starts_with(b"\x89PNG"));
    let report: Value = serde_json::from_str(&first.2).unwrap();
    assert_eq!(report["sections"].as_array().unwrap().len(), 10);
    assert_eq!(report["intended_use"]["clinical_use"], json!(false));
}

#[test]
fn scans_that_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let report = |status, path: &Path| refused(status, &["report", text(path), "--package", text(package())]);
    report(10, &folder.path().join("absent"));
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    report(12, &empty);
    report(13, &write("empty.nii.gz", b""));
    report(13, &write("text.nii.gz", b"The lungs are clear.\n"));
    report(13, &write("text.dcm", b"The lungs are clear.\n"));

    let whole = std::fs::read(scan(folder.path())).unwrap();
    for share in [3, 10, 50, 90, 99] {
        report(15, &write("cut.nii.gz", &whole[..whole.len() * share / 100]));
    }
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 40].fill(0x55);
    report(15, &write("damaged.nii.gz", &damaged));
    report(15, &write("cut.nii", &nifti(&[40, 40, 20], 1000)));

    report(17, &write("slice.nii.gz", &gzip(&nifti(&[64, 64], 8192))));
    let told = report(17, &write("series.nii.gz", &gzip(&nifti(&[16, 16, 16, 5], 40960))));
    assert!(told.contains('5'), "the number of volumes is told: {told}");

    let mut voxels = nifti(&[8, 8, 8], 4 * 512);
    voxels[70..72].copy_from_slice(&16i16.to_le_bytes());
    voxels[72..74].copy_from_slice(&32i16.to_le_bytes());
    voxels[352 + 400..352 + 404].copy_from_slice(&f32::NAN.to_le_bytes());
    report(18, &write("nan.nii.gz", &gzip(&voxels)));

    let mut flat = nifti(&[8, 8, 8], 1024);
    flat[88..92].copy_from_slice(&f32::NAN.to_le_bytes());
    report(19, &write("spacing.nii", &flat));
}

/// Sizes that a header only claims are refused before memory is taken for them.
#[cfg(target_os = "linux")]
#[test]
fn absurd_sizes_take_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    for (name, dims, packed) in [
        ("huge.nii.gz", [30_000, 30_000, 30_000], true),
        ("huge.nii", [30_000, 30_000, 30_000], false),
        ("large.nii.gz", [2000, 2000, 2000], true),
    ] {
        let path = folder.path().join(name);
        let bytes = nifti(&dims, 4096);
        std::fs::write(&path, if packed { gzip(&bytes) } else { bytes }).unwrap();
        // 400 MB of address space: a reader that believed the header could not go on.
        let line = format!("ulimit -v 400000; exec '{}' inspect '{}'", program("diffvp").display(), path.display());
        let output = Command::new("sh").args(["-c", &line]).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(15 | 16)), "{name}: {:?} {told}", output.status);
    }
}

/// Writes a changed file into a package, and its true size and hash into the manifest.
fn put(package: &Path, name: &str, bytes: &[u8]) {
    std::fs::write(package.join(name), bytes).unwrap();
    change(package, |manifest| {
        manifest["files"][name] = json!({ "bytes": bytes.len(), "sha256": sha256_file(package.join(name)).unwrap() });
    });
}

fn change(package: &Path, change: impl FnOnce(&mut Value)) {
    let path = package.join("manifest.json");
    let mut manifest = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut manifest);
    std::fs::write(&path, serde_json::to_vec(&manifest).unwrap()).unwrap();
}

#[test]
fn packages_that_do_not_verify() {
    type Break = fn(&Path);
    let cases: [(&str, i32, Break); 12] = [
        ("no manifest", 30, |p| std::fs::remove_file(p.join("manifest.json")).unwrap()),
        ("manifest cut off", 30, |p| {
            let bytes = std::fs::read(p.join("manifest.json")).unwrap();
            std::fs::write(p.join("manifest.json"), &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("newer format", 31, |p| change(p, |m| m["format_version"] = json!(2))),
        ("unknown feature", 32, |p| change(p, |m| m["required_features"] = json!(["sections_in_parallel_2"]))),
        ("missing file", 33, |p| std::fs::remove_file(p.join("classifier.onnx")).unwrap()),
        ("flipped byte", 34, |p| {
            let path = p.join("decoder.onnx");
            let mut bytes = std::fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(path, bytes).unwrap();
        }),
        ("cut file", 34, |p| {
            let path = p.join("tokenizer.json");
            let bytes = std::fs::read(&path).unwrap();
            std::fs::write(path, &bytes[..100]).unwrap();
        }),
        ("bank of another encoder", 35, |p| {
            let bank = std::fs::read(package_other().join("reference_bank.safetensors")).unwrap();
            put(p, "reference_bank.safetensors", &bank);
        }),
        ("another encoder under the bank", 35, |p| {
            let encoder = std::fs::read(package_other().join("encoder.onnx")).unwrap();
            put(p, "encoder.onnx", &encoder);
        }),
        ("text that is called ONNX", 36, |p| put(p, "classifier.onnx", b"this is no graph, whatever its name says")),
        ("another graph in its place", 36, |p| {
            let encoder = std::fs::read(p.join("encoder.onnx")).unwrap();
            put(p, "difference.onnx", &encoder);
        }),
        ("a tokenizer that is none", 36, |p| put(p, "tokenizer.json", b"{}")),
    ];
    let folder = tempfile::tempdir().unwrap();
    let scan = scan(folder.path());
    for (name, status, spoil) in cases {
        println!("{name}");
        let inside = tempfile::tempdir_in(folder.path()).unwrap();
        let package = package_copy(inside.path());
        spoil(&package);
        let told = refused(status, &["report", text(&scan), "--package", text(&package)]);
        assert!(told.lines().count() < 10, "{name}: {told}");
        refused(status, &["package", "verify", text(&package), "--load"]);
    }
    refused(10, &["report", text(&scan), "--package", text(&folder.path().join("absent.diffvp"))]);
    refused(30, &["package", "verify", text(&scan)]);
}

#[test]
fn a_package_that_verifies_is_described() {
    let output = diffvp(&["package", "verify", text(package()), "--load"]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && told.contains("all graphs load") && told.contains("sha256"), "{told}");
}

#[test]
fn options_that_cannot_be() {
    let folder = tempfile::tempdir().unwrap();
    let scan = scan(folder.path());
    let report = |status, more: &[&str]| {
        let mut arguments = vec!["report", text(&scan), "--package", text(package())];
        arguments.extend(more);
        refused(status, &arguments)
    };
    report(71, &["--reference", "99"]);
    report(71, &["--reference", "nobody"]);
    report(71, &["--temperature=-1"]);
    report(71, &["--temperature", "1", "--top-p", "0"]);
    report(71, &["--threads", "100000"]);
    report(50, &["--library", "/nonexistent/libonnxruntime.so"]);
    report(51, &["--library", text(&scan)]);
    let told = report(52, &["--device", "cuda:0"]);
    assert!(told.contains("cuda"), "{told}");
    for usage in [&["--device", "tpu"][..], &["--spacing", "1,2"], &["--seed", "x"]] {
        let mut arguments = vec!["report", text(&scan), "--package", text(package())];
        arguments.extend(usage);
        assert_eq!(diffvp(&arguments).status.code(), Some(2), "{usage:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let scan = scan(folder.path());
    // Standard output and named files on a device that is always full.
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let program = program("diffvp");
    for json in [&[][..], &["--json"]] {
        let mut command = Command::new(&program);
        command.args(["report", text(&scan), "--package", text(package())]).args(json);
        let output = command.stdout(full()).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(72), "{}", String::from_utf8_lossy(&output.stderr));
    }
    for option in ["--out", "--map", "--map-volume"] {
        refused(72, &["report", text(&scan), "--package", text(package()), option, "/dev/full"]);
    }
    refused(72, &["inspect", text(&scan), "--export", "/dev/full"]);

    // A file system of 64 KiB, which only this process sees.
    let small = folder.path().join("small");
    std::fs::create_dir(&small).unwrap();
    let line = format!(
        "mount -t tmpfs -o size=64k tmpfs '{small}' || exit 100
         head -c 60000 /dev/zero > '{small}/filler'
         '{program}' report '{scan}' --package '{package}' --map '{small}/map.png' --quiet > /dev/null
         status=$?; ls -A '{small}'; exit $status",
        small = small.display(),
        program = program.display(),
        scan = scan.display(),
        package = package().display()
    );
    let output = Command::new("unshare").args(["--user", "--map-root-user", "--mount", "sh", "-c", &line]).output();
    match output {
        Ok(output) if output.status.code() != Some(100) && output.status.code() != Some(1) => {
            assert_eq!(output.status.code(), Some(72), "{}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "filler", "nothing half written is left");
        }
        _ => println!("skipped the small file system: this machine gives no namespaces"),
    }
}

#[test]
fn inspection_needs_no_model_and_exports_what_was_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let scan = scan(folder.path());
    let export = folder.path().join("copy.nii.gz");
    let output = diffvp(&["inspect", text(&scan), "--json", "--export", text(&export)]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["dims"], json!([48, 48, 32]));
    let (before, after) = (diffvp::Scan::open(&scan).unwrap(), diffvp::Scan::open(&export).unwrap());
    assert_eq!(before.volume(), after.volume());
}

#[test]
fn the_doctor_names_library_and_telemetry() {
    let output = diffvp(&["doctor"]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}");
    for part in ["ONNX Runtime", "CPUExecutionProvider", "telemetry      off"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

/// The real scans of the shared folder: ten sections, a picture, and the same bytes twice.
#[test]
fn real_scans_become_reports() {
    let Some(shared) = diffvp_tests::shared_data() else { return };
    let folder = tempfile::tempdir().unwrap();
    for name in ["dicom/lungpet_A0001_L_5mm", "nifti/chest_cta_aorta.nii.gz", "dicom/cip_ct64_79slices"] {
        let (scan, map) = (shared.join(name), folder.path().join("map.png"));
        let arguments = ["report", text(&scan), "--package", text(package()), "--json", "--map", text(&map)];
        let report = || -> Value {
            let output = diffvp(&arguments);
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
            let mut report: Value = serde_json::from_slice(&output.stdout).unwrap();
            for varies in ["timings_ms", "drafting"] {
                report.as_object_mut().unwrap().remove(varies);
            }
            report
        };
        let (first, second) = (report(), report());
        assert_eq!(first, second, "{name}");
        assert_eq!(first["sections"].as_array().unwrap().len(), 10, "{name}");
        assert!(map.exists());
        std::fs::remove_file(map).unwrap();
    }
}
