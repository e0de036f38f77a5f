//! A service that keeps its own rows: what the audit is shown in tests, made by the code that bills.

use super::*;

/// A service in memory with the rows that a store would keep of it.
pub(super) struct Kept {
    pub(super) service: Service,
    pub(super) statements: Vec<Statement>,
    /// What each hour of each price was charged so far: quantity and micros.
    pub(super) charged: BTreeMap<(SubscriptionId, PriceId, Hour), (i64, i64)>,
    /// What became of credits.
    pub(super) uses: Vec<(Uuid, (Uuid, bool, i64))>,
    /// What was given, before anything became of it.
    pub(super) given: BTreeMap<Uuid, i64>,
    /// The place of each transaction in the ledger.
    pub(super) posted: BTreeMap<Uuid, i64>,
    pub(super) notes: Vec<CreditNoteRow>,
    pub(super) corrections: Vec<(Uuid, crate::credit_note::Correction)>,
}

pub(super) const JANUARY: i64 = 490_896; // 2026-01-01T00:00Z in hours

impl Kept {
    pub(super) fn new(prices: Vec<Price>, starts: i64, ends: Option<i64>) -> Self {
        let subscription = Subscription {
            subscription_id: SubscriptionId(Uuid::from_u128(3)),
            vendor_id: VendorId(Uuid::from_u128(1)),
            plan: "Plan".into(),
            tax: Default::default(),
            plan_id: crate::ids::PlanId(Uuid::nil()),
            starts: Hour(JANUARY + starts),
            ends: ends.map(|ends| Hour(JANUARY + ends)),
            prices,
            terms: Vec::new(),
        };
        let service = Service::new(vec![subscription]);
        Self::of(service)
    }

    pub(super) fn of(service: Service) -> Self {
        Kept {
            service,
            statements: Vec::new(),
            charged: BTreeMap::new(),
            uses: Vec::new(),
            given: BTreeMap::new(),
            posted: BTreeMap::new(),
            notes: Vec::new(),
            corrections: Vec::new(),
        }
    }

    /// What has come into the ledger since the last time came together.
    pub(super) fn note_postings(&mut self) {
        let place = self.posted.len() as i64;
        for transaction in self.service.ledger.transactions() {
            self.posted.entry(transaction.id).or_insert(place);
        }
        for credit in &self.service.books.credits {
            self.given.entry(credit.credit_id.0).or_insert(credit.left.micros);
        }
    }

    pub(super) fn finalise(&mut self) {
        self.note_postings();
        let month = self.service.books.open_month().expect("a subscription");
        let drafted = statement::draft(&self.service.books, month, month.end()).expect("small");
        let hours: Vec<Vec<Charged>> = drafted.lines.iter().map(|line| self.hours(line, month)).collect();
        let owed = self.service.books.owed.micros;
        let last = self.service.finalise().clone();
        self.note_postings();
        let id = last.statement_id.expect("final").0;
        for (expired, parts) in [(false, &last.credits), (true, &last.expired_credits)] {
            self.uses.extend(parts.iter().map(|part| (part.credit_id.0, (id, expired, part.amount.micros))));
        }
        let place = self.statements.len() as i64 + 1;
        let lines = last.lines.iter().zip(hours).map(|(line, hours)| Line { hours, ..row(line, month) });
        self.statements.push(Statement {
            statement: id,
            entity: "operator".into(),
            series_number: place,
            number: format!("TUP-{place:06}"),
            starts: last.period.start,
            ends: last.period.end,
            currency: last.currency.to_string(),
            subtotal: last.subtotal.micros,
            carried_in: last.carried_in.micros,
            total: last.total.micros,
            tax: last.tax.micros,
            tax_on_top: last.tax_on_top().micros,
            credits: last.total.micros - last.payable.micros,
            taxes: tax_rows(&last),
            carried_out: last.carried_out.micros,
            tab_before: owed,
            tab_after: owed + last.payable.micros,
            lines: lines.collect(),
        });
    }

