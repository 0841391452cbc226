//! The model in libtorch against the exported graphs: the same seeded weights, every output of every graph.

use std::collections::BTreeSet;

use diffvp::runtime::{CancelToken, Graph, Tensor as OrtTensor};
use diffvp_exporter::ModelConfig;
use diffvp_exporter::config::{PositionKind, RopeScaling, Shortcut, Strides};
use diffvp_exporter::graphs::{self, DecoderOptions};
use diffvp_exporter::onnx::FloatStorage;
use diffvp_exporter::weights::{RandomWeights, tensor_specs};
use diffvp_tests::golden::{F32_TOLERANCE, load, relative_error, run};
use diffvp_train::model::{Branches, Classifier, Difference, Encoder, Llama, Mode, Parameters, TextLoss};
use tch::{Device, Kind, Tensor};

const SEED: u64 = 11;

fn small() -> ModelConfig {
    let mut config = ModelConfig::demo(300);
    config.input = [16, 32, 32];
    config.encoder.width = 4;
    config.classifier.backbone.width = 4;
    config
}

/// The other side of every switch.
fn other() -> ModelConfig {
    let mut config = small();
    config.encoder.shortcut = Shortcut::B;
    config.encoder.strides = Strides::Plain16;
    config.encoder.in_channels = 3;
    config.classifier.backbone.in_channels = 3;
    config.classifier.backbone.depth = 34;
    config.classifier.backbone.strides = Strides::Plain32;
    config.resampler.dim = 48;
    config.resampler.position = PositionKind::None;
    config.difference.positions = false;
    config.difference.projector_rank = Some(3);
    config.decoder.tie_word_embeddings = true;
    config.decoder.key_value_heads = 4;
    config.decoder.rope_theta = 500.0;
    config.decoder.rope_scaling = Some(RopeScaling::Llama3 {
        factor: 4.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 32,
    });
    config
}

fn pixel_level() -> ModelConfig {
    let mut config = small();
    config.difference.pixel_level = true;
    config
}

fn ablations() -> Vec<ModelConfig> {
    let parts = [(true, false), (false, true), (false, false)].into_iter().map(|(global, local)| {
        let mut config = small();
        (config.difference.global, config.difference.local) = (global, local);
        if !global && !local {
            config.difference.prefix_tokens = 0;
        }
        config
    });
    parts.chain([pixel_level()]).collect()
}

fn parameters(config: &ModelConfig, kind: Kind) -> Parameters {
    let mut parameters = Parameters::new(Device::Cpu);
    parameters.add(&tensor_specs(config), &RandomWeights::new(config, SEED), kind).unwrap();
    parameters
}

fn to_ort(tensor: &Tensor) -> OrtTensor {
    let shape: Vec<usize> = tensor.size().iter().map(|&n| n as usize).collect();
    OrtTensor::f32(&shape, Vec::<f32>::try_from(tensor.flatten(0, -1)).unwrap()).unwrap()
}

fn noise(shape: &[i64]) -> Tensor {
    tch::manual_seed(3);
    Tensor::randn(shape, (Kind::Float, Device::Cpu))
}

fn compare(name: &str, graph: &Graph, inputs: &[(&str, &Tensor)], outputs: &[(&str, &Tensor)]) {
    let tensors: Vec<(&str, OrtTensor)> = inputs.iter().map(|(name, t)| (*name, to_ort(t))).collect();
    let inputs: Vec<(&str, &OrtTensor)> = tensors.iter().map(|(name, t)| (*name, t)).collect();
    for (output, expected) in outputs {
        let error = relative_error(&run(graph, &inputs, output), &to_ort(expected));
        println!("{name} {output}: relative error {error:e}");
        assert!(error <= F32_TOLERANCE, "{name} {output}: {error:e}");
    }
}

fn volume(config: &ModelConfig) -> Tensor {
    let [s, h, w] = config.input.map(|n| n as i64);
    noise(&[2, config.encoder.in_channels as i64, s, h, w])
}

#[test]
fn the_parts_read_the_listed_parameters_all_of_them_and_no_other() {
    for config in [vec![small(), other()], ablations()].concat() {
        let p = parameters(&config, Kind::Float);
        Encoder::new(&p, &config, Kind::Float).unwrap();
        Classifier::new(&p, &config, Kind::Float).unwrap();
        Difference::new(&p, &config).unwrap();
        Llama::new(&p, &config.decoder, None).unwrap();
        let listed: BTreeSet<String> = tensor_specs(&config).into_iter().map(|s| s.name).collect();
        assert_eq!(p.asked(), listed);
    }
}

