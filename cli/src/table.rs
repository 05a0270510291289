//! Tables for people.

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, Row, Table};

/// Begins a table without lines.
pub fn table() -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table
}

/// Begins a table with these titles.
pub fn titled<const N: usize>(titles: [&str; N]) -> Table {
    let mut table = table();
    table.set_header(titles);
    table
}

/// A cell for a number.
pub fn number(value: impl ToString) -> Cell {
    Cell::new(value).set_alignment(CellAlignment::Right)
}

/// A name and its value.
pub fn pair(name: &str, value: impl ToString) -> Row {
    Row::from([name.to_owned(), value.to_string()])
}
