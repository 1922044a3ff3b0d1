//! One workload as a table of text.

use std::fmt::Write as _;

use crate::number::Spread;
use crate::summary::{Metric, Row, Summary};
use crate::variant::Variant;

/// A column: its title, and what stands in it.
type Column = (&'static str, fn(&Row) -> Option<String>);

/// Those that no variant has anything in are left out.
const COLUMNS: [Column; 20] = [
    ("per second", |row| median(row, Metric::Rate)),
    ("min", |row| {
        spread(row, Metric::Rate).map(|all| number(all.min))
    }),
    ("max", |row| {
        spread(row, Metric::Rate).map(|all| number(all.max))
    }),
    ("x direct", |row| ratio(row, Metric::Rate, Variant::Direct)),
    ("x stmt", |row| statement_ratio(row, Metric::Rate)),
    ("p50 µs", |row| median(row, Metric::P50)),
    ("x direct", |row| ratio(row, Metric::P50, Variant::Direct)),
    ("p99", |row| median(row, Metric::P99)),
    ("x direct", |row| ratio(row, Metric::P99, Variant::Direct)),
    ("p99.9", |row| median(row, Metric::P999)),
    ("x direct", |row| ratio(row, Metric::P999, Variant::Direct)),
    ("proxy user", |row| median(row, Metric::ProxyUser)),
    ("sys", |row| median(row, Metric::ProxySys)),
    ("both", |row| median(row, Metric::ProxyCpu)),
    ("x raw", |row| ratio(row, Metric::ProxyCpu, Variant::Raw)),
    ("server", |row| median(row, Metric::ServerCpu)),
    ("x direct", |row| {
        ratio(row, Metric::ServerCpu, Variant::Direct)
    }),
    ("x stmt", |row| statement_ratio(row, Metric::ServerCpu)),
    ("peak MiB", |row| median(row, Metric::PeakMib)),
    ("KiB/session", |row| median(row, Metric::SessionKib)),
];

/// A workload's variants, a line each. CPU is in microseconds: the proxy's per statement, the server's
/// per operation.
#[must_use]
pub fn table(summary: &Summary) -> String {
    let mut lines: Vec<Vec<String>> = vec![vec![String::new()]];
    lines.extend(
        summary
            .rows
            .iter()
            .map(|row| vec![row.variant.name().to_owned()]),
    );
    for (title, cell) in COLUMNS {
        let cells: Vec<Option<String>> = summary.rows.iter().map(cell).collect();
        if cells.iter().all(Option::is_none) {
            continue;
        }
        lines[0].push(title.to_owned());
        for (line, cell) in lines[1..].iter_mut().zip(cells) {
            line.push(cell.unwrap_or_else(|| "-".into()));
        }
    }
    let (unit, statements) = (summary.unit, summary.statements_per_operation);
    let per = if statements > 1 {
        format!("the proxy's per statement ({statements} a {unit}), the server's per {unit}")
    } else {
        format!("per {unit}")
    };
    let mut text = format!("\n{}, by the {unit}; CPU in µs {per}\n", summary.workload);
    text.push_str(&aligned(&lines));
    for row in &summary.rows {
        if let Some(first) = row.failures.first() {
            let (name, count) = (row.variant.name(), row.failures.len());
            let _ = writeln!(text, "{name} failed {count} times, first: {first}");
        }
    }
    text
}

fn aligned(lines: &[Vec<String>]) -> String {
    let count = lines.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let mut row = format!("{:<width$}", line[0], width = widths[0]);
        for (cell, width) in line.iter().zip(&widths).skip(1) {
            let _ = write!(row, "  {cell:>width$}");
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

fn spread(row: &Row, metric: Metric) -> Option<Spread> {
    row.figure(metric).map(|figure| figure.spread)
}

fn median(row: &Row, metric: Metric) -> Option<String> {
    spread(row, metric).map(|spread| number(spread.median))
}

fn ratio(row: &Row, metric: Metric, to: Variant) -> Option<String> {
    row.ratio(metric, to).map(|ratio| format!("{ratio:.2}"))
}

/// Only pgpawl's coverages are compared with each other.
fn statement_ratio(row: &Row, metric: Metric) -> Option<String> {
    if row.variant.is_pgpawl() {
        ratio(row, metric, Variant::PgpawlStatement)
    } else {
        None
    }
}

/// Three digits or more.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_or_more() {
        assert_eq!(number(51_234.4), "51234");
        assert_eq!(number(14.26), "14.3");
        assert_eq!(number(0.655), "0.66");
    }

    #[test]
    fn columns_stand_below_each_other() {
        let lines = [["", "µs", "x"], ["direct", "1", "2.00"]];
        let lines: Vec<Vec<String>> = lines.map(|line| line.map(String::from).to_vec()).to_vec();
        assert_eq!(aligned(&lines), "        µs     x\ndirect   1  2.00\n");
    }
}
