//! Readers of CT-RATE and RadGenome-ChestCT on small folders made like theirs.

use std::path::Path;

use diffvp::Volume;

use crate::data::{DataSet, LabelSource, Layout, Normals, OpenOptions, Split, check};
use crate::labels::FINDINGS;

const LUNG: &str = "The lungs are clear.";

fn file(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn labels(rows: &[(&str, u8)]) -> String {
    let row = |(name, label): &(&str, u8)| format!("{name}{}\n", format!(",{label}").repeat(18));
    format!("VolumeName,{}\n{}", FINDINGS.join(","), rows.iter().map(row).collect::<String>())
}

/// A volume with a header as `write_nifti` makes it, of stored numbers.
fn volume(root: &Path, name: &str, number: impl Fn(usize) -> f32) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let axes = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    let values = (0..8 * 8 * 6).map(number).collect();
    let volume = Volume::new(values, [8, 8, 6], [0.7, 0.7, 1.5], [0.0; 3], axes).unwrap();
    diffvp::scan::write_nifti(&volume, &path).unwrap();
}

/// Takes sform, qform and spacing out of a `.nii` file: a header as CT-RATE v1 has it.
fn blank(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    for range in [76..108, 252..256, 256..328] {
        bytes[range].fill(0);
    }
    for axis in 0..4 {
        bytes[76 + 4 * axis..80 + 4 * axis].copy_from_slice(&1f32.to_le_bytes());
    }
    std::fs::write(path, bytes).unwrap();
}

fn hu(i: usize) -> f32 {
    if i.is_multiple_of(2) { -1000.0 } else { 40.0 }
}

const METADATA: &str = "VolumeName,XYSpacing,ZSpacing,RescaleSlope,RescaleIntercept,Rows\n";

#[test]
fn version_1_takes_spacing_and_rescaling_from_the_table() {
    let root = tempfile::tempdir().unwrap();
    let path = "dataset/train/train_1/train_1_a/train_1_a_1.nii.gz";
    volume(root.path(), "plain.nii", |i| hu(i) + 1024.0);
    blank(&root.path().join("plain.nii"));
    file(root.path(), path, "");
    // Content decides: a plain NIfTI file under the name of a compressed one.
    std::fs::copy(root.path().join("plain.nii"), root.path().join(path)).unwrap();
    file(root.path(), "multi_abnormality_labels/train_predicted_labels.csv", &labels(&[("train_1_a_1.nii.gz", 0)]));
    let row = "train_1_a_1.nii.gz,\"[0.34, 0.35]\",2.5,1,-1024,512\n";
    file(root.path(), "metadata/train_metadata.csv", &format!("{METADATA}{row}"));
    let set = DataSet::read(root.path(), &OpenOptions::default()).unwrap();
    assert_eq!((set.layout, set.samples.len(), &set.skipped[..]), (Layout::CtRateV1, 1, &[][..]));
    let scan = set.samples[0].open().unwrap();
    assert_eq!(scan.volume().spacing_mm(), [0.35, 0.34, 2.5], "PixelSpacing is row spacing first");
    assert_eq!(scan.volume().voxels_hu()[..2], [-1000.0, 40.0]);
    assert!(set.samples[0].normal);

    // Without the table a blank header means nothing.
    std::fs::remove_file(root.path().join("metadata/train_metadata.csv")).unwrap();
    let set = DataSet::read(root.path(), &OpenOptions::default()).unwrap();
    assert!(set.samples.is_empty() && set.skipped[0].detail.contains("blank headers"), "{:?}", set.skipped);
}