#[test]
fn encoder() {
    for config in [small(), other(), pixel_level()] {
        let (weights, volume) = (RandomWeights::new(&config, SEED), volume(&config));
        let model = Encoder::new(&parameters(&config, Kind::Float), &config, Kind::Float).unwrap();
        let (tokens, attention) = tch::no_grad(|| model.forward(&volume));
        let (_folder, graph) = load(graphs::encoder(&config, &weights), false);
        compare("encoder", &graph, &[("volume", &volume)], &[("tokens", &tokens), ("attention", &attention)]);
    }
}

#[test]
fn classifier() {
    for config in [small(), other()] {
        let (weights, volume) = (RandomWeights::new(&config, SEED), volume(&config));
        let model = Classifier::new(&parameters(&config, Kind::Float), &config, Kind::Float).unwrap();
        let p = tch::no_grad(|| Classifier::probabilities(&model.evidence(&volume, Mode::Evaluate)));
        let (_folder, graph) = load(graphs::classifier(&config, &weights), false);
        compare("classifier", &graph, &[("volume", &volume)], &[("probabilities", &p)]);
    }
}

#[test]
fn difference_in_every_form() {
    for config in [vec![small(), other()], ablations()].concat() {
        let weights = RandomWeights::new(&config, SEED);
        let (n, d) = (config.resampler.tokens as i64, config.token_width() as i64);
        let both = noise(&[6, n, d]);
        let (tokens, reference) = (both.narrow(0, 0, 3), both.narrow(0, 3, 3));
        let c = tch::no_grad(|| {
            Difference::new(&parameters(&config, Kind::Float), &config).unwrap().forward(&tokens, &reference)
        });
        let (_folder, graph) = load(graphs::difference(&config, &weights), false);
        let outputs =
            [("prefix", &c.prefix), ("visual", &c.visual), ("importance", &c.importance), ("weights", &c.weights)];
        compare("difference", &graph, &[("tokens", &tokens), ("reference", &reference)], &outputs);
    }
}

#[test]
fn embedding_and_decoder() {
    for config in [small(), other()] {
        let (weights, c) = (RandomWeights::new(&config, SEED), &config.decoder);
        let model = Llama::new(&parameters(&config, Kind::Float), c, None).unwrap();
        let ids: Vec<i64> = (0..23).map(|i| (i * 37) % c.vocab_size as i64).collect();
        let embedded = model.embed(&Tensor::from_slice(&ids).view([1, -1])).detach();
        let (_folder, graph) = load(graphs::embedding(&config, &weights, FloatStorage::F32), false);
        let input = OrtTensor::i64(&[1, ids.len()], ids.clone()).unwrap();
        let found = run(&graph, &[("token_ids", &input)], "embeddings");
        assert_eq!(relative_error(&found, &to_ort(&embedded)), 0.0);

        let logits = tch::no_grad(|| model.logits(&model.states(&embedded, None, None)));
        let (_folder, graph) = load(graphs::decoder(&config, &weights, &DecoderOptions::f32()).unwrap(), false);
        let rows = ids.len();
        let cache = [1, c.key_value_heads, rows, c.head_dim];
        let empty = OrtTensor::f32(&cache, vec![0.0; cache.iter().product()]).unwrap();
        let (embeds, length) = (to_ort(&embedded), rows as i32);
        let seqlens = OrtTensor::i32(&[1], vec![length - 1]).unwrap();
        let total = OrtTensor::i32(&[], vec![length]).unwrap();
        let from = OrtTensor::i64(&[1], vec![0]).unwrap();
        let names: Vec<String> =
            (0..c.layers).flat_map(|l| ["key", "value"].map(|part| format!("past_key_values.{l}.{part}"))).collect();
        let mut inputs = vec![
            ("inputs_embeds", &embeds),
            ("seqlens_k", &seqlens),
            ("total_sequence_length", &total),
            ("logits_from", &from),
        ];
        inputs.extend(names.iter().map(|name| (name.as_str(), &empty)));
        let index = graph.outputs().iter().position(|port| port.name == "logits").unwrap();
        let found = graph.run(&inputs, &CancelToken::default()).unwrap().swap_remove(index);
        let error = relative_error(&found, &to_ort(&logits));
        println!("decoder logits: relative error {error:e}");
        assert!(error <= F32_TOLERANCE, "{error:e}");
    }
}

