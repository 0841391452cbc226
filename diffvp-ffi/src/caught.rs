//! Every function that can fail catches a panic and tells its text.

use crate::boundary::fault;
use crate::error::take_message;
use crate::status::DIFFVP_STATUS_PANIC;
use crate::surface::memory::{PATTERN, Places};
use crate::surface::{Arg, ROWS};

#[test]
fn a_panic_in_any_function_becomes_its_status() {
    for row in ROWS {
        let mut places = Places::new(row.args);
        let word = |(index, arg): (usize, &Arg)| match arg {
            // Null would do nothing.
            Arg::Freed(_) => 1,
            Arg::Out | Arg::OutOrNull | Arg::OutArray | Arg::OutArrayOrNull | Arg::Error => places.word(index),
            _ => 0,
        };
        let words: Vec<u64> = row.args.iter().enumerate().map(word).collect();
        fault::arm();
        // SAFETY: places are long enough; everything else is null.
        let status = unsafe { (row.call)(&words) };
        assert!(!fault::is_armed(), "{} does not go through the boundary", row.name);
        assert_eq!(status, DIFFVP_STATUS_PANIC, "{}", row.name);
        assert!(places.untouched(row.args), "{}", row.name);
        if let Some(index) = row.args.iter().position(|arg| matches!(arg, Arg::Error)) {
            assert_ne!(places.value(index), PATTERN, "{} told no error", row.name);
            let error = std::ptr::without_provenance_mut(places.value(index) as usize);
            let message = take_message(error);
            assert!(message.contains("injected fault") && message.contains("boundary.rs:"), "{}: {message}", row.name);
        }
    }
}
