//! Colours.

/// Window in which CT is shown: lungs and soft tissue together, in HU.
const WINDOW_HU: (f32, f32) = (-1000.0, 400.0);

/// Grey value of a CT number.
pub(super) fn grey(hu: f32) -> u8 {
    let (low, high) = WINDOW_HU;
    (255.0 * ((hu - low) / (high - low)).clamp(0.0, 1.0)).round() as u8
}

/// Stops of a scale from dark violet over red to pale yellow, rising evenly in lightness, so that it reads
/// the same for colour-blind people and in grey print.
const STOPS: [[f32; 3]; 6] = [
    [20.0, 11.0, 53.0],
    [95.0, 19.0, 110.0],
    [167.0, 45.0, 96.0],
    [224.0, 92.0, 58.0],
    [251.0, 164.0, 37.0],
    [252.0, 252.0, 164.0],
];

/// Colour of a value from 0 to 1.
pub(super) fn heat(value: f32) -> [f32; 3] {
    let position = value.clamp(0.0, 1.0) * (STOPS.len() - 1) as f32;
    let low = (position as usize).min(STOPS.len() - 2);
    let weight = position - low as f32;
    std::array::from_fn(|c| STOPS[low][c] + weight * (STOPS[low + 1][c] - STOPS[low][c]))
}

/// CT with the heat over it: nothing below a tenth of the scale, then denser as the value rises.
pub(super) fn overlay(hu: f32, value: f32) -> [u8; 3] {
    let base = f32::from(grey(hu));
    let opacity = ((value - 0.1) / 0.9).clamp(0.0, 1.0).sqrt() * 0.65;
    heat(value).map(|c| (base + opacity * (c - base)).round() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_rises_in_lightness() {
        let lightness = |[r, g, b]: [f32; 3]| 0.2126 * r + 0.7152 * g + 0.0722 * b;
        let values: Vec<f32> = (0..=50).map(|i| lightness(heat(i as f32 / 50.0))).collect();
        assert!(values.windows(2).all(|w| w[1] > w[0]), "{values:?}");
    }

    #[test]
    fn without_difference_the_scan_is_grey() {
        assert_eq!(overlay(-1000.0, 0.0), [0; 3]);
        assert_eq!(overlay(400.0, 0.05), [255; 3]);
        let [r, g, b] = overlay(0.0, 1.0);
        assert!(r > b && g > b);
    }
}
