//! Rounding of the decoder's matrices with texts: GPTQ (Frantar et al., arXiv 2210.17323), layer after layer, so that memory holds one.

use std::collections::HashMap;
use std::path::Path;

use diffvp::files::sha256;
use diffvp_exporter::config::LlamaConfig;
use diffvp_exporter::graphs::{DecoderOptions, WeightKind};
use diffvp_exporter::quantize::{BlockScheme, BlockTensor, Rounding, dequantize, quantize_compensated};
use diffvp_exporter::weights::{TensorSpec, Weights, llama_specs, load_rounded, save_rounded};
use indicatif::ProgressBar;
use tch::{Device, Kind, Tensor};
use tokenizers::Tokenizer;

use crate::model::{LayerOutput, LlamaLayer, Parameters, Rotary};
use crate::run::Run;
use crate::{Error, Result};

/// Tokens of the texts that are used, at most: more change little, and take time with large decoders.
const MOST_TOKENS: usize = 16_384;

/// Tokens of a text that are used, at most.
const LONGEST: usize = 512;

/// Added to the diagonal of the inputs' products, as a share of its mean (the paper's 1 %).
const DAMPING: f64 = 0.01;

/// What a matrix is multiplied with.
type Input = fn(&LayerOutput) -> &Tensor;

/// Matrices of a layer by what they are multiplied with.
const GROUPS: [(Input, &[&str]); 4] = [
    (|layer| &layer.attention_input, &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
    (|layer| &layer.attended, &["self_attn.o_proj"]),
    (|layer| &layer.mlp_input, &["mlp.gate_proj", "mlp.up_proj"]),
    (|layer| &layer.gated, &["mlp.down_proj"]),
];

/// Rounds the four-bit layers of a run's decoder so that their outputs on `texts` change least, and writes them to `folder`, one file
/// a layer. Layers that are there already, of the same weights, texts and options, are taken as they are.
///
/// # Errors
/// Those of the weights; [`Error::Training`] for texts without a token; [`diffvp_exporter::Error::Write`].
pub fn calibrate(run: &Run, texts: &[String], options: &DecoderOptions, folder: &Path) -> Result<()> {
    let config = &run.config.decoder;
    let ids = tokens(run, texts)?;
    let mut states = embed(run, &ids)?;
    std::fs::create_dir_all(folder).map_err(|source| diffvp::Error::Write { path: folder.to_path_buf(), source })?;
    let rotary = Rotary::new(config, Device::Cpu);
    // What a file depends on: the options, the texts, and the weights of its layer and of those before.
    let mut key = sha256(serde_json::json!([options, config, ids]).to_string().as_bytes());
    let bar = ProgressBar::new(config.layers as u64).with_prefix("rounding");
    for index in 0..config.layers {
        let original = Layer::of(run.weights(), config, index)?;
        for values in original.values.values() {
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            key = sha256(format!("{key}{}", sha256(&bytes)).as_bytes());
        }
        let through = |layer: &LlamaLayer, x: &Tensor| {
            let angles = rotary.angles(x.size()[1], None, Kind::Float);
            tch::no_grad(|| layer.forward(x, &angles, None, false))
        };
        let mut layer = original.build(config, index)?;
        let path = folder.join(format!("layer-{index:03}.safetensors"));
        if let WeightKind::Blocks(scheme @ BlockScheme { bits: 4, .. }) = options.layer(index, config.layers) {
            let rounded = match load_rounded(&path) {
                Ok((tensors, metadata)) if metadata.get(KEY) == Some(&key) => tensors.into_iter().collect(),
                _ => {
                    let products = products(&states, |x| through(&layer, x))?;
                    let rounded = original.round(index, scheme, options.rounding, products)?;
                    save_rounded(&path, &rounded, HashMap::from([(KEY.to_string(), key.clone())]))?;
                    rounded
                }
            };
            layer = original.with(rounded).build(config, index)?;
        } else if path.exists() {
            // Of other options, and export would take it.
            std::fs::remove_file(&path).map_err(|source| diffvp::Error::Write { path, source })?;
        }
        states.iter_mut().for_each(|x| *x = through(&layer, x).output);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

/// Name in the files' metadata of what they depend on.
const KEY: &str = "made_of";

fn tokens(run: &Run, texts: &[String]) -> Result<Vec<Vec<u32>>> {
    let failed = |e: tokenizers::Error| Error::training(format!("tokenizer: {e}"));
    let tokenizer = Tokenizer::from_bytes(run.tokenizer_json().as_bytes()).map_err(failed)?;
    let longest = LONGEST.min(run.config.decoder.context_length);
    let (mut all, mut count) = (Vec::new(), 0);
    for text in texts {
        let encoding = tokenizer.encode_fast(text.as_str(), true).map_err(failed)?;
        let ids = &encoding.get_ids()[..encoding.len().min(longest).min(MOST_TOKENS - count)];
        if !ids.is_empty() {
            count += ids.len();
            all.push(ids.to_vec());
        }
    }
    if all.is_empty() { Err(Error::training("the texts to calibrate with have no token")) } else { Ok(all) }
}

/// Embeddings `[1, t, d_llm]` of each text. The table is dropped again: it may be half a gigabyte.
fn embed(run: &Run, texts: &[Vec<u32>]) -> Result<Vec<Tensor>> {
    let c = &run.config.decoder;
    let (rows, width) = (c.vocab_size, c.hidden_size);
    let table = run.weights().tensor("model.embed_tokens.weight", &[rows, width])?;
    let row = |id: &u32| table.get(*id as usize * width..(*id as usize + 1) * width);
    let text = |ids: &Vec<u32>| {
        let values: Option<Vec<&[f32]>> = ids.iter().map(row).collect();
        let values = values.ok_or_else(|| Error::training(format!("the tokenizer has tokens beyond {rows} rows")))?;
        Ok(Tensor::from_slice(&values.concat()).view([1, -1, width as i64]))
    };
    texts.iter().map(text).collect()
}

/// X Xᵀ of the inputs of each group, over all texts.
fn products(states: &[Tensor], through: impl Fn(&Tensor) -> LayerOutput) -> Result<Vec<Tensor>> {
    let mut sums: Vec<Tensor> = Vec::new();
    for x in states {
        let output = through(x);
        for (group, (input, _)) in GROUPS.iter().enumerate() {
            let rows = input(&output).flatten(0, 1);
            let product = rows.transpose(0, 1).f_matmul(&rows)?;
            match sums.get_mut(group) {
                Some(sum) => *sum += product,
                None => sums.push(product),
            }
        }
    }
    Ok(sums)
}

/// The factor U with UᵀU = (X Xᵀ + damping)⁻¹, row-major. An input that is always zero gets a 1, so that its weights stay as they are.
fn factor(products: &Tensor) -> Result<Vec<f32>> {
    let products = products.to_kind(Kind::Double);
    let diagonal = products.diagonal(0, 0, 1);
    let damping = (diagonal.mean(Kind::Double) * DAMPING).double_value(&[]);
    let dead = diagonal.eq(0.0).to_kind(Kind::Double);
    let damped = &products + (dead + damping).diag(0);
    let inverse = Tensor::f_cholesky_inverse(&damped.f_linalg_cholesky(false)?, false)?;
    let upper = inverse.f_linalg_cholesky(true)?;
    Ok(Vec::try_from(upper.to_kind(Kind::Float).flatten(0, 1))?)
}

/// The weights of one layer, by name.
struct Layer {
    specs: Vec<TensorSpec>,
    values: std::collections::BTreeMap<String, Vec<f32>>,
}

impl Layer {
    fn of(weights: &dyn Weights, config: &LlamaConfig, index: usize) -> Result<Layer> {
        let prefix = format!("model.layers.{index}.");
        let specs: Vec<TensorSpec> =
            llama_specs(config).into_iter().filter(|spec| spec.name.starts_with(&prefix)).collect();
        let read = |spec: &TensorSpec| Ok((spec.name.clone(), weights.tensor(&spec.name, &spec.shape)?));
        let values = specs.iter().map(read).collect::<Result<_>>()?;
        Ok(Layer { specs, values })
    }

    fn build(&self, config: &LlamaConfig, index: usize) -> Result<LlamaLayer> {
        let mut p = Parameters::new(Device::Cpu);
        p.add(&self.specs, self, Kind::Float)?;
        LlamaLayer::new(&p, config, index, None)
    }

    fn round(
        &self,
        index: usize,
        scheme: BlockScheme,
        rounding: Rounding,
        products: Vec<Tensor>,
    ) -> Result<Vec<(String, BlockTensor)>> {
        let mut rounded = Vec::new();
        for ((_, names), products) in GROUPS.iter().zip(products) {
            let factor = factor(&products)?;
            drop(products);
            for part in *names {
                let name = format!("model.layers.{index}.{part}.weight");
                let spec = self.specs.iter().find(|spec| spec.name == name);
                let missing = || diffvp_exporter::Error::WeightMissing { name: name.clone() };
                let [n, k] = spec.and_then(|spec| spec.shape.as_slice().try_into().ok()).ok_or_else(missing)?;
                rounded
                    .push((name.clone(), quantize_compensated(&self.values[&name], n, k, scheme, rounding, &factor)));
            }
        }
        Ok(rounded)
    }

    /// The same with rounded matrices.
    fn with(mut self, rounded: Vec<(String, BlockTensor)>) -> Layer {
        for (name, tensor) in rounded {
            // Codes of a last block that is partly empty stand behind the row's end.
            let width = self.values[&name].len() / tensor.n;
            self.values.insert(name, dequantize(&BlockTensor { k: width, ..tensor }));
        }
        self
    }
}

impl Weights for Layer {
    fn tensor(&self, name: &str, _: &[usize]) -> diffvp_exporter::Result<Vec<f32>> {
        let missing = || diffvp_exporter::Error::WeightMissing { name: name.to_string() };
        self.values.get(name).cloned().ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Preset, init};

    /// States behind all layers of a decoder whose matrices are rounded by `rounded`, or exact.
    fn states(
        run: &Run,
        ids: &[Vec<u32>],
        rounded: impl Fn(usize, &Layer) -> Vec<(String, BlockTensor)>,
    ) -> Vec<Tensor> {
        let config = &run.config.decoder;
        let rotary = Rotary::new(config, Device::Cpu);
        let mut states = embed(run, ids).unwrap();
        for index in 0..config.layers {
            let layer = Layer::of(run.weights(), config, index).unwrap();
            let rounded = rounded(index, &layer);
            let layer = layer.with(rounded).build(config, index).unwrap();
            states.iter_mut().for_each(|x| {
                let angles = rotary.angles(x.size()[1], None, Kind::Float);
                *x = tch::no_grad(|| layer.forward(x, &angles, None, false).output);
            });
        }
        states
    }

    #[test]
    fn outputs_on_the_texts_change_less_and_layers_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (path, out) = (folder.path().join("run"), folder.path().join("rounded"));
        init(Preset::Demo, 3, true, &path).unwrap();
        let run = Run::open(&path).unwrap();
        let texts: Vec<String> =
            (0..6).map(|i| format!("The lungs are clear {i}. Heart size is normal, and so is the aorta.")).collect();
        let options = DecoderOptions::int4(32);
        let WeightKind::Blocks(scheme) = options.weights else { panic!("four bits") };
        calibrate(&run, &texts, &options, &out).unwrap();

        let ids = tokens(&run, &texts).unwrap();
        let exact = states(&run, &ids, |_, _| Vec::new());
        let error = |found: &[Tensor]| -> f64 {
            found.iter().zip(&exact).map(|(f, e)| (f - e).square().sum(Kind::Double).double_value(&[])).sum()
        };
        let nearest = states(&run, &ids, |_, layer| {
            let matrix = |spec: &&TensorSpec| spec.name.ends_with("_proj.weight");
            let round = |spec: &TensorSpec| {
                let [n, k] = spec.shape.as_slice().try_into().unwrap();
                let values = &layer.values[&spec.name];
                (spec.name.clone(), diffvp_exporter::quantize::quantize(values, n, k, scheme, options.rounding))
            };
            layer.specs.iter().filter(matrix).map(round).collect()
        });
        let file = |index: usize| out.join(format!("layer-{index:03}.safetensors"));
        let made_up = states(&run, &ids, |index, _| load_rounded(&file(index)).unwrap().0.into_iter().collect());
        let share = error(&made_up) / error(&nearest);
        println!("{share:.3} of the squared error");
        assert!(share < 0.5, "{share}");

        // What is there is taken, what is damaged or of other texts is made anew.
        let bytes = |index: usize| std::fs::read(file(index)).unwrap();
        let [first, second] = [bytes(0), bytes(1)];
        let written = |index: usize| std::fs::metadata(file(index)).unwrap().modified().unwrap();
        let before = written(0);
        std::fs::write(file(1), &second[..second.len() / 2]).unwrap();
        calibrate(&run, &texts, &options, &out).unwrap();
        assert!(written(0) == before && bytes(0) == first && bytes(1) == second);
        calibrate(&run, &texts[..2], &options, &out).unwrap();
        assert!(bytes(0) != first);
        calibrate(&run, &texts, &DecoderOptions { edge_layers: 1, ..options }, &out).unwrap();
        assert!(!file(0).exists() && file(1).exists(), "a layer in eight bits is rounded by export");
        assert!(calibrate(&run, &[String::new()], &options, &out).unwrap_err().to_string().contains("no token"));
    }

    #[test]
    fn inputs_that_never_come_do_not_stop_it() {
        let rows = Tensor::from_slice(&[1f32, 0.0, 2.0, 3.0, 0.0, -1.0]).view([2, 3]);
        let factor = factor(&rows.transpose(0, 1).matmul(&rows)).unwrap();
        assert!(factor.iter().all(|v| v.is_finite()));
        let upper = Tensor::from_slice(&factor).view([3, 3]).to_kind(Kind::Double);
        assert!(f64::from(factor[3]) == 0.0 && factor[6] == 0.0 && factor[7] == 0.0, "an upper triangle");
        let back = upper.transpose(0, 1).matmul(&upper).inverse();
        let damping = DAMPING * (10.0 + 5.0) / 3.0;
        let expected =
            Tensor::from_slice(&[10.0 + damping, 0.0, -1.0, 0.0, 1.0 + damping, 0.0, -1.0, 0.0, 5.0 + damping]);
        assert!((back.flatten(0, 1) - expected).abs().max().double_value(&[]) < 1e-4);
    }
}
