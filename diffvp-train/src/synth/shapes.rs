//! Signed distances (mm, negative inside) of the shapes a chest is made of.

/// A point or a vector: x to the left, y to the back, z to the head.
pub(crate) type V = [f64; 3];

pub(crate) fn add(a: V, b: V, factor: f64) -> V {
    std::array::from_fn(|i| a[i] + factor * b[i])
}

pub(crate) fn sub(a: V, b: V) -> V {
    add(a, b, -1.0)
}

pub(crate) fn dot(a: V, b: V) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(crate) fn length(a: V) -> f64 {
    dot(a, a).sqrt()
}

pub(crate) fn unit(a: V) -> V {
    let l = length(a).max(1e-9);
    a.map(|v| v / l)
}

/// Smooth maximum: intersection with an edge rounded over about `k` mm.
pub(crate) fn smooth_max(a: f64, b: f64, k: f64) -> f64 {
    let h = (k - (a - b).abs()).max(0.0) / k;
    a.max(b) + h * h * k * 0.25
}

/// Smooth step from 0 at `from` to 1 at `to`.
pub(crate) fn smooth_step(from: f64, to: f64, x: f64) -> f64 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// First-order distance to a superellipse with half axes `a` and `b` and exponent `n`.
pub(crate) fn superellipse(x: f64, y: f64, a: f64, b: f64, n: f64) -> f64 {
    let (u, v) = ((x.abs() / a).max(1e-6), (y.abs() / b).max(1e-6));
    let (un, vn) = (u.powf(n), v.powf(n));
    let level = (un + vn).powf(1.0 / n);
    let outer = level / (un + vn);
    let (gx, gy) = (outer * un / u / a, outer * vn / v / b);
    (level - 1.0) / (gx * gx + gy * gy).sqrt().max(1e-6)
}

/// An ellipsoid, turned about the vertical axis.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ellipsoid {
    pub(crate) centre: V,
    pub(crate) radii: V,
    /// Angle from +x towards −y (from the left side to the front), in radians.
    pub(crate) turn: f64,
}

impl Ellipsoid {
    pub(crate) fn new(centre: V, radii: V) -> Self {
        Ellipsoid { centre, radii, turn: 0.0 }
    }

    /// First-order distance.
    pub(crate) fn distance(&self, p: V) -> f64 {
        let d = sub(p, self.centre);
        let (s, c) = self.turn.sin_cos();
        let local = [d[0] * c - d[1] * s, d[0] * s + d[1] * c, d[2]];
        let scaled: V = std::array::from_fn(|i| local[i] / self.radii[i]);
        let level = length(scaled);
        let gradient = length(std::array::from_fn(|i| scaled[i] / self.radii[i]));
        if gradient < 1e-9 {
            return -self.radii[0].min(self.radii[1]).min(self.radii[2]);
        }
        level * (level - 1.0) / gradient
    }

    /// Half the extent along x.
    pub(crate) fn half_width(&self) -> f64 {
        let (s, c) = self.turn.sin_cos();
        ((self.radii[0] * c).powi(2) + (self.radii[1] * s).powi(2)).sqrt()
    }

    /// The point of the surface in the direction `(cos, −sin, z)` of the turned frame.
    pub(crate) fn surface(&self, direction: V) -> V {
        let local: V = std::array::from_fn(|i| direction[i] * self.radii[i]);
        let (s, c) = self.turn.sin_cos();
        add(self.centre, [local[0] * c + local[1] * s, -local[0] * s + local[1] * c, local[2]], 1.0)
    }

    pub(crate) fn bounds(&self, margin: f64) -> Bounds {
        let r = self.radii.iter().fold(0.0f64, |a, b| a.max(*b)) + margin;
        Bounds::around(self.centre, r)
    }
}

/// A straight piece of a tube with round ends and a radius that changes along it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub(crate) from: V,
    pub(crate) to: V,
    pub(crate) radii: [f64; 2],
}

impl Segment {
    pub(crate) fn new(from: V, to: V, radius: f64) -> Self {
        Segment { from, to, radii: [radius; 2] }
    }

    pub(crate) fn distance(&self, p: V) -> f64 {
        let axis = sub(self.to, self.from);
        let t = (dot(sub(p, self.from), axis) / dot(axis, axis).max(1e-9)).clamp(0.0, 1.0);
        length(sub(p, add(self.from, axis, t))) - (self.radii[0] + t * (self.radii[1] - self.radii[0]))
    }

    pub(crate) fn bounds(&self, margin: f64) -> Bounds {
        let r = self.radii[0].max(self.radii[1]) + margin;
        Bounds {
            low: std::array::from_fn(|i| self.from[i].min(self.to[i]) - r),
            high: std::array::from_fn(|i| self.from[i].max(self.to[i]) + r),
        }
    }
}

/// A tube through some points.
#[derive(Debug, Clone)]
pub(crate) struct Tube(pub(crate) Vec<Segment>);

impl Tube {
    /// Through points, each with the radius there.
    pub(crate) fn through(points: &[(V, f64)]) -> Self {
        Tube(points.windows(2).map(|w| Segment { from: w[0].0, to: w[1].0, radii: [w[0].1, w[1].1] }).collect())
    }

    pub(crate) fn distance(&self, p: V) -> f64 {
        self.0.iter().map(|s| s.distance(p)).fold(f64::INFINITY, f64::min)
    }

    pub(crate) fn bounds(&self, margin: f64) -> Bounds {
        self.0.iter().fold(Bounds { low: [f64::INFINITY; 3], high: [f64::NEG_INFINITY; 3] }, |all, s| {
            let b = s.bounds(margin);
            Bounds {
                low: std::array::from_fn(|i| all.low[i].min(b.low[i])),
                high: std::array::from_fn(|i| all.high[i].max(b.high[i])),
            }
        })
    }
}

/// A box that holds a shape.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) low: V,
    pub(crate) high: V,
}

impl Bounds {
    /// Everything.
    pub(crate) const ALL: Bounds = Bounds { low: [f64::NEG_INFINITY; 3], high: [f64::INFINITY; 3] };

    pub(crate) fn around(centre: V, radius: f64) -> Self {
        Bounds { low: centre.map(|c| c - radius), high: centre.map(|c| c + radius) }
    }
}
