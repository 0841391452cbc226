//! CSV files: columns by name, one record in memory at a time.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use csv::{ByteRecord, Reader, ReaderBuilder};

use super::Labels;
use crate::labels::FINDINGS;
use crate::{Error, Result};

/// Names under which the data sets of the field keep the id of a report, without regard to case.
const ID_COLUMNS: [&str; 6] = ["id", "accnum", "accessionno", "volumename", "name", "scan"];

/// An open CSV file with a header.
pub(super) struct Table {
    path: PathBuf,
    reader: Reader<File>,
    columns: Vec<String>,
    /// Row that was read last; the header is row 1.
    row: u64,
}

/// One row.
pub(super) struct Row {
    record: ByteRecord,
    /// Its number in the file; the header is row 1. A row with line breaks in cells is one row.
    pub(super) number: u64,
}

impl Table {
    pub(super) fn open(path: &Path) -> Result<Table> {
        let file = File::open(path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => diffvp::Error::NotFound { path: path.to_owned() },
            _ => diffvp::Error::Read { path: path.to_owned(), source },
        })?;
        // Rows of unequal length are found below, with a message that names the row.
        let mut reader = ReaderBuilder::new().flexible(true).from_reader(file);
        let header = reader.byte_headers().map_err(|e| wrong(path, e.to_string()))?.clone();
        let mut columns = Vec::new();
        for (index, name) in header.iter().enumerate() {
            let name = if index == 0 { name.strip_prefix(b"\xef\xbb\xbf").unwrap_or(name) } else { name };
            let name = std::str::from_utf8(name);
            let name = name.map_err(|_| wrong(path, format!("the name of column {} is not UTF-8", index + 1)))?;
            columns.push(name.trim().trim_matches('"').to_owned());
        }
        if columns.iter().all(String::is_empty) {
            return Err(wrong(path, "it is empty; the first row must name the columns".into()));
        }
        Ok(Table { path: path.to_owned(), reader, columns, row: 1 })
    }

    /// Index of a column.
    pub(super) fn column(&self, name: &str) -> Result<usize> {
        let mut found = self.columns.iter().enumerate().filter(|(_, column)| *column == name).map(|(index, _)| index);
        match (found.next(), found.next()) {
            (Some(index), None) => Ok(index),
            (Some(_), Some(_)) => Err(wrong(&self.path, format!("it has two columns {name:?}"))),
            (None, _) => {
                let mut detail = format!("it has no column {name:?}; it has {}", self.names());
                if self.columns.len() == 1 && self.columns[0].contains([';', '\t']) {
                    detail.push_str(". Are its fields separated by something else than commas?");
                }
                Err(wrong(&self.path, detail))
            }
        }
    }

    /// The named column, or the first that usually holds the id.
    pub(super) fn id_column(&self, name: Option<&str>) -> Result<Option<usize>> {
        match name {
            Some(name) => self.column(name).map(Some),
            None => Ok(ID_COLUMNS.iter().find_map(|id| self.columns.iter().position(|c| c.eq_ignore_ascii_case(id)))),
        }
    }

    /// The columns of the 18 findings, in their order.
    pub(super) fn label_columns(&self) -> Result<[usize; 18]> {
        let missing: Vec<&str> = FINDINGS.into_iter().filter(|f| !self.columns.iter().any(|c| c == f)).collect();
        if !missing.is_empty() {
            let detail = format!("it lacks the label columns {missing:?}; it has {}", self.names());
            return Err(wrong(&self.path, detail));
        }
        let mut columns = [0; 18];
        for (column, finding) in columns.iter_mut().zip(FINDINGS) {
            *column = self.column(finding)?;
        }
        Ok(columns)
    }

    fn names(&self) -> String {
        let some: Vec<_> = self.columns.iter().take(30).map(|c| format!("{c:?}")).collect();
        let more = self.columns.len().saturating_sub(some.len());
        some.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
    }

    /// The next row, `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<Row>> {
        let mut record = ByteRecord::new();
        self.row += 1;
        if !self.reader.read_byte_record(&mut record).map_err(|e| wrong(&self.path, e.to_string()))? {
            return Ok(None);
        }
        if record.len() != self.columns.len() {
            let detail = format!(
                "row {} has {} fields, and the header has {}: is a quotation mark missing in the rows before?",
                self.row,
                record.len(),
                self.columns.len()
            );
            return Err(wrong(&self.path, detail));
        }
        Ok(Some(Row { record, number: self.row }))
    }

    /// The text in a cell.
    pub(super) fn text<'r>(&self, row: &'r Row, column: usize) -> Result<&'r str> {
        std::str::from_utf8(&row.record[column]).map_err(|e| {
            let name = &self.columns[column];
            let detail = format!(
                "row {}, column {name:?}: byte {} is not UTF-8; convert the file, for example with `iconv -f WINDOWS-1252 -t UTF-8`",
                row.number,
                e.valid_up_to() + 1
            );
            wrong(&self.path, detail)
        })
    }

    /// The labels in the cells of those columns: 0 or 1, also as 0.0 and 1.0.
    pub(super) fn labels(&self, row: &Row, columns: &[usize; 18]) -> Result<Labels> {
        let mut labels = [false; 18];
        for ((label, column), finding) in labels.iter_mut().zip(columns).zip(FINDINGS) {
            *label = match self.text(row, *column)?.trim() {
                "0" | "0.0" => false,
                "1" | "1.0" => true,
                other => {
                    let other: String = other.chars().take(20).collect();
                    let detail = format!("row {}, column {finding:?}: {other:?} is neither 0 nor 1", row.number);
                    return Err(wrong(&self.path, detail));
                }
            };
        }
        Ok(labels)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

pub(super) fn wrong(path: &Path, detail: String) -> Error {
    Error::Table { path: path.to_owned(), detail }
}

/// All labels of a table by id, in the named column if it has it.
pub(super) fn labels_by_id(path: &Path, id: Option<&str>) -> Result<HashMap<String, Labels>> {
    let mut table = Table::open(path)?;
    let columns = table.label_columns()?;
    let id = id.filter(|name| table.columns.iter().any(|column| column == name));
    let id = table.id_column(id)?.ok_or_else(|| no_id(&table))?;
    let mut labels = HashMap::new();
    while let Some(row) = table.next()? {
        let key = table.text(&row, id)?.trim().to_owned();
        if labels.insert(key, table.labels(&row, &columns)?).is_some() {
            return Err(wrong(path, format!("row {} has the id of a row before: which labels hold?", row.number)));
        }
    }
    Ok(labels)
}

pub(super) fn no_id(table: &Table) -> Error {
    wrong(&table.path, format!("no column holds the ids of reports (name one with --id); it has {}", table.names()))
}
