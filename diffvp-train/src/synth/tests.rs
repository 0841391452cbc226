//! Properties of whole phantoms.

use super::*;

fn options(normal_fraction: f64) -> PhantomOptions {
    PhantomOptions { size: Size::Tiny, normal_fraction, domain: Domain::A }
}

/// Value of the voxel nearest to a position.
fn hu_at(phantom: &Phantom, position_mm: [f64; 3]) -> f32 {
    let v = &phantom.volume;
    let at: [usize; 3] = std::array::from_fn(|a| {
        let i = (position_mm[a] - v.origin_mm()[a]) / v.spacing_mm()[a];
        (i.round().max(0.0) as usize).min(v.dims()[a] - 1)
    });
    v.voxels_hu()[(at[2] * v.dims()[1] + at[1]) * v.dims()[0] + at[0]]
}

#[test]
fn a_phantom_depends_on_seed_and_index_only() {
    let first = phantom(11, 5, &options(0.0)).unwrap();
    assert_eq!(first, phantom(11, 5, &options(0.0)).unwrap());
    assert_eq!(first.truth, truth(11, 5, &options(0.0)).unwrap());
    assert_ne!(first.volume, phantom(12, 5, &options(0.0)).unwrap().volume);
    assert_ne!(first.volume, phantom(11, 6, &options(0.0)).unwrap().volume);
}

#[test]
fn another_scanner_shows_the_same_subject_otherwise() {
    let b = PhantomOptions { domain: Domain::B, ..options(0.0) };
    let (first, second) = (phantom(11, 5, &options(0.0)).unwrap(), phantom(11, 5, &b).unwrap());
    assert_eq!(first.truth.findings, second.truth.findings);
    assert_eq!(report(&first.truth), report(&second.truth));
    let heart = |p: &Phantom| {
        let values = p.volume.voxels_hu().iter().zip(&p.organs);
        let heart: Vec<f32> = values.filter(|(_, o)| **o == Organ::Heart.label()).map(|(v, _)| *v).collect();
        heart.iter().sum::<f32>() / heart.len() as f32
    };
    assert!(heart(&second) > heart(&first) + 60.0, "{} {}", heart(&first), heart(&second));
}

#[test]
fn a_fraction_outside_0_to_1_is_refused() {
    for bad in [-0.1, 1.5, f64::NAN] {
        let error = phantom(1, 0, &options(bad)).unwrap_err();
        assert!(matches!(error, diffvp::Error::InvalidOption { name: "normal-fraction", .. }), "{error}");
    }
}

#[test]
fn normal_scans_have_no_findings_and_are_as_many_as_asked_for() {
    let normal: Vec<u64> = (0..40).filter(|i| is_normal(*i, 0.3)).collect();
    assert_eq!(normal.len(), 12);
    for index in 0..40 {
        let t = truth(3, index, &options(0.3)).unwrap();
        assert_eq!(t.normal, normal.contains(&index));
        assert_eq!(t.labels().iter().all(|l| *l == 0), t.normal, "{t:?}");
        let limit = if t.has("Cardiomegaly") { 0.5..0.75 } else { 0.3..0.5 };
        assert!(limit.contains(&t.cardiothoracic_ratio), "{t:?}");
    }
}

#[test]
fn tissues_have_their_hounsfield_units() {
    let p = phantom(21, 0, &options(1.0)).unwrap();
    let v = &p.volume;
    let [nx, ny, nz] = v.dims();
    // Above the front corner there is nothing but air.
    assert!((0..nz).all(|k| v.voxels_hu()[k * nx * ny] < -900.0));
    let anatomy = super::anatomy::Anatomy::draw(21, 0, false);
    let mut lung = Vec::new();
    let mut heart = Vec::new();
    for (index, value) in v.voxels_hu().iter().enumerate() {
        let at = [index % nx, index / nx % ny, index / nx / ny];
        let q: [f64; 3] =
            std::array::from_fn(|a| (v.origin_mm()[a] + at[a] as f64 * v.spacing_mm()[a]) / anatomy.scale[a]);
        if anatomy.in_lung(q, 8.0) {
            lung.push(*value);
        }
        if anatomy.mediastinum.heart.distance(q) < -14.0 {
            heart.push(*value);
        }
    }
    let mean = |v: &[f32]| v.iter().sum::<f32>() / v.len() as f32;
    assert!(lung.len() > 1000 && heart.len() > 30, "{} {}", lung.len(), heart.len());
    assert!((-950.0..-600.0).contains(&mean(&lung)), "{}", mean(&lung));
    assert!((0.0..80.0).contains(&mean(&heart)), "{}", mean(&heart));
    assert!(v.range_hu().1 > 250.0, "there is bone: {:?}", v.range_hu());
    assert!(v.voxels_hu().iter().all(|h| h.fract() == 0.0));
}

