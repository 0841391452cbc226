//! A report in the making.

use super::parse_sections;
use super::{DifferenceMap, Finding, Geometry, IntendedUseNote, MapSummary, Provenance, Report, Section, Timings};
use crate::decode::{Generated, StopReason};
use crate::engine::Engine;
use crate::options::ReportOptions;
use crate::package::manifest::SectionOrder;
use crate::package::{Manifest, describe};
use crate::runtime::SessionOptions;
use crate::scan::Scan;
use crate::vision::{Contrast, Encoding, VolumeTensor};
use crate::{Result, Warning, WarningCode, runtime};

/// What is known after the classifier.
pub(crate) struct Draft {
    findings: Vec<Finding>,
}

/// What a report is made of, besides its findings.
pub(crate) struct Parts<'a> {
    pub(crate) scan: &'a Scan,
    pub(crate) engine: &'a Engine,
    pub(crate) input: &'a VolumeTensor,
    pub(crate) encoding: &'a Encoding,
    pub(crate) contrast: Contrast,
    pub(crate) written: Generated,
    pub(crate) order: SectionOrder,
    pub(crate) options: &'a ReportOptions,
    pub(crate) session: &'a SessionOptions,
    pub(crate) reference: usize,
    pub(crate) timings: Timings,
}

impl Draft {
    /// Compares probabilities with the manifest's thresholds.
    pub(crate) fn new(manifest: &Manifest, probabilities: Vec<f32>) -> Draft {
        let finding = |(spec, probability): (&crate::package::manifest::FindingSpec, f32)| Finding {
            name: spec.name.clone(),
            probability,
            threshold: spec.threshold,
            present: probability >= spec.threshold,
        };
        Draft { findings: manifest.findings.iter().zip(probabilities).map(finding).collect() }
    }

    /// Names of the findings taken as present.
    pub(crate) fn present(&self) -> Vec<&str> {
        self.findings.iter().filter(|finding| finding.present).map(|finding| finding.name.as_str()).collect()
    }

    /// The report.
    pub(crate) fn finish(self, parts: Parts<'_>) -> Result<Report> {
        let Parts { scan, engine, input, encoding, contrast, written, order, options, session, reference, timings } =
            parts;
        let manifest = engine.package.manifest();
        let volume = scan.volume();
        let [_, s, h, w] = manifest.vision.input;
        let map = DifferenceMap::new(
            &contrast.importance,
            &encoding.attention,
            manifest.vision.feature_grid,
            [s, h, w],
            input.grid().clone(),
            volume,
        )?;
        let (peak, peak_mm) = map.peak();
        let mut warnings: Vec<Warning> = scan.warnings().to_vec();
        warnings.extend_from_slice(engine.package.warnings());
        let sections = sections(manifest, &written, &mut warnings);
        add_unlike_training(engine, input, &mut warnings);
        add_writing_warnings(manifest, &written, &mut warnings);
        let runtime = runtime::info(session.library.as_deref())?;
        Ok(Report {
            schema: "diffvp-report/1",
            intended_use: IntendedUseNote {
                clinical_use: manifest.intended_use.clinical_use,
                statement: manifest.intended_use.statement.clone(),
            },
            sections,
            findings: self.findings,
            importance: contrast.importance,
            difference_map: MapSummary { feature_grid: map.feature_grid(), peak, peak_mm },
            warnings,
            provenance: Provenance {
                diffvp_version: env!("CARGO_PKG_VERSION").into(),
                onnxruntime_version: runtime.version,
                device: session.device_in_use(),
                decoder_kernels: engine.decoder.kernels(),
                threads: session.resolved_threads(),
                model_id: manifest.model.id.clone(),
                model_version: manifest.model.version.clone(),
                model_trained: manifest.model.trained,
                package_sha256: engine.package.sha256().into(),
                reference_id: engine.package.bank().ids()[reference].clone(),
                reference_index: reference,
                seed: options.seed,
                sampling: options.sampling.to_string(),
                section_order: order,
                stop_reason: written.stop,
                prompt_tokens: written.prompt_tokens,
                generated_tokens: written.generated_tokens,
                scan: Geometry { dims: volume.dims(), spacing_mm: volume.spacing_mm() },
            },
            timings_ms: timings,
            drafting: written.drafting,
            text: written.text,
            map,
        })
    }
}

fn sections(manifest: &Manifest, written: &Generated, warnings: &mut Vec<Warning>) -> Vec<Section> {
    let Some(guided) = &written.sections else {
        let (sections, more) = parse_sections(&written.text, &manifest.sections);
        warnings.extend(more);
        return sections;
    };
    guided
        .iter()
        .filter(|section| !section.text.trim().is_empty())
        .map(|section| {
            let spec = &manifest.sections[section.index];
            let text = section.text.trim().to_owned();
            Section { region: spec.region.clone(), heading: spec.heading.clone(), text }
        })
        .collect()
}

fn add_unlike_training(engine: &Engine, input: &VolumeTensor, warnings: &mut Vec<Warning>) {
    let Some(familiarity) = engine.package.familiarity() else { return };
    let vision = &engine.package.manifest().vision;
    let description = describe(input.values(), vision.input, vision.feature_grid);
    let (distance, limit) = (familiarity.distance(&description), familiarity.limit);
    if distance > limit {
        let message = format!(
            "the scan is unlike those that the model was trained with (distance {distance:.2}, expected up to {limit:.2}): \
             its report may mean nothing"
        );
        warnings.push(Warning::new(WarningCode::UnlikeTraining, message));
    }
}

fn add_writing_warnings(manifest: &Manifest, written: &Generated, warnings: &mut Vec<Warning>) {
    if !manifest.model.trained {
        let message = "the model of this package is not trained: its findings and its text mean nothing";
        warnings.push(Warning::new(WarningCode::UntrainedModel, message));
    }
    let truncated = written.sections.iter().flatten().filter(|section| section.truncated).count();
    if truncated > 0 {
        let message = format!("{truncated} sections were cut off at their limit of tokens");
        warnings.push(Warning::new(WarningCode::SectionTruncated, message));
    }
    let message = match written.stop {
        StopReason::Complete => return,
        StopReason::MaxTokens => format!("the report was cut off after {} tokens", written.generated_tokens),
        StopReason::ContextFull => "the report was cut off where the decoder's context ended".to_owned(),
    };
    warnings.push(Warning::new(WarningCode::ReportTruncated, message));
}
