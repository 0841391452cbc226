//! METEOR as NLTK's `single_meteor_score` computes it on `word_tokenize`d texts (α 0.9, β 3, γ 0.5).

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::porter::stem;
use super::tokens::{Punkt, nltk_words};
use super::wordnet::WordNet;

const ALPHA: f64 = 0.9;
const BETA: f64 = 3.0;
const GAMMA: f64 = 0.5;

/// Words kept per thread with their stems and synonyms: reports have few distinct ones.
const REMEMBERED: usize = 1 << 16;

/// The metric with its word knowledge.
pub struct Meteor {
    punkt: Punkt,
    wordnet: WordNet,
    /// Tells what a thread remembers of this dictionary from what it remembers of another.
    number: u64,
}

/// What a thread has looked up.
#[derive(Default)]
struct Memory {
    stems: HashMap<String, Rc<str>>,
    synonyms: HashMap<Rc<str>, Rc<[String]>>,
}

/// A word that has no partner yet: its place among the words of its text, and its form.
type Word = (usize, Rc<str>);

impl Meteor {
    /// The metric with a dictionary.
    pub fn new(wordnet: WordNet) -> Meteor {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        Meteor { punkt: Punkt::english(), wordnet, number: COUNT.fetch_add(1, Ordering::Relaxed) }
    }

    /// The dictionary.
    pub fn wordnet(&self) -> &WordNet {
        &self.wordnet
    }

    /// METEOR of one pair, 0 to 1; 0 where either text has no word.
    pub fn score(&self, reference: &str, prediction: &str) -> f64 {
        thread_local! {
            static MEMORY: RefCell<(u64, Memory)> = RefCell::default();
        }
        let tokens = |text: &str| -> Vec<Word> {
            let lower = |word: String| Rc::from(word.to_lowercase());
            nltk_words(text, &self.punkt).into_iter().map(lower).enumerate().collect()
        };
        let (prediction, reference) = (tokens(prediction), tokens(reference));
        let (prediction_length, reference_length) = (prediction.len() as f64, reference.len() as f64);
        let matches = MEMORY.with_borrow_mut(|(owner, memory)| {
            if *owner != self.number || memory.stems.len() > REMEMBERED {
                (*owner, *memory) = (self.number, Memory::default());
            }
            self.align(prediction, reference, memory)
        });
        if matches.is_empty() {
            return 0.0;
        }
        let count = matches.len() as f64;
        let (precision, recall) = (count / prediction_length, count / reference_length);
        let mean = (precision * recall) / (ALPHA * precision + (1.0 - ALPHA) * recall);
        let chunks = 1 + matches.windows(2).filter(|w| w[1].0 != w[0].0 + 1 || w[1].1 != w[0].1 + 1).count();
        let penalty = GAMMA * (chunks as f64 / count).powf(BETA);
        (1.0 - penalty) * mean
    }

    /// Pairs of places, by place in the prediction: equal words first, then equal stems, then synonyms *of the stems*, as NLTK
    /// does, which hands the stems on.
    fn align(&self, prediction: Vec<Word>, reference: Vec<Word>, memory: &mut Memory) -> Vec<(usize, usize)> {
        let mut pairs = Vec::new();
        let (prediction, reference) = pair_equal(prediction, reference, &mut pairs);
        let mut stemmed = |words: Vec<Word>| -> Vec<Word> {
            words.into_iter().map(|(place, word)| (place, memory.stem(&word))).collect()
        };
        let (prediction, reference) = (stemmed(prediction), stemmed(reference));
        let (prediction, reference) = pair_equal(prediction, reference, &mut pairs);
        self.pair_synonyms(&prediction, &reference, memory, &mut pairs);
        pairs.sort_unstable();
        pairs
    }

    fn pair_synonyms(
        &self,
        prediction: &[Word],
        reference: &[Word],
        memory: &mut Memory,
        pairs: &mut Vec<(usize, usize)>,
    ) {
        let mut places = places(reference);
        for (place, word) in prediction.iter().rev() {
            let synonyms = memory.synonyms(word, &self.wordnet);
            let forms = synonyms.iter().map(String::as_str).chain([&**word]);
            let last = |form: &&str| places.get(*form).and_then(|at| at.last().copied());
            let best = forms.filter_map(|form| Some((last(&form)?, form))).max();
            if let Some((at, form)) = best {
                places.get_mut(form).map(Vec::pop);
                pairs.push((*place, reference[at].0));
            }
        }
    }
}

/// Where each form stands in a list, in ascending order.
fn places(words: &[Word]) -> HashMap<&str, Vec<usize>> {
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, (_, word)) in words.iter().enumerate() {
        places.entry(word).or_default().push(at);
    }
    places
}

/// Pairs equal words from the end of the prediction on, each with the last one that is left; returns what stays alone.
fn pair_equal(prediction: Vec<Word>, reference: Vec<Word>, pairs: &mut Vec<(usize, usize)>) -> (Vec<Word>, Vec<Word>) {
    let mut places = places(&reference);
    let mut taken = vec![false; reference.len()];
    let mut alone: Vec<Word> = Vec::new();
    for (place, word) in prediction.into_iter().rev() {
        match places.get_mut(&*word).and_then(Vec::pop) {
            Some(at) => {
                taken[at] = true;
                pairs.push((place, reference[at].0));
            }
            None => alone.push((place, word)),
        }
    }
    alone.reverse();
    let left = reference.into_iter().zip(taken).filter(|(_, taken)| !taken).map(|(word, _)| word).collect();
    (alone, left)
}

impl Memory {
    fn stem(&mut self, word: &str) -> Rc<str> {
        if let Some(known) = self.stems.get(word) {
            return known.clone();
        }
        let stem: Rc<str> = stem(word).into();
        self.stems.insert(word.to_owned(), stem.clone());
        stem
    }

    fn synonyms(&mut self, word: &Rc<str>, wordnet: &WordNet) -> Rc<[String]> {
        let look_up = || wordnet.synonyms(&word.to_lowercase()).into_iter().collect();
        self.synonyms.entry(word.clone()).or_insert_with(look_up).clone()
    }
}
