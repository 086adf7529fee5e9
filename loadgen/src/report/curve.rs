//! The latency curve as SVG: percentiles on a log scale, and latency over time.

use super::file::Run;
use super::{human_ns, sum};
use crate::series::Stretch;
use hdrhistogram::Histogram;
use std::fmt::Write;

/// Pixels of a panel and around it.
const WIDTH: f64 = 760.0;
const PANEL: f64 = 300.0;
const MARGIN: f64 = 80.0;
const GAP: f64 = 70.0;
const LEGEND_LINE: f64 = 18.0;

/// Characters of a curve's name.
const LEGEND_COLUMNS: usize = 115;

/// Nines the percentile axis ends with: 99.999 %.
const NINES_MAX: f64 = 5.0;

/// Points of a percentile curve, evenly over the nines.
const CURVE_POINTS: usize = 200;

/// Curves drawn at most; more would not be told apart.
const CURVES_MAX: usize = 12;

/// Line colours, apart for most eyes (Okabe and Ito), then again with dashes.
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// One curve to draw.
struct Curve<'a> {
    name: String,
    /// Of all repeats together.
    total: Histogram<u64>,
    /// Of the first run: repeats over each other would be a knot.
    stretches: &'a [Stretch],
    colour: &'static str,
    dashes: &'static str,
}

/// A logarithmic axis of nanoseconds, whole decades.
struct Decades {
    low: f64,
    high: f64,
}

impl Decades {
    fn over(values: impl Iterator<Item = u64>) -> Self {
        let (mut least, mut most) = (f64::MAX, f64::MIN);
        for value in values {
            let log = (value.max(1) as f64).log10();
            (least, most) = (least.min(log), most.max(log));
        }
        let (low, high) = if least > most { (3.0, 9.0) } else { (least.floor(), most.ceil()) };
        Self { low, high: high.max(low + 1.0) }
    }

    /// Height above the panel's top, in pixels.
    fn y(&self, ns: u64) -> f64 {
        let log = (ns.max(1) as f64).log10();
        PANEL * (1.0 - (log - self.low) / (self.high - self.low))
    }
}

/// Draws every series of the runs; at most so many curves, and says when some were left out.
pub fn svg(runs: &[Run]) -> String {
    let mut curves: Vec<Curve<'_>> = Vec::new();
    for run in runs {
        for (name, stretches) in &run.series {
            let (name, total) = (format!("{name}: {}", run.title()), sum(stretches));
            if let Some(curve) = curves.iter_mut().find(|curve| curve.name == name) {
                curve.total.add(total).expect("one set of bounds");
                continue;
            }
            let at = curves.len();
            let dashes = ["", "6 3", "2 3"][at / COLOURS.len() % 3];
            let colour = COLOURS[at % COLOURS.len()];
            curves.push(Curve { name, total, stretches, colour, dashes });
        }
    }
    let left_out = curves.len().saturating_sub(CURVES_MAX);
    curves.truncate(CURVES_MAX);
    let lines = curves.len() + usize::from(left_out > 0);
    let height = 2.0 * (PANEL + GAP) + MARGIN + LEGEND_LINE * lines as f64;
    let width = WIDTH + 2.0 * MARGIN;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    percentiles(&curves, MARGIN, &mut out);
    over_time(&curves, MARGIN + PANEL + GAP, &mut out);
    let mut y = 2.0 * (PANEL + GAP) + MARGIN - 20.0;
    for curve in &curves {
        let (colour, dashes, name) = (curve.colour, curve.dashes, escaped(&shortened(&curve.name)));
        let _ = writeln!(
            out,
            "<line x1=\"{MARGIN}\" x2=\"{}\" y1=\"{y}\" y2=\"{y}\" stroke=\"{colour}\" \
             stroke-width=\"2\" stroke-dasharray=\"{dashes}\"/>",
            MARGIN + 30.0
        );
        text(MARGIN + 38.0, y + 4.0, "start", &name, &mut out);
        y += LEGEND_LINE;
    }
    if left_out > 0 {
        text(MARGIN, y + 4.0, "start", &format!("{left_out} more series not drawn"), &mut out);
    }
    out + "</svg>\n"
}

