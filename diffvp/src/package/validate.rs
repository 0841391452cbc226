//! What a manifest must say to make sense, beyond its types.

use std::collections::HashSet;

use super::manifest::{Manifest, PromptSegment, ReportForm, SectionOrder};
use super::names;
use crate::volume::{Preprocessing, Step};
use crate::{Error, Result};

/// Largest extent of a volume along one axis, in voxels.
const MAX_EXTENT: usize = 4096;
/// Largest number of values in one tensor.
const MAX_VALUES: u64 = 1 << 32;
/// Largest width, number of tokens, of layers and heads.
const MAX_WIDTH: usize = 1 << 20;
const MAX_LAYERS: usize = 1024;
/// Largest vocabulary and context.
const MAX_POSITIONS: usize = 1 << 24;
/// Most files, findings, sections, steps and prompt segments.
const MAX_ENTRIES: usize = 1024;

type Check = std::result::Result<(), String>;

/// Checks a manifest in itself; no file is touched.
pub(super) fn check(manifest: &Manifest) -> Result<()> {
    let checks = [
        identity(manifest),
        files(manifest),
        vision(manifest),
        preprocessing(&manifest.preprocessing, manifest.vision.input),
        channel_windows(manifest),
        findings(manifest),
        sections(manifest),
        decoder(manifest),
        prompt(manifest),
        generation(manifest),
        familiarity(manifest),
    ];
    checks.into_iter().collect::<Check>().map_err(|detail| Error::Manifest { detail })?;
    let listed = &manifest.files[names::ENCODER].sha256;
    let bound = &manifest.reference_bank.encoder_sha256;
    if listed != bound {
        let detail = format!("the bank was made with encoder {bound}, and the package holds {listed}");
        return Err(Error::BankMismatch { detail });
    }
    Ok(())
}

fn familiarity(manifest: &Manifest) -> Check {
    let Some(spec) = &manifest.familiarity else { return Ok(()) };
    if !manifest.files.contains_key(names::FAMILIARITY) {
        return Err(format!("files do not list {}, which familiarity needs", names::FAMILIARITY));
    }
    if spec.limit.is_finite() && spec.limit > 0.0 {
        return Ok(());
    }
    Err(format!("familiarity.limit is {}, not a positive number", spec.limit))
}

/// Whether a text is a SHA-256 in lower-case hexadecimal.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn within(name: &str, value: usize, most: usize) -> Check {
    if (1..=most).contains(&value) { Ok(()) } else { Err(format!("{name} is {value}, not from 1 to {most}")) }
}

