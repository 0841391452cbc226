//! `diffvp-train synth`: writes synthetic chest CTs.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use diffvp::Result;
use diffvp::report::write_contact_sheet_png;
use diffvp_train::synth::{DatasetOptions, Domain, Finding, PhantomOptions, Size, Truth, phantom, write_dataset};

use super::progress::Progress;

/// Write synthetic chest CTs with labels, reports and exact truth.
///
/// The folder has the layout of RadGenome-ChestCT and the tables of CT-RATE, so that everything that works on it works
/// on those data sets too. Made again after an interruption, the command goes on where it stopped.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Folder to write to; made if it is not there. Volumes that are there are kept.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Number of scans for training.
    #[arg(long, value_name = "N")]
    scans: u64,
    /// Number of scans for validation, which training never sees.
    #[arg(long, value_name = "N", default_value_t = 0)]
    valid: u64,
    /// Seed: the same seed and options give the same scans.
    #[arg(long, value_name = "S")]
    seed: u64,
    /// Fraction of scans without any finding.
    #[arg(long, value_name = "F", default_value_t = 0.25)]
    normal_fraction: f64,
    /// Number of voxels: 48×48×32, 96×96×64 or 256×256×96.
    #[arg(long, value_enum, default_value = "demo")]
    size: SizeName,
    /// Scanner: native scans with a soft kernel, or contrast-enhanced ones with a sharp kernel at low dose. The
    /// subjects of a seed are the same on both.
    #[arg(long, value_enum, default_value = "a")]
    domain: DomainName,
    /// Also write a picture of the first twelve scans with what is in them.
    #[arg(long, value_name = "FILE.png")]
    sheet: Option<PathBuf>,
    /// Write no masks of organs, regions and findings: a quarter of the files.
    #[arg(long)]
    no_masks: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum SizeName {
    Tiny,
    Demo,
    Full,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum DomainName {
    A,
    B,
}

impl From<SizeName> for Size {
    fn from(name: SizeName) -> Size {
        match name {
            SizeName::Tiny => Size::Tiny,
            SizeName::Demo => Size::Demo,
            SizeName::Full => Size::Full,
        }
    }
}

impl From<DomainName> for Domain {
    fn from(name: DomainName) -> Domain {
        match name {
            DomainName::A => Domain::A,
            DomainName::B => Domain::B,
        }
    }
}

/// Writes the data set.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let options = PhantomOptions {
        size: arguments.size.into(),
        normal_fraction: arguments.normal_fraction,
        domain: arguments.domain.into(),
    };
    let set = DatasetOptions { train: arguments.scans, valid: arguments.valid, masks: !arguments.no_masks };
    let progress = Progress::new("scans");
    let summary = write_dataset(&arguments.out, arguments.seed, &options, &set, |done, all| progress.tell(done, all))?;
    progress.end();
    eprintln!(
        "{} scans written, {} kept, {:.1} s: {}",
        summary.written,
        summary.kept,
        summary.elapsed_seconds,
        arguments.out.display()
    );
    match &arguments.sheet {
        Some(sheet) => write_sheet(sheet, arguments, &options),
        None => Ok(()),
    }
}

/// The first scans in a picture.
fn write_sheet(path: &Path, arguments: &Arguments, options: &PhantomOptions) -> Result<()> {
    let made = (0..arguments.scans.min(12)).map(|index| phantom(arguments.seed, index, options));
    let made = made.collect::<Result<Vec<_>>>()?;
    let scans: Vec<_> = made.iter().map(|p| (&p.volume, lines(&p.truth))).collect();
    write_contact_sheet_png(path, &scans)?;
    eprintln!("{}: a picture of the first {} scans", path.display(), scans.len());
    Ok(())
}

/// What is in a scan, in lines that fit under a tile.
fn lines(truth: &Truth) -> Vec<String> {
    const MOST: usize = 6;
    if truth.normal {
        return vec!["normal".into()];
    }
    let line = |f: &Finding| {
        let side = f.side.map_or("", |side| side.word());
        let lobe = f.lobe.map_or("", |lobe| lobe.word());
        let text = format!("{side} {lobe} {} {:.0} mm", f.kind, f.size_mm);
        text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(38).collect()
    };
    let mut lines: Vec<String> = truth.findings.iter().take(MOST).map(line).collect();
    if truth.findings.len() > MOST {
        lines.push(format!("and {} more", truth.findings.len() - MOST));
    }
    lines
}
