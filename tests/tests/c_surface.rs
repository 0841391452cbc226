//! The table: every exported function × {null, dangling-looking, wrong type, huge, empty, concurrent}.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString, c_char};
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};

use diffvp_ffi::{
    DIFFVP_STATUS_INVALID_ARGUMENT, DIFFVP_STATUS_INVALID_HANDLE, DIFFVP_STATUS_NULL_ARGUMENT, DIFFVP_STATUS_OK,
    DIFFVP_STATUS_STALE_HANDLE, DIFFVP_STATUS_WRONG_KIND,
};
use diffvp_tests::c_program::root;
use diffvp_tests::demo::{chest, package, work_folder};
use proptest::prelude::*;

#[path = "../../diffvp-ffi/tests/surface/mod.rs"]
mod surface;

use surface::memory::{Inputs, PATTERN, Places, word};
use surface::random::Caller;
use surface::{Arg, Data, KINDS, Kind, ROWS, Row, TOTAL, Text};

/// Handles that stay, and the caller's memory.
struct World {
    inputs: Inputs,
    good: [u64; 7],
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let inputs = Inputs::new(tilted_chest().to_str().unwrap(), package().to_str().unwrap());
        let mut world = World { inputs, good: [0; 7] };
        for kind in KINDS {
            world.good[kind as usize] = world.fresh(kind);
        }
        let options = world.good[Kind::Options as usize];
        for (name, value) in [("diffvp_options_set_threads", 1), ("diffvp_options_set_max_new_tokens", 2)] {
            assert_eq!(call(row(name), &[options, value, 0]), DIFFVP_STATUS_OK);
        }
        world
    })
}

/// A chest whose grid is turned against the body, so that its scan has a warning.
fn tilted_chest() -> PathBuf {
    let chest = chest(0);
    let (sin, cos) = 0.2f64.sin_cos();
    let direction = [[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]];
    let voxels = chest.voxels_hu().to_vec();
    let tilted = diffvp::Volume::new(voxels, chest.dims(), chest.spacing_mm(), chest.origin_mm(), direction).unwrap();
    let path = work_folder().join("tilted.nii.gz");
    diffvp::scan::write_nifti(&tilted, &path).unwrap();
    path
}

fn row(name: &str) -> &'static Row {
    ROWS.iter().find(|row| row.name == name).unwrap_or_else(|| panic!("{name}"))
}

fn call(row: &Row, words: &[u64]) -> i32 {
    // SAFETY: the callers give places and arrays that are as long as the function may use.
    unsafe { (row.call)(words) }
}

impl World {
    fn good(&self, kind: Kind) -> u64 {
        self.good[kind as usize]
    }

    /// A new handle.
    fn fresh(&self, kind: Kind) -> u64 {
        let mut place = [0u64];
        let out = place.as_mut_ptr().expose_provenance() as u64;
        let text = |text| self.inputs.text(text);
        let status = match kind {
            Kind::Error => {
                assert_ne!(call(row("diffvp_scan_open"), &[word(c"/nowhere".as_ptr()), 0, 0, out]), DIFFVP_STATUS_OK);
                DIFFVP_STATUS_OK
            }
            Kind::String => call(row("diffvp_runtime_version"), &[out, 0]),
            Kind::Options => call(row("diffvp_options_new"), &[out, 0]),
            Kind::Cancel => call(row("diffvp_cancel_new"), &[out, 0]),
            Kind::Scan => call(row("diffvp_scan_open"), &[text(Text::ScanPath), 0, out, 0]),
            Kind::Reporter => {
                call(row("diffvp_reporter_open"), &[text(Text::PackagePath), self.good(Kind::Options), out, 0])
            }
            Kind::Report => {
                let (reporter, scan) = (self.good(Kind::Reporter), self.good(Kind::Scan));
                call(row("diffvp_reporter_report"), &[reporter, scan, self.good(Kind::Options), 0, out, 0])
            }
        };
        assert_eq!(status, DIFFVP_STATUS_OK, "{kind:?}");
        // SAFETY: a local array.
        unsafe { place.as_ptr().read_volatile() }
    }

