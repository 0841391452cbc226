//! Versions of the library and of its interface.

use std::ffi::{CStr, c_char};

/// Version of the interface. It grows with every change that breaks a program that was compiled before, and it
/// is the number in the name of the shared library, `libdiffvp.so.0`. Compare it with diffvp_abi_version().
pub const DIFFVP_ABI_VERSION: u32 = 0;

/// Major version of the library that this header belongs to.
pub const DIFFVP_VERSION_MAJOR: u32 = 0;
/// Minor version of the library that this header belongs to.
pub const DIFFVP_VERSION_MINOR: u32 = 1;
/// Patch version of the library that this header belongs to.
pub const DIFFVP_VERSION_PATCH: u32 = 0;

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => panic!("a version has no NUL"),
};

/// Version of the library in use, such as "0.1.0".
///
/// The string is static: never free it. May be called from any thread at any time.
#[unsafe(no_mangle)]
pub extern "C" fn diffvp_version() -> *const c_char {
    VERSION.as_ptr()
}

/// Version of the interface of the library in use. Where it is not DIFFVP_ABI_VERSION, the program was compiled
/// for another library: stop.
///
/// May be called from any thread at any time.
#[unsafe(no_mangle)]
pub extern "C" fn diffvp_abi_version() -> u32 {
    DIFFVP_ABI_VERSION
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macros_and_crate_have_one_version() {
        let macros = format!("{DIFFVP_VERSION_MAJOR}.{DIFFVP_VERSION_MINOR}.{DIFFVP_VERSION_PATCH}");
        assert_eq!(macros, env!("CARGO_PKG_VERSION"));
        assert_eq!(VERSION.to_str().unwrap(), macros);
    }
}
