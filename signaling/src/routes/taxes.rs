//! Tax: what countries charge, where the seller is at home, and what accounts say of themselves.

use crate::api::Api;
use crate::auth::{Caller, Operator, Right, TenantHeader};
use crate::idempotency::{Attempt, KeyHeader, Stop};
use crate::input::{At, Input};
use crate::problem::{Code, Document, Problem};
use crate::text;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use billing::db::DbError;
use billing::ids::AccountId;
use billing::store::{self, StoredRate};
use billing::tax::{Buyer, Class, Country, VatId};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// The longest source of a rate and the longest reason of an exemption.
const TEXT_CHARS_MAX: usize = 200;

/// A rate of a country, from a day on.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TaxRate {
    /// Whose, by ISO 3166-1.
    #[schema(example = "DE")]
    country: String,
    /// `standard` or `reduced`.
    class: Class,
    /// Its first day; this month's first at the earliest.
    #[schema(value_type = String, format = Date, example = "2027-01-01")]
    valid_from: Date,
    /// 190,000 are 19 %.
    #[schema(minimum = 1, maximum = 999_999, example = 190_000)]
    rate_millionths: i64,
    /// Where it was read.
    #[schema(max_length = 200)]
    source: String,
}

impl From<StoredRate> for TaxRate {
    fn from(rate: StoredRate) -> Self {
        let StoredRate { country, class, valid_from, rate_millionths, source } = rate;
        Self { country: country.to_string(), class, valid_from, rate_millionths, source }
    }
}

impl TaxRate {
    fn check(&self) -> Result<StoredRate, Problem> {
        let Self { class, valid_from, rate_millionths, .. } = *self;
        if !matches!(class, Class::Standard | Class::Reduced) {
            return Err(Problem::input("class", "has no rate: it is standard or reduced"));
        }
        if !(1..billing::tax::MILLIONTHS).contains(&rate_millionths) {
            return Err(Problem::input("rate_millionths", "must be 1 to 999999: 190000 are 19 %"));
        }
        let source = line("source", &self.source)?;
        Ok(StoredRate { country: country(&self.country)?, class, valid_from, rate_millionths, source })
    }
}

/// The rates.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TaxRates {
    /// By country, class and first day. The last one that has begun counts.
    rates: Vec<TaxRate>,
}

/// Where the seller is at home.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSeller {
    /// By ISO 3166-1.
    #[schema(example = "DE")]
    country: String,
    /// Its number at the tax office.
    vat_id: Option<String>,
}

/// Where the seller was at home since when.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SellerView {
    /// By ISO 3166-1.
    #[schema(value_type = String, example = "DE")]
    country: Country,
    /// Its number at the tax office.
    vat_id: Option<String>,
    /// Counts for statements of months that end after it, UTC.
    valid_from: Timestamp,
}

/// What an account says of itself for the tax office.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAccountTax {
    /// Where it is, by ISO 3166-1.
    #[schema(example = "DE")]
    country: String,
    /// The number of a business at its tax office. Its form is checked, not whether it was given out.
    vat_id: Option<String>,
    /// Why nothing is taxed; an operator says that, or takes it back with an empty one. Left out, it stays as it is.
    #[schema(max_length = 200)]
    exemption: Option<String>,
}

/// What an account said of itself for the tax office.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AccountTax {
    /// Where it is, by ISO 3166-1.
    #[schema(value_type = String, example = "DE")]
    country: Country,
    /// The number of a business at its tax office.
    vat_id: Option<String>,
    /// Why nothing is taxed, if that is so.
    exemption: Option<String>,
    /// Counts for the month that this lies in and for all later ones; in the tenant's time, UTC.
    valid_from: Timestamp,
}

impl AccountTax {
    fn of(valid_from: Timestamp, buyer: Buyer) -> Self {
        let vat_id = buyer.vat_id.map(|number| number.as_str().to_owned());
        Self { country: buyer.country, vat_id, exemption: buyer.exemption, valid_from }
    }
}

fn country(code: &str) -> Result<Country, Problem> {
    code.parse().map_err(|why| Problem::input("country", why))
}

fn vat_id(text: Option<&str>, country: Country) -> Result<Option<VatId>, Problem> {
    let parsed = text.map(|text| VatId::parse(text, country)).transpose();
    parsed.map_err(|why| Problem::input("vat_id", why))
}

/// A text on one line that says something.
pub(super) fn line(field: &str, text: &str) -> Result<String, Problem> {
    let line = text::line(text, TEXT_CHARS_MAX).map_err(|why| Problem::input(field, why))?;
    if line.is_empty() { Err(Problem::input(field, text::TextRefusal::Empty)) } else { Ok(line) }
}

/// List the rates of tax.
#[utoipa::path(
    get, path = "/v1/tax-rates", operation_id = "list_tax_rates", tag = "money", params(TenantHeader),
    responses(
        (status = 200, body = TaxRates),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = []), ("operator_token" = [])),
)]
pub(super) async fn list_rates(State(api): State<Api>, caller: Caller) -> Result<Json<TaxRates>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let rates = store::tax_rates(&tx).await?;
    tx.commit().await?;
    Ok(Json(TaxRates { rates: rates.into_iter().map(TaxRate::from).collect() }))
}

