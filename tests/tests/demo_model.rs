//! The demo model inside the library: what a new user sees first, and whether it says what is there.

use std::process::{Command, Output};

use diffvp::{Flow, ReportOptions, Reporter, Scan, WarningCode};
use diffvp_tests::demo::program;
use diffvp_tests::shared_data;
use diffvp_train::eval::phantoms::{PhantomRequest, make_reports, score};
use diffvp_train::synth::PhantomOptions;

fn diffvp(arguments: &[&str]) -> String {
    let output: Output = Command::new(program("diffvp")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn unlike_training(report: &diffvp::Report) -> bool {
    report.warnings().iter().any(|w| w.code == WarningCode::UnlikeTraining)
}

#[test]
fn the_command_reports_without_any_file() {
    let folder = tempfile::tempdir().unwrap();
    let map = folder.path().join("map.png");
    let text = diffvp(&["demo", "--map", map.to_str().unwrap()]);
    for heading in ["Heart: ", "\nLung: ", "\nMediastinum: ", "\nPleura: ", "\nNot for clinical use."] {
        assert!(text.contains(heading), "{heading:?} in {text}");
    }
    assert!(!text.contains("unlike"), "{text}");
    assert!(map.metadata().unwrap().len() > 1000);

    let written = folder.path().to_str().unwrap();
    let line = diffvp(&["demo", "--write", written]);
    let arguments: Vec<&str> = line.trim().split(' ').skip(1).collect();
    assert_eq!(diffvp(&arguments), text, "the command that it prints gives the same report");
}

/// Twin of the table in docs/demo-model.md, on few phantoms of another seed.
#[test]
fn it_says_what_is_in_new_phantoms() {
    let folder = tempfile::tempdir().unwrap();
    diffvp::demo::write_package(folder.path().join("package")).unwrap();
    let request = PhantomRequest {
        package: folder.path().join("package"),
        seed: 4242,
        scans: 48,
        sections: None,
        phantoms: PhantomOptions::default(),
        file: folder.path().join("reports.jsonl"),
    };
    let reports = make_reports(&request, |_, _| ()).unwrap();
    let scores = score("demo", &reports).unwrap();
    let (f1, sides) = (scores.stated.micro().f1, scores.sides.value());
    println!("micro F1 {f1:.3}, sides {sides:.3}, chance {:.3}", scores.sides.chance());
    assert_eq!(scores.refused, 0);
    assert!(f1 > 0.78 && sides > 0.8, "micro F1 {f1:.3}, sides {sides:.3}");
    let marked = reports.iter().filter(|r| r.warnings.iter().any(|w| w.contains("unlike"))).count();
    assert!(marked <= 2, "{marked} of 48 phantoms are marked as unlike training");
    let again = make_reports(&request, |_, _| ()).unwrap();
    assert_eq!(again.len(), 48, "kept, not made again");
}

/// What the model has never seen: it stays readable, and says that it does not know such scans.
#[test]
fn real_scans_are_marked_and_reported_calmly() {
    let Some(data) = shared_data() else { return };
    let reporter = Reporter::demo().unwrap();
    for name in [
        "dicom/cip_ct64_79slices",
        "dicom/lungpet_A0001_L_5mm",
        "dicom/lidc_0001_slab",
        "nifti/chest_cta_aorta.nii.gz",
        "nifti/chest_heart_cta_pulmonary.nii.gz",
    ] {
        let scan = Scan::open(data.join(name)).unwrap();
        let options = ReportOptions::default().any_body_part(true);
        let report = reporter.report_with(&scan, &options, |_| Flow::Continue).unwrap();
        assert!(unlike_training(&report), "{name}: {:?}", report.warnings());
        assert!(!report.sections().is_empty(), "{name}");
        for section in report.sections() {
            let text = &section.text;
            assert!(text.is_ascii() && text.ends_with('.') && text.len() < 1500, "{name}: {}: {text}", section.heading);
        }
        assert!(!report.warnings().iter().any(|w| w.code == WarningCode::ReportTruncated), "{name}");
    }
}
