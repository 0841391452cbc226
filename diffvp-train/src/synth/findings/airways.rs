//! Changes of the bronchi: thick walls and wide lumens.

use super::{Planned, finding, side};
use crate::synth::anatomy::Anatomy;
use crate::synth::lungs::{Lobe, Side};
use crate::synth::random::Draw;
use crate::synth::shapes::V;

/// Thickens the walls of all bronchi in the lungs. The size is the thickest wall.
pub(super) fn thickening(draw: &mut Draw, anatomy: &mut Anatomy) -> Planned {
    let factor = draw.uniform(2.2, 3.2);
    let mut thickest = (0.0, [0.0; 3]);
    for airway in &mut anatomy.tree.airways {
        airway.wall_mm = (airway.wall_mm * factor).max(1.6);
        if airway.wall_mm > thickest.0 {
            thickest = (airway.wall_mm, airway.lumen.from);
        }
    }
    let size_mm = thickest.0 * anatomy.mean_scale();
    let kind = "peribronchial thickening";
    Planned {
        finding: finding("Peribronchial thickening", kind, (None, None), size_mm, anatomy, thickest.1),
        lesion: None,
    }
}

/// Widens the bronchi of one lobe. The size is the widest lumen.
pub(super) fn bronchiectasis(draw: &mut Draw, anatomy: &mut Anatomy) -> Option<Planned> {
    let side = side(draw);
    let middle = |a: V, b: V| -> V { std::array::from_fn(|i| 0.5 * (a[i] + b[i])) };
    let wanted = draw.pick(&[Lobe::Lower, Lobe::Lower, if side == Side::Right { Lobe::Middle } else { Lobe::Upper }]);
    let factor = draw.uniform(1.9, 2.6);
    let mut widest: Option<(f64, V)> = None;
    for airway in &mut anatomy.tree.airways {
        let centre = middle(airway.lumen.from, airway.lumen.to);
        if Side::of(centre) != side
            || anatomy.lungs.lobe(centre) != wanted
            || anatomy.lungs.distance(centre) > -6.0
            || anatomy.mediastinum.distance(centre) < 4.0
        {
            continue;
        }
        airway.lumen.radii = airway.lumen.radii.map(|r| (r * factor).max(2.6));
        airway.wall_mm = airway.wall_mm.max(1.2);
        airway.widened = true;
        if widest.is_none_or(|(r, _)| airway.lumen.radii[0] > r) {
            widest = Some((airway.lumen.radii[0], centre));
        }
    }
    let (radius, centre) = widest?;
    let size_mm = 2.0 * radius * anatomy.mean_scale();
    let at = (Some(side), Some(wanted));
    Some(Planned {
        finding: finding("Bronchiectasis", "cylindrical bronchiectasis", at, size_mm, anatomy, centre),
        lesion: None,
    })
}
