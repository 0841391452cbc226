//! A report in plain radiology English from what a phantom contains.

use super::body::Sex;
use super::random::{Draw, Purpose};
use super::truth::{Finding, Truth};

/// The sentences on one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionText {
    /// One of [`REGIONS`](crate::labels::REGIONS).
    pub region: &'static str,
    /// One or more sentences.
    pub text: String,
}

/// Words the report of a phantom, region by region: every finding with its side, lobe and size, and what is
/// normal. The same truth gives the same words.
pub fn report(truth: &Truth) -> Vec<RegionText> {
    let mut writer =
        Writer { draw: Draw::new(truth.seed, truth.index, Purpose::Sentences), truth, regions: Vec::new() };
    writer.lung();
    writer.airways();
    writer.pleura();
    writer.heart();
    writer.mediastinum();
    writer.oesophagus();
    writer.rest();
    writer.regions.sort_by_key(|r| r.region);
    writer.regions
}

struct Writer<'a> {
    draw: Draw,
    truth: &'a Truth,
    regions: Vec<RegionText>,
}

impl Writer<'_> {
    /// One of several phrasings, with `{…}` filled in from a finding.
    fn say(&mut self, phrases: &[&str], finding: Option<&Finding>) -> String {
        let mut text = self.draw.pick(phrases).to_owned();
        if let Some(f) = finding {
            let side = f.side.map_or("", |s| s.word());
            let lobe = f.lobe.map_or("", |l| l.word());
            let millimetres = format!("{:.0} mm", f.size_mm);
            for (mark, value) in
                [("{kind}", f.kind.as_str()), ("{side}", side), ("{lobe}", lobe), ("{size}", &millimetres)]
            {
                text = text.replace(mark, value);
            }
        }
        let mut letters = text.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
    }

    /// One sentence for each finding of a label.
    fn each(&mut self, label: &str, phrases: &[&str]) -> Vec<String> {
        let truth = self.truth;
        truth.findings.iter().filter(|f| f.label == label).map(|f| self.say(phrases, Some(f))).collect()
    }

    fn push(&mut self, region: &'static str, sentences: Vec<String>) {
        if !sentences.is_empty() {
            self.regions.push(RegionText { region, text: sentences.join(" ") });
        }
    }

    fn lung(&mut self) {
        let mut s = self.each(
            "Lung nodule",
            &[
                "A {size} {kind} nodule is seen in the {side} {lobe} lobe.",
                "There is a {kind} nodule measuring {size} in the {lobe} lobe of the {side} lung.",
                "In the {side} {lobe} lobe, a {kind} pulmonary nodule with a diameter of {size} is observed.",
            ],
        );
        s.extend(self.each(
            "Consolidation",
            &[
                "Consolidation with air bronchograms is seen in the {side} {lobe} lobe, measuring about {size}.",
                "There is an area of consolidation of {size} in the {lobe} lobe of the {side} lung.",
                "The {side} {lobe} lobe shows a consolidation about {size} across.",
            ],
        ));
        s.extend(self.each(
            "Lung opacity",
            &[
                "A patchy ground-glass opacity of about {size} is present in the {side} {lobe} lobe.",
                "Ground-glass density is observed in the {lobe} lobe of the {side} lung, extending over {size}.",
                "There is a ground-glass opacity measuring {size} in the {side} {lobe} lobe.",
            ],
        ));
        s.extend(self.each(
            "Atelectasis",
            &[
                "Linear atelectasis with a thickness of {size} is seen in the {side} {lobe} lobe.",
                "There is a band of atelectasis, {size} thick, in the {lobe} lobe of the {side} lung.",
                "A {size} thick linear atelectatic band is observed in the {side} {lobe} lobe.",
            ],
        ));
        s.extend(self.each(
            "Pulmonary fibrotic sequela",
            &[
                "Fibrotic sequela with bands up to {size} long is seen in the {side} {lobe} lobe.",
                "There are sequela fibrotic changes in the {lobe} lobe of the {side} lung, up to {size} in length.",
                "Scarring with fibrotic strands of up to {size} is present in the {side} {lobe} lobe.",
            ],
        ));
        s.extend(self.each(
            "Emphysema",
            &[
                "Findings of {kind} are present in both lungs, with air spaces up to {size}.",
                "Both lungs show {kind}; the largest air space measures {size}.",
                "There is {kind}, most marked in the upper zones, with lucencies up to {size}.",
            ],
        ));
        s.extend(self.each(
            "Mosaic attenuation pattern",
            &[
                "A mosaic attenuation pattern is observed in both lungs.",
                "Both lungs show mosaic attenuation.",
                "There is a mosaic pattern of attenuation in the lung parenchyma bilaterally.",
            ],
        ));
        s.extend(self.each(
            "Interlobular septal thickening",
            &[
                "Interlobular septal thickening is seen in both lungs, more at the bases.",
                "There is bilateral smooth thickening of the interlobular septa.",
                "The interlobular septa are thickened in the subpleural areas of both lungs.",
            ],
        ));
        if s.is_empty() {
            s.push(self.say(
                &[
                    "Aeration of both lungs is normal and no mass or infiltration is seen.",
                    "Both lungs are clear without nodule, consolidation or ground-glass opacity.",
                    "No mass, nodule or infiltrative lesion is detected in either lung.",
                    "The lung parenchyma is normal on both sides.",
                ],
                None,
            ));
        } else if !self.truth.has("Lung nodule") {
            s.push(self.say(&["No nodule is detected in the lungs.", "No suspicious pulmonary nodule is seen."], None));
        } else if !self.truth.has("Consolidation") {
            s.push(self.say(&["No consolidation is seen.", "There is no area of consolidation."], None));
        }
        self.push("lung", s);
    }

    fn airways(&mut self) {
        let mut s = vec![self.say(
            &[
                "Trachea and both main bronchi are patent.",
                "The trachea and the main bronchi are open, without an obstructing lesion.",
                "No obstructive pathology is observed in the trachea and both main bronchi.",
            ],
            None,
        )];
        s.extend(self.each("Bronchiectasis", &[
            "There is {kind} in the {side} {lobe} lobe, with bronchi up to {size} wide.",
            "Bronchi in the {lobe} lobe of the {side} lung are dilated up to {size}, consistent with bronchiectasis.",
            "Bronchiectasis is present in the {side} {lobe} lobe, measuring up to {size}.",
        ]));
        s.extend(self.each(
            "Peribronchial thickening",
            &[
                "Peribronchial thickening is observed on both sides.",
                "The bronchial walls are thickened bilaterally.",
                "There is diffuse peribronchial thickening in both lungs.",
            ],
        ));
        self.push("trachea and bronchie", s);
    }

    fn pleura(&mut self) {
        let mut s = self.each(
            "Pleural effusion",
            &[
                "A {kind} {side} pleural effusion is present, {size} in depth.",
                "There is {kind} pleural effusion on the {side} side, measuring {size} at its thickest.",
                "{kind} effusion reaching a depth of {size} is observed in the {side} pleural space.",
            ],
        );
        if s.is_empty() {
            s.push(self.say(
                &[
                    "No pleural effusion or thickening is seen.",
                    "Pleural effusion is not detected on either side.",
                    "The pleural spaces are free.",
                    "There is no pleural effusion or pneumothorax.",
                ],
                None,
            ));
        }
        self.push("pleura", s);
    }

    fn heart(&mut self) {
        let mut s = self.each(
            "Cardiomegaly",
            &[
                "The heart is enlarged, with a transverse diameter of {size}.",
                "Cardiomegaly is present; the heart measures {size} across.",
                "Heart size is increased, {size} in transverse diameter.",
            ],
        );
        if s.is_empty() {
            s.push(self.say(
                &[
                    "Heart size is normal.",
                    "The heart is of normal size and contour.",
                    "Heart contour and size are normal.",
                ],
                None,
            ));
        }
        let fluid = self.each(
            "Pericardial effusion",
            &[
                "A {kind} pericardial effusion with a thickness of {size} is seen.",
                "There is {kind} pericardial effusion measuring {size}.",
                "Fluid up to {size} thick is observed in the pericardial space.",
            ],
        );
        if fluid.is_empty() {
            s.push(self.say(
                &[
                    "No pericardial effusion is seen.",
                    "There is no pericardial effusion or thickening.",
                    "Pericardial effusion is not detected.",
                ],
                None,
            ));
        }
        s.extend(fluid);
        s.extend(self.each(
            "Coronary artery wall calcification",
            &[
                "Calcified plaques are seen in the {kind}.",
                "There is calcification of the {kind}, with plaques up to {size}.",
                "Calcific atherosclerotic changes are observed in the wall of the {kind}.",
            ],
        ));
        self.push("heart", s);
    }

    fn mediastinum(&mut self) {
        let mut s = self.each(
            "Lymphadenopathy",
            &[
                "An enlarged {kind} lymph node with a short axis of {size} is seen.",
                "There is {kind} lymphadenopathy, measuring {size} in short axis.",
                "A lymph node of {size} in short axis is observed at the {kind} station.",
            ],
        );
        if s.is_empty() {
            s.push(self.say(
                &[
                    "No enlarged mediastinal or hilar lymph nodes are seen.",
                    "There is no mediastinal lymph node of pathological size.",
                    "No lymphadenopathy is detected in the mediastinum.",
                ],
                None,
            ));
        }
        let calcium = self.each(
            "Arterial wall calcification",
            &[
                "Calcified {kind} up to {size} long are present in the wall of the thoracic aorta.",
                "There are calcific atherosclerotic {kind} in the aortic arch and the descending aorta, up to {size}.",
                "Wall calcification with {kind} is observed in the thoracic aorta.",
            ],
        );
        if calcium.is_empty() {
            s.push(self.say(
                &[
                    "Calibre of the thoracic aorta is normal.",
                    "The mediastinal vessels are of normal calibre.",
                    "The thoracic aorta is not dilated.",
                ],
                None,
            ));
        }
        s.extend(calcium);
        let truth = self.truth;
        for device in truth.findings.iter().filter(|f| f.label == "Medical material") {
            let phrases: &[&str] = match device.kind.as_str() {
                "pacemaker" => &[
                    "A pacemaker lies in the {side} chest wall, with its lead in the right ventricle.",
                    "There is a {side} sided pacemaker with a lead ending in the heart.",
                ],
                "central venous catheter" => &[
                    "A central venous catheter inserted from the {side} ends in the superior vena cava.",
                    "There is a {side} sided central venous catheter with its tip at the cavoatrial junction.",
                ],
                _ => &["Sternal wires are seen after sternotomy.", "There are metallic suture wires in the sternum."],
            };
            s.push(self.say(phrases, Some(device)));
        }
        self.push("mediastinum", s);
    }

    fn oesophagus(&mut self) {
        let mut s = self.each(
            "Hiatal hernia",
            &[
                "A hiatal hernia {size} wide is seen.",
                "There is a {kind} at the esophageal hiatus, measuring {size}.",
                "Hiatal hernia is observed at the lower end of the esophagus, {size} in width.",
            ],
        );
        if s.is_empty() {
            s.push(self.say(
                &[
                    "The esophagus is of normal calibre.",
                    "No wall thickening is seen in the esophagus.",
                    "The esophagus is unremarkable.",
                ],
                None,
            ));
        }
        self.push("esophagus", s);
    }

    fn rest(&mut self) {
        let abdomen = self.say(
            &[
                "The upper abdominal organs in the sections are normal.",
                "No abnormality is seen in the visible part of the abdomen.",
                "Liver, spleen and stomach are unremarkable as far as they are included.",
            ],
            None,
        );
        let bone = self.say(
            &[
                "No lytic or destructive lesion is seen in the bones.",
                "The bony structures are normal and vertebral heights are preserved.",
                "Bone structures in the field of view are unremarkable.",
            ],
            None,
        );
        let thyroid = self.say(
            &[
                "The thyroid gland is normal.",
                "The thyroid is unremarkable in the sections.",
                "No nodule is seen in the thyroid.",
            ],
            None,
        );
        self.push("abdomen", vec![abdomen]);
        self.push("bone", vec![bone]);
        self.push("thyroid", vec![thyroid]);
        if self.truth.sex == Sex::Female {
            let breast = self.say(
                &[
                    "No mass is seen in the breasts.",
                    "The breasts are unremarkable.",
                    "Breast tissue is symmetrical and normal.",
                ],
                None,
            );
            self.push("breast", vec![breast]);
        }
    }
}
