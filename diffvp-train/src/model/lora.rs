//! A low-rank adapter beside a frozen matrix.

use std::path::Path;

use tch::{Kind, Tensor};

use super::Parameters;
pub use crate::adapter::LoraConfig;
use crate::adapter::{ADAPTER_WEIGHTS, names};
use crate::{Error, Result};

/// The update `(α / r) · dropout(x) Aᵀ Bᵀ` of one matrix, computed in float32.
pub struct Adapter {
    a: Tensor,
    b: Tensor,
    scale: f64,
    dropout: f64,
}

impl Adapter {
    /// The adapter of a module such as `model.layers.0.self_attn.q_proj`; none where it is not adapted.
    ///
    /// # Errors
    /// Where a parameter is missing.
    pub fn of(p: &Parameters, module: &str, config: Option<&LoraConfig>) -> Result<Option<Self>> {
        let Some(config) = config else { return Ok(None) };
        if !config.targets.iter().any(|target| module.ends_with(&format!(".{target}"))) {
            return Ok(None);
        }
        let [a, b] = names(module);
        Ok(Some(Adapter { a: p.get(&a)?, b: p.get(&b)?, scale: config.scale(), dropout: config.dropout }))
    }

    /// `x [b, t, in]` → `[b, t, out]` in the number type of `x`.
    pub fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let dropped = x.to_kind(Kind::Float).dropout(self.dropout, train);
        let update = dropped.linear::<Tensor>(&self.a, None).linear::<Tensor>(&self.b, None);
        (update * self.scale).to_kind(x.kind())
    }

    /// Writes the adapter's parameters and settings as PEFT reads them.
    ///
    /// # Errors
    /// Those of writing.
    pub fn save(p: &Parameters, config: &LoraConfig, folder: &Path, base: Option<&str>) -> Result<()> {
        std::fs::create_dir_all(folder)
            .map_err(|e| Error::RunFolder { path: folder.to_path_buf(), detail: e.to_string() })?;
        let tensors = p.iter().filter(|(name, _)| name.starts_with("base_model."));
        crate::fit::tensors::write(&folder.join(ADAPTER_WEIGHTS), tensors, &Default::default())?;
        config.save(folder, base)
    }
}
