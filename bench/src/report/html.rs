//! One page that stands alone: for each workload how fast, how late, and where the CPU time goes.

use std::fmt::Write as _;

use super::plot::{Bar, Plot, escaped};
use super::table::{number, table};
use crate::compare::Results;
use crate::summary::{Metric, Row, Summary};
use crate::variant::Variant;

const STYLE: &str = "\
body{font:14px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}\
h2{margin-top:2.5rem;border-top:1px solid #ccc;padding-top:1rem}\
svg{display:block;margin:1rem 0;max-width:100%}svg text{font:12px system-ui,sans-serif;fill:#222}\
svg text.title{font-weight:600}svg path.range{stroke:#222;stroke-width:1.5}\
pre{overflow-x:auto;font-size:12px}nav{columns:3}";

/// The page.
#[must_use]
pub fn html(results: &Results) -> String {
    let settings = results.settings;
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <title>What pgpawl costs</title><style>{STYLE}</style></head><body>\n\
         <h1>What pgpawl costs</h1>\n<p>{}</p>\n\
         <p>{} rounds of {} s; medians, with a line from the least to the greatest; {} worker threads of \
         pgpawl and HAProxy. Ratios are within a round.</p>\n",
        escaped(&results.machine.lines().join("\n")),
        settings.rounds,
        settings.seconds,
        settings.workers
    );
    if settings.quick {
        page.push_str("<p><strong>A quick look: these figures mean nothing.</strong></p>\n");
    }
    for reason in &results.left_out {
        let _ = writeln!(page, "<p>Left out: {}</p>", escaped(reason));
    }
    page.push_str("<nav>");
    for summary in &results.workloads {
        let name = escaped(&summary.workload);
        let _ = write!(page, "<a href=\"#{name}\">{name}</a><br>");
    }
    page.push_str("</nav>\n");
    for summary in &results.workloads {
        section(&mut page, summary);
    }
    page.push_str("</body></html>\n");
    page
}

fn section(page: &mut String, summary: &Summary) {
    let name = escaped(&summary.workload);
    let _ = writeln!(page, "<h2 id=\"{name}\">{name}</h2>");
    for plot in [
        rate(summary),
        cpu(summary),
        latency(summary),
        memory(summary),
    ] {
        page.push_str(&plot.svg());
    }
    let table = escaped(table(summary).trim());
    let _ = writeln!(
        page,
        "<details><summary>Figures</summary><pre>{table}</pre></details>"
    );
}

/// Bars of those variants that have something to show.
fn bars(summary: &Summary, bar: impl Fn(&Row) -> Option<Bar>) -> Vec<Bar> {
    summary.rows.iter().filter_map(bar).collect()
}

fn rate(summary: &Summary) -> Plot {
    let bar = |row: &Row| {
        let spread = row.figure(Metric::Rate)?.spread;
        let ratio = row.ratio(Metric::Rate, Variant::Direct);
        let ratio = ratio.map(|ratio| format!(", {ratio:.2} of direct"));
        Some(Bar {
            label: row.variant.name().into(),
            parts: vec![spread.median],
            range: Some((spread.min, spread.max)),
            note: number(spread.median) + &ratio.unwrap_or_default(),
        })
    };
    Plot {
        title: format!("Per second, by the {} (longer is better)", summary.unit),
        legend: Vec::new(),
        bars: bars(summary, bar),
    }
}

fn cpu(summary: &Summary) -> Plot {
    let statements = f64::from(summary.statements_per_operation);
    let bar = |row: &Row| {
        let median = |metric| row.figure(metric).map(|figure| figure.spread.median);
        let proxy = |metric| median(metric).unwrap_or(0.0) * statements;
        let (user, sys) = (proxy(Metric::ProxyUser), proxy(Metric::ProxySys));
        let server = median(Metric::ServerCpu)?;
        Some(Bar {
            label: row.variant.name().into(),
            parts: vec![user, sys, server],
            range: None,
            note: format!("{} + {} + {}", number(user), number(sys), number(server)),
        })
    };
    Plot {
        title: format!("CPU, µs per {} (shorter is better)", summary.unit),
        legend: vec!["proxy, own code", "proxy, kernel", "server"],
        bars: bars(summary, bar),
    }
}

fn latency(summary: &Summary) -> Plot {
    let bar = |row: &Row| {
        let median = |metric| row.figure(metric).map(|figure| figure.spread.median);
        let (p50, p99, p999) = (
            median(Metric::P50)?,
            median(Metric::P99)?,
            median(Metric::P999)?,
        );
        Some(Bar {
            label: row.variant.name().into(),
            parts: vec![p50, (p99 - p50).max(0.0), (p999 - p99).max(0.0)],
            range: None,
            note: format!("{} / {} / {}", number(p50), number(p99), number(p999)),
        })
    };
    Plot {
        title: "Latency, µs (shorter is better)".into(),
        legend: vec!["50 %", "99 %", "99.9 %"],
        bars: bars(summary, bar),
    }
}

fn memory(summary: &Summary) -> Plot {
    let bar = |row: &Row| {
        let spread = row.figure(Metric::SessionKib)?.spread;
        Some(Bar {
            label: row.variant.name().into(),
            parts: vec![spread.median],
            range: Some((spread.min, spread.max)),
            note: number(spread.median),
        })
    };
    Plot {
        title: "Memory of the proxy, KiB per idle session (shorter is better)".into(),
        legend: Vec::new(),
        bars: bars(summary, bar),
    }
}
