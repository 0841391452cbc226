//! The warm-up of the resampler: tokens that tell what a report states, before a language model reads them.

use tch::{Kind, Tensor};

use super::facts::{self, FACTS, Facts};
use super::prepared::Prepared;
use super::reading::{Wanted, each};
use super::trainer::{MicroBatch, Stage, told};
use crate::Result;
use crate::data::Sample;
use crate::model::{Mode, Parameters, Resampler, TokensHead};

/// The stage.
pub(super) struct WarmUpStage {
    parameters: Parameters,
    resampler: Resampler,
    head: TokensHead,
    prepared: Prepared,
    dropout: f64,
    train: Vec<(Sample, Facts)>,
    validation: Vec<(Sample, Facts)>,
    /// 1 for facts that are yes or no, 0 for sizes.
    is_yes_or_no: Tensor,
}

impl WarmUpStage {
    /// From parameters `resampler.*` and `facts.*`, trained, and scans with features.
    pub(super) fn new(
        parameters: Parameters,
        (resampler, head): (Resampler, TokensHead),
        prepared: Prepared,
        scans: [Vec<Sample>; 2],
        dropout: f64,
    ) -> Self {
        let with_facts = |samples: Vec<Sample>| -> Vec<(Sample, Facts)> {
            samples.into_iter().map(|sample| (sample.clone(), facts::read(&sample))).collect()
        };
        let [train, validation] = scans.map(with_facts);
        let kinds: Vec<f32> = (0..FACTS).map(|f| f32::from(u8::from(!facts::is_size(f)))).collect();
        let is_yes_or_no = Tensor::from_slice(&kinds).to_device(parameters.device());
        WarmUpStage { parameters, resampler, head, prepared, dropout, train, validation, is_yes_or_no }
    }

    /// Facts found `[b, facts]`, facts stated and their mask.
    fn run(&self, scans: &[&(Sample, Facts)], features: &Tensor, mode: Mode) -> [Tensor; 3] {
        let table = |of: fn(&Facts) -> &Vec<f32>| {
            let flat: Vec<f32> = scans.iter().flat_map(|s| of(&s.1).iter().copied()).collect();
            Tensor::from_slice(&flat).view([scans.len() as i64, -1]).to_device(self.parameters.device())
        };
        let (values, stated) = (table(|f| &f.values), table(|f| &f.stated));
        let tokens = self.resampler.forward(features).dropout(self.dropout, mode == Mode::Train);
        [self.head.forward(&tokens), values, stated]
    }

    fn files(&self, scans: &[&(Sample, Facts)]) -> Vec<Wanted> {
        vec![self.prepared.features(&scans.iter().map(|s| &s.0).collect::<Vec<_>>())]
    }

    /// Cross-entropy of the yes or no, squared error of the sizes, summed over scans; 18 labels weigh as much as 1.
    fn loss(&self, [found, values, stated]: &[Tensor; 3]) -> Tensor {
        let entropy = found.binary_cross_entropy_with_logits::<Tensor>(values, None, None, tch::Reduction::None);
        let error = (found - values).square();
        let each: Tensor = entropy * &self.is_yes_or_no + error * (1.0 - &self.is_yes_or_no);
        (each * stated).sum(Kind::Float) / crate::labels::FINDINGS.len() as f64
    }
}

impl Stage for WarmUpStage {
    fn name(&self) -> &'static str {
        "warm_up"
    }

    fn samples(&self) -> usize {
        self.train.len()
    }

    fn parameters(&mut self) -> &mut Parameters {
        &mut self.parameters
    }

    fn wanted(&self, part: &MicroBatch<'_>) -> Vec<Wanted> {
        self.files(&part.scans.iter().map(|&i| &self.train[i]).collect::<Vec<_>>())
    }

    fn micro_batch(&mut self, part: &MicroBatch<'_>, read: Vec<Tensor>) -> Result<Vec<(&'static str, Tensor)>> {
        let scans: Vec<&(Sample, Facts)> = part.scans.iter().map(|&i| &self.train[i]).collect();
        let loss = self.loss(&self.run(&scans, &read[0], Mode::Train)) / part.whole.len() as f64;
        loss.backward();
        Ok(vec![("loss", told(&loss))])
    }

    fn validate(&mut self) -> Result<Vec<(String, f64)>> {
        let all: Vec<&(Sample, Facts)> = self.validation.iter().collect();
        let (mut loss, mut right, mut asked) = (0.0, 0.0, 0.0);
        let sides: Vec<f32> = (0..FACTS).map(|f| f32::from(u8::from(facts::is_side(f)))).collect();
        let device = self.parameters.device();
        let sides = Tensor::from_slice(&sides).to_device(device);
        each(
            all.chunks(16),
            device,
            |scans| self.files(scans),
            |scans, read| {
                let result = self.run(scans, &read[0], Mode::Evaluate);
                loss += f64::try_from(self.loss(&result))?;
                let [found, values, stated] = &result;
                let mask = stated * &sides;
                let agree = found.gt(0.0).eq_tensor(&values.gt(0.5)).to_kind(Kind::Float) * &mask;
                right += f64::try_from(agree.sum(Kind::Float))?;
                asked += f64::try_from(mask.sum(Kind::Float))?;
                Ok(())
            },
        )?;
        let sides_right = if asked > 0.0 { right / asked } else { 0.0 };
        Ok(vec![("loss".into(), loss / all.len() as f64), ("sides_right".into(), sides_right)])
    }
}
