//! Reports as token sequences, in the form in which the library decodes them.

use diffvp::package::manifest::{FindingsText, Generation, PromptSegment, ReportForm, SectionOrder, SectionSpec};
use tokenizers::Tokenizer;

use crate::data::Sample;
use crate::{Error, Result};

/// Where an input row of the decoder comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Row {
    /// Embedding of a token.
    Token(u32),
    /// A row of Δ_prompt.
    Prefix(usize),
    /// A row of I·W.
    Visual(usize),
}

/// One scan's sequence.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sequence {
    /// Rows of X_in, then of the report.
    pub(super) rows: Vec<Row>,
    /// Position of a row, and the token that should follow it.
    pub(super) targets: Vec<(usize, u32)>,
    /// First rows of the sections, where each sees the prompt and itself alone and has the positions behind the prompt; empty
    /// where every row sees all before it.
    pub(super) branches: Vec<usize>,
}

/// Texts and tokenizer of a model.
pub(super) struct Texts {
    tokenizer: Tokenizer,
    end: u32,
    prompt: Vec<PromptSegment>,
    findings_text: FindingsText,
    findings: Vec<String>,
    sections: Vec<SectionSpec>,
    generation: Generation,
    prefix_tokens: usize,
    visual_tokens: usize,
}

/// What [`Texts::new`] takes from a description and a config.
pub(super) struct TextParts {
    /// `tokenizer.json`.
    pub(super) tokenizer_json: String,
    /// Ends a section or a report.
    pub(super) end_token: String,
    /// Segments of X_in.
    pub(super) prompt: Vec<PromptSegment>,
    /// How findings become text.
    pub(super) findings_text: FindingsText,
    /// Names of the findings.
    pub(super) findings: Vec<String>,
    /// Sections in their order.
    pub(super) sections: Vec<SectionSpec>,
    /// How reports are decoded.
    pub(super) generation: Generation,
    /// Rows of Δ_prompt and of I·W.
    pub(super) rows: [usize; 2],
}

impl Texts {
    /// # Errors
    /// [`Error::Training`] where the tokenizer cannot be read or lacks a token.
    pub(super) fn new(parts: TextParts) -> Result<Self> {
        let failed = |e: tokenizers::Error| Error::training(format!("tokenizer: {e}"));
        let mut tokenizer = Tokenizer::from_bytes(parts.tokenizer_json.as_bytes()).map_err(failed)?;
        tokenizer.with_truncation(None).map_err(failed)?;
        tokenizer.with_padding(None);
        let missing = || Error::training(format!("tokenizer: it has no token {:?}", parts.end_token));
        Ok(Texts {
            end: tokenizer.token_to_id(&parts.end_token).ok_or_else(missing)?,
            tokenizer,
            prompt: parts.prompt,
            findings_text: parts.findings_text,
            findings: parts.findings,
            sections: parts.sections,
            generation: parts.generation,
            prefix_tokens: parts.rows[0],
            visual_tokens: parts.rows[1],
        })
    }

    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.tokenizer.encode(text, false).map_err(|e| Error::training(format!("tokenizer: {e}")))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Sequences of a scan whose classifier found `present`, one for each order in which its sections can be written. They differ in
    /// what a section sees, not in what is to be written.
    ///
    /// In guided sections a heading is forced, the section follows, and the end token is asked for behind it; it is never an
    /// input, as in decoding. A region without a sentence is an empty section. A free report is the regions with their
    /// headings, or where the scan has none, the report as it is.
    ///
    /// # Errors
    /// [`Error::Training`] where a text cannot be tokenised, and for a scan that has not what the form needs.
    pub(super) fn sequences(&self, sample: &Sample, present: &[bool]) -> Result<Vec<Sequence>> {
        if let Some(lack) = lack(sample, &self.generation.form) {
            return Err(Error::training(format!("{}: {lack}", sample.name)));
        }
        let prompt = self.prompt_rows(present)?;
        let orders = self.generation.form.orders();
        orders.iter().map(|order| self.sequence(prompt.clone(), sample, *order)).collect()
    }

