//! `diffvp-train synth`: writes synthetic chest CTs.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use diffvp::Result;
use diffvp_train::synth::{PhantomOptions, Size, write_dataset};

/// Options of `diffvp-train synth`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Folder to write to; made if it is not there. Volumes that are there are kept.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Number of scans.
    #[arg(long, value_name = "N")]
    scans: u64,
    /// Seed: the same seed and options give the same scans.
    #[arg(long, value_name = "S")]
    seed: u64,
    /// Fraction of scans without any finding.
    #[arg(long, value_name = "F", default_value_t = 0.25)]
    normal_fraction: f64,
    /// Number of voxels: 48×48×32, 96×96×64 or 256×256×96.
    #[arg(long, value_enum, default_value = "demo")]
    size: SizeName,
}

#[derive(Clone, Copy, ValueEnum)]
enum SizeName {
    Tiny,
    Demo,
    Full,
}

/// Writes the data set.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let size = match arguments.size {
        SizeName::Tiny => Size::Tiny,
        SizeName::Demo => Size::Demo,
        SizeName::Full => Size::Full,
    };
    let options = PhantomOptions { size, normal_fraction: arguments.normal_fraction };
    let terminal = std::io::stderr().is_terminal();
    let summary = write_dataset(&arguments.out, arguments.scans, arguments.seed, &options, |done, all| {
        // A log gets one line in a hundred scans, a terminal one line that changes.
        let mut err = std::io::stderr().lock();
        let _ = match (terminal, done == all || done.is_multiple_of(100)) {
            (true, _) => write!(err, "\r{done} of {all} scans"),
            (false, true) => writeln!(err, "{done} of {all} scans"),
            (false, false) => Ok(()),
        };
    })?;
    if terminal {
        eprintln!();
    }
    eprintln!(
        "{} scans written, {} kept, {:.1} s: {}",
        summary.written,
        summary.kept,
        summary.elapsed_seconds,
        arguments.out.display()
    );
    Ok(())
}