    /// The hours of a line less what they were charged before, as they are kept.
    pub(super) fn hours(&mut self, line: &statement::Line, month: Month) -> Vec<Charged> {
        if matches!(line.kind, LineKind::Recurring | LineKind::Discount) {
            return Vec::new();
        }
        let Books { subscriptions, usage, .. } = &self.service.books;
        let all = subscriptions.iter().flat_map(|it| it.prices.iter().map(move |price| (it, price)));
        let (subscription, price) =
            all.into_iter().find(|(_, price)| price.price_id == line.price_id).expect("its price");
        let month = line.for_month.unwrap_or(month);
        let hours = charge::hourly(subscription, price, usage, month, month.next().first()).expect("small");
        let kept = hours.iter().filter_map(|charge| {
            let so_far = self.charged.entry((line.subscription_id, line.price_id, charge.hour)).or_default();
            let now = (charge.quantity.unwrap_or(0), charge.amount.micros);
            let (quantity, amount) = (now.0 - so_far.0, now.1 - so_far.1);
            *so_far = now;
            let charged = Charged {
                hour: charge.hour.start(),
                quantity,
                amount,
                currency: charge.amount.currency.to_string(),
            };
            (quantity != 0 || amount != 0).then_some(charged)
        });
        kept.collect()
    }

    /// Corrects a final statement.
    pub(super) fn correct(&mut self, place: usize, asked: &crate::credit_note::Asked) {
        use crate::credit_note::draw_up;
        let statement = &self.service.statements[place];
        let of = statement.statement_id.expect("final").0;
        let before = self.corrections.iter().filter(|(id, _)| *id == of).map(|(_, it)| it.clone());
        let drawn = draw_up(statement, &before.collect::<Vec<_>>(), asked).expect("something is left");
        let series_number = self.notes.len() as i64 + 1;
        let note = Uuid::from_u128(5_000 + series_number as u128);
        let posting = drawn.posting(crate::ids::CreditNoteId(note), statement).expect("balanced");
        let part = |it: &crate::credit_note::CreditedTax| {
            (it.tax_group.unwrap_or(1), it.taxable.micros, it.tax.micros)
        };
        self.notes.push(CreditNoteRow {
            note,
            statement: of,
            entity: "operator credit notes".into(),
            series_number,
            number: format!("CN-{series_number:06}"),
            currency: drawn.total.currency.to_string(),
            net: drawn.total_without_tax.micros,
            tax: drawn.tax.micros,
            total: drawn.total.micros,
            lines: drawn.lines.iter().map(|it| (it.line_id.0, it.vendor_id.0, it.amount.micros)).collect(),
            taxes: drawn.taxes.iter().map(part).collect(),
        });
        self.corrections.push((of, drawn));
        self.service.post(posting);
        self.note_postings();
    }

    pub(super) fn credit_rows(&self) -> Vec<CreditRow> {
        let row = |credit: &crate::credit::Credit| CreditRow {
            credit: credit.credit_id.0,
            amount: self.given[&credit.credit_id.0],
            currency: credit.left.currency.to_string(),
            expires: credit.expires_at,
            uses: self.uses.iter().filter(|(of, _)| *of == credit.credit_id.0).map(|(_, it)| *it).collect(),
        };
        self.service.books.credits.iter().map(row).collect()
    }

    /// The rows, with the draft of the open month as of its tenth day.
    pub(super) fn evidence(&self) -> Evidence {
        let books = &self.service.books;
        let month = books.open_month().expect("a subscription");
        let as_of = month.start() + SignedDuration::from_hours(24 * 9) + SignedDuration::from_mins(5);
        let draft = statement::draft(books, month, as_of).expect("small");
        let lines = draft.lines.iter().map(|line| row(line, month)).collect();
        let transactions = self.service.ledger.transactions();
        let (tenant, account) = (TenantId(Uuid::from_u128(9)), &books.account);
        Evidence {
            used: used(books),
            late: books.late.iter().map(|month| month.first_day()).collect(),
            sold: books.subscriptions.iter().map(sold).collect(),
            tax: books.tax.as_ref().map(tax_facts).unwrap_or_default(),
            coupons: books.coupons.iter().map(coupon_row).collect(),
            credits: self.credit_rows(),
            credit_notes: self.notes.clone(),
            posted: self.posted.clone(),
            statements: self.statements.clone(),
            entries: transactions
                .flat_map(|transaction| transaction.entries().iter().map(|entry| (transaction.id, entry)))
                .map(|(transaction, entry)| Entry {
                    transaction,
                    account: entry.account.to_string(),
                    currency: entry.amount.currency.to_string(),
                    amount: entry.amount.micros,
                })
                .collect(),
            draft: Some((month.first_day(), as_of, lines)),
            ..Evidence::of(tenant, account.account_id.0, account.currency.to_string())
        }
    }
}