fn tensor(name: &str, sizes: &[usize]) -> Check {
    let count = sizes.iter().try_fold(1u64, |n, &size| n.checked_mul(size as u64));
    match count {
        Some(count) if count <= MAX_VALUES => Ok(()),
        _ => Err(format!("{name} {sizes:?} has more than {MAX_VALUES} values")),
    }
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Check {
    let mut seen = HashSet::new();
    for name in names {
        if name.trim().is_empty() {
            return Err(format!("{what}: one is empty"));
        }
        if !seen.insert(name.to_lowercase()) {
            return Err(format!("{what}: {name:?} stands there twice"));
        }
    }
    within(&format!("number of {what}"), seen.len(), MAX_ENTRIES)
}

fn identity(manifest: &Manifest) -> Check {
    if manifest.model.id.trim().is_empty() || manifest.model.version.trim().is_empty() {
        return Err("model.id and model.version must not be empty".into());
    }
    if manifest.intended_use.statement.trim().is_empty() {
        return Err("intended_use.statement must not be empty".into());
    }
    Ok(())
}

fn files(manifest: &Manifest) -> Check {
    for (name, entry) in &manifest.files {
        names::check(name).map_err(|why| format!("files: {why}"))?;
        if !is_sha256(&entry.sha256) {
            return Err(format!("files: sha256 of {name:?} is not 64 lower-case hexadecimal digits"));
        }
    }
    unique("files", manifest.files.keys().map(String::as_str))?;
    match names::REQUIRED.iter().find(|name| !manifest.files.contains_key(**name)) {
        Some(name) => Err(format!("files: {name:?} is not listed")),
        None => Ok(()),
    }
}

fn vision(manifest: &Manifest) -> Check {
    let sizes = &manifest.vision;
    sizes.input.iter().try_for_each(|&extent| within("vision.input", extent, MAX_EXTENT))?;
    sizes.feature_grid.iter().try_for_each(|&extent| within("vision.feature_grid", extent, MAX_EXTENT))?;
    within("vision.tokens", sizes.tokens, MAX_WIDTH)?;
    within("vision.token_dim", sizes.token_dim, MAX_WIDTH)?;
    // None where a model of an ablation has no difference in its prompt.
    if sizes.prefix_tokens > MAX_WIDTH {
        return Err(format!("vision.prefix_tokens is {}, not from 0 to {MAX_WIDTH}", sizes.prefix_tokens));
    }
    within("reference_bank.references", manifest.reference_bank.references, MAX_WIDTH)?;
    if !is_sha256(&manifest.reference_bank.encoder_sha256) {
        return Err("reference_bank.encoder_sha256 is not 64 lower-case hexadecimal digits".into());
    }
    if sizes.feature_grid.iter().zip(&sizes.input[1..]).any(|(feature, input)| feature > input) {
        let (grid, input) = (sizes.feature_grid, sizes.input);
        return Err(format!("vision.feature_grid {grid:?} is finer than vision.input {input:?}"));
    }
    let [s, r, c] = sizes.feature_grid;
    tensor("vision.input", &sizes.input)?;
    tensor("attention", &[sizes.tokens, s, r, c])?;
    tensor("reference bank", &[manifest.reference_bank.references, sizes.tokens, sizes.token_dim])
}

/// Readers that do not know a feature refuse the package, so what needs one must name it.
fn needs(manifest: &Manifest, feature: &str, what: &str) -> Check {
    match manifest.required_features.iter().any(|named| named == feature) {
        true => Ok(()),
        false => Err(format!("{what}, and required_features does not name {feature}")),
    }
}

fn channel_windows(manifest: &Manifest) -> Check {
    match manifest.preprocessing.steps.last() {
        Some(Step::Windows { .. }) => needs(manifest, "channel_windows", "preprocessing ends with windows"),
        _ => Ok(()),
    }
}

fn preprocessing(block: &Preprocessing, input: [usize; 4]) -> Check {
    block.validate().map_err(|error| match error {
        Error::Manifest { detail } => detail,
        other => other.to_string(),
    })?;
    match block.output_shape() {
        None => Err("preprocessing: no step fixes the size that vision.input states".into()),
        Some(made) if made == input => Ok(()),
        Some(made) => Err(format!("preprocessing makes {made:?}, and vision.input is {input:?}")),
    }
}

fn findings(manifest: &Manifest) -> Check {
    unique("findings", manifest.findings.iter().map(|finding| finding.name.as_str()))?;
    match manifest.findings.iter().find(|f| !(f.threshold.is_finite() && f.threshold >= 0.0)) {
        Some(bad) => Err(format!("findings: threshold {} of {:?} is not a number from 0 up", bad.threshold, bad.name)),
        None => Ok(()),
    }
}

fn sections(manifest: &Manifest) -> Check {
    unique("sections (region)", manifest.sections.iter().map(|section| section.region.as_str()))?;
    unique("sections (heading)", manifest.sections.iter().map(|section| section.heading.as_str()))
}

fn decoder(manifest: &Manifest) -> Check {
    let sizes = &manifest.decoder;
    within("decoder.hidden_size", sizes.hidden_size, MAX_WIDTH)?;
    within("decoder.layers", sizes.layers, MAX_LAYERS)?;
    within("decoder.key_value_heads", sizes.key_value_heads, MAX_WIDTH)?;
    within("decoder.head_dim", sizes.head_dim, MAX_WIDTH)?;
    within("decoder.vocab_size", sizes.vocab_size, MAX_POSITIONS)?;
    within("decoder.context_length", sizes.context_length, MAX_POSITIONS)?;
    tensor("cache of a layer", &[sizes.key_value_heads, sizes.context_length, sizes.head_dim])?;
    within("number of decoder.end_token_ids", sizes.end_token_ids.len(), MAX_ENTRIES)?;
    match sizes.end_token_ids.iter().find(|&&id| id as usize >= sizes.vocab_size) {
        Some(id) => Err(format!("decoder.end_token_ids: {id} is not below vocab_size {}", sizes.vocab_size)),
        None => Ok(()),
    }
}

fn prompt(manifest: &Manifest) -> Check {
    within("number of prompt segments", manifest.prompt.len(), MAX_ENTRIES)?;
    let mut positions = 0usize;
    for kind in [PromptSegment::Difference, PromptSegment::Visual, PromptSegment::Findings] {
        if manifest.prompt.iter().filter(|segment| **segment == kind).count() > 1 {
            return Err(format!("prompt: {kind:?} stands there twice"));
        }
    }
    for (index, segment) in manifest.prompt.iter().enumerate() {
        positions += match segment {
            PromptSegment::Difference => manifest.vision.prefix_tokens,
            PromptSegment::Visual => manifest.vision.tokens,
            PromptSegment::Token { token: text } | PromptSegment::Text { text } if text.is_empty() => {
                return Err(format!("prompt[{index}]: is empty"));
            }
            _ => 1,
        };
    }
    let context = manifest.decoder.context_length;
    if positions >= context {
        return Err(format!("prompt takes at least {positions} of the decoder's {context} positions"));
    }
    Ok(())
}

fn generation(manifest: &Manifest) -> Check {
    let context = manifest.decoder.context_length;
    within("generation.max_new_tokens", manifest.generation.max_new_tokens, context)?;
    match &manifest.generation.form {
        ReportForm::Free => Ok(()),
        ReportForm::GuidedSections { max_section_tokens, orders, .. } => {
            within("generation.form.max_section_tokens", *max_section_tokens, context)?;
            if orders.is_empty() {
                return Err("generation.form.orders: is empty".into());
            }
            if let Some(order) = orders.iter().enumerate().find(|(i, order)| orders[..*i].contains(order)) {
                return Err(format!("generation.form.orders: {} stands there twice", order.1));
            }
            if orders.contains(&SectionOrder::Parallel) {
                needs(manifest, "parallel_sections", "generation.form.orders has parallel")?;
            }
            needs(manifest, "guided_sections", "generation.form is guided_sections")
        }
    }
}
