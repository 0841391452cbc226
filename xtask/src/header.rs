//! `cargo xtask header`: `include/diffvp.h` from `diffvp-ffi`, by a cbindgen of one exact version.

use std::fs;
use std::path::PathBuf;

use crate::process::root;
use crate::{Failure, Result, fail, say};

/// Write include/diffvp.h, or check that it is what the sources give.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Write nothing; fail where the committed header differs.
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let path = path();
    let fresh = generate()?;
    let on = |error: std::io::Error| Failure::Sentence(format!("{}: {error}", path.display()));
    // A checkout may have turned the line ends.
    let committed = fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    if committed == fresh {
        say("include/diffvp.h is what the sources give");
        return Ok(());
    }
    if arguments.check {
        let line = committed.lines().zip(fresh.lines()).take_while(|(old, new)| old == new).count() + 1;
        return fail(format!(
            "include/diffvp.h is not what diffvp-ffi gives, from line {line} on: run `cargo xtask header` and commit it"
        ));
    }
    fs::write(&path, fresh).map_err(on)?;
    say(&format!("wrote {}", path.display()));
    Ok(())
}

fn path() -> PathBuf {
    root().join("include").join("diffvp.h")
}

fn generate() -> Result<String> {
    let folder = root().join("diffvp-ffi");
    let failed = |error: &dyn std::fmt::Display| Failure::Sentence(format!("cbindgen: {error}"));
    let config = cbindgen::Config::from_file(folder.join("cbindgen.toml")).map_err(|e| failed(&e))?;
    let mut builder = cbindgen::Builder::new().with_config(config);
    let mut sources: Vec<PathBuf> = fs::read_dir(folder.join("src"))
        .map_err(|e| failed(&e))?
        .flatten()
        .map(|entry| entry.path())
        // lib.rs names the others as modules: with it every function would be declared twice.
        .filter(|path| path.extension().is_some_and(|e| e == "rs") && path.file_stem().is_some_and(|s| s != "lib"))
        .collect();
    // The order of the header must not depend on the file system: by subject, then by name.
    let rank = |path: &PathBuf| {
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        (ORDER.iter().position(|name| *name == stem).unwrap_or(ORDER.len()), stem)
    };
    sources.sort_by_key(rank);
    for source in sources {
        builder = builder.with_src(source);
    }
    let bindings = builder.generate().map_err(|e| failed(&e))?;
    let mut text = Vec::new();
    bindings.write(&mut text);
    String::from_utf8(text).map_err(|e| failed(&e))
}

/// The subjects of the header, in the order in which a reader needs them.
const ORDER: [&str; 13] = [
    "version",
    "status",
    "error",
    "string",
    "runtime",
    "options",
    "options_report",
    "scan",
    "scan_memory",
    "cancel",
    "reporter",
    "report",
    "report_map",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_header_is_what_the_sources_give() {
        run(&Arguments { check: true }).unwrap();
    }

    #[test]
    fn every_subject_is_a_file() {
        for name in ORDER {
            assert!(root().join("diffvp-ffi/src").join(format!("{name}.rs")).is_file(), "{name}");
        }
    }
}
