//! Statements with their lines and taxes, as the columns that PostgreSQL writes them from.

use super::{Sealed, column};
use crate::{collection::Decision, statement::Line, tax::Taxed, usage::Meter};
use tokio_postgres::types::ToSql;

/// Values of one column.
type Column<'a> = Box<dyn ToSql + Sync + Send + 'a>;

/// Each of the column's values, in one box.
macro_rules! columns {
    ($rows:expr; $($of:expr),* $(,)?) => {
        vec![$(Box::new(column($rows, $of)) as Column<'_>),*]
    };
}

/// In the order of `insert_statements.sql`.
pub(super) fn columns<'a>(entity: &'a &'a str, all: &'a [Sealed]) -> Vec<Column<'a>> {
    let mut columns: Vec<Column<'a>> = vec![Box::new(entity)];
    columns.extend(lines(all));
    columns.extend(taxes(all));
    columns.extend(heads(all));
    columns
}

fn lines(all: &[Sealed]) -> Vec<Column<'_>> {
    let placed = |it| (1_i32..).zip(Sealed::lines(it)).map(move |(place, line)| (it, place, line));
    let lines: Vec<(&Sealed, i32, &Line)> = all.iter().flat_map(placed).collect();
    columns![&lines;
        |(it, ..)| it.who.tenant.0,
        |(it, ..)| it.id.0,
        |(.., line)| line.line_id.0,
        |(_, place, _)| *place,
        |(.., line)| line.kind.as_str(),
        |(.., line)| line.description.as_str(),
        |(.., line)| line.meter.as_ref().map(Meter::as_str),
        |(.., line)| line.quantity,
        |(.., line)| line.unit.as_str(),
        |(.., line)| line.unit_size,
        |(.., line)| line.included,
        |(.., line)| line.rate.map(|rate| rate.micros),
        |(.., line)| line.amount.micros,
        |(.., line)| line.amount.currency.code(),
        |(it, _, line)| line.for_month.unwrap_or(it.month).first_day(),
        |(.., line)| line.subscription_id.0,
        |(.., line)| line.price_id.0,
        |(.., line)| line.vendor_id.0,
        |(it, ..)| it.at,
        |(.., line)| line.tax_group,
        |(.., line)| line.coupon_id.map(|coupon| coupon.0),
        |(.., line)| line.discounts.map(|line| line.0),
    ]
}

/// The breakdowns of accounts that are taxed.
fn taxes(all: &[Sealed]) -> Vec<Column<'_>> {
    let taxed = all.iter().filter(|it| it.lines().iter().any(|line| line.tax_group.is_some()));
    let placed = |it| (1_i32..).zip(Sealed::taxes(it)).map(move |(place, part)| (it, place, part));
    let parts: Vec<(&Sealed, i32, &Taxed)> = taxed.flat_map(placed).collect();
    columns![&parts;
        |(it, ..)| it.who.tenant.0,
        |(it, ..)| it.id.0,
        |(_, place, _)| *place,
        |(.., part)| part.treatment.category.code(),
        |(.., part)| part.treatment.country.map(|country| country.to_string()),
        |(.., part)| part.treatment.rate_millionths,
        |(.., part)| part.treatment.prices_include_tax,
        |(.., part)| part.reason.as_deref(),
        |(.., part)| part.priced.micros,
        |(.., part)| part.taxable.micros,
        |(.., part)| part.tax.micros,
        |(.., part)| part.tax.currency.code(),
        |(it, ..)| it.at,
    ]
}

fn heads(all: &[Sealed]) -> Vec<Column<'_>> {
    columns![all;
        |it| it.who.tenant.0,
        |it| it.draft.account.account_id.0,
        |it| it.id.0,
        |it| it.draft.period.start,
        |it| it.draft.period.end,
        |it| it.draft.as_of,
        |it| it.draft.currency.code(),
        |it| it.draft.subtotal.micros,
        |it| it.draft.carried_in.micros,
        |it| it.draft.total.micros,
        |it| it.draft.carried_out.micros,
        |it| it.draft.tab.before.micros,
        |it| it.draft.tab.after.micros,
        decision,
        |it| it.draft.tab.collect.why.as_str(),
        |it| it.at,
        |it| it.draft.tax.micros,
        |it| it.draft.tax_on_top().micros,
        |it| it.draft.credits.iter().map(|part| part.amount.micros).sum::<i64>(),
    ]
}

fn decision(it: &Sealed) -> &'static str {
    match it.draft.tab.collect.decision {
        Decision::Wait => "wait",
        Decision::Collect => "collect",
    }
}

impl Sealed {
    fn lines(&self) -> &[Line] {
        &self.draft.lines
    }

    fn taxes(&self) -> &[Taxed] {
        &self.draft.taxes
    }
}
