//! A sentence on each field of the config, and the config file that carries them as comments.

use serde_json::Value;

use super::config::FitConfig;

/// Field (a path, `*` for any one step of it) and what it means.
const FIELDS: &[(&str, &str)] = &[
    ("name", "Id of the model, in its manifest."),
    ("seed", "Seed of start weights, order of the scans, augmentation and dropout."),
    ("validation_fraction", "Share of the training scans kept for validation where the data set names none."),
    (
        "normals",
        "What makes a scan a normal reference: labels (all 18 are 0), text (the report states no abnormality at all, the paper) or both.",
    ),
    (
        "spacing_mm",
        "Spacing x, y, z of the volumes of a data set that tells none (CTRG-Chest-548K). Leave it out for all others.",
    ),
    ("encoder.weights", "Start weights: MedicalNet's .pth, or safetensors. With 0 epochs they are used as they are."),
    ("*.precision", "Arithmetic of the heavy part: f32 or bf16. Trained parameters are always f32."),
    (
        "encoder.appearance_weight",
        "Weight of the second task, the statistics of each cell's voxels, beside the organs.",
    ),
    (
        "encoder.finding_weight",
        "Weight of a third task, in which cells the findings are; 0 teaches organs only, and fits data sets without masks of findings.",
    ),
    ("classifier.weights", "Start weights of the backbone: MedicalNet's .pth, or safetensors."),
    ("classifier.start_from_encoder", "Start the backbone from the run's trained encoder instead."),
    ("classifier.shift_voxels", "Augmentation: random shift up to so many voxels (slices, rows, columns)."),
    ("classifier.intensity_jitter", "Augmentation: random gain and offset of this size, in units of the model input."),
    (
        "classifier.mask_weight",
        "Weight of a second task, in which cells the findings are; 0 for data sets without masks of findings.",
    ),
    (
        "classifier.least_precision",
        "A finding whose precision on validation stays below this at every threshold never fires.",
    ),
    (
        "warm_up.hidden",
        "Width of the head that reads facts (sides, lobes, sizes) off the tokens; 0 epochs leave the warm-up out.",
    ),
    ("warm_up.dropout", "Share of the tokens' numbers that the head does not see in training, drawn anew each step."),
    (
        "generator.weights",
        "Start weights of the difference, and with 0 epochs of warm_up of the resampler: weights.safetensors of another run.",
    ),
    (
        "generator.decoder_weights",
        "LLaMA of Hugging Face: a folder of safetensors. Without it the decoder starts random and is trained whole.",
    ),
    ("generator.tokenizer", "Its tokenizer.json. Without it one is trained on the reports."),
    ("generator.begin_token", "Token that begins the prompt."),
    ("generator.end_token", "Token that ends a section."),
    (
        "generator.recompute_layers",
        "Keep only the inputs of the decoder's layers and compute them again for the gradient: less memory, more time.",
    ),
    ("generator.findings_text", "Whether the prompt holds the predicted findings E."),
    (
        "generator.references",
        "What a scan is compared with: normal (the method) or any (a contaminated pool). model.difference.own_reference is the control.",
    ),
    ("generator.bank_references", "Normal training scans that go into the package's reference bank, at most."),
    ("generator.findings_loss_weight", "Weight of L_cls beside L_gen."),
    ("generator.resampler_rate", "Learning rate of the resampler as a multiple of the others'."),
    ("generator.lora.rank", "r of the adapter. Without this table the decoder is trained whole."),
    ("generator.lora.alpha", "α: the update is scaled by α / r."),
    ("generator.lora.dropout", "Dropout of the adapter's input."),
    ("generator.lora.targets", "Matrices of each layer that are adapted."),
    ("*.schedule.epochs", "Passes over the training scans; 0 leaves the stage out."),
    ("*.schedule.batch", "Scans per optimizer step, over all processes."),
    (
        "*.schedule.micro_batch",
        "Scans computed at a time, which is also what batch norm sees. Gradients are added up over batch / micro_batch of them, shared among the processes.",
    ),
    ("*.schedule.learning_rate", "AdamW's learning rate."),
    ("*.schedule.warm_up_steps", "Steps over which it rises from 0."),
    ("*.schedule.decay", "Its course then: constant or cosine."),
    ("*.schedule.weight_decay", "AdamW's weight decay, of matrices and kernels only."),
    ("*.schedule.clip_norm", "Largest norm of the gradient; 0 for no limit."),
    ("*.schedule.validate_every", "Steps between validations."),
    ("*.schedule.patience", "Validations without improvement after which the stage ends; 0 for never."),
    ("*.schedule.checkpoint_every", "Steps between checkpoints."),
    ("*.schedule.keep", "Which weights the stage leaves: those of the best validation, or of the last step."),
    ("generation", "How reports are decoded, as in the manifest (docs/model-package.md)."),
    ("preprocessing", "How volumes are prepared, as in the manifest (docs/model-package.md)."),
    (
        "model",
        "Sizes of all graphs, as in config.json. decoder.vocab_size is an upper limit where the tokenizer is trained.",
    ),
];

