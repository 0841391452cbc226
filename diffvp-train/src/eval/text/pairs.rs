//! Tables of references and predictions, read row by row.

use std::fs::File;
use std::path::{Path, PathBuf};

use csv::ByteRecord;

use crate::quotes::{QuoteCounter, Quotes};
use crate::{Error, Result};

/// Column names that hold identifiers in the data sets of the field.
const ID_COLUMNS: [&str; 6] = ["accnum", "volumename", "image_id", "study_id", "id", "name"];

/// Where references and predictions are.
#[derive(Debug, Clone)]
pub struct PairSource {
    /// CSV (or, named `.tsv`, tab-separated) file with a header and the predictions.
    pub path: PathBuf,
    /// Column of the references.
    pub reference: String,
    /// Column of the predictions.
    pub prediction: String,
    /// File of the references, row by row with `path`, if it is another one.
    pub references: Option<PathBuf>,
    /// Column of identifiers; if none is named, one with a usual name is taken where it is.
    pub id: Option<String>,
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Number of the row, from 1, without the header.
    pub row: u64,
    /// Its identifier, where the table has a column of them.
    pub id: Option<String>,
    /// What should have been written.
    pub reference: String,
    /// What was written.
    pub prediction: String,
}

/// One file being read.
struct Table {
    path: PathBuf,
    reader: csv::Reader<QuoteCounter>,
    quotes: Quotes,
    header: Vec<String>,
    record: ByteRecord,
    row: u64,
}

impl PairSource {
    /// The name of the file of predictions, without its folder.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }

    /// Reads the table from its start.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] with the columns that are there; [`Error::Table`] where a file cannot be opened or has no header.
    /// The rows give [`Error::Table`] where they are not valid UTF-8, have another number of cells than the header, or end
    /// before the other file's.
    pub fn open(&self) -> Result<impl Iterator<Item = Result<Pair>>> {
        let mut predictions = Table::open(&self.path)?;
        let mut references = self.references.as_deref().map(Table::open).transpose()?;
        let prediction = predictions.column(&self.prediction)?;
        let reference = references.as_ref().unwrap_or(&predictions).column(&self.reference)?;
        let id = match &self.id {
            Some(name) => Some(predictions.column(name)?),
            None => {
                ID_COLUMNS.iter().find_map(|name| predictions.header.iter().position(|h| h.eq_ignore_ascii_case(name)))
            }
        };
        let mut ended = false;
        Ok(std::iter::from_fn(move || {
            if ended {
                return None;
            }
            let next = next_pair(&mut predictions, references.as_mut(), prediction, reference, id).transpose();
            ended = !matches!(next, Some(Ok(_)));
            next
        }))
    }
}

fn next_pair(
    predictions: &mut Table,
    references: Option<&mut Table>,
    prediction: usize,
    reference: usize,
    id: Option<usize>,
) -> Result<Option<Pair>> {
    let more = predictions.advance()?;
    let reference = match references {
        None if more => predictions.cell(reference)?,
        None => String::new(),
        Some(table) => {
            let other = table.advance()?;
            if other != more {
                let (longer, shorter) = if more { (predictions, table) } else { (table, predictions) };
                let rows = shorter.row;
                let total = longer.count_rest()?;
                let detail = format!("{rows} rows, but {} has {total}: they must be in step", longer.path.display());
                return Err(Error::Table { path: shorter.path.clone(), detail });
            }
            if more { table.cell(reference)? } else { String::new() }
        }
    };
    if !more {
        return Ok(None);
    }
    let id = id.map(|column| predictions.cell(column)).transpose()?;
    Ok(Some(Pair { row: predictions.row, id, reference, prediction: predictions.cell(prediction)? }))
}

