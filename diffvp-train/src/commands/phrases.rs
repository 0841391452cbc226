//! `diffvp-train phrases`.

use std::path::PathBuf;

use diffvp_exporter::package::add_phrases;
use diffvp_train::Result;
use diffvp_train::phrases::phrases;

/// Give a package the phrases of its training reports, so that it writes the same text in fewer runs of the decoder.
///
/// Reports are formulaic: what the decoder writes is often a phrase that it was trained with. The package keeps such phrases
/// as tokens, proposes what follows in them, and the decoder checks several tokens at a time. The phrases can be read out of the
/// package: take care that no text of a patient's is in them that must not leave the house. Phrases that the package has are replaced.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder of the package, which is changed.
    #[arg(long, value_name = "PACKAGE")]
    package: PathBuf,
    /// Data set whose training reports the model was trained with.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Most tokens to keep, at 12 bytes each; the rarest phrases are left out first.
    #[arg(long, value_name = "N", default_value_t = 300_000)]
    max_tokens: usize,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let bank = phrases(&arguments.package, &arguments.data, arguments.max_tokens)?;
    let manifest = add_phrases(&arguments.package, &bank)?;
    let bytes = manifest.files[diffvp::package::names::PHRASES].bytes;
    eprintln!("{}: {} phrases, {:.2} MB", arguments.package.display(), bank.len(), bytes as f64 / 1e6);
    Ok(())
}