#[test]
fn version_2_is_in_hu_and_rescaling_it_again_is_found() {
    let root = tempfile::tempdir().unwrap();
    let path = |n: u32| format!("dataset/valid_fixed/valid_{n}/valid_{n}_a/valid_{n}_a_1.nii.gz");
    volume(root.path(), &path(1), hu);
    volume(root.path(), &path(2), |i| hu(i) - 1024.0);
    volume(root.path(), &path(3), |i| hu(i) - 1024.0 + i as f32 % 7.0);
    file(root.path(), &path(4), "not a volume");
    let rows: Vec<String> = (1..=5).map(|n| format!("valid_{n}_a_1.nii.gz")).collect();
    let rows: Vec<(&str, u8)> = rows.iter().map(|name| (name.as_str(), 1)).collect();
    file(root.path(), "dataset/multi_abnormality_labels/valid_predicted_labels.csv", &labels(&rows));
    let report = "VolumeName,ClinicalInformation_EN,Technique_EN,Findings_EN,Impressions_EN\n\
                  valid_1_a_1.nii.gz,Not given.,Not given.,\"Clear, both.\",Not given.\n";
    file(root.path(), "dataset/radiology_text_reports/validation_reports.csv", report);
    let metadata = format!("{METADATA}valid_1_a_1.nii.gz,\"[0.34, 0.34]\",2.5,1,-8192,512\n");
    file(root.path(), "dataset/metadata/validation_metadata.csv", &metadata);

    let set = DataSet::read(root.path(), &OpenOptions::default()).unwrap();
    assert_eq!((set.layout, set.of(Split::Test).len()), (Layout::CtRateV2, 4));
    assert_eq!(set.samples[0].report.as_deref(), Some("Clear, both."));
    assert_eq!(set.samples[0].open().unwrap().volume().voxels_hu()[1], 40.0, "no slope or intercept is applied");
    let checked = check(root.path(), &OpenOptions::default(), true, |_, _| {}).unwrap();
    let told = |n: u32, word: &str| {
        let name = format!("valid_{n}_a_1");
        checked.problems.iter().any(|p| p.path.to_string_lossy().contains(&name) && p.detail.contains(word))
    };
    assert!(!told(1, ""), "{:?}", checked.problems);
    assert!(told(2, "twice") || told(2, "Hounsfield"), "{:?}", checked.problems);
    assert!(told(3, "applied twice"), "{:?}", checked.problems);
    assert!(told(4, "cannot be loaded") && told(5, "missing"), "{:?}", checked.problems);
    assert_eq!(checked.opened, 4);
}

#[test]
fn regions_come_from_their_own_row_or_from_their_parts() {
    let root = tempfile::tempdir().unwrap();
    let name = "train_1000_a_1.nii.gz";
    volume(root.path(), "dataset/train_preprocessed/train_1000/train_1000a/train_1000_a_1.nii.gz", hu);
    let table = format!(
        "Volumename,Anatomy,Sentence\n{name},,Whole.\n{name},lung/lung/lung lower lobe,Old.\n{name},lung/lung/lung lower \
         lobe,\"Lower, new.\"\n{name},lung/left,Left.\n{name},heart/valve,Valve.\n{name},heart,\"Heart,\nown.\"\n"
    );
    file(root.path(), "radgenome_files/train_region_report.csv", &table);
    let set = DataSet::read(root.path(), &OpenOptions::default()).unwrap();
    let sample = &set.samples[0];
    assert_eq!(set.layout, Layout::RadGenome);
    let expected = [("heart", "Heart,\nown."), ("lung", "Left. Lower, new.")];
    assert_eq!(sample.regions, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    assert_eq!((sample.report.as_deref(), sample.label_source), (Some("Whole."), LabelSource::Text));
    assert_eq!(sample.text(), "Whole.\nheart: Heart,\nown.\nlung: Left. Lower, new.");
}

/// A folder of two sound scans.
fn sound() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for n in [1, 2] {
        let path = format!("dataset/train_preprocessed/train_{n}/train_{n}a/train_{n}_a_1.nii.gz");
        volume(root.path(), &path, hu);
    }
    let rows = labels(&[("train_1_a_1.nii.gz", 0), ("train_2_a_1.nii.gz", 1)]);
    file(root.path(), "multi_abnormality_labels/train_predicted_labels.csv", &rows);
    let table =
        format!("Volumename,Anatomy,Sentence\ntrain_1_a_1.nii.gz,lung,{LUNG}\ntrain_2_a_1.nii.gz,lung,{LUNG}\n");
    file(root.path(), "radgenome_files/train_region_report.csv", &table);
    root
}

