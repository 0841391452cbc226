//! A cancel handle ends a report soon, whatever stage it is in, through the C interface.

use std::ffi::{CString, c_void};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use diffvp::Volume;
use diffvp_ffi::*;
use diffvp_tests::demo::{chest, package, work_folder};

const NO_ERROR: *mut *mut diffvp_error = std::ptr::null_mut();

/// What is promised.
const LIMIT: Duration = Duration::from_millis(200);

unsafe extern "C" fn on_progress(stage: i32, _done: f32, user_data: *mut c_void) -> i32 {
    // SAFETY: the user data that the interface was given.
    let begun = unsafe { &*user_data.cast::<Sender<i32>>() };
    let _ = begun.send(stage);
    0
}

/// An open reporter and a scan for it.
struct Bench {
    reporter: *mut diffvp_reporter,
    scan: *mut diffvp_scan,
}

// SAFETY: handles may be used from any thread.
unsafe impl Sync for Bench {}

impl Bench {
    fn new(package: &Path, chest: &Volume) -> Bench {
        let package = CString::new(package.to_str().unwrap()).unwrap();
        let (mut reporter, mut scan) = (std::ptr::null_mut(), std::ptr::null_mut());
        let (voxels, dims, spacing) = (chest.voxels_hu(), chest.dims(), chest.spacing_mm());
        // SAFETY: strings, locals, and null where it is allowed.
        unsafe {
            let opened = diffvp_reporter_open(package.as_ptr(), std::ptr::null(), &mut reporter, NO_ERROR);
            assert_eq!(opened, DIFFVP_STATUS_OK);
            let (dims, spacing, none) = (dims.as_ptr(), spacing.as_ptr(), std::ptr::null());
            let (data, count, options) = (voxels.as_ptr(), voxels.len(), std::ptr::null());
            let made = diffvp_scan_from_hu_f32(data, count, dims, spacing, none, none, options, &mut scan, NO_ERROR);
            assert_eq!(made, DIFFVP_STATUS_OK);
        }
        Bench { reporter, scan }
    }

    /// Triggers a cancel handle some time after a stage has begun. Gives the time from there to the end of the
    /// report; `None` where the report was complete before.
    fn cancel(&self, stage: i32, after: Duration) -> Option<Duration> {
        let mut cancel = std::ptr::null_mut();
        // SAFETY: locals.
        assert_eq!(unsafe { diffvp_cancel_new(&mut cancel, NO_ERROR) }, DIFFVP_STATUS_OK);
        let handle = cancel.addr();
        let (sender, begun) = channel::<i32>();
        std::thread::scope(|scope| {
            let canceller = scope.spawn(move || {
                while begun.recv().ok()? != stage {}
                std::thread::sleep(after);
                let triggered = Instant::now();
                // SAFETY: a handle, which is checked.
                let status = unsafe { diffvp_cancel_trigger(std::ptr::without_provenance(handle), NO_ERROR) };
                assert_eq!(status, DIFFVP_STATUS_OK);
                Some(triggered)
            });
            let mut report = std::ptr::null_mut();
            // SAFETY: handles, a callback with its user data, locals.
            let status = unsafe {
                diffvp_reporter_report_streaming(
                    self.reporter,
                    self.scan,
                    std::ptr::null(),
                    cancel,
                    None,
                    Some(on_progress),
                    (&raw const sender).cast_mut().cast(),
                    &mut report,
                    NO_ERROR,
                )
            };
            let ended = Instant::now();
            drop(sender);
            let triggered = canceller.join().unwrap().expect("every stage begins");
            // SAFETY: handles, which are checked; null is allowed.
            unsafe { diffvp_cancel_free(cancel) };
            if status == DIFFVP_STATUS_OK {
                // SAFETY: as above.
                unsafe { diffvp_report_free(report) };
                return None;
            }
            assert_eq!(status, DIFFVP_STATUS_CANCELLED);
            Some(ended.saturating_duration_since(triggered))
        })
    }

    /// Cancels at every stage after several times, and gives the longest wait.
    fn worst(&self, times_ms: &[u64]) -> Duration {
        let mut worst = Duration::ZERO;
        for stage in DIFFVP_STAGE_PREPROCESS..=DIFFVP_STAGE_DECODE {
            let waits: Vec<_> =
                times_ms.iter().map(|ms| (*ms, self.cancel(stage, Duration::from_millis(*ms)))).collect();
            let list: Vec<String> = waits
                .iter()
                .map(|(after, wait)| match wait {
                    Some(wait) => format!("{after} ms: {:.0} ms", wait.as_secs_f64() * 1e3),
                    None => format!("{after} ms: complete before"),
                })
                .collect();
            println!("stage {stage}, cancelled after … returned within: {}", list.join(", "));
            worst = worst.max(waits.iter().filter_map(|(_, wait)| *wait).max().unwrap_or_default());
        }
        worst
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // SAFETY: handles, which are checked.
        unsafe {
            diffvp_reporter_free(self.reporter);
            diffvp_scan_free(self.scan);
        }
    }
}

#[test]
fn every_stage_of_the_demo_ends_soon() {
    let bench = Bench::new(package(), &chest(0));
    let worst = bench.worst(&[0, 1, 5]);
    assert!(worst < LIMIT, "{worst:?}");
}

/// A package with the vision graphs of the paper's size.
fn full_package() -> PathBuf {
    use diffvp_train::export::{ExportRequest, export};
    use diffvp_train::run::{Preset, init};
    let folder = work_folder().join("full");
    let (run, package, reference) = (folder.join("run"), folder.join("full.diffvp"), folder.join("reference.nii.gz"));
    if !package.exists() {
        std::fs::create_dir_all(&folder).unwrap();
        diffvp::scan::write_nifti(&chest(9), &reference).unwrap();
        init(Preset::PaperVision, 0, true, &run).unwrap();
        let session = diffvp::runtime::SessionOptions::default();
        let (data, options) = Default::default();
        let request = ExportRequest { references: vec![reference], data, options, rounded: None, session };
        export(&run, &package, &request, |_, _| {}).unwrap();
    }
    package
}

/// A chest of 512 × 512 × 160 voxels.
fn full_chest() -> Volume {
    let small = chest(0);
    let (from, dims) = (small.dims(), [512, 512, 160]);
    let scale = |axis: usize, index: usize| index * from[axis] / dims[axis];
    let mut voxels = Vec::with_capacity(dims.iter().product());
    for z in 0..dims[2] {
        for y in 0..dims[1] {
            let line = (scale(2, z) * from[1] + scale(1, y)) * from[0];
            voxels.extend((0..dims[0]).map(|x| small.voxels_hu()[line + scale(0, x)]));
        }
    }
    let spacing = std::array::from_fn(|axis| small.spacing_mm()[axis] * from[axis] as f64 / dims[axis] as f64);
    Volume::new(voxels, dims, spacing, small.origin_mm(), small.direction()).unwrap()
}

/// `DIFFVP_HEAVY=1 cargo xtask test -- --test c_cancel heavy -- --nocapture`
#[test]
fn heavy_every_stage_at_full_size_ends_soon() {
    if std::env::var_os("DIFFVP_HEAVY").is_none() {
        eprintln!("skipped: takes minutes and gigabytes; set DIFFVP_HEAVY=1");
        return;
    }
    let bench = Bench::new(&full_package(), &full_chest());
    let worst = bench.worst(&[0, 20, 100, 300, 700, 1500, 2500]);
    assert!(worst < LIMIT, "{worst:?}");
}
