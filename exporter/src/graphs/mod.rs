//! The graphs of a model package, one module each, over small blocks that they share.

mod classifier;
mod decoder;
mod difference;
mod embedding;
mod encoder;
mod layers;
mod linear;
mod resampler;
mod resnet;

pub use classifier::classifier;
pub use decoder::{DecoderOptions, FloatType, decoder};
pub use difference::difference;
pub use embedding::embedding;
pub use encoder::encoder;
pub use linear::WeightKind;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    use super::*;
    use crate::ModelConfig;
    use crate::config::{PositionKind, Shortcut, Strides};
    use crate::error::Result;
    use crate::onnx::{FloatStorage, Graph, WriteOptions, write};
    use crate::quantize::BlockScheme;
    use crate::weights::{RandomWeights, Weights, tensor_specs};

    /// Remembers which weights were read.
    struct Recorder(RandomWeights, Mutex<BTreeSet<String>>);

    impl Weights for Recorder {
        fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
            self.1.lock().unwrap().insert(name.to_string());
            self.0.tensor(name, shape)
        }
    }

    fn names_read(config: &ModelConfig, weights: WeightKind) -> BTreeSet<String> {
        let recorder = Recorder(RandomWeights::new(config, 1), Mutex::default());
        let folder = tempfile::tempdir().unwrap();
        let store = |graph: Graph<'_>| write(graph, &folder.path().join("g.onnx"), &WriteOptions::default()).unwrap();
        store(encoder(config, &recorder));
        store(classifier(config, &recorder));
        store(difference(config, &recorder));
        store(embedding(config, &recorder, FloatStorage::F16));
        store(decoder(config, &recorder, &DecoderOptions { weights, ..DecoderOptions::f32() }).unwrap());
        recorder.1.into_inner().unwrap()
    }

    #[test]
    fn the_graphs_read_the_weights_of_the_list_all_of_them_and_no_other() {
        let demo = ModelConfig::demo(300);
        let mut other = demo.clone();
        other.encoder.shortcut = Shortcut::B;
        other.encoder.strides = Strides::Plain32;
        other.classifier.backbone.depth = 34;
        other.resampler.dim = 48;
        other.resampler.position = PositionKind::None;
        other.difference.positions = false;
        other.difference.projector_rank = Some(3);
        other.decoder.tie_word_embeddings = true;
        let mut baseline = demo.clone();
        (baseline.difference.global, baseline.difference.local, baseline.difference.prefix_tokens) = (false, false, 0);
        let asymmetric = WeightKind::Blocks(BlockScheme { bits: 4, block: 128, symmetric: false });
        for (config, kind) in [(demo, WeightKind::F32), (other, asymmetric), (baseline, WeightKind::F32)] {
            config.validate().unwrap();
            let listed: BTreeSet<String> = tensor_specs(&config).into_iter().map(|s| s.name).collect();
            assert_eq!(names_read(&config, kind), listed);
        }
    }
}
