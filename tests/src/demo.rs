//! A small model package, made once per test process as a user would make it, and a scan for it.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use diffvp::runtime::SessionOptions;
use diffvp::{Scan, Volume};
use diffvp_exporter::ModelConfig;
use diffvp_exporter::graphs::DecoderOptions;
use diffvp_exporter::package::ExportOptions;
use diffvp_train::export::{ExportRequest, export};
use diffvp_train::run::{Preset, init};
use diffvp_train::synth::{PhantomOptions, Size, phantom};

/// A folder below the build folder that belongs to this test program alone.
pub fn work_folder() -> PathBuf {
    let program = std::env::current_exe().expect("a test program has a path");
    let stem = program.file_stem().expect("a test program has a name").to_owned();
    let folder = program.parent().expect("a test program lies in a folder").join("../tmp").join(stem);
    std::fs::create_dir_all(&folder).expect("the build folder can be written");
    folder
}

/// A synthetic chest of 48 × 48 × 32 voxels.
pub fn chest(index: u64) -> Volume {
    let options = PhantomOptions { size: Size::Tiny, ..PhantomOptions::default() };
    phantom(11, index, &options).expect("a phantom").volume
}

/// [`chest`] as a scan.
pub fn scan(index: u64) -> Scan {
    Scan::from_voxels(chest(index))
}

/// Four bits everywhere: the default has eight at the edges, which are all of a tiny decoder.
fn four_bits() -> ExportOptions {
    ExportOptions { decoder: DecoderOptions::int4(128), ..ExportOptions::default() }
}

/// The demo model with four-bit weights and three references.
pub fn package() -> &'static Path {
    static PACKAGE: OnceLock<PathBuf> = OnceLock::new();
    PACKAGE.get_or_init(|| make("demo.diffvp", Preset::Demo, 0, four_bits()))
}

/// The same with float32 weights.
pub fn package_f32() -> &'static Path {
    static PACKAGE: OnceLock<PathBuf> = OnceLock::new();
    PACKAGE.get_or_init(|| {
        make(
            "demo-f32.diffvp",
            Preset::Demo,
            0,
            ExportOptions { decoder: DecoderOptions::f32(), ..ExportOptions::default() },
        )
    })
}

/// A model of the ablation, whose prompt holds no difference: `prefix [b, 0, d]`.
pub fn package_without_difference() -> &'static Path {
    static PACKAGE: OnceLock<PathBuf> = OnceLock::new();
    PACKAGE.get_or_init(|| {
        let change = |config: &mut ModelConfig| {
            (config.difference.global, config.difference.local, config.difference.prefix_tokens) = (false, false, 0);
        };
        make_changed("demo-no-difference.diffvp", Preset::Demo, 0, true, four_bits(), change)
    })
}

/// The control of the ablation, in which every scan is its own reference.
pub fn package_own_reference() -> &'static Path {
    static PACKAGE: OnceLock<PathBuf> = OnceLock::new();
    PACKAGE.get_or_init(|| {
        let change = |config: &mut ModelConfig| config.difference.own_reference = true;
        make_changed("demo-own-reference.diffvp", Preset::Demo, 0, true, four_bits(), change)
    })
}

/// A model of the ablation that compares scans voxel by voxel.
pub fn package_pixel_level() -> &'static Path {
    static PACKAGE: OnceLock<PathBuf> = OnceLock::new();
    PACKAGE.get_or_init(|| {
        let change = |config: &mut ModelConfig| config.difference.pixel_level = true;
        make_changed("demo-pixel-level.diffvp", Preset::Demo, 0, false, four_bits(), change)
    })
}

/// A model of the same parts that is small enough to be run where each instruction takes fifty: under valgrind.
pub fn package_minute() -> &'static Path {
    static PACKAGE: OnceLock<PathBuf> = OnceLock::new();
    PACKAGE.get_or_init(|| {
        let change = |config: &mut ModelConfig| (config.encoder.width, config.classifier.backbone.width) = (1, 1);
        make_changed("minute.diffvp", Preset::Demo, 0, false, four_bits(), change)
    })
}

/// Another version: other weights.
pub fn package_other() -> &'static Path {
    static PACKAGE: OnceLock<PathBuf> = OnceLock::new();
    PACKAGE.get_or_init(|| make("demo-other.diffvp", Preset::Demo, 1, four_bits()))
}

/// The paper's full vision size with the demo's decoder.
pub fn package_paper_vision() -> &'static Path {
    static PACKAGE: OnceLock<PathBuf> = OnceLock::new();
    PACKAGE.get_or_init(|| make("paper-vision.diffvp", Preset::PaperVision, 0, four_bits()))
}

fn make(name: &str, preset: Preset, seed: u64, options: ExportOptions) -> PathBuf {
    // Only small weights are worth a file: a full-size model keeps its seed in place of them.
    make_changed(name, preset, seed, preset == Preset::Demo, options, |_| ())
}

fn make_changed(
    name: &str,
    preset: Preset,
    seed: u64,
    write_weights: bool,
    options: ExportOptions,
    change: impl FnOnce(&mut ModelConfig),
) -> PathBuf {
    let folder = work_folder();
    let run = tempfile::tempdir_in(&folder).expect("a temporary folder");
    init(preset, seed, write_weights, run.path()).expect("a run folder");
    let sizes = run.path().join("config.json");
    let mut config: ModelConfig =
        serde_json::from_slice(&std::fs::read(&sizes).expect("the sizes")).expect("sizes that can be read");
    change(&mut config);
    std::fs::write(&sizes, serde_json::to_string(&config).expect("JSON")).expect("the sizes");
    let references: Vec<PathBuf> = (0..if preset == Preset::Demo { 3 } else { 1 })
        .map(|index| {
            let path = run.path().join(format!("{index}.nii.gz"));
            diffvp::scan::write_nifti(&chest(100 + index), &path).expect("a reference");
            path
        })
        .collect();
    let out = folder.join(name);
    let session = SessionOptions { threads: 1, ..SessionOptions::default() };
    let request = ExportRequest { references, data: Default::default(), options, rounded: None, session };
    export(run.path(), &out, &request, |_, _| {}).expect("a package; run the tests with `cargo xtask test`");
    out
}

/// A copy of [`package`] that a test may damage.
pub fn package_copy(to: &Path) -> PathBuf {
    let copy = to.join("copy.diffvp");
    std::fs::create_dir(&copy).expect("a folder");
    for entry in std::fs::read_dir(package()).expect("the package").map(Result::unwrap) {
        std::fs::copy(entry.path(), copy.join(entry.file_name())).expect("a copy");
    }
    copy
}

/// The `diffvp` program beside the test programs; `cargo xtask test` builds it.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test program has a path");
    let folder = test.parent().and_then(Path::parent).expect("a test program lies in target/PROFILE/deps");
    let program = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(program.exists(), "{} is not built: run the tests with `cargo xtask test`", program.display());
    program
}