/// Add a rate of tax. It counts from its first day on and is never changed: add another one.
#[utoipa::path(
    post, path = "/v1/tax-rates", operation_id = "create_tax_rate", tag = "operator", request_body = TaxRate,
    responses(
        (status = 201, body = TaxRate),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("operator_token" = [])),
)]
pub(super) async fn create_rate(
    State(api): State<Api>,
    _: Operator,
    Input(new, _): Input<TaxRate>,
) -> Result<(StatusCode, Json<TaxRate>), Problem> {
    let rate = new.check()?;
    let tx = api.db().service().await?;
    let is_of_the_past = |error: &DbError| error.constraint() == Some("tax_rate_is_not_of_the_past");
    match store::insert_tax_rate(&tx, &rate, api.now()).await {
        Ok(true) => tx.commit().await?,
        Ok(false) if store::tax_rates(&tx).await?.contains(&rate) => {}
        Ok(false) => return Err(Problem::input("valid_from", "there is another rate from this day on")),
        Err(error) if is_of_the_past(&error) => {
            return Err(Problem::input("valid_from", "is before this month, whose statements may be final"));
        }
        Err(error) => return Err(error.into()),
    }
    Ok((StatusCode::CREATED, Json(rate.into())))
}

/// Say where the seller is at home, from now on.
#[utoipa::path(
    put, path = "/v1/seller", operation_id = "set_seller", tag = "operator", request_body = NewSeller,
    responses(
        (status = 200, body = SellerView),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("operator_token" = [])),
)]
pub(super) async fn set_seller(
    State(api): State<Api>,
    _: Operator,
    Input(new, _): Input<NewSeller>,
) -> Result<Json<SellerView>, Problem> {
    let country = country(&new.country)?;
    let vat_id = vat_id(new.vat_id.as_deref(), country)?;
    let tx = api.db().service().await?;
    store::insert_seller(&tx, country, vat_id.as_ref(), api.now()).await?;
    let last = store::sellers(&tx).await?.pop();
    tx.commit().await?;
    let seller = last.ok_or_else(|| Problem::not_found("seller"))?;
    let store::Seller { country, vat_id, valid_from } = seller;
    Ok(Json(SellerView { country, vat_id, valid_from }))
}

/// Read what an account says of itself for the tax office. Where it said nothing (404), no tax is involved.
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/tax", operation_id = "read_account_tax", tag = "money",
    params(("account_id" = Uuid, Path, description = "The account"), TenantHeader),
    responses(
        (status = 200, body = AccountTax),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = []), ("operator_token" = [])),
)]
pub(super) async fn read(
    State(api): State<Api>,
    caller: Caller,
    At(account): At<Uuid>,
) -> Result<Json<AccountTax>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let said = store::account_tax(&tx, caller.tenant, AccountId(account)).await?;
    tx.commit().await?;
    let (valid_from, buyer) = said.ok_or_else(|| Problem::not_found("account that said something"))?;
    Ok(Json(AccountTax::of(valid_from, buyer)))
}

/// Say where an account is and whether it is a business. It counts for the month in progress and all later ones.
#[utoipa::path(
    put, path = "/v1/accounts/{account_id}/tax", operation_id = "set_account_tax", tag = "money",
    request_body = NewAccountTax,
    params(("account_id" = Uuid, Path, description = "The account"), KeyHeader, TenantHeader),
    responses(
        (status = 200, body = AccountTax),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = []), ("operator_token" = [])),
)]
pub(super) async fn set(
    State(api): State<Api>,
    caller: Caller,
    At(account): At<Uuid>,
    Input(new, ticket): Input<NewAccountTax>,
) -> Result<Response, Stop> {
    caller.must_have(Right::Subscribe)?;
    if new.exemption.is_some() {
        caller.must_have(Right::DecideForSeller)?;
    }
    let country = country(&new.country)?;
    let vat_id = vat_id(new.vat_id.as_deref(), country)?;
    let exemption = match new.exemption.as_deref() {
        Some("") | None => None,
        Some(reason) => Some(line("exemption", reason)?),
    };
    let attempt = Attempt::begin(&api, &caller, ticket).await?;
    let (tenant, account) = (caller.tenant, AccountId(account));
    if store::account_of_tenant(&attempt, tenant, Some(account)).await?.is_none() {
        return Err(attempt.refuse(Problem::not_found("account")).await);
    }
    let before = store::account_tax(&attempt, tenant, account).await?;
    let kept = before.and_then(|(_, buyer)| buyer.exemption);
    let exemption = if new.exemption.is_some() { exemption } else { kept };
    let buyer = Buyer { country, vat_id, exemption };
    let valid_from = store::set_account_tax(&attempt, tenant, account, &buyer, api.now()).await;
    match valid_from {
        Ok(valid_from) => attempt.answer(StatusCode::OK, &AccountTax::of(valid_from, buyer)).await,
        Err(store::StoreError::Db(error)) if error.constraint() == Some("account_tax_counts_from_one") => {
            let problem = Problem::new(Code::LimitReached, "an account says 1,000 such things at most");
            Err(attempt.refuse(problem).await)
        }
        Err(error) => Err(attempt.refuse(error.into()).await),
    }
}
