//! The subcommands, one a file.

pub(crate) mod synth;
