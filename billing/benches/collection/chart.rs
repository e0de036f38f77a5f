//! The frontier as a picture: how long money waits against what collecting it costs, for each greatest fee and each
//! greatest age.

use std::fmt::Write;

use crate::{Played, table::fee_share};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 32.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 52.0;

/// One greatest age: a line from the strictest fee to the most generous.
pub(crate) struct Series<'a> {
    pub(crate) name: String,
    pub(crate) class: &'static str,
    pub(crate) points: &'a [Played],
}

/// Draws the lines, and the default as a ring.
pub(crate) fn svg(series: &[Series<'_>], default: &Played) -> String {
    let frame = Frame::around(series, default);
    let mut svg = String::from(HEAD);
    grid(&mut svg, &frame);
    for line in series {
        draw_line(&mut svg, &frame, line);
    }
    let (x, y) = frame.place(default);
    let _ = write!(svg, "<circle class=\"ring\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"8\"/>");
    let _ =
        write!(svg, "<text class=\"strong\" x=\"{:.1}\" y=\"{:.1}\">the default</text>", x - 4.0, y + 24.0);
    svg.push_str("</svg>\n");
    svg
}

const HEAD: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 420\" role=\"img\" \
aria-label=\"Months that money waits on average against the share of it that fees take\" \
font-family=\"system-ui, sans-serif\" font-size=\"12\"><style>
text { fill: #3d4451 } .strong { font-weight: 600 } .grid { stroke: #d6dae1 } polyline { fill: none; stroke-width: 2 }
.cards { stroke: #b4552d; fill: #b4552d } .mixed { stroke: #1f6f5c; fill: #1f6f5c } polyline.cards, polyline.mixed { fill: none }
.ring { fill: none; stroke: #10141c; stroke-width: 2 } .back { fill: #ffffff }
@media (prefers-color-scheme: dark) { text { fill: #c9cfda } .grid { stroke: #343a46 } .back { fill: #14171d }
.cards { stroke: #f0935f; fill: #f0935f } .mixed { stroke: #5cc9ab; fill: #5cc9ab } polyline.cards, polyline.mixed { fill: none } .ring { stroke: #ffffff } }
</style><rect class=\"back\" width=\"720\" height=\"420\"/>\
<text class=\"strong\" x=\"64\" y=\"24\">Months until money is collected, on average</text>\
<text x=\"688\" y=\"408\" text-anchor=\"end\">Fees, % of what was collected</text>";

/// Which stretch of fees and of waiting is shown: whole numbers around everything.
struct Frame {
    fees: (f64, f64),
    months: (f64, f64),
}

impl Frame {
    fn around(series: &[Series<'_>], default: &Played) -> Self {
        let all = || series.iter().flat_map(|line| line.points).chain([default]);
        let span = |share: fn(&Played) -> f64| {
            let least = all().map(share).fold(f64::INFINITY, f64::min).floor();
            (least, all().map(share).fold(0.0, f64::max).ceil().max(least + 1.0))
        };
        Frame {
            fees: span(|played| fee_share(&played.outcome)),
            months: span(|played| played.outcome.mean_wait()),
        }
    }

    fn x(&self, fees: f64) -> f64 {
        LEFT + (fees - self.fees.0) / (self.fees.1 - self.fees.0) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, months: f64) -> f64 {
        HEIGHT - BOTTOM - (months - self.months.0) / (self.months.1 - self.months.0) * (HEIGHT - TOP - BOTTOM)
    }

    fn place(&self, played: &Played) -> (f64, f64) {
        (self.x(fee_share(&played.outcome)), self.y(played.outcome.mean_wait()))
    }
}

fn grid(svg: &mut String, frame: &Frame) {
    for months in whole(frame.months) {
        let y = frame.y(months);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>",
            WIDTH - RIGHT
        );
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{months}</text>",
            LEFT - 8.0,
            y + 4.0
        );
    }
    for fees in whole(frame.fees).step_by(2) {
        let (x, y) = (frame.x(fees), HEIGHT - BOTTOM);
        let _ = write!(svg, "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{fees}</text>", y + 18.0);
    }
}

fn whole((from, to): (f64, f64)) -> impl Iterator<Item = f64> {
    (from as i64..=to as i64).map(|number| number as f64)
}

fn draw_line(svg: &mut String, frame: &Frame, line: &Series<'_>) {
    let places: Vec<(f64, f64)> = line.points.iter().map(|played| frame.place(played)).collect();
    let points: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let class = line.class;
    let _ = write!(svg, "<polyline class=\"{class}\" points=\"{}\"/>", points.join(" "));
    for ((x, y), played) in places.iter().zip(line.points) {
        let _ = write!(
            svg,
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"><title>{}, {}</title></circle>",
            line.name, played.name
        );
    }
    if let Some((x, y)) = places.first() {
        let _ = write!(svg, "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>", x + 8.0, y - 4.0, line.name);
    }
}
