//! Configs by name.

use diffvp::package::manifest::{Generation, SectionOrder};
use diffvp::volume::{Axes, Interpolation, Preprocessing, Step, Window};
use diffvp_exporter::ModelConfig;
use diffvp_exporter::config::{PositionKind, Strides};
use diffvp_exporter::package::lineage;
use diffvp_exporter::tokenizer::{BEGIN, END};

use super::config::*;
use super::schedule::{Decay, Keep, Schedule};
use crate::adapter::LoraConfig;
use crate::data::Normals;

/// A config by its name on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Preset {
    /// The paper's sizes and schedule: LLaMA-2-7B with LoRA, MedicalNet's encoder.
    Paper,
    /// The demo model: phantoms, two processor cores.
    Demo,
    /// All of it in minutes, for tests: nobody should read its reports.
    Tiny,
}

impl Preset {
    /// The config.
    pub fn config(self) -> FitConfig {
        match self {
            Preset::Paper => paper(),
            Preset::Demo => demo(),
            Preset::Tiny => tiny(),
        }
    }
}

fn schedule(epochs: f64, batch: usize, learning_rate: f64) -> Schedule {
    Schedule {
        epochs,
        batch,
        micro_batch: batch,
        learning_rate,
        warm_up_steps: 50,
        decay: Decay::Cosine,
        weight_decay: 0.01,
        clip_norm: 1.0,
        validate_every: 200,
        patience: 0,
        checkpoint_every: 100,
        keep: Keep::Best,
    }
}

/// The demo model.
pub fn demo() -> FitConfig {
    let mut model = ModelConfig::demo(700);
    model.input = [64, 128, 128];
    (model.encoder.depth, model.encoder.width) = (10, 16);
    model.encoder.in_channels = WINDOWS.len();
    model.encoder.strides = Strides::Dilated;
    model.classifier.backbone = model.encoder.clone();
    (model.resampler.tokens, model.resampler.position) = (32, PositionKind::Learned);
    (model.resampler.dim, model.resampler.head_dim) = (96, 24);
    (model.decoder.layers, model.decoder.context_length) = (4, 768);
    FitConfig {
        name: "diffvp-demo".into(),
        seed: 1,
        validation_fraction: 0.08,
        normals: Normals::Labels,
        spacing_mm: None,
        encoder: EncoderStage {
            weights: None,
            precision: Precision::F32,
            appearance_weight: 1.0,
            finding_weight: 1.0,
            schedule: schedule(6.0, 8, 2e-3),
        },
        classifier: ClassifierStage {
            weights: None,
            start_from_encoder: true,
            precision: Precision::F32,
            // Masks stand still.
            shift_voxels: [0, 0, 0],
            intensity_jitter: 0.03,
            mask_weight: 1.0,
            least_precision: 0.4,
            schedule: schedule(5.0, 8, 1e-3),
        },
        warm_up: WarmUpStage { hidden: 128, dropout: 0.2, schedule: schedule(12.0, 32, 2e-3) },
        generator: GeneratorStage {
            weights: None,
            decoder_weights: None,
            tokenizer: None,
            begin_token: BEGIN.into(),
            end_token: END.into(),
            precision: Precision::F32,
            recompute_layers: false,
            findings_text: true,
            references: References::Normal,
            bank_references: 20,
            findings_loss_weight: 1.0,
            resampler_rate: 0.2,
            // Reports still get better where the loss on held-out text no longer falls.
            schedule: Schedule { keep: Keep::Last, ..schedule(10.0, 16, 2e-3) },
            lora: None,
        },
        generation: Generation { max_new_tokens: 640, ..lineage::guided_sections(240) }
            .with_orders(&[SectionOrder::Sequential, SectionOrder::Parallel]),
        preprocessing: windows(model.input),
        model,
    }
}

/// HU below which everything is air, for the crop to the body.
const BODY_ABOVE: f32 = -300.0;
/// All but bone, lung, soft tissue, and what is denser: contrast, calcium, bone and metal. In a channel that holds all of it a
/// calcified plaque or a thickened septum is a small step. Familiarity looks at the first.
const WINDOWS: [[f32; 2]; 4] = [[-1000.0, 200.0], [-1000.0, -500.0], [-160.0, 240.0], [100.0, 900.0]];

