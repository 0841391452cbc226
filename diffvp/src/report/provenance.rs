//! What made a report, and how long it took.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::ser::SerializeMap;

use crate::decode::StopReason;
use crate::package::manifest::SectionOrder;

/// What made a report: enough to make it again, nothing about the patient.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Provenance {
    /// Version of this crate.
    pub diffvp_version: String,
    /// Version of ONNX Runtime.
    pub onnxruntime_version: String,
    /// Device that ran the graphs.
    pub device: String,
    /// Whose kernels multiplied with the decoder's weights: `onnxruntime`, or `diffvp` with the instructions that they used and the
    /// form of their cache: `diffvp (avx512_vnni, int8 cache)`, `diffvp (avx2)`.
    pub decoder_kernels: String,
    /// Threads inside an operator.
    pub threads: usize,
    /// Model, from the manifest.
    pub model_id: String,
    /// Version of the model, from the manifest.
    pub model_version: String,
    /// Whether the weights come from training.
    pub model_trained: bool,
    /// SHA-256 of the manifest, which holds the hashes of all other files.
    pub package_sha256: String,
    /// Name of the normal reference.
    pub reference_id: String,
    /// Position of the normal reference in the bank.
    pub reference_index: usize,
    /// Seed.
    pub seed: u64,
    /// How tokens were picked.
    pub sampling: String,
    /// In which order the sections were written.
    pub section_order: SectionOrder,
    /// Why the text ended.
    pub stop_reason: StopReason,
    /// Rows of X_in.
    pub prompt_tokens: usize,
    /// Tokens the model wrote.
    pub generated_tokens: usize,
    /// The scan's grid.
    pub scan: Geometry,
}

/// The grid of a scan.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Geometry {
    /// Voxels along x, y, z.
    pub dims: [usize; 3],
    /// Spacing along x, y, z in mm.
    pub spacing_mm: [f64; 3],
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |hash: &str| hash.get(..12).unwrap_or(hash).to_owned();
        write!(
            f,
            "Made by diffvp {} on {} with model {} {} ({}), reference {}, seed {}, {}.",
            self.diffvp_version,
            self.device,
            self.model_id,
            self.model_version,
            short(&self.package_sha256),
            self.reference_id,
            self.seed,
            self.sampling,
        )
    }
}

/// How long each stage took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timings {
    /// Volume → model input.
    pub preprocess: Duration,
    /// Encoder.
    pub encode: Duration,
    /// Classifier.
    pub classify: Duration,
    /// Difference from the reference.
    pub contrast: Duration,
    /// X_in into the decoder's cache, and the first logits.
    pub prefill: Duration,
    /// The tokens after that.
    pub decode: Duration,
    /// Everything.
    pub total: Duration,
}

impl Timings {
    fn named(&self) -> [(&'static str, Duration); 7] {
        [
            ("preprocess", self.preprocess),
            ("encode", self.encode),
            ("classify", self.classify),
            ("contrast", self.contrast),
            ("prefill", self.prefill),
            ("decode", self.decode),
            ("total", self.total),
        ]
    }
}

impl Serialize for Timings {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(7))?;
        for (name, time) in self.named() {
            map.serialize_entry(name, &((time.as_secs_f64() * 1e6).round() / 1e3))?;
        }
        map.end()
    }
}

impl fmt::Display for Timings {
    /// `preprocess 12 ms · encode 340 ms · …`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, time)) in self.named().iter().enumerate() {
            let separator = if index == 0 { "" } else { " · " };
            write!(f, "{separator}{name} {:.0} ms", 1e3 * time.as_secs_f64())?;
        }
        Ok(())
    }
}
