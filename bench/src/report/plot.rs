//! Horizontal bars as SVG: stacked parts, a line from least to greatest, a word at the end.

use std::fmt::Write as _;

/// A bar.
#[derive(Clone, PartialEq, Debug)]
pub struct Bar {
    /// What it is of.
    pub label: String,
    /// Its parts, from the left, each in the colour of its place.
    pub parts: Vec<f64>,
    /// Where a line goes from and to, if values were spread.
    pub range: Option<(f64, f64)>,
    /// What is written behind it.
    pub note: String,
}

/// Bars on one scale.
#[derive(Clone, PartialEq, Debug)]
pub struct Plot {
    /// What it shows, with its unit.
    pub title: String,
    /// What its parts are, when there are several.
    pub legend: Vec<&'static str>,
    /// The bars, from the top.
    pub bars: Vec<Bar>,
}

/// Colours of parts.
const COLOURS: [&str; 3] = ["#3b6ea5", "#8fb4d9", "#d9b36c"];

const LABEL_WIDTH: f64 = 150.0;
const BAR_WIDTH: f64 = 420.0;
const NOTE_WIDTH: f64 = 210.0;
const ROW_HEIGHT: f64 = 22.0;
const HEAD_HEIGHT: f64 = 40.0;

/// A bar this many times as long as the middle one is cut off, so that the others can be told apart.
const LONGEST: f64 = 4.0;

impl Plot {
    /// As an `svg` element; nothing when there is nothing to show.
    #[must_use]
    pub fn svg(&self) -> String {
        let scale = self.scale();
        if scale <= 0.0 {
            return String::new();
        }
        let rows = self.bars.iter().fold(0.0, |height, _| height + ROW_HEIGHT);
        let (width, height) = (LABEL_WIDTH + BAR_WIDTH + NOTE_WIDTH, HEAD_HEIGHT + rows);
        let mut svg = format!(
            "<svg viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" role=\"img\">\
             <text class=\"title\" x=\"0\" y=\"14\">{}</text>",
            escaped(&self.title)
        );
        self.draw_legend(&mut svg);
        let mut top = HEAD_HEIGHT;
        for bar in &self.bars {
            bar.draw(&mut svg, top, scale);
            top += ROW_HEIGHT;
        }
        svg.push_str("</svg>\n");
        svg
    }

    /// The value at the right edge.
    fn scale(&self) -> f64 {
        let mut lengths: Vec<f64> = self.bars.iter().map(Bar::reach).collect();
        lengths.retain(|length| *length > 0.0);
        lengths.sort_by(f64::total_cmp);
        let (Some(longest), Some(middle)) = (lengths.last(), lengths.get(lengths.len() / 2)) else {
            return 0.0;
        };
        longest.min(middle * LONGEST)
    }

    fn draw_legend(&self, svg: &mut String) {
        let mut left = LABEL_WIDTH;
        for (name, colour) in self.legend.iter().zip(COLOURS) {
            let _ = write!(
                svg,
                "<rect x=\"{left:.0}\" y=\"24\" width=\"10\" height=\"10\" fill=\"{colour}\"/>\
                 <text x=\"{:.0}\" y=\"33\">{}</text>",
                left + 14.0,
                escaped(name)
            );
            left += 130.0;
        }
    }
}

impl Bar {
    fn reach(&self) -> f64 {
        let whole: f64 = self.parts.iter().sum();
        self.range.map_or(whole, |(_, max)| max.max(whole))
    }

    fn draw(&self, svg: &mut String, top: f64, scale: f64) {
        let at = |value: f64| LABEL_WIDTH + (value / scale).min(1.0) * BAR_WIDTH;
        let baseline = top + 13.0;
        let _ = write!(
            svg,
            "<text x=\"{:.0}\" y=\"{baseline:.0}\" text-anchor=\"end\">{}</text>",
            LABEL_WIDTH - 8.0,
            escaped(&self.label)
        );
        let mut from = 0.0;
        for (part, colour) in self.parts.iter().zip(COLOURS) {
            let (left, right) = (at(from), at(from + part));
            let _ = write!(
                svg,
                "<rect x=\"{left:.1}\" y=\"{:.0}\" width=\"{:.1}\" height=\"14\" fill=\"{colour}\"/>",
                top + 2.0,
                right - left
            );
            from += part;
        }
        if let Some((min, max)) = self.range {
            let middle = top + 9.0;
            let _ = write!(
                svg,
                "<path class=\"range\" d=\"M{:.1} {middle:.0}H{:.1}\"/>",
                at(min),
                at(max)
            );
        }
        let cut = if self.reach() > scale { "» " } else { "" };
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{baseline:.0}\">{cut}{}</text>",
            at(self.reach()) + 6.0,
            escaped(&self.note)
        );
    }
}

/// Text that stands for itself in HTML.
#[must_use]
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(value: f64) -> Bar {
        Bar {
            label: "a<b".into(),
            parts: vec![value],
            range: None,
            note: format!("{value}"),
        }
    }

    fn plot(values: &[f64]) -> Plot {
        Plot {
            title: "t".into(),
            legend: Vec::new(),
            bars: values.iter().copied().map(bar).collect(),
        }
    }

    #[test]
    fn a_bar_far_longer_than_the_others_is_cut_and_says_so() {
        let svg = plot(&[1.0, 2.0, 1_000.0]).svg();
        assert!(
            svg.contains("width=\"105.0\"") && svg.contains("» 1000"),
            "{svg}"
        );
        assert!(!plot(&[1.0, 2.0, 3.0]).svg().contains('»'));
    }

    #[test]
    fn nothing_is_drawn_of_nothing_and_names_are_escaped() {
        assert_eq!(plot(&[]).svg(), "");
        assert_eq!(plot(&[0.0]).svg(), "");
        assert!(plot(&[1.0]).svg().contains("a&lt;b"));
    }
}