    /// Words that make the call succeed.
    fn base(&self, row: &Row, places: &mut Places) -> Vec<u64> {
        let word = |(index, arg): (usize, &Arg)| match *arg {
            // Calls change what they are given here, or free it.
            Arg::Handle(kind @ (Kind::Options | Kind::Cancel)) | Arg::Freed(kind) => self.fresh(kind),
            Arg::Handle(kind) | Arg::HandleOrNull(kind) => self.good(kind),
            Arg::Text(text) => self.inputs.text(text),
            Arg::TextOrNull | Arg::UserData => 0,
            Arg::Out | Arg::OutOrNull | Arg::OutArray | Arg::OutArrayOrNull | Arg::Error => places.word(index),
            Arg::Data(data) | Arg::DataOrNull(data) => self.inputs.data(data),
            Arg::Number(good, _) => good,
            Arg::Callback => 1,
        };
        row.args.iter().enumerate().map(word).collect()
    }

    /// Calls with one argument replaced, checks what is written, and gives the status.
    fn try_with(&self, row: &Row, change: Option<(usize, u64)>) -> i32 {
        let mut places = Places::new(row.args);
        let good = self.base(row, &mut places);
        let mut words = good.clone();
        if let Some((index, word)) = change {
            words[index] = word;
        }
        let status = call(row, &words);
        let what = || format!("{} with argument {change:x?}: status {status}", row.name);
        // SAFETY: a static string.
        let name = unsafe { CStr::from_ptr(diffvp_ffi::diffvp_status_name(status)) };
        assert!(![c"unknown", c"panic", c"internal"].contains(&name), "{}", what());
        for (index, arg) in row.args.iter().enumerate() {
            if let (Arg::Error, true) = (arg, words[index] == places.word(index)) {
                let error = places.value(index);
                assert_eq!(error == PATTERN, status == DIFFVP_STATUS_OK, "{}", what());
                if status != DIFFVP_STATUS_OK {
                    assert_eq!(told(error), status, "{}", what());
                }
            }
        }
        if status == DIFFVP_STATUS_OK {
            for (index, _) in row.args.iter().enumerate().filter(|(_, arg)| matches!(arg, Arg::Out)) {
                // What is no handle is refused.
                let value = places.value(index);
                for kind in KINDS {
                    free(kind, value);
                }
            }
        } else {
            assert!(places.untouched(row.args), "{} wrote a result", what());
        }
        for (index, arg) in row.args.iter().enumerate() {
            if let Arg::Handle(kind @ (Kind::Options | Kind::Cancel)) | Arg::Freed(kind) = *arg {
                free(kind, good[index]);
            }
        }
        status
    }
}

fn free(kind: Kind, handle: u64) -> i32 {
    // SAFETY: a function that frees takes any word.
    unsafe { kind.free(handle) }
}

/// The status that an error tells; the error is freed.
fn told(error: u64) -> i32 {
    let (mut status, mut message) = (-1i32, std::ptr::null::<c_char>());
    let handle = std::ptr::with_exposed_provenance_mut(error as usize);
    // SAFETY: places are locals, and the message is read before its error is freed.
    unsafe {
        assert_eq!(diffvp_ffi::diffvp_error_status(handle, &mut status), DIFFVP_STATUS_OK);
        assert_eq!(diffvp_ffi::diffvp_error_message(handle, &mut message), DIFFVP_STATUS_OK);
        assert!(CStr::from_ptr(message).to_str().unwrap().len() > 5);
        assert_eq!(diffvp_ffi::diffvp_error_free(handle), DIFFVP_STATUS_OK);
    }
    status
}

/// The columns use global things (the log callback, the good handles), so they take turns.
fn turn() -> std::sync::MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(|e| e.into_inner())
}

