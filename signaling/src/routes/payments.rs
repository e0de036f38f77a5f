//! Paying: ways to pay, what is owed, paying it now, and the wallet.

use super::page::{PageQuery, cut, limit};
use super::plans::name;
use crate::api::Api;
use crate::auth::{Caller, Right};
use crate::idempotency::{Attempt, KeyHeader, Stop};
use crate::input::{Ask, At, Input};
use crate::problem::{Code, Document, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use billing::collection::{Collect, DEFAULT_POLICY, Decision, Next, TopUp, next};
use billing::collector::{NotNow, pay_now, top_up};
use billing::currency::Currency;
use billing::db::Transaction;
use billing::ids::{AccountId, PaymentId, PaymentMethodId};
use billing::money::Money;
use billing::payment::{Method, Payment, Settings, top_up_amount};
use billing::processor::{Processor, Rail};
use billing::store::{self, NewMethod, Payer, Who};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Characters of a token at most.
const TOKEN_CHARS_MAX: usize = 255;
/// Characters of a label at most.
const LABEL_CHARS_MAX: usize = 60;

/// A way to pay to name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPaymentMethod {
    /// The processor's name for it, 1 to 255 visible ASCII characters. Never a card's number.
    #[schema(min_length = 1, max_length = 255, example = "sandbox_succeeds")]
    token: String,
    /// By what money comes; a card if left out.
    rail: Option<Rail>,
    /// What the payer calls it, 1 to 60 characters on one line.
    #[schema(min_length = 1, max_length = 60, example = "Visa ending in 4242")]
    label: String,
}

/// What an account says about paying. What is left out or null is taken back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPaymentSettings {
    /// By which of its ways to pay; none, and nothing is taken.
    payment_method_id: Option<PaymentMethodId>,
    /// Not to be asked for less than this, short of a tab's greatest age: whole minor units, in micros.
    #[schema(minimum = 1_000_000, example = 1_000_000_000)]
    at_least_micros: Option<i64>,
    /// How the wallet fills itself up when it cannot pay a statement.
    refill: Option<NewRefill>,
}

/// How a wallet fills itself up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRefill {
    /// With so much at a time, or what is missing where that is more.
    #[schema(minimum = 500_000_000, maximum = 50_000_000_000_i64, example = 1_000_000_000)]
    amount_micros: i64,
    /// With so much in a calendar month at most.
    #[schema(example = 3_000_000_000_i64)]
    monthly_ceiling_micros: i64,
}

/// What to put into a wallet.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTopUp {
    /// Whole minor units of the account's currency, in micros: from $5 to $500.
    #[schema(minimum = 500_000_000, maximum = 50_000_000_000_i64, example = 1_000_000_000)]
    amount_micros: i64,
}

/// Nothing needs to be said.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PayNow {}

/// What an account owes, has paid ahead, and what happens next.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Tab {
    /// Whose.
    account_id: AccountId,
    /// Final and not paid.
    owed: Money,
    /// Paid ahead.
    wallet: Money,
    /// Ask or wait, with the reason for the payer.
    next: Collect,
    /// Until when it waits at the longest if nothing is added; null where waiting alone changes nothing.
    until: Option<Timestamp>,
    /// By which way it pays.
    payment_method_id: Option<PaymentMethodId>,
    /// Not to be asked for less than this.
    at_least: Option<Money>,
    /// How the wallet fills itself up.
    refill: Option<Refill>,
    /// Who moves the money.
    processor: ProcessorInfo,
}

/// How a wallet fills itself up.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Refill {
    /// With so much at a time.
    amount: Money,
    /// With so much in a calendar month at most.
    monthly_ceiling: Money,
    /// So much of that has been used.
    this_month: Money,
}

/// Who moves the money.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProcessorInfo {
    /// Its name.
    name: &'static str,
    /// What a payer must know about it.
    says: &'static str,
}

/// The ways to pay of an account.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PaymentMethods {
    /// Newest first.
    payment_methods: Vec<Method>,
}

/// A page of payments.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Payments {
    /// Newest first.
    payments: Vec<Payment>,
    /// Where the next page begins; null on the last.
    next_cursor: Option<Uuid>,
}

