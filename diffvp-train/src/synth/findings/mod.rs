//! Which findings a scan has, where, and how large; each painted over the anatomy.

mod airways;
mod calcification;
mod devices;
mod diffuse;
mod focal;
mod mediastinal;
mod pleura;

use super::anatomy::Anatomy;
use super::canvas::Canvas;
use super::lungs::{Lobe, Side};
use super::random::Draw;
use super::shapes::V;
use super::truth::Finding;
use crate::labels::FINDINGS;

/// How often an abnormal scan has each finding, in the order of the labels.
const FREQUENCY: [f64; 18] =
    [0.14, 0.26, 0.24, 0.12, 0.26, 0.15, 0.18, 0.2, 0.22, 0.4, 0.28, 0.18, 0.26, 0.1, 0.14, 0.22, 0.14, 0.1];

/// The labels of an abnormal scan: at least one.
pub(crate) fn select(draw: &mut Draw) -> Vec<&'static str> {
    let mut labels: Vec<_> = FINDINGS.iter().zip(FREQUENCY).filter(|(_, f)| draw.chance(*f)).map(|(l, _)| *l).collect();
    let one = draw.pick(&FINDINGS);
    if labels.is_empty() {
        labels.push(one);
    }
    labels
}

/// What findings are painted on.
pub(crate) struct Stage<'a> {
    pub(crate) canvas: &'a mut Canvas,
    pub(crate) anatomy: &'a Anatomy,
    /// Distance to the lung of every voxel, in standard mm.
    pub(crate) lung: &'a [f32],
}

impl Stage<'_> {
    /// Changes the voxels of aerated lung in a box: `change` gets position, depth under the pleura and value, and
    /// returns the share that it painted.
    pub(crate) fn visit_lung(
        &mut self,
        bounds: super::shapes::Bounds,
        mut change: impl FnMut(V, f64, &mut f32) -> f64,
    ) {
        let (lung, mediastinum) = (self.lung, &self.anatomy.mediastinum);
        self.canvas.visit(bounds, |index, p, value| {
            let distance = f64::from(lung[index]);
            if distance < 0.0 && mediastinum.distance(p) > 0.0 { change(p, -distance, value) } else { 0.0 }
        });
    }
}

