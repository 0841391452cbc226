//! `diffvp package …`.

use std::path::PathBuf;

use diffvp::package::Package;
use diffvp::{Reporter, Result};

/// Work on model packages.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Check a package: manifest, sizes, hashes, reference bank, tokenizer.
    Verify(VerifyArguments),
}

/// Check a package.
#[derive(clap::Args)]
pub(crate) struct VerifyArguments {
    /// Folder of the package.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Also load every graph into ONNX Runtime and check its inputs and outputs.
    #[arg(long)]
    load: bool,
}

pub(crate) fn run(command: &Command) -> Result<()> {
    let Command::Verify(arguments) = command;
    let package = Package::open(&arguments.dir)?;
    if arguments.load {
        Reporter::open(&arguments.dir)?;
    }
    let manifest = package.manifest();
    let bytes: u64 = manifest.files.values().map(|f| f.bytes).sum();
    let mut text = format!(
        "{} {}: {} files, {:.1} MB, {} references{}\npackage sha256 {}",
        manifest.model.id,
        manifest.model.version,
        manifest.files.len(),
        bytes as f64 / 1e6,
        package.bank().ids().len(),
        if arguments.load { ", all graphs load" } else { "" },
        package.sha256(),
    );
    for warning in package.warnings() {
        text.push_str(&format!("\nnote: {warning}"));
    }
    super::output::print(&text)
}