impl Tab {
    fn of(payer: &Payer, processor: &impl Processor) -> Result<Self, Problem> {
        let situation = &payer.situation;
        let decided =
            next(situation, &DEFAULT_POLICY, payer.at).map_err(|error| Problem::internal(&error))?;
        let (decision, until) = match decided {
            Next::Wait(until, _) => (Decision::Wait, until),
            Next::Draw(_) | Next::Refill(..) | Next::Collect(..) => (Decision::Collect, None),
        };
        let refill = situation.refill.map(|TopUp { amount, monthly_ceiling, this_month }| Refill {
            amount,
            monthly_ceiling,
            this_month,
        });
        let at_least = match situation.wish {
            billing::collection::Wish::AtLeast(least) => Some(least),
            billing::collection::Wish::AsPolicy | billing::collection::Wish::Now => None,
        };
        Ok(Self {
            account_id: payer.who.account,
            owed: situation.owed.amount,
            wallet: situation.wallet,
            next: Collect { decision, why: decided.why().to_string() },
            until,
            payment_method_id: payer.method.as_ref().map(|(method, _)| *method),
            at_least,
            refill,
            processor: ProcessorInfo { name: processor.name(), says: processor.says() },
        })
    }
}

impl From<NotNow> for Problem {
    fn from(error: NotNow) -> Self {
        match error {
            NotNow::NoAccount => Problem::not_found("account"),
            NotNow::Nothing(why) => Problem::new(Code::PaymentConflict, why),
            NotNow::Store(error) => error.into(),
        }
    }
}

/// The payer of a path, if it is the caller's.
async fn payer(api: &Api, tx: &Transaction, caller: &Caller, account: Uuid) -> Result<Payer, Problem> {
    let who = Who { tenant: caller.tenant, account: AccountId(account) };
    let found = store::payers(tx, &api.processor(), &[who], api.now()).await?.pop();
    found.ok_or_else(|| Problem::not_found("account"))
}

