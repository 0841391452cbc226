//! One version of a model, loaded: the package and its sessions.

use std::path::Path;

use crate::decode::{Embedding, TextCodec};
use crate::package::Package;
use crate::package::manifest::SectionOrder;
use crate::runtime::{Decoder, Device, SessionOptions};
use crate::vision::{Classifier, Difference, Encoder};
use crate::{Error, Result};

/// Everything that reports of one package version share. Reports hold it by `Arc`, so a swap lets running
/// ones finish on the version they began with.
pub(crate) struct Engine {
    pub(crate) package: Package,
    pub(crate) encoder: Encoder,
    pub(crate) classifier: Classifier,
    pub(crate) difference: Difference,
    pub(crate) embedding: Embedding,
    pub(crate) decoder: Decoder,
    pub(crate) codec: TextCodec,
}

impl Engine {
    /// Verifies the whole package, then makes the sessions.
    pub(crate) fn open(dir: &Path, options: &SessionOptions) -> Result<Engine> {
        if options.threads > MAX_THREADS {
            let detail = format!("{} is over {MAX_THREADS}", options.threads);
            return Err(Error::InvalidOption { name: "threads", detail });
        }
        let package = Package::open(dir)?;
        let manifest = package.manifest();
        let (vision, sizes) = (&manifest.vision, &manifest.decoder);
        // The table stays in the processor's memory on any device: reading a row there is quicker than two copies.
        let table = SessionOptions { device: Device::Cpu, ..options.clone() };
        let decoder = Decoder::open(&package.path("decoder.onnx"), sizes, options)?;
        let orders = manifest.generation.form.orders();
        if orders.contains(&SectionOrder::Parallel) && !decoder.branches() {
            let detail = "it has no attention_bias, which parallel sections need".to_owned();
            return Err(Error::PackageContent { file: "decoder.onnx".into(), detail });
        }
        Ok(Engine {
            encoder: Encoder::open(&package.path("encoder.onnx"), vision, options)?,
            classifier: Classifier::open(&package.path("classifier.onnx"), vision, manifest.findings.len(), options)?,
            difference: Difference::open(&package.path("difference.onnx"), vision, sizes.hidden_size, options)?,
            embedding: Embedding::open(&package.path("embedding.onnx"), sizes.hidden_size, &table)?,
            decoder,
            codec: TextCodec::open(&package.path("tokenizer.json"))?,
            package,
        })
    }
}

/// More threads than any machine has cores: a mistaken number, not a wish.
const MAX_THREADS: usize = 1024;
