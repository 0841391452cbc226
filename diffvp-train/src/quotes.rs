//! Cells of a CSV file that a quotation mark opens and none closes: readers take all that follows for one cell.

use std::cell::Cell;
use std::fs::File;
use std::io::Read;
use std::rc::Rc;

/// Passes bytes on and counts quotation marks.
pub(crate) struct QuoteCounter {
    file: File,
    quotes: Rc<Cell<u64>>,
}

/// How many came.
pub(crate) struct Quotes(Rc<Cell<u64>>);

impl QuoteCounter {
    /// A reader of a file, and its count.
    pub(crate) fn new(file: File) -> (QuoteCounter, Quotes) {
        let quotes = Rc::new(Cell::new(0));
        (QuoteCounter { file, quotes: quotes.clone() }, Quotes(quotes))
    }
}

impl Quotes {
    /// Whether the last cell never ended: to be asked at the end of the file, where the last record had a cell with
    /// line breaks.
    pub(crate) fn open(&self) -> bool {
        self.0.get() % 2 == 1
    }
}

impl Read for QuoteCounter {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(buffer)?;
        let quotes = buffer[..count].iter().filter(|&&byte| byte == b'"').count();
        self.quotes.set(self.quotes.get() + quotes as u64);
        Ok(count)
    }
}
