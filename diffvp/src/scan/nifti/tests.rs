use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

/// A NIfTI-1 file of 3 × 2 × 2 voxels 0 … 11 in int16, sform with spacing 1, 2, 3.
fn sample() -> Vec<u8> {
    let mut bytes = vec![0; 352];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, &348i32.to_le_bytes());
    for (i, size) in [3i16, 3, 2, 2, 1, 1, 1, 1].iter().enumerate() {
        put(40 + 2 * i, &size.to_le_bytes());
    }
    put(70, &4i16.to_le_bytes());
    put(72, &16i16.to_le_bytes());
    for (i, value) in [1f32, 1.0, 2.0, 3.0].iter().enumerate() {
        put(76 + 4 * i, &value.to_le_bytes());
    }
    put(108, &352f32.to_le_bytes());
    put(254, &1i16.to_le_bytes());
    for (i, value) in [1f32, 2.0, 3.0].iter().enumerate() {
        put(280 + 20 * i, &value.to_le_bytes());
    }
    put(344, b"n+1\0");
    for v in 0..12i16 {
        bytes.extend_from_slice(&v.to_le_bytes());
    }
    bytes
}

fn with(changes: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = sample();
    for (at, value) in changes {
        bytes[*at..at + value.len()].copy_from_slice(value);
    }
    bytes
}

fn read(bytes: &[u8]) -> Result<Scan> {
    from_reader(bytes, bytes.len() as u64, &ScanOptions::default())
}

fn open_bytes(bytes: &[u8]) -> Result<Scan> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    Scan::open(file.path())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn ras_becomes_lps() {
    let scan = read(&sample()).unwrap();
    let volume = scan.volume();
    assert_eq!(volume.dims(), [3, 2, 2]);
    assert_eq!(volume.spacing_mm(), [1.0, 2.0, 3.0]);
    assert_eq!(volume.direction(), [[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]]);
    assert_eq!(volume.voxels_hu(), (0..12).map(|v| v as f32).collect::<Vec<_>>());
    assert_eq!(scan.source().format, ScanFormat::Nifti1);
}

#[test]
fn slope_zero_or_nan_means_no_scaling() {
    for slope in [0f32, f32::NAN] {
        let scan = read(&with(&[(112, &slope.to_le_bytes()), (116, &5f32.to_le_bytes())])).unwrap();
        assert_eq!(scan.volume().voxels_hu()[2], 2.0);
    }
    let scaled = read(&with(&[(112, &2f32.to_le_bytes()), (116, &(-1024f32).to_le_bytes())])).unwrap();
    assert_eq!(scaled.volume().voxels_hu()[2], -1020.0);
}

#[test]
fn every_integer_and_float_type_in_both_endians() {
    let types: [(i16, i16); 10] =
        [(2, 8), (256, 8), (4, 16), (512, 16), (8, 32), (768, 32), (1024, 64), (1280, 64), (16, 32), (64, 64)];
    for (code, bits) in types {
        for big in [false, true] {
            let mut bytes = with(&[(70, &code.to_le_bytes()), (72, &bits.to_le_bytes())]);
            bytes.truncate(352);
            if big {
                for (from, to, width) in
                    [(0, 4, 4), (40, 56, 2), (70, 74, 2), (76, 120, 4), (252, 256, 2), (256, 328, 4)]
                {
                    bytes[from..to].chunks_mut(width).for_each(<[u8]>::reverse);
                }
            }
            for v in 0..12u8 {
                let mut raw = match code {
                    16 => (v as f32).to_le_bytes().to_vec(),
                    64 => (v as f64).to_le_bytes().to_vec(),
                    _ => (v as u64).to_le_bytes()[..bits as usize / 8].to_vec(),
                };
                if big {
                    raw.reverse();
                }
                bytes.extend(raw);
            }
            let scan = read(&bytes).unwrap_or_else(|e| panic!("type {code}, big {big}: {e}"));
            assert_eq!(scan.volume().voxels_hu()[11], 11.0, "type {code}, big {big}");
            assert_eq!(scan.volume().spacing_mm(), [1.0, 2.0, 3.0]);
        }
    }
}