/// Gradients by recomputing the layers are those of the plain backward pass, with dropout too.
#[test]
fn recomputed_layers_have_the_same_gradients() {
    let config = small();
    let lora = diffvp_train::adapter::LoraConfig {
        rank: 4,
        alpha: 8.0,
        dropout: 0.3,
        targets: vec!["q_proj".into(), "v_proj".into(), "down_proj".into()],
    };
    let mut p = parameters(&config, Kind::Float);
    let mut specs = lora.specs(&config.decoder).unwrap();
    // B starts at zero, which would hide the gradient of A.
    specs.iter_mut().for_each(|s| s.init = diffvp_exporter::weights::Init::Normal { mean: 0.0, std: 0.1 });
    p.add(&specs, &RandomWeights::from_specs(specs.clone(), 1), Kind::Float).unwrap();
    p.train_only(|name| name.starts_with("base_model."));
    let model = Llama::new(&p, &config.decoder, Some(&lora)).unwrap();
    let h = config.decoder.hidden_size as i64;
    let x = noise(&[2, 9, h]).set_requires_grad(true);
    let loss = TextLoss { rows: Tensor::from_slice(&[3i64, 4, 12, 15]), targets: Tensor::from_slice(&[7i64, 1, 2, 9]) };
    let gradients = || -> Vec<Tensor> {
        let mut all: Vec<Tensor> = p.trained().iter().map(|(_, t)| t.grad().copy()).collect();
        all.push(x.grad().copy());
        p.trained().into_iter().for_each(|(_, mut t)| t.zero_grad());
        x.shallow_clone().zero_grad();
        all
    };
    let plain = model.loss(&model.states(&x, None, Some(5)), &loss);
    (&plain * 0.5).backward();
    let expected = gradients();
    let (recomputed, gradient) = model.backward_recomputing(&x, None, &loss, Some(5), 0.5);
    (&x * gradient).sum(Kind::Float).backward();
    let found = gradients();
    assert_eq!(f64::try_from(&plain).unwrap(), f64::try_from(&recomputed).unwrap());
    assert!(expected.len() > 12 && expected.iter().all(|g| g.abs().max().double_value(&[]) > 0.0));
    for (found, expected) in found.iter().zip(&expected) {
        let error = (found - expected).abs().max() / expected.abs().max();
        assert!(f64::try_from(error).unwrap() < 1e-5);
    }
}

/// A row sees its prompt and its own section: states, gradients and recomputed layers are those of each section alone.
#[test]
fn sections_at_once_are_each_section_alone() {
    let config = small();
    let model = Llama::new(&parameters(&config, Kind::Float), &config.decoder, None).unwrap();
    let h = config.decoder.hidden_size as i64;
    let x = noise(&[1, 10, h]);
    // Three rows of prompt, and sections of four, one and two.
    let sections = [0i64, 0, 0, 1, 1, 1, 1, 2, 3, 3];
    let positions = [0i64, 1, 2, 3, 4, 5, 6, 3, 3, 4];
    let section = Tensor::from_slice(&sections);
    let sees = section.unsqueeze(1).eq_tensor(&section).logical_or(&section.eq(0)).tril(0).view([1, 1, 10, 10]);
    let branches = Branches { positions: Tensor::from_slice(&positions).view([1, 10]), sees };
    let all = tch::no_grad(|| model.states(&x, Some(&branches), None));
    for of in 1..4 {
        let rows: Vec<i64> = (0..10).filter(|&i| [0, of].contains(&sections[i as usize])).collect();
        let rows = Tensor::from_slice(&rows);
        let alone = tch::no_grad(|| model.states(&x.index_select(1, &rows), None, None));
        let error = relative_error(&to_ort(&all.index_select(1, &rows)), &to_ort(&alone));
        assert!(error < 1e-5, "section {of}: {error:e}");
    }
    let loss = TextLoss { rows: Tensor::from_slice(&[4i64, 7, 9]), targets: Tensor::from_slice(&[7i64, 1, 2]) };
    let x = x.set_requires_grad(true);
    let plain = model.loss(&model.states(&x, Some(&branches), None), &loss);
    plain.backward();
    let (recomputed, gradient) = model.backward_recomputing(&x, Some(&branches), &loss, None, 1.0);
    assert_eq!(f64::try_from(&plain).unwrap(), f64::try_from(&recomputed).unwrap());
    assert!(relative_error(&to_ort(&gradient), &to_ort(&x.grad())) < 1e-5);
}

/// bfloat16 is what the big decoder trains in: close to float32, and with float32 adapters.
#[test]
fn a_bfloat16_base_is_near_the_float32_one() {
    let config = small();
    let ids = Tensor::from_slice(&[1i64, 5, 9, 200]).view([1, -1]);
    let logits = |kind| {
        let model = Llama::new(&parameters(&config, kind), &config.decoder, None).unwrap();
        tch::no_grad(|| model.logits(&model.states(&model.embed(&ids), None, None)))
    };
    let error = relative_error(&to_ort(&logits(Kind::BFloat16)), &to_ort(&logits(Kind::Float)));
    assert!((1e-5..0.06).contains(&error), "{error}");
}
