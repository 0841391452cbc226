//! Packages are written whole, the same every time, or not at all.

use super::*;
use crate::package::lineage;
use crate::tokenizer;
use crate::weights::RandomWeights;

fn small() -> (ModelConfig, PackageContents) {
    let tokenizer = tokenizer::demo(300).unwrap();
    let mut config = ModelConfig::demo(tokenizer.vocab_size);
    config.input = [8, 16, 16];
    config.encoder.width = 2;
    config.classifier.backbone.width = 2;
    let contents = PackageContents {
        model: ModelIdentity {
            id: "test".into(),
            version: "1".into(),
            description: "A test.".into(),
            trained: false,
            created_by: "diffvp-exporter".into(),
        },
        intended_use: IntendedUse { clinical_use: false, statement: "For tests.".into() },
        preprocessing: lineage::preprocessing(config.input, 1),
        findings: lineage::findings(0.5),
        findings_text: lineage::findings_text(),
        sections: lineage::sections(),
        prompt: lineage::prompt(tokenizer::BEGIN),
        generation: lineage::guided_sections(24),
        end_tokens: vec![tokenizer::END.into()],
        tokenizer_json: tokenizer.json,
        familiarity: None,
        card_notes: "## Data\n\nNone.".into(),
        export: ExportOptions::default(),
    };
    (config, contents)
}

fn bank(_: &Path, sizes: &VisionSizes) -> Result<NormalReferences> {
    let tokens = (0..2 * sizes.tokens * sizes.token_dim).map(|i| i as f32).collect();
    Ok(NormalReferences { ids: vec!["a".into(), "b".into()], tokens })
}

#[test]
fn a_package_opens_and_is_the_same_every_time() {
    let dir = tempfile::tempdir().unwrap();
    let (config, mut contents) = small();
    contents.export.write.external_above_bytes = 400_000;
    let weights = RandomWeights::new(&config, 5);
    let manifests = ["one", "two"].map(|name| {
        let target = dir.path().join(name);
        let manifest = write_package(&target, &config, &weights, &contents, bank).unwrap();
        let package = Package::open(&target).unwrap();
        assert_eq!(package.manifest(), &manifest);
        manifest
    });
    assert_eq!(manifests[0], manifests[1]);
    let manifest = &manifests[0];
    assert_eq!(manifest.required_features, ["guided_sections", "int8_weights"]);
    assert!(manifest.files.contains_key("difference.onnx.data"), "{:?}", manifest.files.keys());
    assert_eq!((manifest.decoder.end_token_ids.as_slice(), manifest.vision.feature_grid), (&[1][..], [1, 2, 2]));
    let card = std::fs::read_to_string(dir.path().join("one/MODEL_CARD.md")).unwrap();
    assert!(card.contains("random") && card.contains("## Data") && card.contains("| Cardiomegaly | 0.5 |"), "{card}");
}

#[test]
fn a_decoder_of_four_and_eight_bits_needs_both_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (config, mut contents) = small();
    contents.export.decoder = DecoderOptions { edge_layers: 1, ..DecoderOptions::default() };
    let target = dir.path().join("mixed");
    let manifest = write_package(&target, &config, &RandomWeights::new(&config, 5), &contents, bank).unwrap();
    assert_eq!(manifest.required_features, ["guided_sections", "int4_weights", "int8_weights"]);
    let card = std::fs::read_to_string(target.join("MODEL_CARD.md")).unwrap();
    assert!(card.contains("first and last 1 layers in 8 bits; lm_head: 8 bits, block 128"), "{card}");
}

#[test]
fn a_decoder_in_float16_is_asked_for_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let (config, mut contents) = small();
    contents.export.decoder = DecoderOptions::int8().f16();
    let target = dir.path().join("half");
    let manifest = write_package(&target, &config, &RandomWeights::new(&config, 5), &contents, bank).unwrap();
    assert_eq!(manifest.required_features, ["f16_decoder", "guided_sections", "int8_weights"]);
    let card = std::fs::read_to_string(target.join("MODEL_CARD.md")).unwrap();
    assert!(card.contains("| Decoder arithmetic and KV cache | float16 |"), "{card}");
}

#[test]
fn what_does_not_fit_leaves_nothing() {
    type Break = fn(&mut PackageContents);
    let cases: [(&str, Break); 6] = [
        ("17 findings for 18", |c| c.findings.truncate(17)),
        ("3 channels", |c| c.preprocessing.channels = 3),
        ("a report could not end", |c| c.end_tokens.clear()),
        ("no token \"<eos>\"", |c| c.end_tokens = vec!["<eos>".into()]),
        ("tokenizer", |c| c.tokenizer_json = "{}".into()),
        // Found by opening the finished package.
        ("intended_use.statement", |c| c.intended_use.statement.clear()),
    ];
    let (config, contents) = small();
    let weights = RandomWeights::new(&config, 5);
    for (expected, change) in cases {
        let dir = tempfile::tempdir().unwrap();
        let mut contents = contents.clone();
        change(&mut contents);
        let error = write_package(&dir.path().join("p"), &config, &weights, &contents, bank).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "{expected}");
    }
    let dir = tempfile::tempdir().unwrap();
    let short = |_: &Path, _: &VisionSizes| Ok(NormalReferences { ids: vec!["a".into()], tokens: vec![0.0] });
    assert!(write_package(&dir.path().join("p"), &config, &weights, &contents, short).is_err());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_larger_tokenizer_than_the_decoder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (mut config, contents) = small();
    config.decoder.vocab_size = 299;
    let weights = RandomWeights::new(&config, 5);
    let error = write_package(&dir.path().join("p"), &config, &weights, &contents, bank).unwrap_err();
    assert!(matches!(error, Error::Tokenizer { .. }), "{error}");
}