/// LPS, crop to the body, area resize, a channel for each window.
fn windows(input: [usize; 3]) -> Preprocessing {
    Preprocessing {
        steps: vec![
            Step::Orient { axes: Axes::Lps },
            Step::CropForeground { above: BODY_ABOVE, margin_voxels: 0 },
            Step::Resize { size: input, interpolation: Interpolation::Area },
            Step::Windows { windows: WINDOWS.map(|[min, max]| Window { min, max }).to_vec() },
        ],
        channels: WINDOWS.len(),
    }
}

/// The demo at the smallest size that learns anything.
pub fn tiny() -> FitConfig {
    let mut config = demo();
    config.name = "diffvp-tiny".into();
    config.model.input = [32, 48, 48];
    config.preprocessing = windows(config.model.input);
    (config.model.encoder.width, config.model.classifier.backbone.width) = (8, 8);
    (config.model.resampler.dim, config.model.resampler.head_dim, config.model.resampler.tokens) = (64, 16, 16);
    config.model.decoder.layers = 2;
    config.model.decoder.context_length = 1024;
    config.validation_fraction = 0.2;
    config.classifier.schedule.learning_rate = 1.5e-3;
    for (schedule, epochs) in [
        (&mut config.encoder.schedule, 2.0),
        (&mut config.classifier.schedule, 8.0),
        (&mut config.warm_up.schedule, 6.0),
        (&mut config.generator.schedule, 8.0),
    ] {
        schedule.epochs = epochs;
        (schedule.batch, schedule.micro_batch) = (8, 8);
        (schedule.warm_up_steps, schedule.validate_every, schedule.checkpoint_every) = (10, 50, 50);
    }
    config
}

/// The paper's sizes and schedule.
pub fn paper() -> FitConfig {
    let model = ModelConfig::paper();
    let mut generator = schedule(10.0, 32, 5e-5);
    generator.micro_batch = 1;
    (generator.warm_up_steps, generator.decay, generator.weight_decay) = (20, Decay::Constant, 0.0);
    let mut vision = schedule(20.0, 32, 1e-4);
    vision.micro_batch = 4;
    FitConfig {
        name: "diffvp".into(),
        seed: 21,
        validation_fraction: 0.03,
        normals: Normals::Text,
        spacing_mm: None,
        encoder: EncoderStage {
            weights: Some("resnet_18_23dataset.pth".into()),
            precision: Precision::Bf16,
            appearance_weight: 0.0,
            finding_weight: 0.0,
            schedule: Schedule { epochs: 0.0, ..vision.clone() },
        },
        classifier: ClassifierStage {
            weights: Some("resnet_18_23dataset.pth".into()),
            start_from_encoder: false,
            precision: Precision::Bf16,
            shift_voxels: [2, 8, 8],
            intensity_jitter: 0.03,
            mask_weight: 0.0,
            least_precision: 0.2,
            schedule: Schedule { patience: 10, ..vision },
        },
        warm_up: WarmUpStage { hidden: 512, dropout: 0.0, schedule: Schedule { epochs: 0.0, ..generator.clone() } },
        generator: GeneratorStage {
            weights: None,
            decoder_weights: Some("Llama-2-7b-chat-hf".into()),
            tokenizer: Some("Llama-2-7b-chat-hf/tokenizer.json".into()),
            begin_token: "<s>".into(),
            end_token: "</s>".into(),
            precision: Precision::Bf16,
            recompute_layers: true,
            findings_text: true,
            references: References::Normal,
            bank_references: 40,
            findings_loss_weight: 1.0,
            resampler_rate: 1.0,
            schedule: generator,
            lora: Some(LoraConfig {
                rank: 8,
                alpha: 32.0,
                dropout: 0.1,
                targets: ["q_proj", "v_proj"].map(String::from).to_vec(),
            }),
        },
        generation: lineage::guided_sections(160),
        preprocessing: lineage::preprocessing(model.input, model.encoder.in_channels),
        model,
    }
}
