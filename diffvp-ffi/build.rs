//! Names the shared library for the linker.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    match os.as_str() {
        "linux" | "freebsd" | "android" => {
            // The number is DIFFVP_ABI_VERSION; a test compares.
            println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libdiffvp.so.0");
            // Threads of the library may outlive a dlclose: the code must stay.
            println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
        }
        "macos" => println!("cargo:rustc-cdylib-link-arg=-Wl,-install_name,@rpath/libdiffvp.0.dylib"),
        _ => {}
    }
}
