use proptest::prelude::*;

use super::super::steps::Window;
use super::*;

const LPS: [[f64; 3]; 3] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

fn volume(dims: [usize; 3], direction: [[f64; 3]; 3], value: impl Fn([usize; 3]) -> f32) -> Volume {
    let mut voxels = Vec::new();
    for z in 0..dims[2] {
        for y in 0..dims[1] {
            for x in 0..dims[0] {
                voxels.push(value([x, y, z]));
            }
        }
    }
    Volume::new(voxels, dims, [1.0, 2.0, 3.0], [0.0; 3], direction).unwrap()
}

fn apply(volume: &Volume, steps: Vec<Step>) -> ModelInput {
    Preprocessing { steps, channels: 1 }.apply(volume).unwrap()
}

#[test]
fn each_window_is_a_channel_from_minus_one_to_one() {
    let hu = vec![-1024.0, -1000.0, -400.0, 0.0, 40.0, 130.0, 500.0, 3000.0];
    let v = Volume::new(hu, [2, 2, 2], [1.0; 3], [0.0; 3], LPS).unwrap();
    let windows = vec![Window { min: -1000.0, max: 200.0 }, Window { min: -160.0, max: 240.0 }];
    let input = Preprocessing { steps: vec![Step::Windows { windows }], channels: 2 }.apply(&v).unwrap();
    assert_eq!(input.shape, [2, 2, 2, 2]);
    assert_eq!(input.values[..8], [-1.0, -1.0, 0.0, 400.0 / 600.0, 440.0 / 600.0, 530.0 / 600.0, 1.0, 1.0]);
    assert_eq!(input.values[8..], [-1.0, -1.0, -1.0, -0.2, 0.0, 0.45, 1.0, 1.0]);
    // The lineage's clip and scale are a window.
    let steps = vec![Step::Clip { min: -1000.0, max: 200.0 }, Step::Scale { shift: 400.0, divisor: 600.0 }];
    assert_eq!(apply(&v, steps).values, input.values[..8]);
}

#[test]
fn no_steps_give_the_volume() {
    let v = volume([3, 2, 4], LPS, |[x, y, z]| (x + 10 * y + 100 * z) as f32);
    let input = Preprocessing { steps: vec![], channels: 2 }.apply(&v).unwrap();
    assert_eq!(input.shape, [2, 4, 2, 3]);
    assert_eq!(input.values[..24], *v.voxels_hu());
    assert_eq!(input.values[24..], *v.voxels_hu());
    assert_eq!(input.grid.to_input([1.0, 2.0, 3.0]), [3.0, 2.0, 1.0]);
}

#[test]
fn orientation_only_moves_voxels() {
    // Grid x runs to the right, grid y to the head, grid z to the front.
    let direction = [[-1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]];
    let v = volume([3, 2, 4], direction, |[x, y, z]| (x + 10 * y + 100 * z) as f32);
    let input = apply(&v, vec![Step::Orient { axes: Axes::Lps }]);
    assert_eq!(input.shape, [1, 2, 4, 3]);
    // The first voxel is the most right, front, foot one: x at its end, z at its end, y at its start.
    assert_eq!(input.values[0], 302.0);
    assert_eq!(input.grid.to_input([2.0, 0.0, 3.0]), [0.0, 0.0, 0.0]);
    let ras = apply(&v, vec![Step::Orient { axes: Axes::Ras }]);
    assert_eq!(ras.values[0], 0.0);
}

#[test]
fn crop_keeps_margin_inside_and_leaves_empty_volumes() {
    let v = volume([5, 5, 5], LPS, |at| if at == [1, 2, 3] { 40.0 } else { -1000.0 });
    let crop = |margin_voxels| vec![Step::CropForeground { above: -1000.0, margin_voxels }];
    assert_eq!(apply(&v, crop(0)).values, [40.0]);
    let input = apply(&v, crop(2));
    assert_eq!(input.shape, [1, 4, 5, 4]);
    assert_eq!(input.grid.to_input([1.0, 2.0, 3.0]), [2.0, 2.0, 1.0]);
    let air = volume([2, 2, 2], LPS, |_| -1000.0);
    assert_eq!(apply(&air, crop(0)).shape, [1, 2, 2, 2]);
    assert_eq!(apply(&v, crop(usize::MAX)).shape, [1, 5, 5, 5]);
}

#[test]
fn values_are_changed_in_order() {
    let v = volume([2, 1, 1], LPS, |[x, _, _]| if x == 0 { -2000.0 } else { 500.0 });
    let input = apply(&v, vec![Step::Clip { min: -1000.0, max: 200.0 }, Step::Scale { shift: 400.0, divisor: 600.0 }]);
    assert_eq!(input.values, [-1.0, 1.0]);
    assert_eq!(apply(&v, vec![Step::MinMax]).values, [0.0, 1.0]);
    let flat = volume([2, 1, 1], LPS, |_| 7.0);
    assert_eq!(apply(&flat, vec![Step::MinMax]).values, [0.0, 0.0]);
    assert_eq!(apply(&flat, vec![Step::ZScore { above: 0.0 }]).values, [0.0, 0.0]);
    let scored = apply(&v, vec![Step::ZScore { above: -3000.0 }]);
    assert_eq!(scored.values, [-1.0, 1.0]);
}

#[test]
fn absurd_resampling_is_refused_before_memory_is_taken() {
    let v = Volume::new(vec![0.0; 8], [2, 2, 2], [1e9; 3], [0.0; 3], LPS).unwrap();
    let step = Step::Resample { spacing_mm: [0.5; 3], interpolation: Interpolation::Trilinear, fit: Fit::Edges };
    let result = Preprocessing { steps: vec![step], channels: 1 }.apply(&v);
    assert!(matches!(result, Err(Error::LimitExceeded { .. })));
}