#[test]
fn refusals_are_typed() {
    type Case = (&'static str, Vec<u8>, fn(&Error) -> bool);
    let cases: [Case; 10] = [
        ("voxels far behind", with(&[(108, &1e10f32.to_le_bytes())]), |e| matches!(e, Error::Corrupt { .. })),
        ("4D", with(&[(40, &[4, 0]), (48, &[2, 0])]), |e| matches!(e, Error::NotAVolume { .. })),
        ("2D", with(&[(40, &[2, 0])]), |e| matches!(e, Error::NotAVolume { .. })),
        ("rank 9", with(&[(40, &[9, 0])]), |e| matches!(e, Error::Corrupt { .. })),
        ("negative size", with(&[(42, &(-3i16).to_le_bytes())]), |e| matches!(e, Error::Corrupt { .. })),
        ("absurd size", with(&[(42, &[0xff, 0x7f, 0xff, 0x7f, 0xff, 0x7f])]), |e| {
            matches!(e, Error::LimitExceeded { .. })
        }),
        ("large size", with(&[(42, &[0, 2, 0, 2, 0, 2])]), |e| matches!(e, Error::Corrupt { .. })),
        ("RGB", with(&[(70, &[128, 0]), (72, &[24, 0])]), |e| matches!(e, Error::Unsupported { .. })),
        ("shear", with(&[(284, &1f32.to_le_bytes())]), |e| matches!(e, Error::Geometry { .. })),
        ("truncated", sample()[..370].to_vec(), |e| matches!(e, Error::Corrupt { .. })),
    ];
    for (name, bytes, expected) in cases {
        let error = read(&bytes).expect_err(name);
        assert!(expected(&error), "{name}: {error:?}");
    }
}

#[test]
fn one_of_several_volumes_is_loaded_as_asked_for() {
    let mut bytes = with(&[(40, &[4, 0]), (48, &[3, 0])]);
    for v in 12..36i16 {
        bytes.extend_from_slice(&v.to_le_bytes());
    }
    let open = |volume| {
        let options = ScanOptions { volume, ..Default::default() };
        [from_reader(bytes.as_slice(), bytes.len() as u64, &options), {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&gzip(&bytes)).unwrap();
            Scan::open_with(file.path(), &options)
        }]
    };
    for result in open(None) {
        let error = result.unwrap_err();
        assert!(matches!(&error, Error::NotAVolume { detail } if detail.contains("3 volumes of 3 × 2 × 2")), "{error}");
    }
    for wanted in 0..3 {
        for result in open(Some(wanted)) {
            let scan = result.unwrap();
            assert_eq!(scan.volume().voxels_hu()[0], 12.0 * wanted as f32);
            assert_eq!(scan.volume().voxels_hu().len(), 12);
            assert!(scan.warnings().iter().any(|w| w.code == WarningCode::IgnoredContent));
        }
    }
    for result in open(Some(3)) {
        assert!(matches!(result, Err(Error::InvalidOption { .. })), "{result:?}");
    }
    // A file that ends behind the volume that is asked for is damaged all the same.
    let cut = &bytes[..bytes.len() - 2];
    let options = ScanOptions { volume: Some(0), ..Default::default() };
    assert!(matches!(from_reader(cut, cut.len() as u64, &options), Err(Error::Corrupt { .. })));
}

#[test]
fn nan_voxels_are_refused() {
    let mut bytes = with(&[(70, &16i16.to_le_bytes()), (72, &32i16.to_le_bytes())]);
    bytes.truncate(352);
    (0..12).for_each(|v| bytes.extend(if v == 5 { f32::NAN } else { 0.0 }.to_le_bytes()));
    assert!(matches!(read(&bytes), Err(Error::InvalidVoxels { .. })));
}

#[test]
fn gzip_is_read_and_its_damage_noticed() {
    let whole = gzip(&sample());
    assert_eq!(open_bytes(&whole).unwrap().volume(), read(&sample()).unwrap().volume());
    assert!(matches!(open_bytes(&whole[..whole.len() - 9]), Err(Error::Corrupt { .. })));
    let mut flipped = whole.clone();
    let crc = whole.len() - 8;
    flipped[crc] ^= 1;
    assert!(matches!(open_bytes(&flipped), Err(Error::Corrupt { .. })));
}

#[test]
fn gzip_members_are_read_as_one_stream() {
    let bytes = sample();
    // Cut inside the header's first bytes, inside the header, and between voxels.
    for cut in [2, 200, 360] {
        let joined = [gzip(&bytes[..cut]), gzip(&bytes[cut..])].concat();
        let scan = open_bytes(&joined).unwrap();
        assert_eq!(scan.volume().voxels_hu(), (0..12).map(|v| v as f32).collect::<Vec<_>>(), "cut at {cut}");
    }
    let followed = [gzip(&bytes), b"no member of a gzip file".to_vec()].concat();
    assert!(matches!(open_bytes(&followed), Err(Error::Corrupt { .. })));
}

#[test]
fn text_with_the_wrong_name_is_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scan.nii.gz");
    std::fs::write(&path, "this is a text\n").unwrap();
    assert!(matches!(Scan::open(&path), Err(Error::UnknownFormat { .. })));
}

#[test]
fn a_negative_spacing_does_not_mirror() {
    let qform = |x: f32| with(&[(252, &1i16.to_le_bytes()), (254, &[0, 0]), (80, &x.to_le_bytes())]);
    let (plain, negative) = (read(&qform(1.5)).unwrap(), read(&qform(-1.5)).unwrap());
    assert_eq!(plain.volume(), negative.volume());
    assert_eq!(plain.volume().spacing_mm()[0], 1.5);
}