impl Table {
    fn open(path: &Path) -> Result<Table> {
        let failed = |detail: String| Error::Table { path: path.to_path_buf(), detail };
        let metadata = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?;
        if !metadata.is_file() {
            return Err(failed("not a file; tables are read twice, so a pipe will not do".into()));
        }
        let file = File::open(path).map_err(|error| failed(error.to_string()))?;
        let (file, quotes) = QuoteCounter::new(file);
        let tabs = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tsv"));
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(if tabs { b'\t' } else { b',' })
            .buffer_capacity(1 << 18)
            .from_reader(file);
        let header = reader.byte_headers().map_err(|error| csv_error(path, &error))?;
        let mut names = Vec::with_capacity(header.len());
        for (i, cell) in header.iter().enumerate() {
            let cell = if i == 0 { cell.strip_prefix(b"\xef\xbb\xbf").unwrap_or(cell) } else { cell };
            let name =
                std::str::from_utf8(cell).map_err(|_| failed(format!("the header's cell {} is not UTF-8", i + 1)))?;
            names.push(name.trim().to_owned());
        }
        if names.iter().all(String::is_empty) {
            return Err(failed("no header: the first line must name the columns".into()));
        }
        let record = ByteRecord::new();
        Ok(Table { path: path.to_path_buf(), reader, quotes, header: names, record, row: 0 })
    }

    fn column(&self, name: &str) -> Result<usize> {
        let mut places = self.header.iter().enumerate().filter(|(_, header)| *header == name).map(|(i, _)| i);
        match (places.next(), places.next()) {
            (Some(place), None) => Ok(place),
            (Some(_), Some(_)) => {
                Err(Error::Table { path: self.path.clone(), detail: format!("two columns are named `{name}`") })
            }
            _ => {
                let quoted: Vec<String> = self.header.iter().map(|name| format!("`{name}`")).collect();
                Err(Error::MissingColumn { path: self.path.clone(), column: name.into(), found: quoted.join(", ") })
            }
        }
    }

    /// Reads the next row; says whether there was one.
    fn advance(&mut self) -> Result<bool> {
        let broken_lines = self.record.iter().any(|cell| cell.contains(&b'\n'));
        let more = self.reader.read_byte_record(&mut self.record).map_err(|error| csv_error(&self.path, &error))?;
        self.row += u64::from(more);
        if !more && broken_lines && self.quotes.open() {
            let detail = format!("row {}: a quote opens a cell that never ends", self.row);
            return Err(Error::Table { path: self.path.clone(), detail });
        }
        Ok(more)
    }

    /// Number of rows to the end.
    fn count_rest(&mut self) -> Result<u64> {
        while self.advance()? {}
        Ok(self.row)
    }

    fn cell(&self, column: usize) -> Result<String> {
        let bytes = self.record.get(column).unwrap_or_default();
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => {
                let (at, name) = (error.valid_up_to() + 1, &self.header[column]);
                let detail =
                    format!("row {}, column `{name}`: byte {at} is not UTF-8; save the table as UTF-8", self.row);
                Err(Error::Table { path: self.path.clone(), detail })
            }
        }
    }
}

fn csv_error(path: &Path, error: &csv::Error) -> Error {
    let detail = match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let (row, line) = pos.as_ref().map_or((0, 0), |pos| (pos.record(), pos.line()));
            format!("row {row} (line {line}) has {len} cells, the header {expected_len}")
        }
        csv::ErrorKind::Io(error) => error.to_string(),
        _ => error.to_string(),
    };
    Error::Table { path: path.to_path_buf(), detail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_give_rows_or_an_error(bytes in "ref,pred\n[a,\"\n\r\u{0}é]{0,60}".prop_map(String::into_bytes), cut in 0usize..70) {
            let file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
            std::fs::write(file.path(), &bytes[..bytes.len().min(cut)]).unwrap();
            let source = PairSource {
                path: file.path().to_path_buf(),
                reference: "ref".into(),
                prediction: "pred".into(),
                references: None,
                id: None,
            };
            if let Ok(rows) = source.open() {
                let rows: Vec<_> = rows.collect();
                // Only the last row can be an error.
                prop_assert!(rows.iter().rev().skip(1).all(Result::is_ok));
            }
        }
    }
}
