//! Times of loading a scan and of preparing it for the model.
//!
//! `cargo xtask bench intake [-- PATH …]`; without paths, some of the real scans. With `--serve` it reads lines
//! `load PATH` and `prepare PATH` and answers each with its milliseconds: `tests/reference/bench_intake.py` so alternates
//! it with other tools in one run.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use diffvp::Scan;
use diffvp::volume::Preprocessing;

const RUNS: usize = 11;

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

fn timed<T>(work: impl Fn() -> T) -> Duration {
    let start = Instant::now();
    std::hint::black_box(work());
    start.elapsed()
}

fn typical<T>(work: impl Fn() -> T) -> f64 {
    median((0..RUNS).map(|_| timed(&work)).collect())
}

/// Answers requests until the input ends.
fn serve() {
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let Some((what, path)) = line.split_once(' ') else { continue };
        let run = || {
            let scan = Scan::open(path).expect("a scan");
            match what {
                "prepare" => Preprocessing::reg2rg().apply(scan.volume()).expect("an input").values.len(),
                _ => scan.volume().voxels_hu().len(),
            }
        };
        println!("{}", timed(run).as_secs_f64() * 1e3);
    }
}

fn main() {
    if std::env::args().any(|a| a == "--serve") {
        return serve();
    }
    let given: Vec<PathBuf> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).map(PathBuf::from).collect();
    let paths = match diffvp_tests::shared_data() {
        _ if !given.is_empty() => given,
        Some(data) => [
            "dicom/cip_ct64_79slices",
            "dicom/lungpet_A0001_L_5mm",
            "dicom/totalseg_j2k_abdomen",
            "nifti/chest_cta_aorta.nii.gz",
        ]
        .map(|name| data.join(name))
        .to_vec(),
        None => return,
    };
    println!("median of {RUNS} runs, ms; files in the page cache");
    for path in paths {
        let scan = match Scan::open(&path) {
            Ok(scan) => scan,
            Err(error) => {
                println!("{}: {error}", path.display());
                continue;
            }
        };
        let [x, y, z] = scan.volume().dims();
        println!("{} ({x} × {y} × {z})", path.file_name().unwrap_or_default().to_string_lossy());
        println!("  load      {:8.1}", typical(|| Scan::open(&path).map(|s| s.volume().dims())));
        for (name, preset) in [
            ("reg2rg", Preprocessing::reg2rg()),
            ("ct_clip", Preprocessing::ct_clip()),
            ("merlin", Preprocessing::merlin()),
        ] {
            println!("  {name:9} {:8.1}", typical(|| preset.apply(scan.volume()).map(|i| i.shape)));
        }
    }
}