#[test]
fn each_mistake_names_file_and_line_and_can_be_left_out() {
    let options = OpenOptions { validation_fraction: 0.5, ..OpenOptions::default() };
    type Spoil = fn(&Path);
    const LABELS: &str = "multi_abnormality_labels/train_predicted_labels.csv";
    const REPORTS: &str = "radgenome_files/train_region_report.csv";
    let cases: [(Spoil, &str, &str); 5] = [
        (
            |r| std::fs::remove_dir_all(r.join("dataset/train_preprocessed/train_2")).unwrap(),
            "train_2_a_1.nii.gz",
            "missing",
        ),
        (
            |r| {
                std::fs::write(r.join(LABELS), labels(&[("train_1_a_1.nii.gz", 0), ("train_2_a_1.nii.gz", 3)])).unwrap()
            },
            LABELS,
            "line 3: Medical material is \"3\"",
        ),
        (
            |r| std::fs::write(r.join(LABELS), labels(&[("train_1_a_1", 0), ("train_1_a_1", 0)])).unwrap(),
            LABELS,
            "line 3: train_1_a_1 stands",
        ),
        (
            |r| std::fs::write(r.join(LABELS), labels(&[("../../etc/passwd", 0)])).unwrap(),
            LABELS,
            "line 2: \"../../etc/passwd\" is no name",
        ),
        (
            |r| {
                std::fs::write(
                    r.join(REPORTS),
                    format!("Volumename,Anatomy,Sentence\ntrain_7_a_1.nii.gz,lung,{LUNG}\n"),
                )
                .unwrap()
            },
            "train_7_a_1.nii.gz",
            "missing",
        ),
    ];
    for (spoil, path, detail) in cases {
        let root = sound();
        spoil(root.path());
        let read = DataSet::read(root.path(), &options).unwrap();
        let problem = read.skipped.iter().find(|p| p.path.to_string_lossy().contains(path)).expect(path);
        assert!(problem.detail.contains(detail), "{problem:?} should say {detail}");
        assert!(matches!(DataSet::open(root.path(), &options), Err(crate::Error::Data { .. })));
    }
    // A table that is no table cannot be left out.
    let root = sound();
    std::fs::write(root.path().join(LABELS), "VolumeName,Cardiomegaly\ntrain_1_a_1,0\n").unwrap();
    let error = DataSet::read(root.path(), &options).unwrap_err().to_string();
    assert!(error.contains("no column `Medical material`"), "{error}");
    let root = sound();
    std::fs::write(root.path().join(REPORTS), b"Volumename,Anatomy,Sentence\ntrain_1_a_1,lung,\xff\n").unwrap();
    let error = DataSet::read(root.path(), &options).unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("UTF-8"), "{error}");
}

#[test]
fn an_empty_pool_and_an_empty_split_are_refused() {
    let root = sound();
    let none = OpenOptions { validation_fraction: 0.0, ..OpenOptions::default() };
    let error = DataSet::open(root.path(), &none).unwrap_err().to_string();
    assert!(error.contains("no validation scan"), "{error}");
    let rows = labels(&[("train_1_a_1.nii.gz", 1), ("train_2_a_1.nii.gz", 1)]);
    file(root.path(), "multi_abnormality_labels/train_predicted_labels.csv", &rows);
    let some = OpenOptions { validation_fraction: 0.5, ..OpenOptions::default() };
    let error = DataSet::open(root.path(), &some).unwrap_err().to_string();
    assert!(
        error.contains("no normal scan") || error.contains("no validation") || error.contains("no training"),
        "{error}"
    );
}

