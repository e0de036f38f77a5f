//! What a bench prints: a table for people, or one JSON object a row.

use serde::Serialize;

/// One figure of a bench. The names are kept stable, so that runs of years can be compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Which bench.
    pub bench: &'static str,
    /// Which figure.
    pub name: &'static str,
    /// What was measured.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
    /// What physics or the kernel allows on this machine, where it was measured.
    pub limit: Option<f64>,
    /// `value / limit`.
    pub ratio: Option<f64>,
    /// What we want.
    pub aim: Option<f64>,
    /// Whether the value is on the right side of the aim.
    pub met: Option<bool>,
    /// The aim is the least that the value should be, not the most.
    #[serde(skip)]
    pub is_floor: bool,
}

impl Row {
    /// A figure that ought to be at most `aim`.
    pub fn at_most(bench: &'static str, name: &'static str, value: f64, unit: &'static str, aim: f64) -> Row {
        Row { aim: Some(aim), met: Some(value <= aim), ..Row::plain(bench, name, value, unit) }
    }

    /// A figure that ought to be at least `aim`.
    pub fn at_least(
        bench: &'static str,
        name: &'static str,
        value: f64,
        unit: &'static str,
        aim: f64,
    ) -> Row {
        Row {
            aim: Some(aim),
            met: Some(value >= aim),
            is_floor: true,
            ..Row::plain(bench, name, value, unit)
        }
    }

    /// A figure to know, to a hundredth.
    pub fn plain(bench: &'static str, name: &'static str, value: f64, unit: &'static str) -> Row {
        let value = hundredth(value);
        Row { bench, name, value, unit, limit: None, ratio: None, aim: None, met: None, is_floor: false }
    }

    /// What the machine could do at best.
    pub fn against(self, limit: f64) -> Row {
        Row { limit: Some(hundredth(limit)), ratio: Some(hundredth(self.value / limit)), ..self }
    }
}

/// Prints the rows; `json` as lines of JSON, else as a table.
pub fn print(rows: &[Row], json: bool) {
    for row in rows {
        if json {
            println!("{}", serde_json::to_string(row).expect("a row is plain data"));
        } else {
            println!("{}", line(row));
        }
    }
}

fn hundredth(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn line(row: &Row) -> String {
    let side = if row.is_floor { "≥" } else { "≤" };
    let aim = row.aim.map_or(String::new(), |aim| format!("aim {side} {aim}"));
    let met = row.met.map_or("", |met| if met { "met" } else { "MISSED" });
    let ratio = row.ratio.map_or(String::new(), |ratio| format!("{ratio} × the limit"));
    format!(
        "{:<8} {:<28} {:>12.2} {:<6} {:<12} {:<8} {}",
        row.bench, row.name, row.value, row.unit, aim, met, ratio
    )
    .trim_end()
    .to_owned()
}