/// The sentence on a field; fields of the manifest's own tables have none of their own.
fn sentence(path: &str) -> Option<&'static str> {
    let matches = |pattern: &str| {
        pattern == path
            || pattern.strip_prefix("*.").is_some_and(|rest| path.split_once('.').is_some_and(|p| p.1 == rest))
    };
    FIELDS.iter().find(|(pattern, _)| matches(pattern)).map(|field| field.1)
}

/// Tables that are described elsewhere, as a whole.
const WHOLE: [&str; 3] = ["generation", "preprocessing", "model"];

/// Tables in the order in which a run comes to them.
const ORDER: [&str; 7] = ["encoder", "classifier", "warm_up", "generator", "generation", "preprocessing", "model"];

/// The config as TOML, with a comment above each field.
pub fn to_toml(config: &FitConfig) -> String {
    // Words, numbers, lists and tables with fixed keys: there is nothing that JSON could refuse.
    let value = serde_json::to_value(config).expect("a config is JSON");
    let mut text = String::from("# Training config of diffvp-train: `diffvp-train fit --help`, docs/training.md.\n");
    table(&mut text, "", &value);
    text
}

fn table(text: &mut String, path: &str, value: &Value) {
    let Value::Object(fields) = value else { return };
    let join = |key: &str| if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
    let whole = WHOLE.iter().any(|w| path == *w || path.starts_with(&format!("{w}.")));
    let is_table = |v: &Value| v.is_object() || v.as_array().is_some_and(|a| a.iter().any(Value::is_object));
    for (key, value) in fields.iter().filter(|(_, v)| !is_table(v) && !v.is_null()) {
        if let Some(sentence) = sentence(&join(key)).filter(|_| !whole) {
            text.push_str(&format!("# {sentence}\n"));
        }
        text.push_str(&format!("{key} = {}\n", inline(value)));
    }
    let mut tables: Vec<_> = fields.iter().filter(|(_, v)| is_table(v)).collect();
    tables.sort_by_key(|(key, _)| ORDER.iter().position(|first| first == key).unwrap_or(ORDER.len()));
    for (key, value) in tables {
        let path = join(key);
        if let Some(sentence) = sentence(&path) {
            text.push_str(&format!("\n# {sentence}"));
        }
        if let Value::Array(items) = value {
            for item in items {
                text.push_str(&format!("\n[[{path}]]\n"));
                table(text, &path, item);
            }
        } else {
            text.push_str(&format!("\n[{path}]\n"));
            table(text, &path, value);
        }
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        // JSON's escapes of strings are among TOML's.
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::presets::{demo, paper, tiny};
    use super::*;
    use crate::data::Normals;

    #[test]
    fn presets_survive_the_file() {
        for config in [demo(), paper(), tiny()] {
            let text = to_toml(&config);
            assert_eq!(FitConfig::parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}")), config);
        }
    }

    #[test]
    fn a_config_without_the_choice_of_normals_chooses_by_labels() {
        let text = to_toml(&paper());
        assert!(text.contains("normals = \"text\"\n"));
        let config = FitConfig::parse(&text.replace("normals = \"text\"\n", "")).unwrap();
        assert_eq!(config.normals, Normals::Labels);
    }

    #[test]
    fn every_field_has_its_sentence_and_every_sentence_its_field() {
        fn paths(path: &str, value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(fields) if !WHOLE.contains(&path) => {
                    for (key, value) in fields {
                        paths(&if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, value, found);
                    }
                }
                _ => found.push(path.to_string()),
            }
        }
        let mut found = Vec::new();
        // A field that is left out of the file has its sentence too.
        let config = FitConfig { spacing_mm: Some([1.0; 3]), ..paper() };
        paths("", &serde_json::to_value(config).unwrap(), &mut found);
        for path in &found {
            assert!(sentence(path).is_some(), "{path} has no sentence");
        }
        for (pattern, _) in FIELDS {
            let end = pattern.trim_start_matches('*');
            assert!(found.iter().any(|p| p == pattern || p.ends_with(end)), "{pattern} is no field");
        }
    }

    #[test]
    fn unknown_keys_and_useless_values_are_refused_by_name() {
        let text = to_toml(&demo());
        let cases = [
            ("seed = 1", "seed = 1\nsede = 2", "sede"),
            ("normals = \"labels\"", "normals = \"label\"", "normals"),
            ("micro_batch = 16", "micro_batch = 5", "generator.schedule.micro_batch"),
            ("hidden = 128", "hidden = 0", "warm_up.hidden"),
            ("max_new_tokens = 640", "max_new_tokens = 800", "generation.max_new_tokens"),
            ("depth = 10", "depth = 50", "encoder.depth"),
        ];
        for (from, to, expected) in cases {
            assert!(text.contains(from), "{from} is not in the demo config");
            let error = FitConfig::parse(&text.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} should name {expected}");
        }
    }
}