#[test]
fn ctrg_has_its_own_split_file() {
    let root = tempfile::tempdir().unwrap();
    volume(root.path(), "CTRG-Chest-548K_volume/12.nii.gz", |i| (i % 256) as f32);
    let json = r#"{"train": [{"id": 12, "finding": "The lungs are clear."}, {"id": "12", "finding": "Again."}],
                  "test": [{"id": "../x", "finding": "Bad."}, {"id": "13", "finding": "Missing."}]}"#;
    file(root.path(), "annotation.json", json);
    let set = DataSet::read(root.path(), &OpenOptions::default()).unwrap();
    assert_eq!((set.layout, set.samples.len(), set.skipped.len()), (Layout::Ctrg, 1, 3));
    assert_eq!(set.samples[0].text(), LUNG);
    assert_eq!((set.samples[0].label_source, set.samples[0].labels.len()), (LabelSource::Text, 18));
    assert!(set.samples[0].normal);
    let checked = check(root.path(), &OpenOptions::default(), true, |_, _| {}).unwrap();
    assert!(checked.problems.iter().any(|p| p.detail.contains("8-bit")), "{:?}", checked.problems);
    file(root.path(), "annotation.json", r#"{"train": [{"id": true, "finding": "x"}]}"#);
    assert!(DataSet::read(root.path(), &OpenOptions::default()).is_err());
}

/// A CTRG folder with an empty volume for each entry.
fn ctrg(train: &[&str], test: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let entry = |(i, text): (usize, &&str)| serde_json::json!({"id": i, "finding": text});
    let train: Vec<_> = train.iter().enumerate().map(entry).collect();
    let test: Vec<_> = test.iter().enumerate().map(|(i, text)| entry((100 + i, text))).collect();
    for id in (0..train.len()).chain(100..100 + test.len()) {
        file(root.path(), &format!("CTRG-Chest-548K_volume/{id}.nii.gz"), "");
    }
    let json = serde_json::json!({"train": train, "val": [], "test": test});
    file(root.path(), "annotation.json", &json.to_string());
    root
}

#[test]
fn normal_scans_are_chosen_by_labels_and_by_text() {
    // Clear by the 18 findings, but not in the abdomen.
    let stones = "The lungs are clear. Stones are seen in the gallbladder.";
    let effusion = "A small pleural effusion on the left. The heart is normal.";
    let root = ctrg(&[LUNG, stones, effusion, "No nodule. Heart size is normal."], &[LUNG, stones]);
    let normal = |normals| {
        let set = DataSet::read(root.path(), &OpenOptions { normals, ..OpenOptions::default() }).unwrap();
        let names: Vec<String> = set.samples.iter().filter(|s| s.normal).map(|s| s.name.clone()).collect();
        (names.join(" "), set.fingerprint)
    };
    assert_eq!(normal(Normals::Labels).0, "0 1 3 100 101");
    assert_eq!(normal(Normals::Text).0, "0 3 100");
    assert_eq!(normal(Normals::Both).0, "0 3 100");
    assert_ne!(normal(Normals::Labels).1, normal(Normals::Text).1, "another pool is other data");

    let text = OpenOptions { normals: Normals::Text, ..OpenOptions::default() };
    let checked = check(root.path(), &text, false, |_, _| {}).unwrap();
    assert_eq!((checked.normal, checked.labels_from), ([2, 1], [0, 6, 0]));
    assert_eq!(checked.normal_by, [("labels", [3, 2]), ("text", [2, 1]), ("both", [2, 1])].into());
    assert_eq!(checked.findings[12].scans, 1, "{:?}", checked.findings[12]);

    // A table's labels are not overruled, and the text is not asked where labels decide.
    let root = sound();
    let set = DataSet::read(root.path(), &OpenOptions::default()).unwrap();
    let facts: Vec<_> = set.samples.iter().map(|s| (s.label_source, s.labels[0], s.normal)).collect();
    assert_eq!(facts, [(LabelSource::Table, 0, true), (LabelSource::Table, 1, false)]);
    let normal = |normals: Normals| set.samples.iter().filter(|s| normals.accepts(s)).count();
    assert_eq!(Normals::ALL.map(|(normals, _)| normal(normals)), [1, 2, 1]);
    // Without one normal scan there is nothing to compare with.
    let root = ctrg(&[stones, stones, stones, stones], &[]);
    let error = DataSet::open(root.path(), &OpenOptions { validation_fraction: 0.5, ..text }).unwrap_err().to_string();
    assert!(error.contains("no training scan is normal by text"), "{error}");
}

