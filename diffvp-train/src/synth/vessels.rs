//! Branching, tapering vessels and airways of the lungs.

use super::lungs::{Lungs, Side};
use super::random::Draw;
use super::shapes::{Segment, V, add, dot, length, sub, unit};

/// A branch of the airways: its lumen; the wall is drawn around it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Airway {
    pub(crate) lumen: Segment,
    pub(crate) wall_mm: f64,
    /// Whether bronchiectasis widened it.
    pub(crate) widened: bool,
}

/// The vessels and airways of both lungs, in standard mm.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    pub(crate) vessels: Vec<Segment>,
    pub(crate) airways: Vec<Airway>,
}

const SMALLEST_MM: f64 = 0.55;

impl Tree {
    pub(crate) fn grow(draw: &mut Draw, lungs: &Lungs, hila: [V; 2]) -> Self {
        let mut tree = Tree::default();
        for (side, hilum) in [Side::Right, Side::Left].into_iter().zip(hila) {
            let s = side.sign();
            for way in [
                [0.45, -0.25, 0.9],
                [0.6, -0.8, 0.25],
                [0.8, 0.5, 0.45],
                [0.8, -0.5, -0.4],
                [0.5, 0.3, -0.9],
                [0.35, 0.75, -0.65],
                [0.9, 0.1, -0.55],
            ] {
                let jitter = draw.direction();
                let direction = unit(add([s * way[0], way[1], way[2]], jitter, 0.2));
                let start = add(hilum, direction, 2.0);
                let (radius, reach) = (draw.uniform(3.6, 4.8), draw.uniform(24.0, 34.0));
                tree.branch(draw, lungs, hilum, start, direction, radius, reach, 0);
                // An artery goes with every bronchus.
                let beside = add(start, unit([0.3, -0.6, 0.4]), 5.0);
                tree.airway(draw, lungs, hilum, beside, direction, radius * 0.62, reach * 0.95, 0);
            }
        }
        tree
    }

    #[expect(clippy::too_many_arguments, reason = "the state of a recursion")]
    fn branch(
        &mut self,
        draw: &mut Draw,
        lungs: &Lungs,
        root: V,
        from: V,
        direction: V,
        radius: f64,
        reach: f64,
        depth: u32,
    ) {
        if radius < SMALLEST_MM || depth > 9 {
            return;
        }
        let inside = |to: V| from[0] * to[0] > 0.0 && (depth < 2 || lungs.distance(to) < -2.0 - radius);
        let mut direction = direction;
        let mut to = add(from, direction, reach);
        let mut tries = 0;
        while !inside(to) {
            // A branch that would leave the lung turns, and gets shorter.
            tries += 1;
            if tries > 6 {
                return;
            }
            let random = draw.direction();
            direction = unit(add(direction, random, 0.8));
            to = add(from, direction, reach * (1.0 - 0.1 * f64::from(tries)));
        }
        self.vessels.push(Segment { from, to, radii: [radius, radius * 0.82] });
        let children = if draw.chance(0.45) { 3 } else { 2 };
        for child in 0..children {
            let (radius, reach) = next(draw, child, radius, reach);
            let way = turn(draw, root, to, direction, child);
            self.branch(draw, lungs, root, to, way, radius, reach, depth + 1);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the state of a recursion")]
    fn airway(
        &mut self,
        draw: &mut Draw,
        lungs: &Lungs,
        root: V,
        from: V,
        direction: V,
        radius: f64,
        reach: f64,
        depth: u32,
    ) {
        let to = add(from, direction, reach);
        if radius < 0.8 || depth > 4 || from[0] * to[0] <= 0.0 || (depth > 0 && lungs.distance(to) > -18.0) {
            return;
        }
        let lumen = Segment { from, to, radii: [radius, radius * 0.85] };
        self.airways.push(Airway { lumen, wall_mm: (radius * 0.3).max(0.5), widened: false });
        for child in 0..2 {
            let (radius, reach) = next(draw, child, radius, reach);
            let way = turn(draw, root, to, direction, child);
            self.airway(draw, lungs, root, to, way, radius, reach, depth + 1);
        }
    }
}

/// Radius and length of a child: the first one carries on, the others are thinner.
fn next(draw: &mut Draw, child: usize, radius: f64, reach: f64) -> (f64, f64) {
    let factor = if child == 0 { draw.uniform(0.78, 0.88) } else { draw.uniform(0.55, 0.75) };
    (radius * factor, (reach * draw.uniform(0.68, 0.9)).max(7.0))
}

/// Direction of a child: away from the parent by 15 to 60 degrees, and on the whole away from the root.
fn turn(draw: &mut Draw, root: V, at: V, direction: V, child: usize) -> V {
    let random = draw.direction();
    let across = unit(sub(random, direction.map(|d| d * dot(random, direction))));
    let bend = if child == 0 { draw.uniform(0.15, 0.4) } else { draw.uniform(0.55, 1.2) };
    let outward = sub(at, root);
    let outward = if length(outward) > 1.0 { unit(outward) } else { direction };
    unit(add(add(direction, across, bend), outward, 0.35))
}
