//! Tables in CSV form, read row by row, with errors that name the file and the line.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::quotes::{QuoteCounter, Quotes};
use crate::{Error, Result};

/// A table that is being read.
pub(super) struct Table {
    path: PathBuf,
    reader: csv::Reader<QuoteCounter>,
    quotes: Quotes,
    columns: Vec<String>,
}

/// One row of a table.
pub(super) struct Row<'t> {
    path: &'t Path,
    columns: &'t [String],
    record: csv::StringRecord,
    line: u64,
}

impl Table {
    /// Opens a table that must have these columns; more may stand beside them.
    pub(super) fn open(path: &Path, needed: &[&str]) -> Result<Table> {
        let file = File::open(path).map_err(|e| Error::data(path, e.to_string()))?;
        let (file, quotes) = QuoteCounter::new(file);
        let mut reader = csv::Reader::from_reader(file);
        let header = reader.headers().map_err(|e| Error::data(path, e.to_string()))?;
        // Spreadsheets write a byte order mark.
        let columns: Vec<String> =
            header.iter().map(|name| name.trim().trim_start_matches('\u{feff}').to_owned()).collect();
        for name in needed {
            if !columns.iter().any(|column| column == name) {
                let detail = format!("no column `{name}`; it has {}", columns.join(", "));
                return Err(Error::data(path, detail));
            }
        }
        Ok(Table { path: path.to_path_buf(), reader, quotes, columns })
    }

    /// Hands every row to `each`.
    pub(super) fn each(mut self, mut each: impl FnMut(Row<'_>) -> Result<()>) -> Result<()> {
        let mut last = None;
        for record in self.reader.records() {
            let record = record.map_err(|error| {
                let line = error.position().map_or(String::new(), |at| format!("line {}: ", at.line()));
                Error::data(&self.path, format!("{line}{error}"))
            })?;
            let line = record.position().map_or(0, csv::Position::line);
            last = record.iter().any(|cell| cell.contains('\n')).then_some(line);
            each(Row { path: &self.path, columns: &self.columns, record, line })?;
        }
        // The rows that it swallowed would be missing without a word.
        match last.filter(|_| self.quotes.open()) {
            Some(line) => {
                Err(Error::data(&self.path, format!("line {line}: a quotation mark opens a cell that never ends")))
            }
            None => Ok(()),
        }
    }
}

impl Row<'_> {
    /// A cell by its column, trimmed; empty where the table has no such column.
    pub(super) fn cell(&self, column: &str) -> &str {
        let index = self.columns.iter().position(|name| name == column);
        index.and_then(|index| self.record.get(index)).unwrap_or_default().trim()
    }

    /// The error of this row.
    pub(super) fn wrong(&self, detail: impl std::fmt::Display) -> Error {
        Error::data(self.path, format!("line {}: {detail}", self.line))
    }
}