/// Something that can be painted.
pub(crate) trait Lesion {
    /// Paints it over the anatomy.
    fn paint(&self, stage: &mut Stage<'_>);

    /// Whether it hides what else is at a standard position.
    fn covers(&self, _p: V) -> bool {
        false
    }
}

/// A finding with its shape. Those that are a changed organ have none: the organ is painted changed.
pub(crate) struct Planned {
    pub(crate) finding: Finding,
    pub(crate) lesion: Option<Box<dyn Lesion>>,
}

/// Plans the findings of the labels, and changes the organs that they are changes of. A label for which the
/// subject has no room is left out, and so is what fluid or consolidation would hide.
pub(crate) fn plan(draw: &mut Draw, labels: &[&str], anatomy: &mut Anatomy) -> Vec<Planned> {
    let mut planned = Vec::new();
    for label in FINDINGS.into_iter().filter(|l| labels.contains(l)) {
        match label {
            "Medical material" => planned.push(devices::plan(draw, anatomy)),
            "Arterial wall calcification" => planned.push(calcification::arterial(draw, anatomy)),
            "Cardiomegaly" => planned.push(mediastinal::cardiomegaly(anatomy)),
            "Pericardial effusion" => planned.push(mediastinal::pericardial_effusion(draw, anatomy)),
            "Coronary artery wall calcification" => planned.push(calcification::coronary(draw, anatomy)),
            "Hiatal hernia" => planned.push(mediastinal::hiatal_hernia(draw, anatomy)),
            "Lymphadenopathy" => planned.extend(mediastinal::lymphadenopathy(draw, anatomy)),
            "Emphysema" => planned.push(diffuse::emphysema(draw, anatomy)),
            "Atelectasis" => planned.extend(focal::atelectasis(draw, anatomy)),
            "Lung nodule" => planned.extend(focal::nodules(draw, anatomy)),
            "Lung opacity" => planned.extend(focal::opacity(draw, anatomy)),
            "Pulmonary fibrotic sequela" => planned.extend(focal::fibrotic_sequela(draw, anatomy)),
            "Pleural effusion" => planned.extend(pleura::effusion(draw, anatomy)),
            "Mosaic attenuation pattern" => planned.push(diffuse::mosaic(draw, anatomy)),
            "Peribronchial thickening" => planned.push(airways::thickening(draw, anatomy)),
            "Consolidation" => planned.extend(focal::consolidation(draw, anatomy)),
            "Bronchiectasis" => planned.extend(airways::bronchiectasis(draw, anatomy)),
            "Interlobular septal thickening" => planned.push(diffuse::septal_thickening(draw, anatomy)),
            _ => {}
        }
    }
    let hidden: Vec<bool> = planned
        .iter()
        .enumerate()
        .map(|(i, p)| {
            let at: V = std::array::from_fn(|a| p.finding.position_mm[a] / anatomy.scale[a]);
            let of_lung = p.finding.side.is_some() && p.finding.lobe.is_some();
            let others = planned.iter().enumerate().filter(|(other, _)| *other != i);
            of_lung && others.filter_map(|(_, o)| o.lesion.as_ref()).any(|o| o.covers(at))
        })
        .collect();
    let mut hidden = hidden.into_iter();
    planned.retain(|_| !hidden.next().unwrap_or(false));
    if planned.is_empty() {
        planned.push(calcification::arterial(draw, anatomy));
    }
    planned
}

impl Planned {
    /// Paints the finding over the anatomy, and marks its voxels with the bit of its label.
    pub(crate) fn paint(&self, stage: &mut Stage<'_>) {
        let label = FINDINGS.iter().position(|label| *label == self.finding.label);
        stage.canvas.finding = label.map_or(0, |index| 1 << index);
        match &self.lesion {
            Some(lesion) => lesion.paint(stage),
            None => mark_changed_organ(&self.finding, stage),
        }
        stage.canvas.finding = 0;
    }
}

/// Marks the voxels of a finding that was painted as a changed organ.
fn mark_changed_organ(finding: &Finding, stage: &mut Stage<'_>) {
    let (anatomy, edge) = (stage.anatomy, stage.canvas.edge());
    let heart = &anatomy.mediastinum.heart;
    match finding.label.as_str() {
        "Cardiomegaly" => stage.canvas.mark(heart.bounds(0.0), |p| heart.distance(p) < 0.0),
        "Pericardial effusion" => {
            let sac = anatomy.mediastinum.pericardial_mm;
            stage.canvas.mark(heart.bounds(sac), |p| {
                (0.0..sac).contains(&heart.distance(p)) && p[2] > anatomy.lungs.diaphragm(p[0], p[1])
            });
        }
        // The walls of airways are thinner than voxels: what they reach into is marked.
        _ => {
            let widened = finding.label == "Bronchiectasis";
            for airway in anatomy.tree.airways.iter().filter(|airway| airway.widened || !widened) {
                let reach = airway.wall_mm + edge / 2.0;
                let wall = airway.lumen;
                stage.canvas.mark(wall.bounds(reach), |p| wall.distance(p) < reach);
            }
        }
    }
}

/// A finding at a standard position.
fn finding(
    label: &str,
    kind: &str,
    at: (Option<Side>, Option<Lobe>),
    size_mm: f64,
    anatomy: &Anatomy,
    position: V,
) -> Finding {
    Finding {
        label: label.to_owned(),
        kind: kind.to_owned(),
        side: at.0,
        lobe: at.1,
        size_mm: (size_mm * 10.0).round() / 10.0,
        position_mm: anatomy.to_patient(position).map(|v| (v * 100.0).round() / 100.0),
    }
}

fn side(draw: &mut Draw) -> Side {
    draw.pick(&[Side::Right, Side::Left])
}
