//! Evaluation of generated reports, with the numbers a paper would print.
//!
//! | room | what |
//! |---|---|
//! | [`text`] | BLEU, ROUGE, METEOR, CIDEr of references against predictions |
//! | [`statistics`] | means, tests, intervals |
//! | [`regions`] | reports taken apart by region, and whether the right regions are reported |
//! | [`clinical`] | the 18 findings that texts state, and precision, recall and F1 of them |
//! | [`phantoms`] | reports of phantoms against what is exactly in them |
//! | [`judge`] | pairwise prompts for a language model as judge, and its answers counted |
//!
//! `docs/evaluation.md` has the conventions of each number.

pub mod clinical;
pub mod judge;
pub mod phantoms;
pub mod regions;
pub mod statistics;
pub mod text;