/// Steps that keep a linear ramp linear in the inside of the volume.
fn geometric_step() -> impl Strategy<Value = Step> {
    let size = || prop::array::uniform3(3usize..14);
    prop_oneof![
        Just(Step::Orient { axes: Axes::Lps }),
        Just(Step::Orient { axes: Axes::Ras }),
        (0usize..3).prop_map(|margin_voxels| Step::CropForeground { above: -900.0, margin_voxels }),
        size().prop_map(|size| Step::Resize { size, interpolation: Interpolation::Trilinear }),
        size().prop_map(|size| Step::CenterCropOrPad { size, pad_value: -5000.0 }),
        prop::array::uniform3(0.8f64..4.0).prop_map(|spacing_mm| Step::Resample {
            spacing_mm,
            interpolation: Interpolation::Trilinear,
            fit: Fit::FirstCentre,
        }),
    ]
}

const TURNS: [[[f64; 3]; 3]; 3] =
    [LPS, [[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], [[-1.0, 0.0, 0.0], [0.0, 0.8, 0.6], [0.0, -0.6, 0.8]]];

proptest! {
    #[test]
    fn the_grid_map_goes_there_and_back(
        steps in prop::collection::vec(geometric_step(), 0..5),
        turn in 0usize..3,
        at in prop::array::uniform3(0f64..8.0),
    ) {
        let v = volume([9, 8, 7], TURNS[turn], |[x, y, z]| (x + y + z) as f32);
        let input = apply(&v, steps);
        let back = input.grid.to_scan(input.grid.to_input(at));
        for a in 0..3 {
            prop_assert!((back[a] - at[a]).abs() < 1e-9);
        }
        prop_assert_eq!(input.values.len(), input.shape.iter().product::<usize>());
    }

    /// A volume whose value is its own x, y or z index stays so under one trilinear step: every prepared voxel
    /// that maps between the centres of the voxels that were kept holds the index that the grid map says.
    #[test]
    fn the_grid_map_tells_where_voxels_come_from(
        first in prop::bool::ANY,
        cropped in prop::bool::ANY,
        resampling in resampling(),
        size in prop::array::uniform3(3usize..30),
        turn in 0usize..3,
        axis in 0usize..3,
    ) {
        let dims = [14, 13, 12];
        let v = volume(dims, TURNS[turn], |at| at[axis] as f32);
        let mut steps = vec![resampling, Step::CenterCropOrPad { size, pad_value: -5000.0 }];
        let orient = Step::Orient { axes: Axes::Ras };
        steps.insert(if first { 0 } else { 2 }, orient);
        let mut low = [0.0; 3];
        if cropped {
            steps.insert(0, Step::CropForeground { above: 1.5, margin_voxels: 0 });
            low[axis] = 2.0;
        }
        let input = apply(&v, steps);
        let [_, slices, rows, columns] = input.shape;
        let mut checked = 0;
        for s in 0..slices {
            for r in 0..rows {
                for c in 0..columns {
                    let value = input.values[(s * rows + r) * columns + c];
                    let scan = input.grid.to_scan([s as f64, r as f64, c as f64]);
                    let kept = (0..3).all(|a| (low[a]..=(dims[a] - 1) as f64).contains(&scan[a]));
                    if kept {
                        prop_assert!((value as f64 - scan[axis]).abs() < 1e-3, "{value} at {scan:?}");
                        checked += 1;
                    }
                }
            }
        }
        prop_assert!(checked > 0);
    }
}

fn resampling() -> impl Strategy<Value = Step> {
    let fit = prop_oneof![Just(Fit::Edges), Just(Fit::EdgesFloor), Just(Fit::FirstCentre)];
    let size = prop::array::uniform3(3usize..30);
    prop_oneof![
        size.prop_map(|size| Step::Resize { size, interpolation: Interpolation::Trilinear }),
        (prop::array::uniform3(0.8f64..4.0), fit).prop_map(|(spacing_mm, fit)| Step::Resample {
            spacing_mm,
            interpolation: Interpolation::Trilinear,
            fit,
        }),
    ]
}

#[test]
fn work_that_is_not_wanted_any_more_ends_at_any_look() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let v =
        Volume::new(vec![1.0; 1000], [10; 3], [1.0; 3], [0.0; 3], [[1., 0., 0.], [0., 1., 0.], [0., 0., 1.]]).unwrap();
    let preprocessing = Preprocessing {
        steps: vec![
            Step::ZScore { above: 0.0 },
            Step::Resize { size: [8, 9, 7], interpolation: Interpolation::Area },
            Step::CenterCropOrPad { size: [12, 12, 12], pad_value: 0.0 },
        ],
        channels: 1,
    };
    let looks = AtomicUsize::new(0);
    let whole = preprocessing.apply_until(&v, &|| looks.fetch_add(1, Ordering::SeqCst) > usize::MAX - 1).unwrap();
    assert_eq!(whole, preprocessing.apply(&v).unwrap());
    let total = looks.into_inner();
    assert!(total > 30, "{total}");
    for last in 0..total {
        let looks = AtomicUsize::new(0);
        let result = preprocessing.apply_until(&v, &|| looks.fetch_add(1, Ordering::SeqCst) >= last);
        assert!(matches!(result, Err(crate::Error::Cancelled)), "{last}");
    }
}
