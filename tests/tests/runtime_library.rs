//! Libraries that are absent, broken or too old are errors: never a hang, a panic, or another library instead.

use std::path::{Path, PathBuf};
use std::process::Command;

use diffvp::Error;

fn refused(path: &Path) -> Error {
    diffvp::runtime::info(Some(path)).expect_err("the library must be refused")
}

#[test]
fn an_absent_library_is_named() {
    let error = refused(Path::new("/nonexistent/libonnxruntime.so"));
    assert!(matches!(error, Error::RuntimeNotFound { .. }), "{error:?}");
    assert!(error.to_string().contains("/nonexistent/libonnxruntime.so"));
}

#[test]
fn a_folder_is_no_library() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(refused(folder.path()), Error::RuntimeNotFound { .. }));
}

#[test]
fn a_file_that_is_no_library_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [("empty.so", &b""[..]), ("text.so", b"not a library"), ("elf.so", b"\x7fELF\x02\x01\x01")] {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let error = refused(&path);
        assert!(matches!(error, Error::RuntimeUnusable { .. }), "{name}: {error:?}");
    }
}

/// Compiles a library from C; `None` where there is no compiler.
fn compile(folder: &Path, name: &str, source: &str) -> Option<PathBuf> {
    let (c, library) = (folder.join(format!("{name}.c")), folder.join(format!("{name}.so")));
    std::fs::write(&c, source).unwrap();
    match Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&c).status() {
        Ok(status) if status.success() => Some(library),
        _ => {
            println!("skipped: no C compiler to make a library with");
            None
        }
    }
}

#[test]
fn libraries_that_are_something_else_or_too_old_are_refused() {
    const BASE: &str = "struct Base { const void *(*api)(unsigned); const char *(*version)(void); };\n\
                        static const void *api(unsigned v) { (void)v; return 0; }\n";
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("other", "int answer(void) { return 42; }".to_owned(), "OrtGetApiBase"),
        ("null", "void *OrtGetApiBase(void) { return 0; }".to_owned(), "OrtGetApiBase"),
        (
            "old",
            format!(
                "{BASE}static const char *version(void) {{ return \"1.10.0\"; }}\n\
                 static const struct Base base = {{ api, version }};\n\
                 const struct Base *OrtGetApiBase(void) {{ return &base; }}"
            ),
            "1.10.0",
        ),
        (
            "strange",
            format!(
                "{BASE}static const char *version(void) {{ return \"\\xff\"; }}\n\
                 static const struct Base base = {{ api, version }};\n\
                 const struct Base *OrtGetApiBase(void) {{ return &base; }}"
            ),
            "at least",
        ),
        (
            "hollow",
            format!(
                "{BASE}static const char *version(void) {{ return \"1.99.0\"; }}\n\
                 static const struct Base base = {{ api, version }};\n\
                 const struct Base *OrtGetApiBase(void) {{ return &base; }}"
            ),
            "interface",
        ),
    ];
    for (name, source, expected) in cases {
        let Some(library) = compile(folder.path(), name, &source) else { return };
        // A process takes one library only, so each is tried in a process of its own.
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env("DIFFVP_LIBRARY_CHILD", &library)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{name}: {text} {}", String::from_utf8_lossy(&output.stderr));
        assert!(text.contains("code 51") && text.contains(expected), "{name}: {text}");
    }
}

/// Does nothing in the parent; in a child, opens the library it is told.
#[test]
fn child() {
    if let Some(library) = std::env::var_os("DIFFVP_LIBRARY_CHILD") {
        let error = refused(Path::new(&library));
        println!("code {}: {error}", error.code());
    }
}

#[test]
fn a_second_library_in_one_process_is_refused() {
    let loaded = diffvp::runtime::info(None).expect("run `cargo xtask test`");
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.so");
    std::fs::copy(loaded.library.as_ref().unwrap(), &copy).unwrap();
    assert!(matches!(refused(&copy), Error::RuntimeUnusable { .. }));
    assert_eq!(diffvp::runtime::info(loaded.library.as_deref()).unwrap(), loaded);
}