    /// Rows of X_in.
    fn prompt_rows(&self, present: &[bool]) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for segment in &self.prompt {
            match segment {
                PromptSegment::Difference => rows.extend((0..self.prefix_tokens).map(Row::Prefix)),
                PromptSegment::Visual => rows.extend((0..self.visual_tokens).map(Row::Visual)),
                PromptSegment::Findings => {
                    rows.extend(self.encode(&self.findings_words(present))?.into_iter().map(Row::Token))
                }
                PromptSegment::Text { text } => rows.extend(self.encode(text)?.into_iter().map(Row::Token)),
                PromptSegment::Token { token } => {
                    let missing = || Error::training(format!("tokenizer: the prompt needs {token:?}, which it lacks"));
                    rows.push(Row::Token(self.tokenizer.token_to_id(token).ok_or_else(missing)?));
                }
                other => return Err(Error::training(format!("no training for the prompt segment {other:?}"))),
            }
        }
        Ok(rows)
    }

    fn sequence(&self, prompt: Vec<Row>, sample: &Sample, order: SectionOrder) -> Result<Sequence> {
        let mut sequence = Sequence { rows: prompt, targets: Vec::new(), branches: Vec::new() };
        match &self.generation.form {
            ReportForm::GuidedSections { before_heading, after_heading, .. } => {
                for (index, section) in self.sections.iter().enumerate() {
                    let alone = order == SectionOrder::Parallel;
                    if alone {
                        sequence.branches.push(sequence.rows.len());
                    }
                    let before = if index == 0 || alone { "" } else { before_heading.as_str() };
                    let heading = self.encode(&format!("{before}{}{after_heading}", section.heading))?;
                    sequence.rows.extend(heading.into_iter().map(Row::Token));
                    let text = text_of(sample, &section.region).map(|t| format!(" {t}")).unwrap_or_default();
                    sequence.push(&self.encode(&text)?, self.end);
                }
            }
            ReportForm::Free => {
                sequence.push(&self.encode(&free_text(sample, &self.sections))?, self.end);
            }
            other => return Err(Error::training(format!("no training for the report form {other:?}"))),
        }
        Ok(sequence)
    }

    /// The findings text E.
    fn findings_words(&self, present: &[bool]) -> String {
        let names = self.findings.iter().zip(present).filter(|(_, p)| **p).map(|(name, _)| name.as_str());
        let names: Vec<&str> = names.collect();
        let text = &self.findings_text;
        if names.is_empty() {
            return text.none.clone();
        }
        format!("{}{}{}", text.prefix, names.join(&text.separator), text.suffix)
    }

    /// Tokens that a section may have when it is decoded, where it has a limit.
    pub(super) fn section_limit(&self) -> Option<usize> {
        match &self.generation.form {
            ReportForm::GuidedSections { max_section_tokens, .. } => Some(*max_section_tokens),
            _ => None,
        }
    }
}

impl Sequence {
    /// Tokens to be written, and the end behind them.
    fn push(&mut self, tokens: &[u32], end: u32) {
        for &token in tokens {
            self.targets.push((self.rows.len() - 1, token));
            self.rows.push(Row::Token(token));
        }
        self.targets.push((self.rows.len() - 1, end));
    }

    /// Tokens of the longest stretch between two ends.
    pub(super) fn longest_section(&self, end: u32) -> usize {
        self.targets.split(|(_, token)| *token == end).map(<[_]>::len).max().unwrap_or(0)
    }
}

impl Texts {
    /// Id of the end token.
    pub(super) fn end(&self) -> u32 {
        self.end
    }
}

fn text_of<'s>(sample: &'s Sample, region: &str) -> Option<&'s str> {
    sample.regions.iter().find(|(r, _)| r == region).map(|(_, text)| text.as_str()).filter(|text| !text.is_empty())
}

/// A whole report for the free form.
fn free_text(sample: &Sample, sections: &[SectionSpec]) -> String {
    let part = |s: &SectionSpec| Some(format!("{}: {}", s.heading, text_of(sample, &s.region)?));
    let parts: Vec<String> = sections.iter().filter_map(part).collect();
    if parts.is_empty() { sample.report.clone().unwrap_or_default() } else { parts.join(" ") }
}

