//! Plots as SVG text: lines over linear or logarithmic axes, and bars.

use std::fmt::Write;

use crate::number::float;

use super::table::number;

const WIDTH: f64 = 620.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 44.0;

/// Height of a bar with the space below it.
const BAR: f64 = 24.0;

/// Lines across a linear axis, about.
const TICKS: f64 = 5.0;

/// How an axis counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    Linear,
    /// Powers of ten apart; values are above 0.
    Logarithmic,
}

/// An axis: what it says, how it counts, and how its ticks are named.
pub struct Axis {
    pub title: &'static str,
    pub scale: Scale,
    pub tick: fn(f64) -> String,
}

/// A line with a name.
pub struct Series {
    pub name: String,
    pub color: &'static str,
    pub points: Vec<(f64, f64)>,
}

/// Lines over two axes.
pub fn lines(title: &str, x: &Axis, y: &Axis, series: &[Series]) -> String {
    let points = || series.iter().flat_map(|series| &series.points);
    let (Some(xs), Some(ys)) = (
        Range::of(x.scale, points().map(|point| point.0)),
        Range::of(y.scale, points().map(|point| point.1)),
    ) else {
        return String::new();
    };
    let across = |value| LEFT + xs.share(value) * (WIDTH - LEFT - RIGHT);
    let down = |value| HEIGHT - BOTTOM - ys.share(value) * (HEIGHT - TOP - BOTTOM);
    let mut svg = open(title, HEIGHT);
    for tick in ys.ticks() {
        let at = down(tick);
        let _ = write!(
            svg,
            r##"<line x1="{LEFT}" y1="{at:.1}" x2="{:.1}" y2="{at:.1}" stroke="#ddd"/><text x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"##,
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 4.0,
            escape(&(y.tick)(tick))
        );
    }
    for tick in xs.ticks() {
        let at = across(tick);
        let _ = write!(
            svg,
            r##"<line x1="{at:.1}" y1="{TOP}" x2="{at:.1}" y2="{:.1}" stroke="#eee"/><text x="{at:.1}" y="{:.1}" text-anchor="middle">{}</text>"##,
            HEIGHT - BOTTOM,
            HEIGHT - BOTTOM + 16.0,
            escape(&(x.tick)(tick))
        );
    }
    for (number, series) in (0_u32..).zip(series) {
        let path: Vec<_> = series
            .points
            .iter()
            .map(|(x, y)| format!("{:.1},{:.1}", across(*x), down(*y)))
            .collect();
        let label = LEFT + 8.0 + 130.0 * f64::from(number);
        let _ = write!(
            svg,
            r#"<polyline fill="none" stroke="{0}" stroke-width="1.8" points="{1}"/><rect x="{label:.1}" y="{2:.1}" width="10" height="10" fill="{0}"/><text x="{3:.1}" y="{4:.1}">{5}</text>"#,
            series.color,
            path.join(" "),
            TOP + 4.0,
            label + 14.0,
            TOP + 13.0,
            escape(&series.name)
        );
    }
    let _ = write!(
        svg,
        r#"<text x="{:.1}" y="{:.1}" text-anchor="middle">{}</text><text x="4" y="{:.1}" text-anchor="start">{}</text></svg>"#,
        LEFT + (WIDTH - LEFT - RIGHT) / 2.0,
        HEIGHT - 8.0,
        escape(x.title),
        TOP - 8.0,
        escape(y.title)
    );
    svg
}

