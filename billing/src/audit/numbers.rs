//! The numbers on statements: tax offices ask that none is missing.

use super::{
    Difference, Findings, Rule,
    evidence::{CreditNoteRow, Evidence, Statement},
};
use crate::ids::TenantId;
use std::collections::BTreeMap;
use uuid::Uuid;

/// A series as its row says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// Whose.
    pub entity: String,
    /// What its numbers begin with.
    pub prefix: String,
    /// How many it has given out.
    pub last: i64,
}

/// A number that is on a statement or a credit note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    /// Of which series.
    pub entity: String,
    /// Its place in it, from 1.
    pub place: i64,
    /// As the payer reads it.
    pub text: String,
}

impl Number {
    /// The one on a statement.
    pub fn of(statement: &Statement) -> Self {
        Number {
            entity: statement.entity.clone(),
            place: statement.series_number,
            text: statement.number.clone(),
        }
    }

    /// The one on a credit note.
    pub fn of_note(note: &CreditNoteRow) -> Self {
        Number { entity: note.entity.clone(), place: note.series_number, text: note.number.clone() }
    }
}

pub(super) fn examine(evidence: &Evidence, found: &mut Findings) {
    let entity = if evidence.sandbox { "sandbox" } else { "operator" };
    for statement in &evidence.statements {
        found.compare(Rule::NumberIsOfItsSeries, &statement.number, entity, &statement.entity);
    }
}

/// Compares all numbers with what the series gave out before anybody looked.
pub fn missing_numbers(series: &[Series], numbers: Vec<Number>) -> Vec<Difference> {
    let mut found = Findings { tenant: TenantId(Uuid::nil()), differences: Vec::new() };
    for Series { entity, prefix, last } in series {
        let mut times: BTreeMap<i64, u64> = (1..=*last).map(|number| (number, 0)).collect();
        for number in numbers.iter().filter(|number| number.entity == *entity) {
            // What was given out since belongs to the next audit.
            times.entry(number.place).and_modify(|times| *times += 1);
            let expected = format!("{prefix}-{:06}", number.place);
            found.compare(
                Rule::NumberIsOfItsSeries,
                format!("number {}", number.place),
                expected,
                number.text.clone(),
            );
        }
        for (number, times) in times.into_iter().filter(|(_, times)| *times != 1) {
            found.add(Rule::NumbersHaveNoGaps, format!("{prefix}-{number:06}"), "one document", times);
        }
    }
    found.differences
}
