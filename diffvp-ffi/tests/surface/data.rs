//! Arrays and files that make calls succeed.

/// A small body in air: 4 × 4 × 4 voxels.
pub fn voxels_i16() -> Vec<i16> {
    (0..64).map(|i| if i % 3 == 0 { -1000 } else { 40 + i }).collect()
}

/// Four DICOM slices of 4 × 4 pixels, 2 mm apart.
pub fn dicom_files() -> Vec<Vec<u8>> {
    (0..4).map(slice).collect()
}

fn slice(index: usize) -> Vec<u8> {
    let mut meta = Vec::new();
    element(&mut meta, 0x0002_0010, b"UI", b"1.2.840.10008.1.2.1\0");
    let mut file = vec![0; 128];
    file.extend(b"DICM");
    element(&mut file, 0x0002_0000, b"UL", &(meta.len() as u32).to_le_bytes());
    file.extend(meta);
    let short = |value: u16| value.to_le_bytes();
    element(&mut file, 0x0008_0016, b"UI", b"1.2.840.10008.5.1.4.1.1.2\0");
    element(&mut file, 0x0008_0060, b"CS", b"CT");
    element(&mut file, 0x0020_000e, b"UI", b"1.2.3.4\0");
    element(&mut file, 0x0020_0013, b"IS", format!("{:<2}", index + 1).as_bytes());
    element(&mut file, 0x0020_0032, b"DS", format!("{:<10}", format!("0\\0\\{}", 2 * index)).as_bytes());
    element(&mut file, 0x0020_0037, b"DS", b"1\\0\\0\\0\\1\\0 ");
    element(&mut file, 0x0020_0052, b"UI", b"1.2.3.5\0");
    element(&mut file, 0x0028_0002, b"US", &short(1));
    element(&mut file, 0x0028_0004, b"CS", b"MONOCHROME2 ");
    element(&mut file, 0x0028_0010, b"US", &short(4));
    element(&mut file, 0x0028_0011, b"US", &short(4));
    element(&mut file, 0x0028_0030, b"DS", b"1.5\\1.5 ");
    element(&mut file, 0x0028_0100, b"US", &short(16));
    element(&mut file, 0x0028_0101, b"US", &short(16));
    element(&mut file, 0x0028_0102, b"US", &short(15));
    element(&mut file, 0x0028_0103, b"US", &short(0));
    element(&mut file, 0x0028_1052, b"DS", b"-1024 ");
    element(&mut file, 0x0028_1053, b"DS", b"1 ");
    let pixels: Vec<u8> = (0..16).flat_map(|pixel| short(if pixel % 3 == 0 { 24 } else { 1064 })).collect();
    element(&mut file, 0x7fe0_0010, b"OW", &pixels);
    file
}

/// An element in explicit VR little endian.
fn element(file: &mut Vec<u8>, tag: u32, vr: &[u8; 2], value: &[u8]) {
    file.extend(((tag >> 16) as u16).to_le_bytes());
    file.extend((tag as u16).to_le_bytes());
    file.extend(vr);
    if vr == b"OW" {
        file.extend([0, 0]);
        file.extend((value.len() as u32).to_le_bytes());
    } else {
        file.extend((value.len() as u16).to_le_bytes());
    }
    file.extend(value);
}