#[test]
fn masks_name_what_the_voxels_show() {
    for index in 0..6 {
        let p = phantom(31, index, &options(0.3)).unwrap();
        let hu = p.volume.voxels_hu();
        let of = |organ: Organ| -> Vec<f32> {
            hu.iter().zip(&p.organs).filter(|(_, label)| **label == organ.label()).map(|(hu, _)| *hu).collect()
        };
        let median = |organ: Organ| {
            let mut values = of(organ);
            values.sort_by(f32::total_cmp);
            values[values.len() / 2]
        };
        for organ in Organ::ALL {
            assert_eq!(of(organ).is_empty(), organ == Organ::Breast && p.truth.sex == Sex::Male, "{organ:?}");
        }
        let lungs = Organ::ALL.into_iter().filter(|organ| organ.is_lung()).map(|lobe| of(lobe).len()).sum::<usize>();
        assert!((0.04..0.5).contains(&(lungs as f64 / hu.len() as f64)), "{lungs}");
        assert!(median(Organ::LeftUpperLobe) < -600.0 && median(Organ::Bone) > 120.0);
        assert!((0.0..90.0).contains(&median(Organ::Liver)) && (0.0..90.0).contains(&median(Organ::Heart)));
        assert!(of(Organ::Airways).into_iter().fold(f32::MAX, f32::min) < -700.0);
        assert!((0.0..140.0).contains(&median(Organ::Thyroid)));
        // The air around the body belongs to nothing.
        assert_eq!(p.organs[0], 0);
    }
}

#[test]
fn findings_are_marked_where_they_are() {
    let mut seen = [0u32; 18];
    for index in 0..40 {
        let p = phantom(32, index, &options(0.2)).unwrap();
        let marked = p.findings.iter().fold(0u32, |all, bits| all | bits);
        for (i, label) in p.truth.labels().into_iter().enumerate() {
            let bit = marked >> i & 1 == 1;
            assert!(!bit || label == 1, "{index}: {} is marked and not there", crate::labels::FINDINGS[i]);
            seen[i] += u32::from(bit);
        }
        for f in p.truth.findings.iter().filter(|f| ["Lung nodule", "Consolidation"].contains(&f.label.as_str())) {
            if f.size_mm < 20.0 {
                continue;
            }
            let v = &p.volume;
            let at: [usize; 3] =
                std::array::from_fn(|a| ((f.position_mm[a] - v.origin_mm()[a]) / v.spacing_mm()[a]).round() as usize);
            let label = crate::labels::FINDINGS.iter().position(|l| *l == f.label).unwrap();
            // The nearest voxel's centre may lie beyond a fissure: one beside it does not.
            let near = |a: usize| at[a].saturating_sub(1)..(at[a] + 2).min(v.dims()[a]);
            let voxels = near(2).flat_map(|k| near(1).flat_map(move |j| near(0).map(move |i| [i, j, k])));
            let bits =
                voxels.map(|[i, j, k]| p.findings[(k * v.dims()[1] + j) * v.dims()[0] + i]).fold(0, |a, b| a | b);
            assert!(bits >> label & 1 == 1, "{f:?}");
        }
    }
    assert!(seen.iter().all(|n| *n > 0), "{seen:?}");
}

#[test]
fn truth_lies_on_the_stated_side_in_the_stated_lobe() {
    let mut sided = 0;
    for index in 0..60 {
        let t = truth(4, index, &options(0.0)).unwrap();
        let anatomy = super::anatomy::Anatomy::draw(4, index, t.has("Cardiomegaly"));
        assert!(!t.findings.is_empty());
        for f in &t.findings {
            assert!(f.size_mm > 0.0 && f.position_mm.iter().all(|v| v.is_finite()), "{f:?}");
            let standard = std::array::from_fn(|a| f.position_mm[a] / anatomy.scale[a]);
            if let (Some(side), true) = (f.side, f.label != "Medical material") {
                assert_eq!(f.position_mm[0] < 0.0, side == Side::Right, "{f:?}");
                assert!(anatomy.lungs.distance(standard) < 0.0, "{f:?}");
                sided += 1;
            }
            if let Some(lobe) = f.lobe {
                assert_eq!(anatomy.lungs.lobe(standard), lobe, "{f:?}");
            }
        }
    }
    assert!(sided > 60);
}

#[test]
fn every_label_is_drawn() {
    let mut seen = [0u32; 18];
    for index in 0..200 {
        for (n, l) in seen.iter_mut().zip(truth(5, index, &options(0.0)).unwrap().labels()) {
            *n += u32::from(l);
        }
    }
    assert!(seen.iter().all(|n| *n >= 5), "{seen:?}");
}

