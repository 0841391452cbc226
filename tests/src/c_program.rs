//! C and C++ programs against libdiffvp: compiling, linking, running.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::demo::work_folder;

/// Root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").to_path_buf()
}

/// The shared library as cargo builds it for this test program.
pub fn shared_library() -> PathBuf {
    let test = std::env::current_exe().expect("a test program has a path");
    let name = format!("{}diffvp_ffi{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let library = test.parent().expect("a test program lies in a folder").join(name);
    assert!(library.exists(), "{} is not built", library.display());
    library
}

/// A folder with the library under the names that it is installed with.
pub fn library_folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = work_folder().join("lib");
        std::fs::create_dir_all(&folder).expect("the build folder can be written");
        for name in ["libdiffvp.so.0", "libdiffvp.so"] {
            let path = folder.join(name);
            let _ = std::fs::remove_file(&path);
            std::fs::hard_link(shared_library(), &path)
                .or_else(|_| std::fs::copy(shared_library(), &path).map(|_| ()))
                .expect("the library can be staged");
        }
        folder
    })
}

/// Whether a program can be started; prints why a test is skipped where not.
pub fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if found.is_ok_and(|status| status.success()) {
        return true;
    }
    eprintln!("skipped: there is no {program} (or it does not answer --version)");
    false
}

/// Strict compilers of this machine: program and language standard.
pub const C: (&str, &str) = ("cc", "-std=c99");
/// As [`C`], for C++.
pub const CPP: (&str, &str) = ("c++", "-std=c++11");

/// Compiles sources of the repository and links them with the library.
pub fn compile(compiler: (&str, &str), sources: &[&str], name: &str, more: &[&str]) -> PathBuf {
    let program = work_folder().join(name);
    let mut command = Command::new(compiler.0);
    command.arg(compiler.1).args(["-Wall", "-Wextra", "-Werror", "-pedantic", "-g"]);
    command.arg("-I").arg(root().join("include")).args(sources.iter().map(|source| root().join(source)));
    command.arg("-o").arg(&program).args(more).arg("-L").arg(library_folder()).args(["-ldiffvp", "-pthread", "-lm"]);
    command.arg(format!("-Wl,-rpath,{}", library_folder().display()));
    succeed(&mut command);
    program
}

/// Runs a command that must end well, and returns its standard output.
pub fn succeed(command: &mut Command) -> String {
    let output = output(command, Duration::from_secs(600));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{told}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    told
}

/// Runs a command to its end, and kills it where that takes too long: a hang is a failure.
pub fn output(command: &mut Command, limit: Duration) -> Output {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, err) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let read = |mut stream: Box<dyn std::io::Read + Send>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stream.read_to_end(&mut bytes);
            bytes
        })
    };
    let (out, err) = (read(Box::new(out)), read(Box::new(err)));
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break status;
        }
        if begin.elapsed() > limit {
            let _ = child.kill();
            panic!("{command:?} did not end within {limit:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    Output { status, stdout: out.join().expect("read"), stderr: err.join().expect("read") }
}

/// A program with arguments, and with the library of ONNX Runtime that this test program uses.
pub fn program(path: &Path, arguments: &[&dyn AsRef<OsStr>]) -> Command {
    let mut command = Command::new(path);
    command.args(arguments.iter().map(|argument| argument.as_ref()));
    let runtime = diffvp::runtime::info(None).expect("run `cargo xtask test`").library.expect("a loaded library");
    command.env("ORT_DYLIB_PATH", runtime);
    command
}

/// A NIfTI file of the demo's chest.
pub fn chest_file() -> PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let path = work_folder().join("chest.nii.gz");
        diffvp::scan::write_nifti(&crate::demo::chest(0), &path).expect("a scan");
        path
    })
    .clone()
}
