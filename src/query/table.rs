//! Text in aligned columns.

/// Alignment of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Align {
    Left,
    Right,
}

/// One column: its title, and the function that returns its text for a row.
#[derive(Debug)]
pub struct Column<R> {
    title: &'static str,
    align: Align,
    word: fn(&R) -> String,
}

impl<R> Column<R> {
    /// A column of names and sentences.
    pub const fn left(title: &'static str, word: fn(&R) -> String) -> Self {
        Column { title, align: Align::Left, word }
    }

    /// A column of numbers.
    pub const fn right(title: &'static str, word: fn(&R) -> String) -> Self {
        Column { title, align: Align::Right, word }
    }
}

/// Titles and rows. Each column is as wide as its longest text, columns are separated by two spaces, and lines have no
/// trailing spaces.
pub fn table<R>(columns: &[Column<R>], rows: &[R]) -> String {
    let titles = columns.iter().map(|column| column.title.to_owned()).collect();
    let words = rows.iter().map(|row| columns.iter().map(|column| (column.word)(row)).collect());
    let lines: Vec<Vec<String>> = std::iter::once(titles).chain(words).collect();
    let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let mut padded = String::new();
        for ((word, column), &width) in line.iter().zip(columns).zip(&widths) {
            padded.push_str(&match column.align {
                Align::Left => format!("{word:<width$}  "),
                Align::Right => format!("{word:>width$}  "),
            });
        }
        text.push_str(padded.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        type Row = (&'static str, u64, &'static str);
        let columns: [Column<Row>; 3] = [
            Column::left("port", |row| row.0.to_owned()),
            Column::right("packets", |row| row.1.to_string()),
            Column::left("", |row| row.2.to_owned()),
        ];
        let rows = [("wan0", 7, "x"), ("größer", 12_345_678, "")];
        assert_eq!(
            table(&columns, &rows),
            "port     packets\nwan0           7  x\ngrößer  12345678\n"
        );
        assert_eq!(table(&columns, &[]), "port  packets\n");
    }
}