/// Bars beside their names.
pub fn bars(title: &str, bars: &[(String, &'static str, f64)]) -> String {
    let most = bars.iter().map(|bar| bar.2).fold(0.0, f64::max);
    if most <= 0.0 {
        return String::new();
    }
    let mut svg = open(title, TOP + BAR * float(crate::number::count(bars.len())) + 6.0);
    let left = LEFT + 40.0;
    for (at, (name, color, value)) in (0_u32..).zip(bars) {
        let y = TOP + BAR * f64::from(at);
        let _ = write!(
            svg,
            r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{}</text><rect x="{left:.1}" y="{y:.1}" width="{:.1}" height="16" fill="{color}"/><text x="{:.1}" y="{:.1}">{}</text>"#,
            left - 6.0,
            y + 12.0,
            escape(name),
            value / most * (WIDTH - left - 90.0),
            left + value / most * (WIDTH - left - 90.0) + 6.0,
            y + 12.0,
            number(*value)
        );
    }
    svg.push_str("</svg>");
    svg
}

fn open(title: &str, height: f64) -> String {
    format!(
        r#"<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img"><title>{0}</title><text x="{1:.1}" y="14" text-anchor="middle" font-weight="bold">{0}</text>"#,
        escape(title),
        WIDTH / 2.0
    )
}

/// What an axis reaches over.
struct Range {
    scale: Scale,
    from: f64,
    to: f64,
}

impl Range {
    fn of(scale: Scale, values: impl Iterator<Item = f64>) -> Option<Self> {
        let usable = |value: &f64| value.is_finite() && (scale == Scale::Linear || *value > 0.0);
        let (from, to) = values
            .filter(usable)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(from, to), value| {
                (from.min(value), to.max(value))
            });
        if from > to {
            return None;
        }
        let range = match scale {
            Scale::Linear => (0.0_f64.min(from), if to > 0.0 { to * 1.05 } else { 1.0 }),
            Scale::Logarithmic => (
                10_f64.powf(from.log10().floor()),
                10_f64.powf(to.log10().ceil()).max(from * 10.0),
            ),
        };
        Some(Self {
            scale,
            from: range.0,
            to: range.1,
        })
    }

    /// Where a value stands, 0 to 1.
    fn share(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear => (value - self.from) / (self.to - self.from),
            Scale::Logarithmic => {
                (value.max(self.from).log10() - self.from.log10()) / (self.to.log10() - self.from.log10())
            }
        };
        share.clamp(0.0, 1.0)
    }

    fn ticks(&self) -> Vec<f64> {
        let (mut tick, grows): (f64, Box<dyn Fn(f64) -> f64>) = match self.scale {
            Scale::Linear => {
                let rough = (self.to - self.from) / TICKS;
                let decade = 10_f64.powf(rough.log10().floor());
                let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * decade);
                let step = steps.into_iter().find(|step| *step >= rough).unwrap_or(rough);
                ((self.from / step).ceil() * step, Box::new(move |tick| tick + step))
            }
            Scale::Logarithmic => (self.from, Box::new(|tick| tick * 10.0)),
        };
        let mut ticks = Vec::new();
        while tick <= self.to * 1.000_001 && ticks.len() < 20 {
            ticks.push(tick);
            tick = grows(tick);
        }
        ticks
    }
}

/// Text as it may stand in HTML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(scale: Scale, values: &[f64]) -> Range {
        Range::of(scale, values.iter().copied()).unwrap()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(range(Scale::Linear, &[0.0, 96.0]).ticks(), [0.0, 50.0, 100.0]);
        assert_eq!(range(Scale::Linear, &[3.0, 4.0]).ticks(), [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(range(Scale::Logarithmic, &[0.5, 30.0]).ticks().len(), 4);
    }

    #[test]
    fn values_stand_where_they_belong() {
        let logarithmic = range(Scale::Logarithmic, &[1.0, 100.0]);
        for (value, expected) in [(1.0, 0.0), (10.0, 0.5), (100.0, 1.0), (0.0, 0.0), (1e9, 1.0)] {
            assert!((logarithmic.share(value) - expected).abs() < 1e-9, "{value}");
        }
    }

    #[test]
    fn plots_without_points_are_nothing() {
        let axis = |scale| Axis {
            title: "a",
            scale,
            tick: number,
        };
        assert_eq!(lines("t", &axis(Scale::Linear), &axis(Scale::Linear), &[]), "");
        assert_eq!(bars("t", &[]), "");
        let series = [Series {
            name: "<n>".to_owned(),
            color: "#000",
            points: vec![(1.0, 2.0), (3.0, f64::NAN)],
        }];
        let svg = lines("t", &axis(Scale::Logarithmic), &axis(Scale::Linear), &series);
        assert!(
            svg.starts_with("<svg") && svg.ends_with("</svg>") && svg.contains("&lt;n&gt;"),
            "{svg}"
        );
    }
}