#[test]
fn a_blank_header_takes_the_given_spacing() {
    let blank = with(&[(254, &[0, 0])]);
    let options = ScanOptions { spacing_mm: Some([0.7, 0.8, 3.0]), ..Default::default() };
    let scan = from_reader(blank.as_slice(), blank.len() as u64, &options).unwrap();
    assert_eq!(scan.volume().spacing_mm(), [0.7, 0.8, 3.0]);
    assert_eq!(scan.volume().direction()[0][0], 1.0);
    assert!(scan.warnings().iter().any(|w| w.code == WarningCode::InferredHeader));
    let without = read(&blank).unwrap();
    assert_eq!(without.volume().spacing_mm(), [1.0, 2.0, 3.0]);
    assert!(without.warnings().iter().any(|w| w.code == WarningCode::InferredHeader));
    // SimpleITK's header of an array: an identity in LPS.
    let one = 1f32.to_le_bytes();
    let minus = (-1f32).to_le_bytes();
    let array = with(&[(280, &minus), (300, &minus), (320, &one)]);
    let scan = from_reader(array.as_slice(), array.len() as u64, &options).unwrap();
    assert_eq!((scan.volume().spacing_mm(), scan.volume().direction()[0][0]), ([0.7, 0.8, 3.0], 1.0));
    assert!(read(&array).unwrap().warnings().iter().any(|w| w.code == WarningCode::InferredHeader));
    let kept = sample();
    let scan = from_reader(kept.as_slice(), kept.len() as u64, &options).unwrap();
    assert_eq!(scan.volume().spacing_mm(), [1.0, 2.0, 3.0]);
    assert!(scan.warnings().iter().any(|w| w.code == WarningCode::IgnoredContent));
}

#[test]
fn nifti2_is_read() {
    let mut bytes = vec![0; 544];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, &540i32.to_le_bytes());
    put(4, b"n+2\0\r\n\x1a\n");
    put(12, &4i16.to_le_bytes());
    put(14, &16i16.to_le_bytes());
    for (i, size) in [3i64, 3, 2, 2, 1, 1, 1, 1].iter().enumerate() {
        put(16 + 8 * i, &size.to_le_bytes());
    }
    for (i, value) in [1f64, 1.5, 2.5, 3.5].iter().enumerate() {
        put(104 + 8 * i, &value.to_le_bytes());
    }
    put(168, &544i64.to_le_bytes());
    put(344, &1i32.to_le_bytes());
    put(376, &10f64.to_le_bytes());
    for v in 0..12i16 {
        bytes.extend_from_slice(&v.to_le_bytes());
    }
    let scan = open_bytes(&bytes).unwrap();
    assert_eq!(scan.volume().spacing_mm(), [1.5, 2.5, 3.5]);
    assert_eq!(scan.volume().origin_mm(), [-10.0, 0.0, 0.0]);
    assert_eq!(scan.source().format, ScanFormat::Nifti2);
}

/// A rotation from three angles, perhaps mirrored along the third axis.
fn rotation(angles: [f64; 3], mirror: bool) -> [[f64; 3]; 3] {
    let [(sa, ca), (sb, cb), (sc, cc)] = angles.map(f64::sin_cos);
    let m = if mirror { -1.0 } else { 1.0 };
    [
        [ca * cb, ca * sb * sc - sa * cc, m * (ca * sb * cc + sa * sc)],
        [sa * cb, sa * sb * sc + ca * cc, m * (sa * sb * cc - ca * sc)],
        [-sb, cb * sc, m * cb * cc],
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(
        dims in [2usize..6, 2usize..6, 2usize..6],
        spacing in [0.3f64..5.0, 0.3f64..5.0, 0.3f64..5.0],
        origin in [-500f64..500.0, -500f64..500.0, -500f64..500.0],
        angles in [-3.1f64..3.1, -3.1f64..3.1, -3.1f64..3.1],
        mirror: bool,
        whole: bool,
        gz: bool,
        seed: u32,
    ) {
        let count = dims.iter().product::<usize>();
        let voxels: Vec<f32> = (0..count as u32)
            .map(|i| (i.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 20) as f32 - 1024.0)
            .map(|v| if whole { v } else { v + 0.37 })
            .collect();
        let volume = Volume::new(voxels, dims, spacing, origin, rotation(angles, mirror)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(if gz { "v.nii.gz" } else { "v.nii" });
        write_nifti(&volume, &path).unwrap();
        let back = Scan::open(&path).unwrap();
        prop_assert!(!back.warnings().iter().any(|w| w.code == WarningCode::IgnoredContent), "sform and qform agree");
        let back = back.volume();
        prop_assert_eq!(back.voxels_hu(), volume.voxels_hu());
        prop_assert_eq!(back.dims(), dims);
        for a in 0..3 {
            prop_assert!((back.spacing_mm()[a] - spacing[a]).abs() < 1e-5);
            prop_assert!((back.origin_mm()[a] - origin[a]).abs() < 1e-4);
            for b in 0..3 {
                prop_assert!((back.direction()[a][b] - volume.direction()[a][b]).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn no_header_panics(at in 0usize..376, value: u8, more in prop::collection::vec((0usize..376, any::<u8>()), 0..12)) {
        let mut bytes = sample();
        bytes[at] = value;
        more.iter().for_each(|(at, value)| bytes[*at] = *value);
        let _ = read(&bytes);
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..800)) {
        let _ = open_bytes(&bytes);
        let _ = read(&bytes);
    }
}
