//! Keeps `libtorch_cuda.so` among the libraries that the program loads, where the feature `torch-cuda` asks for it.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    if std::env::var_os("CARGO_FEATURE_TORCH_CUDA").is_none() {
        return;
    }
    // Linkers default to --as-needed, and no symbol of libtorch_cuda is named: CUDA registers itself when it is
    // loaded, and looks unavailable when it is not.
    if let Some(libtorch) = std::env::var_os("LIBTORCH") {
        println!("cargo:rustc-link-arg=-L{}/lib", libtorch.to_string_lossy());
    }
    println!("cargo:rustc-link-arg=-Wl,--no-as-needed,-ltorch_cuda,--as-needed");
}