pub(super) fn used(books: &Books) -> Vec<Used> {
    let whole = Hour(0)..Hour(1 << 30);
    let meters = [crate::usage::Meter::ParticipantMs, crate::usage::Meter::EgressBytes];
    let of = |meter: crate::usage::Meter| {
        let hours = books.usage.hours(meter, whole.clone());
        hours.map(move |(hour, tally)| Used {
            meter: meter.to_string(),
            hour: hour.start(),
            quantity: tally.quantity(),
        })
    };
    meters.into_iter().flat_map(of).collect()
}

pub(super) fn row(line: &statement::Line, month: Month) -> Line {
    Line {
        line: line.line_id.0,
        kind: line.kind.as_str().into(),
        subscription: line.subscription_id.0,
        price: line.price_id.0,
        vendor: line.vendor_id.0,
        quantity: line.quantity,
        amount: line.amount.micros,
        currency: line.amount.currency.to_string(),
        month: line.for_month.unwrap_or(month).first_day(),
        tax_group: line.tax_group,
        discount: line.coupon_id.zip(line.discounts).map(|(coupon, line)| (coupon.0, line.0)),
        hours: Vec::new(),
    }
}

pub(super) fn coupon_row(redeemed: &crate::coupon::Redeemed) -> CouponRow {
    use crate::coupon::Off;
    let coupon = &redeemed.coupon;
    let (percent, amount) = match coupon.off {
        Off::PercentMillionths(millionths) => (Some(millionths), None),
        Off::Amount(amount) => (None, Some(amount.micros)),
    };
    CouponRow {
        coupon: coupon.coupon_id.0,
        vendor: coupon.vendor_id.0,
        plans: coupon.plans.iter().map(|plan| plan.0).collect(),
        percent,
        amount,
        from: redeemed.from.first_day(),
        months: coupon.months.map(u32::cast_signed),
    }
}

/// The breakdown of an account that is taxed.
pub(super) fn tax_rows(statement: &statement::Statement) -> Vec<TaxRow> {
    if statement.lines.iter().all(|line| line.tax_group.is_none()) {
        return Vec::new();
    }
    let row = |(position, part): (i32, &crate::tax::Taxed)| TaxRow {
        position,
        category: part.treatment.category.code().into(),
        country: part.treatment.country.map(|country| country.to_string()),
        rate: part.treatment.rate_millionths,
        includes: part.treatment.prices_include_tax,
        priced: part.priced.micros,
        taxable: part.taxable.micros,
        tax: part.tax.micros,
        currency: part.tax.currency.to_string(),
    };
    (1..).zip(&statement.taxes).map(row).collect()
}

pub(super) fn tax_facts(books: &crate::tax::TaxBooks) -> TaxFacts {
    let buyer = |(from, buyer): &(Timestamp, crate::tax::Buyer)| TaxBuyer {
        from: *from,
        country: buyer.country.to_string(),
        is_business: buyer.vat_id.is_some(),
        is_exempt: buyer.exemption.is_some(),
    };
    TaxFacts {
        sellers: books.sellers.iter().map(|(from, country)| (*from, country.to_string())).collect(),
        buyers: books.buyers.iter().map(buyer).collect(),
        rates: crate::tax::tests::rate_rows(),
    }
}

pub(super) fn sold(subscription: &Subscription) -> Sold {
    Sold {
        subscription: subscription.subscription_id.0,
        vendor: subscription.vendor_id.0,
        starts: subscription.starts.start(),
        ends: subscription.ends.map(Hour::start),
        plan: subscription.plan_id.0,
        plan_version: Uuid::nil(),
        tax_class: subscription.tax.class.as_str().into(),
        prices_include_tax: subscription.tax.prices_include_tax,
        decisions: Vec::new(),
        prices: subscription.prices.iter().map(price_row).collect(),
    }
}