/// Name a way to pay. The account pays by it from now on.
#[utoipa::path(
    post, path = "/v1/accounts/{account_id}/payment-methods", operation_id = "create_payment_method", tag = "payments",
    request_body = NewPaymentMethod, params(("account_id" = Uuid, Path, description = "The account"), KeyHeader),
    responses(
        (status = 201, body = Method),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn create_method(
    State(api): State<Api>,
    caller: Caller,
    At(account): At<Uuid>,
    Input(new, ticket): Input<NewPaymentMethod>,
) -> Result<Response, Stop> {
    caller.must_have(Right::MoveMoney)?;
    let new = new.checked(&api)?;
    let attempt = Attempt::begin(&api, &caller, ticket).await?;
    let payer = match payer(&api, &attempt, &caller, account).await {
        Ok(payer) => payer,
        Err(problem) => return Err(attempt.refuse(problem).await),
    };
    if api.processor().fees(new.rail, payer.currency()).is_none() {
        let problem = Problem::input("rail", format!("takes no {}", payer.currency()));
        return Err(attempt.refuse(problem).await);
    }
    match store::name_method(&attempt, payer.who, new, api.now(), payer.at).await? {
        Some(method) => attempt.answer(StatusCode::CREATED, &method).await,
        None => Err(attempt.refuse(said_too_much()).await),
    }
}

impl NewPaymentMethod {
    fn checked(self, api: &Api) -> Result<NewMethod, Problem> {
        let (token, label) = (token(&self.token)?.to_owned(), label(&self.label)?);
        let rail = self.rail.unwrap_or(Rail::Card);
        Ok(NewMethod { processor: api.processor().name(), rail, token, label })
    }
}

/// A processor's name for something.
pub(super) fn token(text: &str) -> Result<&str, Problem> {
    let is_token = text.bytes().all(|byte| byte.is_ascii_graphic());
    match is_token && (1..=TOKEN_CHARS_MAX).contains(&text.len()) {
        true => Ok(text),
        false => Err(Problem::input("token", "must have 1 to 255 visible ASCII characters")),
    }
}

/// What somebody calls a way to pay or to be paid.
pub(super) fn label(text: &str) -> Result<String, Problem> {
    let label = name(text).ok().filter(|label| label.chars().count() <= LABEL_CHARS_MAX);
    label.ok_or_else(|| Problem::input("label", "must have 1 to 60 characters on one line"))
}

fn said_too_much() -> Problem {
    Problem::new(Code::LimitReached, "an account changes what it says about paying 10,000 times at most")
}

/// List an account's ways to pay, newest first.
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/payment-methods", operation_id = "list_payment_methods", tag = "payments",
    params(("account_id" = Uuid, Path, description = "The account")),
    responses(
        (status = 200, body = PaymentMethods),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn list_methods(
    State(api): State<Api>,
    caller: Caller,
    At(account): At<Uuid>,
) -> Result<Json<PaymentMethods>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let payer = payer(&api, &tx, &caller, account).await?;
    let payment_methods = store::methods(&tx, payer.who).await?;
    tx.commit().await?;
    Ok(Json(PaymentMethods { payment_methods }))
}

/// Say how an account pays: by what, not less than so much at a time, and whether its wallet fills itself up.
#[utoipa::path(
    post, path = "/v1/accounts/{account_id}/payment-settings", operation_id = "set_payment_settings", tag = "payments",
    request_body = NewPaymentSettings, params(("account_id" = Uuid, Path, description = "The account"), KeyHeader),
    responses(
        (status = 200, body = Tab),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn set(
    State(api): State<Api>,
    caller: Caller,
    At(account): At<Uuid>,
    Input(new, ticket): Input<NewPaymentSettings>,
) -> Result<Response, Stop> {
    caller.must_have(Right::MoveMoney)?;
    let attempt = Attempt::begin(&api, &caller, ticket).await?;
    match new.keep(&api, &attempt, &caller, account).await {
        Ok(tab) => attempt.answer(StatusCode::OK, &tab).await,
        Err(problem) => Err(attempt.refuse(problem).await),
    }
}

impl NewPaymentSettings {
    async fn keep(
        &self,
        api: &Api,
        tx: &Transaction,
        caller: &Caller,
        account: Uuid,
    ) -> Result<Tab, Problem> {
        let before = payer(api, tx, caller, account).await?;
        if let Some(method) = self.payment_method_id
            && !store::methods(tx, before.who).await?.iter().any(|it| it.payment_method_id == method)
        {
            return Err(Problem::input("payment_method_id", "is no way to pay of this account"));
        }
        let say = self.settings(before.currency())?;
        if !store::set(tx, before.who, say, before.at).await? {
            return Err(said_too_much());
        }
        Tab::of(&payer(api, tx, caller, account).await?, &api.processor())
    }

    fn settings(&self, currency: Currency) -> Result<Settings, Problem> {
        let at_least = self.at_least_micros.map(|micros| whole("at_least_micros", micros, currency));
        let refill = self.refill.as_ref().map(|refill| refill.rule(currency));
        Ok(Settings {
            method: self.payment_method_id,
            at_least: at_least.transpose()?,
            refill: refill.transpose()?,
        })
    }
}

impl NewRefill {
    fn rule(&self, currency: Currency) -> Result<TopUp, Problem> {
        let amount = top_up_amount(Money::micros(self.amount_micros, currency))
            .map_err(|error| Problem::input("refill.amount_micros", error))?;
        let field = "refill.monthly_ceiling_micros";
        let monthly_ceiling = whole(field, self.monthly_ceiling_micros, currency)?;
        if monthly_ceiling.micros < amount.micros {
            return Err(Problem::input(field, "must be no less than amount_micros"));
        }
        Ok(TopUp { amount, monthly_ceiling, this_month: Money::zero(currency) })
    }
}

fn whole(field: &str, micros: i64, currency: Currency) -> Result<Money, Problem> {
    let amount = Money::micros(micros, currency);
    match micros > 0 && amount.to_minor_unit() == amount {
        true => Ok(amount),
        false => Err(Problem::input(field, "must be whole minor units, more than none")),
    }
}

/// Read what an account owes, what it has paid ahead, and what happens next.
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/tab", operation_id = "read_tab", tag = "payments",
    params(("account_id" = Uuid, Path, description = "The account")),
    responses(
        (status = 200, body = Tab),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn read_tab(
    State(api): State<Api>,
    caller: Caller,
    At(account): At<Uuid>,
) -> Result<Json<Tab>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let payer = payer(&api, &tx, &caller, account).await?;
    tx.commit().await?;
    Ok(Json(Tab::of(&payer, &api.processor())?))
}

/// Pay the whole tab now, whatever the fee. The payment is *attempted* in the answer; read it again a moment later.
#[utoipa::path(
    post, path = "/v1/accounts/{account_id}/pay", operation_id = "pay_now", tag = "payments", request_body = PayNow,
    params(("account_id" = Uuid, Path, description = "The account"), KeyHeader),
    responses(
        (status = 202, body = Payment),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn pay(
    State(api): State<Api>,
    caller: Caller,
    At(account): At<Uuid>,
    Input(PayNow {}, ticket): Input<PayNow>,
) -> Result<Response, Stop> {
    caller.must_have(Right::MoveMoney)?;
    let attempt = Attempt::begin(&api, &caller, ticket).await?;
    let who = Who { tenant: caller.tenant, account: AccountId(account) };
    match pay_now(&attempt, &api.processor(), &DEFAULT_POLICY, who, api.now()).await {
        Ok(payment) => attempt.answer(StatusCode::ACCEPTED, &payment).await,
        Err(error) => Err(attempt.refuse(error.into()).await),
    }
}

/// Put money into an account's wallet. The payment is *attempted* in the answer; read it again a moment later.
#[utoipa::path(
    post, path = "/v1/accounts/{account_id}/top-ups", operation_id = "create_top_up", tag = "payments",
    request_body = NewTopUp, params(("account_id" = Uuid, Path, description = "The account"), KeyHeader),
    responses(
        (status = 202, body = Payment),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn create_top_up(
    State(api): State<Api>,
    caller: Caller,
    At(account): At<Uuid>,
    Input(new, ticket): Input<NewTopUp>,
) -> Result<Response, Stop> {
    caller.must_have(Right::MoveMoney)?;
    let attempt = Attempt::begin(&api, &caller, ticket).await?;
    match new.put(&api, &attempt, &caller, account).await {
        Ok(payment) => attempt.answer(StatusCode::ACCEPTED, &payment).await,
        Err(problem) => Err(attempt.refuse(problem).await),
    }
}

impl NewTopUp {
    async fn put(
        &self,
        api: &Api,
        tx: &Transaction,
        caller: &Caller,
        account: Uuid,
    ) -> Result<Payment, Problem> {
        let payer = payer(api, tx, caller, account).await?;
        let amount = top_up_amount(Money::micros(self.amount_micros, payer.currency()))
            .map_err(|error| Problem::input("amount_micros", error))?;
        Ok(top_up(tx, &api.processor(), payer.who, amount, api.now()).await?)
    }
}

/// List an account's payments, newest first.
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/payments", operation_id = "list_payments", tag = "payments",
    params(("account_id" = Uuid, Path, description = "The account"), PageQuery),
    responses(
        (status = 200, body = Payments),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    At(account): At<Uuid>,
    Ask(page): Ask<PageQuery>,
) -> Result<Json<Payments>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let limit = limit(page.limit)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let account = payer(&api, &tx, &caller, account).await?.who.account;
    let mut payments = store::payments(&tx, caller.tenant, Some(account), page.cursor, limit + 1).await?;
    tx.commit().await?;
    let next_cursor = cut(&mut payments, limit, |payment| payment.payment_id.0);
    Ok(Json(Payments { payments, next_cursor }))
}

/// Read a payment.
#[utoipa::path(
    get, path = "/v1/payments/{payment_id}", operation_id = "read_payment", tag = "payments",
    params(("payment_id" = Uuid, Path, description = "The payment")),
    responses(
        (status = 200, body = Payment),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn read(
    State(api): State<Api>,
    caller: Caller,
    At(payment): At<Uuid>,
) -> Result<Json<Payment>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let payment = store::payment(&tx, caller.tenant, PaymentId(payment)).await?;
    tx.commit().await?;
    payment.map(Json).ok_or_else(|| Problem::not_found("payment"))
}