#[test]
fn scans_that_a_table_of_labels_lacks_are_labelled_by_their_text() {
    let root = sound();
    let rows = labels(&[("train_1_a_1.nii.gz", 0)]);
    file(root.path(), "multi_abnormality_labels/train_predicted_labels.csv", &rows);
    let table = format!(
        "Volumename,Anatomy,Sentence\ntrain_1_a_1.nii.gz,lung,{LUNG}\ntrain_2_a_1.nii.gz,lung,{LUNG}\n\
         train_2_a_1.nii.gz,pleura,Minimal effusion.\n"
    );
    file(root.path(), "radgenome_files/train_region_report.csv", &table);
    let set = DataSet::read(root.path(), &OpenOptions::default()).unwrap();
    let found: Vec<_> = set.samples.iter().map(|s| (s.label_source, s.labels[12], s.normal)).collect();
    assert_eq!(
        found,
        [(LabelSource::Table, 0, true), (LabelSource::Text, 1, false)],
        "the region tells which effusion"
    );
}

#[test]
fn texts_that_are_no_reports_are_named() {
    let long = "The lungs are clear. ".repeat(6000);
    let root = ctrg(&[LUNG, "", " .,- ", &long], &[]);
    let set = DataSet::read(root.path(), &OpenOptions::default()).unwrap();
    let told: Vec<&str> = set.skipped.iter().map(|p| p.detail.as_str()).collect();
    assert_eq!(set.samples.len(), 1);
    assert_eq!(told[0], "train, entry 2: 1: the report is empty");
    assert_eq!(told[1], "train, entry 3: 2: the report is only punctuation");
    assert!(told[2].starts_with("train, entry 4: 3: the report has 125999 characters"), "{}", told[2]);

    // In tables with their line; and only where nothing else is said about the scan.
    for (second, detail) in [
        ("train_2_a_1.nii.gz,lung,\n", "line 3: the report is empty"),
        ("train_2_a_1.nii.gz,lung,.,\n", "fields"),
        ("train_2_a_1.nii.gz,lung,\"Open\ntrain_3_a_1.nii.gz,lung,Lost.\n", "never ends"),
        ("train_2_a_1.nii.gz,lung,...\n", "line 3: the report is only punctuation"),
        (&format!("train_2_a_1.nii.gz,lung,{long}\n"), "line 3: the report has 125999 characters"),
        ("train_2_a_1.nii.gz,lung,\ntrain_2_a_1.nii.gz,heart,Normal.\n", "none"),
    ] {
        let root = sound();
        let table = format!("Volumename,Anatomy,Sentence\ntrain_1_a_1.nii.gz,lung,{LUNG}\n{second}");
        file(root.path(), "radgenome_files/train_region_report.csv", &table);
        let read = DataSet::read(root.path(), &OpenOptions::default());
        match detail {
            "fields" | "never ends" => {
                let error = read.unwrap_err().to_string();
                assert!(error.contains("line 3") && error.contains(detail), "{error}");
            }
            "none" => assert_eq!(read.unwrap().samples.len(), 2),
            _ => {
                let set = read.unwrap();
                assert_eq!(set.samples.len(), 1, "{second:.60}");
                assert!(set.skipped[0].detail.starts_with(detail), "{:?}", set.skipped);
                assert!(set.skipped[0].path.ends_with("train_region_report.csv"));
            }
        }
    }
    // A volume that only the labels know cannot teach a report.
    let root = sound();
    let table = format!("Volumename,Anatomy,Sentence\ntrain_1_a_1.nii.gz,lung,{LUNG}\n");
    file(root.path(), "radgenome_files/train_region_report.csv", &table);
    let error = DataSet::open(root.path(), &OpenOptions::default()).unwrap_err().to_string();
    assert!(error.contains("train_2_a_1") && error.contains("no report is known"), "{error}");
}