/// Every argument of every function that the filter takes.
fn cells(mut visit: impl FnMut(&'static Row, usize, Arg)) {
    for row in ROWS {
        for (index, arg) in row.args.iter().enumerate() {
            visit(row, index, *arg);
        }
    }
}

#[test]
fn every_export_has_a_row() {
    let list = std::fs::read_to_string(root().join("diffvp-ffi/symbols.txt")).unwrap();
    let exported: BTreeSet<&str> = list.lines().collect();
    let rows: BTreeSet<&str> = ROWS.iter().map(|row| row.name).chain(TOTAL).collect();
    assert_eq!(rows, exported, "rows of the table (left) and diffvp-ffi/symbols.txt (right)");
    assert_eq!(ROWS.len() + TOTAL.len(), exported.len(), "a row stands twice");
}

#[test]
fn good_arguments_succeed() {
    let _turn = turn();
    for row in ROWS {
        assert_eq!(world().try_with(row, None), DIFFVP_STATUS_OK, "{}", row.name);
    }
}

#[test]
fn null() {
    let _turn = turn();
    cells(|row, index, arg| {
        let expected = match arg {
            Arg::Handle(_) | Arg::Text(_) | Arg::Out | Arg::OutArray | Arg::Data(_) => DIFFVP_STATUS_NULL_ARGUMENT,
            Arg::Number(..) => return,
            _ => DIFFVP_STATUS_OK,
        };
        assert_eq!(world().try_with(row, Some((index, 0))), expected, "{} argument {index}", row.name);
    });
}

#[test]
fn dangling_looking() {
    let _turn = turn();
    let local = 0u64;
    cells(|row, index, arg| match arg {
        Arg::Handle(kind) | Arg::HandleOrNull(kind) | Arg::Freed(kind) => {
            let freed = world().fresh(kind);
            assert_eq!(free(kind, freed), DIFFVP_STATUS_OK);
            let later = world().good(kind) + (1 << 24);
            let stray = [1, 0xdead_beef, u64::MAX, word(&raw const local), later, world().good(kind) ^ 1 << 63];
            let stray = stray.into_iter().map(|handle| (handle, DIFFVP_STATUS_INVALID_HANDLE));
            for (handle, expected) in stray.chain([(freed, DIFFVP_STATUS_STALE_HANDLE)]) {
                let status = world().try_with(row, Some((index, handle)));
                assert_eq!(status, expected, "{} argument {index}: {handle:x}", row.name);
            }
        }
        // An address that cannot be one of the type; the memory is there, and stays as it is.
        Arg::Out | Arg::OutOrNull | Arg::OutArray | Arg::OutArrayOrNull => {
            let mut memory = [PATTERN; 4];
            let odd = memory.as_mut_ptr().expose_provenance() as u64 + 1;
            assert_eq!(
                world().try_with(row, Some((index, odd))),
                DIFFVP_STATUS_INVALID_ARGUMENT,
                "{} {index}",
                row.name
            );
            assert_eq!(memory, [PATTERN; 4]);
        }
        Arg::Data(data) | Arg::DataOrNull(data) => {
            let odd = world().inputs.data(data) + 1;
            assert_eq!(
                world().try_with(row, Some((index, odd))),
                DIFFVP_STATUS_INVALID_ARGUMENT,
                "{} {index}",
                row.name
            );
        }
        _ => {}
    });
}

#[test]
fn wrong_type() {
    let _turn = turn();
    cells(|row, index, arg| {
        let (Arg::Handle(kind) | Arg::HandleOrNull(kind) | Arg::Freed(kind)) = arg else { return };
        for other in KINDS.into_iter().filter(|other| *other != kind) {
            let status = world().try_with(row, Some((index, world().good(other))));
            assert_eq!(status, DIFFVP_STATUS_WRONG_KIND, "{} takes a {other:?}", row.name);
        }
    });
}

#[test]
fn huge() {
    let _turn = turn();
    let long = CString::new("x".repeat(1 << 20)).unwrap();
    cells(|row, index, arg| match arg {
        Arg::Number(_, bad) => {
            for (word, expected) in bad {
                assert_eq!(
                    world().try_with(row, Some((index, *word))),
                    *expected,
                    "{} argument {index}: {word:x}",
                    row.name
                );
            }
        }
        Arg::Text(Text::Any) => assert_eq!(world().try_with(row, Some((index, word(long.as_ptr())))), DIFFVP_STATUS_OK),
        Arg::Text(_) => assert_ne!(world().try_with(row, Some((index, word(long.as_ptr())))), DIFFVP_STATUS_OK),
        _ => {}
    });
    // Sizes of single buffers, inside the array of sizes.
    let dicom = row("diffvp_scan_from_dicom");
    for size in [usize::MAX, isize::MAX as usize + 1] {
        let sizes = [1, size, 1, 1];
        let at = dicom.args.iter().position(|arg| matches!(arg, Arg::Data(Data::Sizes))).unwrap();
        let status = world().try_with(dicom, Some((at, word(sizes.as_ptr()))));
        assert_eq!(status, diffvp_ffi::DIFFVP_STATUS_INVALID_SIZE);
    }
}

#[test]
fn empty() {
    let _turn = turn();
    let (empty, invalid) = (word(c"".as_ptr()), word(c"a\xff".as_ptr()));
    cells(|row, index, arg| match arg {
        Arg::Text(text) => {
            let status = world().try_with(row, Some((index, empty)));
            assert_eq!(status == DIFFVP_STATUS_OK, text == Text::Any, "{}: {status}", row.name);
            assert_eq!(world().try_with(row, Some((index, invalid))), diffvp_ffi::DIFFVP_STATUS_INVALID_UTF8);
        }
        Arg::TextOrNull => {
            assert_eq!(world().try_with(row, Some((index, invalid))), diffvp_ffi::DIFFVP_STATUS_INVALID_UTF8);
            world().try_with(row, Some((index, empty)));
        }
        Arg::Number(..) if row.args.iter().any(|arg| matches!(arg, Arg::Data(_))) => {
            assert_ne!(world().try_with(row, Some((index, 0))), DIFFVP_STATUS_OK, "{}", row.name);
        }
        _ => {}
    });
}

/// Threads call every function with the same handles, while others free handles of all kinds.
#[test]
fn concurrent() {
    let _turn = turn();
    let slow = |row: &Row| row.name.starts_with("diffvp_reporter_");
    std::thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                for round in 0..4 {
                    for (index, row) in ROWS.iter().enumerate() {
                        if !slow(row) || (index + round) % 8 == thread {
                            assert_eq!(world().try_with(row, None), DIFFVP_STATUS_OK, "{}", row.name);
                        }
                    }
                }
            });
        }
    });
    // Each kind: one handle, used by some threads and freed by others; one free succeeds.
    for kind in KINDS {
        let handle = world().fresh(kind);
        let users: Vec<(&Row, usize)> = ROWS
            .iter()
            .filter(|row| !slow(row) || row.name == "diffvp_reporter_device")
            .filter_map(|row| Some((row, row.args.iter().position(|arg| matches!(arg, Arg::Handle(k) if *k == kind))?)))
            .collect();
        let freed: i32 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|thread| {
                    let users = &users;
                    scope.spawn(move || {
                        for (row, index) in users {
                            let status = world().try_with(row, Some((*index, handle)));
                            assert!(
                                [DIFFVP_STATUS_OK, DIFFVP_STATUS_STALE_HANDLE].contains(&status),
                                "{}: {status}",
                                row.name
                            );
                        }
                        i32::from(thread >= 4 && free(kind, handle) == DIFFVP_STATUS_OK)
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(freed, 1, "{kind:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn random_calls_end_in_a_status(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _turn = turn();
        let mut caller = Caller::new(&world().inputs, false);
        caller.lend(Kind::Reporter, world().good(Kind::Reporter));
        caller.run(&bytes);
    }
}
