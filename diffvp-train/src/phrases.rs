//! Phrases of a data set's reports, for the drafts of a package's decoder.

use std::path::Path;

use diffvp::package::manifest::{Manifest, ReportForm};
use diffvp::package::{Package, PhraseBank, names};
use tokenizers::Tokenizer;

use crate::data::{DataSet, OpenOptions, Sample, Split};
use crate::{Error, Result};

/// What a package's model would write for the training scans of a data set: the sections of each, or a free report as a whole. At
/// most `max_tokens` tokens, the most frequent ones first. No scan is opened.
///
/// # Errors
/// Those of reading the data set; [`Error::Data`] where it has no reports for training; [`Error::Diffvp`] for a package that does
/// not open.
pub fn phrases(package: &Path, data: &Path, max_tokens: usize) -> Result<PhraseBank> {
    let package = Package::open(package)?;
    let manifest = package.manifest();
    let set = DataSet::read(data, &OpenOptions::default())?;
    let path = package.path(names::TOKENIZER);
    let failed = |e: tokenizers::Error| {
        Error::Diffvp(diffvp::Error::PackageContent { file: names::TOKENIZER.into(), detail: e.to_string() })
    };
    let mut tokenizer = Tokenizer::from_file(&path).map_err(failed)?;
    tokenizer.with_truncation(None).map_err(failed)?;
    tokenizer.with_padding(None);
    let end = manifest.decoder.end_token_ids[0];
    let mut found = Vec::new();
    for sample in set.samples.iter().filter(|sample| sample.split == Split::Train && sample.is_reported()) {
        for (section, text) in texts(sample, manifest) {
            let mut ids = tokenizer.encode(text.as_str(), false).map_err(failed)?.get_ids().to_vec();
            ids.push(end);
            found.push((section, ids));
        }
    }
    if found.is_empty() {
        return Err(Error::Data { path: data.to_path_buf(), detail: "it has no reports for training".into() });
    }
    Ok(PhraseBank::new(found, manifest.decoder.vocab_size, max_tokens)?)
}

/// What the decoder writes of a scan, section by section, as training asks for it.
fn texts(sample: &Sample, manifest: &Manifest) -> Vec<(usize, String)> {
    let of =
        |region: &str| sample.regions.iter().find(|(r, text)| r == region && !text.is_empty()).map(|(_, text)| text);
    let sections = manifest.sections.iter();
    match &manifest.generation.form {
        ReportForm::GuidedSections { .. } => {
            let written = sections.map(|s| of(&s.region).map(|text| format!(" {text}")).unwrap_or_default());
            written.enumerate().collect()
        }
        _ => {
            let parts: Vec<String> =
                sections.filter_map(|s| Some(format!("{}: {}", s.heading, of(&s.region)?))).collect();
            let whole = if parts.is_empty() { sample.report.clone() } else { Some(parts.join(" ")) };
            whole.into_iter().map(|text| (0, text)).collect()
        }
    }
}
