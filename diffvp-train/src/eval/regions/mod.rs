//! Reports by region.
