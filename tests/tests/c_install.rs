//! An installed libdiffvp, as `cargo cinstall -p diffvp-ffi --prefix=PREFIX` leaves it: through pkg-config and CMake.
//!
//! `DIFFVP_PREFIX=PREFIX cargo xtask test -- --test c_install`

#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::Command;

use diffvp_tests::c_program::{C, CPP, chest_file, has, program, root, succeed};
use diffvp_tests::demo::{package, work_folder};

/// The prefix; prints why a test is skipped without one.
fn prefix() -> Option<PathBuf> {
    let prefix = std::env::var_os("DIFFVP_PREFIX").map(PathBuf::from);
    if prefix.is_none() {
        eprintln!(
            "skipped: set DIFFVP_PREFIX to where `cargo cinstall --release -p diffvp-ffi --prefix=PREFIX` (cargo-c) has installed"
        );
    }
    prefix
}

/// The folder of the prefix that holds a file.
fn folder_of(prefix: &Path, file: &str) -> PathBuf {
    let mut waiting = vec![prefix.to_path_buf()];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            if entry.file_name() == file {
                return folder;
            }
            if entry.file_type().unwrap().is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    panic!("{file} is not below {}", prefix.display())
}

#[test]
fn everything_is_installed() {
    let Some(prefix) = prefix() else { return };
    let version = env!("CARGO_PKG_VERSION");
    for file in [
        "libdiffvp.a",
        "libdiffvp.so",
        "libdiffvp.so.0",
        &format!("libdiffvp.so.{version}"),
        "diffvp.h",
        "diffvp.hpp",
        "diffvp.pc",
        "diffvpConfig.cmake",
        "diffvpConfigVersion.cmake",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "THIRD-PARTY-NOTICES.md",
        "c-interface.md",
        "errors.md",
        "report-json.md",
        "scan.md",
        "CMakeLists.txt",
        "report.c",
        "stream.c",
        "report.cpp",
    ] {
        folder_of(&prefix, file);
    }
    let installed = std::fs::read(folder_of(&prefix, "diffvp.h").join("diffvp.h")).unwrap();
    assert!(installed == std::fs::read(root().join("include/diffvp.h")).unwrap(), "another header is installed");
    assert_eq!(folder_of(&prefix, "diffvp.h"), prefix.join("include"));
    let listed = std::fs::read_to_string(root().join("diffvp-ffi/symbols.txt")).unwrap();
    let library = std::fs::read(folder_of(&prefix, "libdiffvp.so").join("libdiffvp.so")).unwrap();
    let file = object::File::parse(&*library).unwrap();
    use object::{Object, ObjectSymbol};
    let symbols = file.dynamic_symbols().filter(|symbol| symbol.is_definition());
    let mut exported: Vec<&str> = symbols.map(|symbol| symbol.name().unwrap()).collect();
    exported.sort();
    assert_eq!(exported, listed.lines().collect::<Vec<_>>());
}

#[test]
fn examples_build_through_pkg_config() {
    let Some(prefix) = prefix() else { return };
    if !has("pkg-config") || !has(C.0) || !has(CPP.0) {
        return;
    }
    let libraries = folder_of(&prefix, "libdiffvp.so");
    let ask = |arguments: &str| {
        let mut command = Command::new("pkg-config");
        command.args(arguments.split(' ')).env("PKG_CONFIG_PATH", folder_of(&prefix, "diffvp.pc"));
        succeed(&mut command)
    };
    assert_eq!(ask("--modversion diffvp").trim(), env!("CARGO_PKG_VERSION"));
    let flags = ask("--cflags --libs diffvp");
    for (compiler, source, arguments) in [
        (C, "examples/c/report.c", [chest_file(), package().to_path_buf()]),
        (C, "examples/c/stream.c", [package().to_path_buf(), "600".into()]),
        (CPP, "examples/cpp/report.cpp", [chest_file(), package().to_path_buf()]),
    ] {
        let built = work_folder().join(format!("pkg-config-{}", source.replace('/', "-")));
        let mut command = Command::new(compiler.0);
        command
            .arg(compiler.1)
            .arg(root().join(source))
            .args(flags.split_whitespace())
            .arg("-pthread")
            .arg("-o")
            .arg(&built);
        succeed(&mut command);
        let mut run = program(&built, &[&arguments[0], &arguments[1]]);
        assert!(!succeed(run.env("LD_LIBRARY_PATH", &libraries)).is_empty());
    }
    // Without the shared library, with what pkg-config says a static one needs.
    let built = work_folder().join("pkg-config-static");
    let mut command = Command::new(C.0);
    command.arg(C.1).arg(root().join("examples/c/report.c")).arg("-I").arg(prefix.join("include"));
    command.arg(libraries.join("libdiffvp.a"));
    let needed = ask("--static --libs diffvp");
    command.args(needed.split_whitespace().filter(|flag| *flag != "-ldiffvp")).arg("-o").arg(&built);
    succeed(&mut command);
    succeed(&mut program(&built, &[&chest_file(), &package()]));
}

#[test]
fn examples_build_through_cmake() {
    let Some(prefix) = prefix() else { return };
    if !has("cmake") || !has(C.0) || !has(CPP.0) {
        return;
    }
    let build = work_folder().join("cmake");
    let _ = std::fs::remove_dir_all(&build);
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(root().join("examples")).arg("-B").arg(&build);
    succeed(configure.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display())));
    succeed(Command::new("cmake").arg("--build").arg(&build));
    for (name, arguments) in [
        ("report_c", [chest_file(), package().to_path_buf()]),
        ("stream_c", [package().to_path_buf(), "600".into()]),
        ("report_cpp", [chest_file(), package().to_path_buf()]),
        ("report_static", [chest_file(), package().to_path_buf()]),
    ] {
        succeed(&mut program(&build.join(name), &[&arguments[0], &arguments[1]]));
    }
}

#[test]
fn the_cmake_version_is_that_of_the_crate() {
    let text = std::fs::read_to_string(root().join("diffvp-ffi/cmake/diffvpConfigVersion.cmake")).unwrap();
    assert!(text.contains(&format!("set(PACKAGE_VERSION \"{}\")", env!("CARGO_PKG_VERSION"))));
    let mut parts = env!("CARGO_PKG_VERSION").split('.');
    let minor = format!("{}.{}", parts.next().unwrap(), parts.next().unwrap());
    assert!(text.contains(&format!("STREQUAL \"{minor}\"")));
}
