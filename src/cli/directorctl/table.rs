//! Text in aligned columns.

/// Which side a column's words stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

/// A table that grows by rows; every column is as wide as its widest word.
#[derive(Debug)]
pub struct Table<const COLUMNS: usize> {
    columns: [(&'static str, Side); COLUMNS],
    rows: Vec<[String; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    pub fn new(columns: [(&'static str, Side); COLUMNS]) -> Self {
        Table { columns, rows: Vec::new() }
    }

    pub fn row(&mut self, words: [String; COLUMNS]) {
        self.rows.push(words);
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The titles and the rows, two blanks between columns, none at the end of a line.
    pub fn text(&self) -> String {
        let titles = self.columns.map(|(title, _)| title.to_owned());
        let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
            let words = self.rows.iter().chain([&titles]).map(|row| row[column].chars().count());
            words.max().unwrap_or(0)
        });
        let mut text = String::new();
        for row in [&titles].into_iter().chain(&self.rows) {
            let mut line = String::new();
            for (column, word) in row.iter().enumerate() {
                let width = widths[column];
                line.push_str(&match self.columns[column].1 {
                    Side::Left => format!("{word:<width$}  "),
                    Side::Right => format!("{word:>width$}  "),
                });
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table =
            Table::new([("port", Side::Left), ("packets", Side::Right), ("", Side::Left)]);
        assert!(table.is_empty());
        table.row(["wan0".to_owned(), "7".to_owned(), "x".to_owned()]);
        table.row(["größer".to_owned(), "12345678".to_owned(), String::new()]);
        assert_eq!(table.text(), "port     packets\nwan0           7  x\ngrößer  12345678\n");
    }
}
