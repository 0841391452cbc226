//! How one report is made, and what is heard while it is.

use crate::decode::Sampling;
use crate::package::manifest::{ReportForm, SectionOrder};
use crate::runtime::CancelToken;
use crate::vision::ReferencePolicy;
use crate::{Error, Result};

/// How one report is made. The same scan, package, options and device give the same report.
///
/// ```
/// use diffvp::{ReportOptions, Sampling};
/// let options = ReportOptions::default()
///     .seed(7)
///     .sampling(Sampling::Random { temperature: 0.7, top_k: 40, top_p: 0.95 });
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReportOptions {
    /// Seed of everything drawn at random: the reference, and tokens where sampling is random. Default 0.
    pub seed: u64,
    /// How tokens are picked. Default greedy.
    pub sampling: Sampling,
    /// Which normal reference the scan is compared with. Default by seed.
    pub reference: ReferencePolicy,
    /// Most tokens the model writes; the manifest's number without one, which it can only lower.
    pub max_new_tokens: Option<usize>,
    /// Report also a scan that does not show what the model is for. Default false: such a scan is refused.
    pub any_body_part: bool,
    /// Propose tokens and check several in one run of the decoder. The text is the same without, and takes longer. Default true;
    /// without effect where a decoder's rows depend on each other's company ([`Decoder::rows_agree`](crate::runtime::Decoder::rows_agree)).
    pub drafting: bool,
    /// In which order the sections are written, of those that the package offers ([`ReportForm::orders`]); without one its first.
    /// Another order gives another text.
    ///
    /// [`ReportForm::orders`]: crate::package::manifest::ReportForm::orders
    pub sections: Option<SectionOrder>,
    /// Stops the report from another thread.
    pub cancel: CancelToken,
}

impl Default for ReportOptions {
    fn default() -> Self {
        ReportOptions {
            seed: 0,
            sampling: Sampling::default(),
            reference: ReferencePolicy::default(),
            max_new_tokens: None,
            any_body_part: false,
            drafting: true,
            sections: None,
            cancel: CancelToken::default(),
        }
    }
}

impl ReportOptions {
    /// Sets [`seed`](Self::seed).
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets [`sampling`](Self::sampling).
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = sampling;
        self
    }

    /// Sets [`reference`](Self::reference).
    pub fn reference(mut self, reference: ReferencePolicy) -> Self {
        self.reference = reference;
        self
    }

    /// Sets [`max_new_tokens`](Self::max_new_tokens).
    pub fn max_new_tokens(mut self, tokens: usize) -> Self {
        self.max_new_tokens = Some(tokens);
        self
    }

    /// Sets [`any_body_part`](Self::any_body_part).
    pub fn any_body_part(mut self, any: bool) -> Self {
        self.any_body_part = any;
        self
    }

    /// Sets [`drafting`](Self::drafting).
    pub fn drafting(mut self, drafting: bool) -> Self {
        self.drafting = drafting;
        self
    }

    /// Sets [`sections`](Self::sections).
    pub fn sections(mut self, order: SectionOrder) -> Self {
        self.sections = Some(order);
        self
    }

    /// Sets [`cancel`](Self::cancel).
    pub fn cancel(mut self, cancel: CancelToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// The order in which the sections of a form are written.
    pub(crate) fn order(&self, form: &ReportForm) -> Result<SectionOrder> {
        let offered = form.orders();
        match self.sections {
            None => Ok(offered.first().copied().unwrap_or(SectionOrder::Sequential)),
            Some(order) if offered.contains(&order) => Ok(order),
            Some(order) => {
                let offered: Vec<String> = offered.iter().map(SectionOrder::to_string).collect();
                let detail = format!("{order}: this package offers {}", offered.join(" or "));
                Err(Error::InvalidOption { name: "sections", detail })
            }
        }
    }
}

/// What happens while a report is made.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A stage begins. `done` is the share of stages that are over, from 0 to 1.
    Stage {
        /// The stage.
        stage: Stage,
        /// Share of stages that are over.
        done: f32,
    },
    /// New text of the report, headings included; the pieces joined are the report's text.
    Text(&'a str),
}

/// Stages of a report, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stage {
    /// Volume → model input.
    Preprocess,
    /// Model input → tokens.
    Encode,
    /// Model input → findings.
    Classify,
    /// Tokens against the reference's tokens.
    Contrast,
    /// X_in into the decoder's cache.
    Prefill,
    /// Token by token.
    Decode,
}

impl Stage {
    /// All stages in order.
    pub const ALL: [Stage; 6] =
        [Stage::Preprocess, Stage::Encode, Stage::Classify, Stage::Contrast, Stage::Prefill, Stage::Decode];
}

/// What a listener wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Flow {
    /// Go on.
    Continue,
    /// Stop: the report ends with [`crate::Error::Cancelled`].
    Stop,
}