/// What a scan lacks to be trained on in a form of report: a sequence of nothing but empty sections would teach to write
/// nothing.
pub(super) fn lack(sample: &Sample, form: &ReportForm) -> Option<&'static str> {
    match form {
        ReportForm::GuidedSections { .. } if sample.regions.is_empty() => Some(
            "its report is not divided into regions, which guided sections need: set generation.form to { kind = \"free\" }",
        ),
        _ if sample.regions.is_empty() && sample.report.is_none() => Some("it has no report"),
        _ => None,
    }
}

/// All that a tokenizer for these reports should know well: headings with sentences, and the fixed texts of the prompt.
pub(super) fn training_texts(
    samples: &[Sample],
    sections: &[SectionSpec],
    findings: &[String],
    fixed: &[String],
) -> Vec<String> {
    let mut texts = Vec::new();
    for sample in samples {
        if sample.regions.is_empty() {
            texts.extend(sample.report.clone());
            continue;
        }
        for section in sections {
            let text = text_of(sample, &section.region).map(|t| format!(" {t}")).unwrap_or_default();
            texts.push(format!(" {}:{text}", section.heading));
        }
    }
    // Fixed texts and names stand in every prompt: they are worth tokens of their own.
    let often = samples.len().clamp(2, 200);
    for text in fixed.iter().cloned().chain(findings.iter().flat_map(|f| [format!(" {f},"), format!(" {f}.")])) {
        texts.extend(std::iter::repeat_n(text, often));
    }
    texts
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use diffvp_exporter::package::lineage;
    use diffvp_exporter::tokenizer::{self, BEGIN, END};

    use super::*;
    use crate::data::{LabelSource, Split};

    const REPORT: &str = "The lungs are clear. Heart size is normal.";

    fn sample(regions: &[(&str, &str)], report: Option<&str>) -> Sample {
        Sample {
            name: "scan".into(),
            scan: PathBuf::from("scan.nii.gz").into(),
            organs: None,
            finding_masks: None,
            labels: vec![0; 18],
            label_source: LabelSource::Table,
            regions: regions.iter().map(|(r, t)| (r.to_string(), t.to_string())).collect(),
            report: report.map(String::from),
            normal: true,
            split: Split::Train,
        }
    }

    fn texts(form: ReportForm) -> Texts {
        let tokenizer = tokenizer::demo(400).unwrap();
        Texts::new(TextParts {
            tokenizer_json: tokenizer.json,
            end_token: END.into(),
            prompt: lineage::prompt(BEGIN),
            findings_text: lineage::findings_text(),
            findings: lineage::FINDINGS.map(String::from).to_vec(),
            sections: lineage::sections(),
            generation: Generation { form, max_new_tokens: 200 },
            rows: [2, 3],
        })
        .unwrap()
    }

    fn guided() -> ReportForm {
        lineage::guided_sections(40).form
    }

    fn sequence(texts: &Texts, sample: &Sample) -> Sequence {
        let mut all = texts.sequences(sample, &[false; 18]).unwrap();
        assert_eq!(all.len(), 1);
        all.remove(0)
    }

    /// What the targets say, in pieces between the ends.
    fn written(texts: &Texts, sequence: &Sequence) -> Vec<String> {
        let pieces = sequence.targets.split_inclusive(|(_, token)| *token == texts.end);
        let decode = |piece: &[(usize, u32)]| {
            let (end, words) = piece.split_last().unwrap();
            assert_eq!(end.1, texts.end, "every piece ends");
            let ids: Vec<u32> = words.iter().map(|(_, token)| *token).collect();
            texts.tokenizer.decode(&ids, false).unwrap().trim().to_owned()
        };
        pieces.map(decode).collect()
    }

    /// Each target stands at the row before it: that row's output is the next token.
    fn follows(sequence: &Sequence, end: u32) {
        for &(at, token) in &sequence.targets {
            let next = sequence.rows.get(at + 1);
            assert!(token == end || next == Some(&Row::Token(token)), "{at}: {next:?}, not {token}");
        }
    }

    #[test]
    fn a_free_report_is_the_regions_or_else_the_report_as_it_is() {
        let texts = texts(ReportForm::Free);
        let whole = sequence(&texts, &sample(&[], Some(REPORT)));
        assert_eq!(written(&texts, &whole), [REPORT]);
        follows(&whole, texts.end);
        let regions = [("lung", "The lungs are clear."), ("heart", "Heart size is normal.")];
        let divided = sequence(&texts, &sample(&regions, Some("Not this.")));
        let heading = |region: &str| texts.sections.iter().find(|s| s.region == region).unwrap().heading.clone();
        let (heart, lung) = (heading("heart"), heading("lung"));
        let expected = format!("{heart}: Heart size is normal. {lung}: The lungs are clear.");
        assert_eq!(written(&texts, &divided), [expected]);
    }

    #[test]
    fn guided_sections_follow_their_headings_and_are_empty_without_a_sentence() {
        let texts = texts(guided());
        let sequence = sequence(&texts, &sample(&[("lung", "The lungs are clear.")], None));
        let lung = texts.sections.iter().position(|s| s.region == "lung").unwrap();
        let mut expected = vec![String::new(); texts.sections.len()];
        expected[lung] = "The lungs are clear.".into();
        assert_eq!(written(&texts, &sequence), expected);
        follows(&sequence, texts.end);
        assert!(!sequence.rows.contains(&Row::Token(texts.end)), "the end is asked for and never read");
        assert_eq!(sequence.longest_section(texts.end), texts.encode(" The lungs are clear.").unwrap().len());
    }

    #[test]
    fn sections_at_once_say_the_same_behind_headings_without_separators() {
        let both = [SectionOrder::Sequential, SectionOrder::Parallel];
        let texts = texts(lineage::guided_sections(40).with_orders(&both).form);
        let regions = [("lung", "The lungs are clear."), ("heart", "Heart size is normal.")];
        let [one, all]: [Sequence; 2] =
            texts.sequences(&sample(&regions, None), &[false; 18]).unwrap().try_into().unwrap();
        assert_eq!(written(&texts, &one), written(&texts, &all));
        follows(&all, texts.end);
        assert!(one.branches.is_empty());
        assert_eq!(all.branches.len(), texts.sections.len());
        let prompt = all.branches[0];
        assert_eq!(one.rows[..prompt], all.rows[..prompt]);
        for (index, &begin) in all.branches.iter().enumerate() {
            let heading = texts.encode(&format!("{}:", texts.sections[index].heading)).unwrap();
            let rows = heading.into_iter().map(Row::Token).collect::<Vec<_>>();
            assert_eq!(all.rows[begin..begin + rows.len()], rows);
        }
    }

    #[test]
    fn a_report_that_the_form_cannot_hold_is_refused_and_not_trained_as_empty_sections() {
        let undivided = sample(&[], Some(REPORT));
        let error = texts(guided()).sequences(&undivided, &[false; 18]).unwrap_err().to_string();
        assert!(error.contains("scan: ") && error.contains("kind = \"free\""), "{error}");
        assert!(lack(&undivided, &ReportForm::Free).is_none());
        for form in [guided(), ReportForm::Free] {
            assert!(texts(form).sequences(&sample(&[], None), &[false; 18]).is_err());
        }
    }

    #[test]
    fn the_tokenizer_learns_from_reports_without_regions_too() {
        let samples = [sample(&[], Some(REPORT)), sample(&[("lung", "Clear.")], Some("Not this."))];
        let texts = training_texts(&samples, &lineage::sections(), &[], &[]);
        assert_eq!(texts.iter().filter(|text| *text == REPORT).count(), 1);
        assert_eq!(texts.iter().filter(|text| text.ends_with(": Clear.")).count(), 1);
        assert!(!texts.iter().any(|text| text.contains("Not this")));
    }
}