#[test]
fn what_the_truth_says_is_in_the_voxels() {
    let mut checked = 0;
    for index in 0..40 {
        let t = truth(6, index, &options(0.0)).unwrap();
        let dense: Vec<_> = t
            .findings
            .iter()
            .filter(|f| {
                (f.label == "Lung nodule" && f.kind != "ground-glass" && f.size_mm > 18.0)
                    || (f.label == "Pleural effusion" && f.size_mm > 40.0)
                    || f.label == "Consolidation"
            })
            .collect();
        if dense.is_empty() {
            continue;
        }
        let p = phantom(6, index, &options(0.0)).unwrap();
        for f in dense {
            assert!(hu_at(&p, f.position_mm) > -450.0, "{f:?}: {} HU", hu_at(&p, f.position_mm));
            checked += 1;
        }
    }
    assert!(checked >= 8, "{checked}");
}

#[test]
fn a_report_states_findings_and_never_denies_them() {
    for index in 0..60 {
        let t = truth(8, index, &options(0.2)).unwrap();
        let parts = report(&t);
        assert!(parts.iter().all(|p| crate::labels::REGIONS.contains(&p.region)));
        let all: String = parts.iter().map(|p| p.text.as_str()).collect::<Vec<_>>().join(" ");
        assert!(!all.contains(['{', '}', '"', '\n']), "{all}");
        for (label, denial) in [
            ("Pleural effusion", "No pleural effusion"),
            ("Lung nodule", "o nodule is detected in the lungs"),
            ("Consolidation", "No consolidation"),
            ("Pericardial effusion", "o pericardial effusion"),
            ("Cardiomegaly", "eart size is normal"),
            ("Lymphadenopathy", "No lymphadenopathy"),
        ] {
            assert!(!(t.has(label) && all.contains(denial)), "{label}: {all}");
        }
        for f in t.findings.iter().filter(|f| f.label == "Lung nodule") {
            assert!(all.contains(&format!("{:.0} mm", f.size_mm)), "{f:?}: {all}");
        }
    }
}

#[test]
fn a_data_set_is_complete_resumable_and_guards_its_folder() {
    use crate::data::{DataSet, Layout, OpenOptions, Split, truths};
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("set");
    let write = |train, valid, seed| {
        let set = DatasetOptions { train, valid, masks: true };
        write_dataset(&out, seed, &options(0.34), &set, |_, _| {})
    };
    let first = write(3, 1, 9).unwrap();
    assert_eq!((first.written, first.kept), (4, 0));
    let volume = |n: u64| out.join(format!("dataset/train_preprocessed/train_{n}/train_{n}a/train_{n}_a_1.nii.gz"));
    let bytes = std::fs::read(volume(2)).unwrap();
    std::fs::remove_file(volume(2)).unwrap();
    std::fs::remove_file(out.join("organ_mask/train_1_a_1.nii.gz")).unwrap();
    let again = write(4, 2, 9).unwrap();
    assert_eq!((again.written, again.kept), (4, 2));
    assert_eq!(std::fs::read(volume(2)).unwrap(), bytes);
    assert!(matches!(write(4, 2, 10), Err(diffvp::Error::InvalidOption { name: "out", .. })));

    let set = DataSet::read(&out, &OpenOptions::default()).unwrap();
    assert_eq!((set.layout, set.skipped.len(), set.samples.len()), (Layout::RadGenome, 0, 6));
    assert_eq!((set.of(Split::Train).len(), set.of(Split::Test).len()), (4, 2));
    let truths = truths(&out).unwrap();
    assert_eq!(truths.len(), 6);
    for (sample, truth) in set.samples.iter().zip(&truths) {
        assert_eq!(sample.name, truth.name);
        assert_eq!((sample.labels.as_slice(), sample.normal), (truth.labels().as_slice(), truth.normal));
        let said: Vec<(String, String)> = report(truth).into_iter().map(|p| (p.region.to_owned(), p.text)).collect();
        assert_eq!(sample.regions, said);
        let made = phantom(9, truth.index, &options(0.34)).unwrap();
        let scan = sample.open().unwrap();
        assert_eq!(scan.volume().voxels_hu(), made.volume.voxels_hu());
        assert!((0..3).all(|a| (scan.volume().spacing_mm()[a] - truth.spacing_mm[a]).abs() < 1e-4));
        let organs = diffvp::Scan::open(sample.organs.as_ref().unwrap()).unwrap();
        assert!(organs.volume().voxels_hu().iter().zip(&made.organs).all(|(a, b)| *a == f32::from(*b)));
        for finding in truth.findings.iter().map(|f| &f.label) {
            let mask = out.join(format!("finding_mask/seg_{}/{finding}.nii.gz", truth.name));
            assert!(mask.exists(), "{}", mask.display());
        }
        let split = truth.name.split('_').next().unwrap();
        let lung = out.join(format!("{split}_region_mask/seg_{}/lung.nii.gz", truth.name));
        assert!(diffvp::Scan::open(lung).unwrap().volume().voxels_hu().contains(&1.0));
    }
}
