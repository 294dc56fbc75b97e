//! Columns of text that stand below each other, for people.

use crate::console::line::width;

/// Between two columns.
const GAP: &str = "  ";
/// A wider cell does not make its column wider: it pushes what follows in its own row.
const COLUMNS_MAX: usize = 40;

/// On which side of its column a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// The rows as lines. Every row has as many cells as there are columns; what is in them is escaped already.
pub(super) fn table<const N: usize>(columns: [(&str, Side); N], rows: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|at| {
        let cells = rows.iter().map(|row| width(&row[at]));
        cells.map(|cell| cell.min(COLUMNS_MAX)).chain([width(columns[at].0)]).max().unwrap_or(0)
    });
    let heads: [String; N] = columns.map(|(head, _)| head.to_owned());
    let mut text = String::new();
    for row in std::iter::once(&heads).chain(rows) {
        let mut line = String::new();
        for (at, cell) in row.iter().enumerate() {
            if at > 0 {
                line += GAP;
            }
            let room = " ".repeat(widths[at].saturating_sub(width(cell)));
            match columns[at].1 {
                Side::Left => line += &format!("{cell}{room}"),
                Side::Right => line += &format!("{room}{cell}"),
            }
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let row = |name: &str, size: &str| [name.to_owned(), size.to_owned(), "x".to_owned()];
        let rows = [row("日本", "5 B"), row("a", "123 KiB"), row(&"n".repeat(45), "1 B")];
        let text = table([("NAME", Side::Left), ("SIZE", Side::Right), ("BY", Side::Left)], &rows);
        let expected = [
            format!("NAME{}     SIZE  BY", " ".repeat(36)),
            format!("日本{}      5 B  x", " ".repeat(36)),
            format!("a{}  123 KiB  x", " ".repeat(39)),
            format!("{}      1 B  x", "n".repeat(45)),
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }
}