pub(super) fn price_row(price: &Price) -> PriceRow {
    let row = PriceRow {
        price: price.price_id.0,
        meter: price.meter().map(|meter| meter.to_string()),
        unit: String::new(),
        per: "subscription".into(),
        unit_size: 1,
        model: "graduated".into(),
        up_to: Vec::new(),
        rates: Vec::new(),
        included: 0,
        minimum: None,
        cap: None,
        currency: price.currency().to_string(),
    };
    match &price.pricing {
        Pricing::Recurring { amount, every } => {
            PriceRow { unit: every.as_str().into(), rates: vec![amount.micros], ..row }
        }
        Pricing::Counted(counted) => counted_row(counted, row),
        Pricing::Metered(metered) => metered_row(metered, row),
    }
}

pub(super) fn counted_row(counted: &Counted, row: PriceRow) -> PriceRow {
    PriceRow {
        unit: counted.every.as_str().into(),
        per: counted.item.as_str().into(),
        included: counted.included,
        minimum: counted.minimum.map(|minimum| minimum.micros),
        cap: counted.cap.map(|cap| cap.micros),
        ..model_row(&counted.model, row)
    }
}

pub(super) fn metered_row(metered: &Metered, row: PriceRow) -> PriceRow {
    PriceRow {
        unit: metered.unit.clone(),
        unit_size: metered.unit_size,
        included: metered.included,
        minimum: metered.minimum.map(|minimum| minimum.micros),
        cap: metered.cap.map(|cap| cap.micros),
        ..model_row(&metered.model, row)
    }
}

pub(super) fn model_row(model: &Model, row: PriceRow) -> PriceRow {
    let (model, tiers, rate) = match model {
        Model::Flat { micros } => ("flat", None, *micros),
        Model::PerUnit { micros } => ("per_unit", None, *micros),
        Model::Package { micros } => ("package", None, *micros),
        Model::Percentage { millionths } => ("percentage", None, *millionths),
        Model::Graduated(tiers) => ("graduated", Some(tiers), 0),
        Model::Volume(tiers) => ("volume", Some(tiers), 0),
    };
    let tiers = tiers.map_or(&[][..], |tiers| tiers.as_slice());
    let rates: Vec<i64> = tiers.iter().map(|tier| tier.rate_micros).collect();
    PriceRow {
        model: model.into(),
        up_to: tiers.iter().filter_map(|tier| tier.up_to).collect(),
        rates: if rates.is_empty() { vec![rate] } else { rates },
        ..row
    }
}

/// Three months of a subscription that was changed in any way: what billing makes of them, and the decisions as rows.
pub(in crate::audit) fn any_changed_books() -> impl Strategy<Value = Evidence> {
    let used = prop::collection::vec((0_i64..2_200, 0_i64..5_000_000_000), 0..12);
    (crate::subscription::tests::any_changed(JANUARY), used).prop_map(|((history, catalogue), used)| {
        let (id, payer) = (SubscriptionId(Uuid::from_u128(3)), crate::ids::AccountId(Uuid::from_u128(7)));
        let service = Service::new(history.subscriptions(id, Some(payer), &catalogue));
        let mut kept = Kept::of(service);
        if kept.service.books.subscriptions.is_empty() {
            return Evidence { sold: Vec::new(), draft: None, ..sound_and_empty() };
        }
        used.into_iter().for_each(|(hour, quantity)| kept.service.record(Hour(JANUARY + hour), quantity));
        (0..3).for_each(|_| kept.finalise());
        let decisions: Vec<Decision> = history.decisions().iter().zip(0..).map(decision).collect();
        let mut evidence = kept.evidence();
        evidence.sold = catalogue
            .iter()
            .map(|(plan, offer)| Sold {
                subscription: id.0,
                vendor: offer.vendor_id.0,
                starts: history.decisions()[0].from.start(),
                ends: None,
                plan: offer.plan_id.0,
                plan_version: plan.0,
                tax_class: "standard".into(),
                prices_include_tax: false,
                decisions: decisions.clone(),
                prices: offer.prices.iter().map(price_row).collect(),
            })
            .collect();
        evidence
    })
}

pub(super) fn decision((phase, sequence): (&crate::subscription::Phase, i32)) -> Decision {
    Decision {
        sequence,
        from: phase.from.start(),
        state: phase.state.as_str().into(),
        plan_version: phase.plan.0,
        payer: phase.payer.0,
        held: [phase.held.seats, phase.held.rooms, phase.held.mailboxes].map(u32::cast_signed),
    }
}