/// Upper panel: latency by percentile, one unit of width per nine.
fn percentiles(curves: &[Curve<'_>], top: f64, out: &mut String) {
    let totals = curves.iter().map(|curve| &curve.total);
    let ends = totals.flat_map(|total| [total.value_at_quantile(0.0), total.max()]);
    let axis = Decades::over(ends);
    frame("latency by percentile", &axis, top, out);
    let x = |nines: f64| MARGIN + WIDTH * nines / NINES_MAX;
    for (nines, label) in
        [(0.0, "0 %"), (1.0, "90 %"), (2.0, "99 %"), (3.0, "99.9 %"), (4.0, "99.99 %")]
    {
        tick(x(nines), label, top, out);
    }
    tick(x(5.0), "99.999 %", top, out);
    for curve in curves {
        let total = &curve.total;
        let points = (0..=CURVE_POINTS).filter_map(|at| {
            let nines = NINES_MAX * at as f64 / CURVE_POINTS as f64;
            let beyond = 10f64.powf(-nines);
            // No curve where there is not one value left.
            (total.len() as f64 * beyond >= 1.0)
                .then(|| (x(nines), top + axis.y(total.value_at_quantile(1.0 - beyond))))
        });
        line(curve, "2", points, out);
    }
}

/// Lower panel: median and 99th percentile of each stretch of time.
fn over_time(curves: &[Curve<'_>], top: f64, out: &mut String) {
    let mut seconds: f64 = 0.0;
    let mut drawn = Vec::new();
    for curve in curves {
        let mut points = Vec::new();
        for stretch in curve.stretches {
            let middle = (stretch.start + stretch.length / 2).as_secs_f64();
            seconds = seconds.max((stretch.start + stretch.length).as_secs_f64());
            let histogram = stretch.histogram();
            let at = |quantile| histogram.value_at_quantile(quantile);
            points.push((middle, at(0.5), at(0.99)));
        }
        drawn.push(points);
    }
    let axis = Decades::over(drawn.iter().flatten().flat_map(|point| [point.1, point.2]));
    frame("latency over time: p50 thin, p99 thick", &axis, top, out);
    let x = |at: f64| MARGIN + WIDTH * at / seconds.max(1e-9);
    for part in 0..=4 {
        let at = seconds * f64::from(part) / 4.0;
        tick(x(at), &format!("{at:.1} s"), top, out);
    }
    for (curve, points) in curves.iter().zip(&drawn) {
        line(curve, "1", points.iter().map(|p| (x(p.0), top + axis.y(p.1))), out);
        line(curve, "2.5", points.iter().map(|p| (x(p.0), top + axis.y(p.2))), out);
    }
}

/// The panel's border, title and horizontal decades.
fn frame(title: &str, axis: &Decades, top: f64, out: &mut String) {
    let _ = writeln!(
        out,
        "<rect x=\"{MARGIN}\" y=\"{top}\" width=\"{WIDTH}\" height=\"{PANEL}\" fill=\"none\" \
         stroke=\"#888\"/>"
    );
    text(MARGIN, top - 10.0, "start", title, out);
    for decade in axis.low as i32..=axis.high as i32 {
        let ns = 10u64.saturating_pow(decade.unsigned_abs());
        let y = top + axis.y(ns);
        let _ = writeln!(
            out,
            "<line x1=\"{MARGIN}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>",
            MARGIN + WIDTH
        );
        text(MARGIN - 6.0, y + 4.0, "end", &human_ns(ns), out);
    }
}

fn tick(x: f64, label: &str, top: f64, out: &mut String) {
    let bottom = top + PANEL;
    let _ = writeln!(
        out,
        "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\" stroke=\"#ddd\"/>"
    );
    text(x, bottom + 16.0, "middle", label, out);
}

fn text(x: f64, y: f64, anchor: &str, what: &str, out: &mut String) {
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{what}</text>");
}

fn line(
    curve: &Curve<'_>,
    width: &str,
    points: impl Iterator<Item = (f64, f64)>,
    out: &mut String,
) {
    let points: String = points.map(|(x, y)| format!("{x:.1},{y:.1} ")).collect();
    let (colour, dashes) = (curve.colour, curve.dashes);
    let _ = writeln!(
        out,
        "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" \
         stroke-dasharray=\"{dashes}\" points=\"{}\"/>",
        points.trim_end()
    );
}

/// As much of a name as fits a line.
fn shortened(name: &str) -> String {
    if name.chars().count() <= LEGEND_COLUMNS {
        return name.to_owned();
    }
    name.chars().take(LEGEND_COLUMNS - 1).chain(['…']).collect()
}

/// Text as XML takes it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Report;
    use crate::series::Series;
    use std::time::Duration;

    #[test]
    fn curves_rise_with_the_percentile_and_stay_inside() {
        let mut series = Series::default();
        series.begin(0, Duration::from_secs(3));
        for at in 0..3_000u64 {
            series.record(at * 1_000_000, 10_000 + at * 1_000);
        }
        let mut report = Report::new("a<b", "test", "x & y".into());
        report.series("latency", "latency", &series);
        let folder = std::env::temp_dir().join(format!("nacre-curve-{}", std::process::id()));
        let path = report.write(&folder, "one").unwrap();
        let drawn = svg(&[Run::read(&path).unwrap()]);
        let repeats = svg(&[Run::read(&path).unwrap(), Run::read(&path).unwrap()]);
        assert_eq!(repeats.matches("<polyline").count(), 3, "repeats are one curve");
        std::fs::remove_dir_all(folder).unwrap();
        assert!(drawn.contains("latency: a&lt;b test: x &amp; y"), "{drawn}");
        let lines: Vec<Vec<(f64, f64)>> = drawn
            .lines()
            .filter_map(|line| line.split_once("points=\"")?.1.strip_suffix("\"/>"))
            .map(|points| {
                let pair = |point: &str| {
                    let (x, y) = point.split_once(',').unwrap();
                    (x.parse().unwrap(), y.parse().unwrap())
                };
                points.split(' ').map(pair).collect()
            })
            .collect();
        assert_eq!(lines.len(), 3, "one by percentile, two over time");
        assert!(lines[0].is_sorted_by(|a, b| a.0 < b.0 && a.1 >= b.1), "{:?}", lines[0]);
        assert_eq!((lines[1].len(), lines[2].len()), (3, 3));
        for (x, y) in lines.iter().flatten() {
            assert!((MARGIN..=MARGIN + WIDTH).contains(x), "{x}");
            assert!((MARGIN..=MARGIN + 2.0 * PANEL + GAP).contains(y), "{y}");
        }
    }

    #[test]
    fn nothing_to_draw_is_drawn_empty() {
        let drawn = svg(&[]);
        assert!(drawn.starts_with("<svg") && drawn.ends_with("</svg>\n"));
    }
}
