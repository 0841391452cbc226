//! Eight threads share one reporter through the C interface.
//!
//! Under ThreadSanitizer, which needs a compiler that takes `-Z`:
//!
//! ```text
//! cargo xtask sanitize-threads
//! ```

use std::ffi::{CStr, CString, c_char, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};

use diffvp_ffi::*;
use diffvp_tests::c_program::chest_file;
use diffvp_tests::demo::package;

/// What one call hears.
struct Heard {
    text: Vec<u8>,
    stages: i32,
}

unsafe extern "C" fn on_text(text: *const c_char, length: usize, user_data: *mut c_void) -> i32 {
    // SAFETY: the interface gives a string of this length, and the user data that it was given.
    let (heard, text) = unsafe { (&mut *user_data.cast::<Heard>(), CStr::from_ptr(text)) };
    assert_eq!(text.count_bytes(), length);
    heard.text.extend(text.to_bytes());
    0
}

unsafe extern "C" fn on_progress(stage: i32, _done: f32, user_data: *mut c_void) -> i32 {
    // SAFETY: the user data that the interface was given.
    let heard = unsafe { &mut *user_data.cast::<Heard>() };
    assert_eq!(stage, heard.stages);
    heard.stages += 1;
    0
}

static LOGGED: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn on_log(level: i32, target: *const c_char, message: *const c_char, _user_data: *mut c_void) {
    // SAFETY: the interface gives strings.
    let (target, message) = unsafe { (CStr::from_ptr(target), CStr::from_ptr(message)) };
    assert!((DIFFVP_LOG_ERROR..=DIFFVP_LOG_DEBUG).contains(&level));
    assert!(target.to_str().unwrap().starts_with("diffvp") && !message.is_empty());
    // A call of the library from inside the callback must not wait for itself.
    // SAFETY: null is allowed for callback and error.
    assert_eq!(unsafe { diffvp_log_set(None, 0, std::ptr::null_mut(), std::ptr::null_mut()) }, DIFFVP_STATUS_REENTRANT);
    LOGGED.fetch_add(1, Ordering::Relaxed);
}

/// Makes a handle, or fails the test.
fn made<T>(make: impl FnOnce(*mut *mut T) -> i32) -> usize {
    let mut handle = std::ptr::null_mut();
    assert_eq!(make(&mut handle), DIFFVP_STATUS_OK);
    handle.addr()
}

const NO_ERROR: *mut *mut diffvp_error = std::ptr::null_mut();

fn pointer<T>(handle: usize) -> *mut T {
    std::ptr::without_provenance_mut(handle)
}

fn report_text(report: usize) -> String {
    let mut text = std::ptr::null();
    // SAFETY: places are locals; the text is copied before the report is freed.
    unsafe {
        assert_eq!(diffvp_report_text(pointer(report), &mut text, std::ptr::null_mut(), NO_ERROR), DIFFVP_STATUS_OK);
        CStr::from_ptr(text).to_str().unwrap().to_owned()
    }
}

#[test]
fn eight_threads_share_a_reporter() {
    let package = CString::new(package().to_str().unwrap()).unwrap();
    let scan = CString::new(chest_file().to_str().unwrap()).unwrap();
    // SAFETY: strings, locals, null where it is allowed, and handles, which are checked.
    unsafe {
        assert_eq!(diffvp_log_set(Some(on_log), DIFFVP_LOG_DEBUG, std::ptr::null_mut(), NO_ERROR), DIFFVP_STATUS_OK);
        let options: usize = made(|place: *mut *mut diffvp_options| diffvp_options_new(place, NO_ERROR));
        assert_eq!(diffvp_options_set_threads(pointer(options), 1, NO_ERROR), DIFFVP_STATUS_OK);
        assert_eq!(diffvp_options_set_concurrency(pointer(options), 3, NO_ERROR), DIFFVP_STATUS_OK);
        assert_eq!(diffvp_options_set_max_new_tokens(pointer(options), 12, NO_ERROR), DIFFVP_STATUS_OK);
        let reporter = made(|place| diffvp_reporter_open(package.as_ptr(), pointer(options), place, NO_ERROR));
        let scan = made(|place| diffvp_scan_open(scan.as_ptr(), pointer(options), place, NO_ERROR));
        let alone = made(|place| {
            diffvp_reporter_report(
                pointer(reporter),
                pointer(scan),
                pointer(options),
                std::ptr::null(),
                place,
                NO_ERROR,
            )
        });
        let expected = report_text(alone);
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (expected, package) = (&expected, &package);
                scope.spawn(move || {
                    for round in 0..3 {
                        let mut heard = Heard { text: Vec::new(), stages: 0 };
                        let report = made(|place| {
                            diffvp_reporter_report_streaming(
                                pointer(reporter),
                                pointer(scan),
                                pointer(options),
                                std::ptr::null(),
                                Some(on_text),
                                Some(on_progress),
                                (&raw mut heard).cast(),
                                place,
                                NO_ERROR,
                            )
                        });
                        assert_eq!((report_text(report).as_bytes(), heard.stages), (&heard.text[..], 6));
                        assert_eq!(&report_text(report), expected);
                        assert_eq!(diffvp_report_free(pointer(report)), DIFFVP_STATUS_OK);
                        if (thread, round) == (0, 1) {
                            let swapped = diffvp_reporter_swap(pointer(reporter), package.as_ptr(), NO_ERROR);
                            assert_eq!(swapped, DIFFVP_STATUS_OK);
                        }
                    }
                });
            }
        });
        for freed in [
            diffvp_report_free(pointer(alone)),
            diffvp_scan_free(pointer(scan)),
            diffvp_reporter_free(pointer(reporter)),
            diffvp_options_free(pointer(options)),
            diffvp_log_set(None, 0, std::ptr::null_mut(), NO_ERROR),
        ] {
            assert_eq!(freed, DIFFVP_STATUS_OK);
        }
    }
    assert!(LOGGED.load(Ordering::Relaxed) >= 25 * 5, "stages and reports are logged");
}
