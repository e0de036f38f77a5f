//! What a first start brings: the keys that sign tokens, and the demo business with its keys and a way in.

use crate::api::id_at;
use crate::auth::{Member, Role};
use crate::secret::{Secret, SecretKind};
use crate::store;
use crate::text;
use billing::TenantId;
use billing::clock::Clock;
use billing::db::{Db, DbError, Transaction};
use jiff::Timestamp;
use std::fmt;
use uuid::Uuid;

/// The demo business. Its id is the same everywhere, so that the home page finds it.
pub const DEMO_TENANT: TenantId = TenantId(Uuid::from_u128(0x019aa000_0000_7000_8000_00000000de30));
const DEMO_NAME: &str = "Fern & Finch";
const DEMO_OWNER: &str = "Robin Finch";

/// The service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The database refused or is away.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The address of the service is not one.
    #[error("the public URL {0} is not an address such as https://calls.example.com")]
    PublicUrl(String),
}

/// How to reach the demo business. The secrets are new at each start.
#[derive(Clone)]
pub struct Demo {
    /// The sandbox tenant.
    pub tenant: TenantId,
    /// `sk_…`; earlier ones are revoked.
    pub secret_key: String,
    /// `pk_…` for pages of the service's own origin; earlier ones are revoked.
    pub publishable_key: String,
    /// Signs its owner in to the console, once, within 24 hours.
    pub owner_link: String,
}

impl fmt::Debug for Demo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Demo").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

/// Makes the demo business at the first start; at each start gives it new keys and a new one-time link.
pub async fn ensure_demo(db: &Db, clock: &Clock, public_url: &str) -> Result<Demo, BootstrapError> {
    let now = clock.now();
    let origin = text::origin(public_url).map_err(|_| BootstrapError::PublicUrl(public_url.into()))?;
    let tx = db.tenant(DEMO_TENANT).await?;
    // Two starts at once must not make two businesses.
    tx.run("select pg_advisory_xact_lock(hashtext('tuppence demo'))", &[]).await?;
    let owner = match store::sessions::first_owner(&tx).await? {
        Some(owner) => owner,
        None => open(&tx, now).await?,
    };
    let demo = renew(&tx, owner, &origin, public_url, now).await?;
    tx.commit().await?;
    Ok(demo)
}

async fn open(tx: &Transaction, now: Timestamp) -> Result<Uuid, DbError> {
    store::tenants::insert_sandbox(tx, DEMO_NAME, now).await?;
    billing::store::open_account_on(tx, DEMO_TENANT, DEMO_NAME, billing::store::DEMO, now).await?;
    let owner = Member { member_id: id_at(now), name: DEMO_OWNER.into(), role: Role::Owner };
    store::sessions::insert_member(tx, &owner, now).await?;
    Ok(owner.member_id)
}

/// A link or key that a terminal or a page showed before does not work any longer.
async fn renew(
    tx: &Transaction,
    owner: Uuid,
    origin: &str,
    public_url: &str,
    now: Timestamp,
) -> Result<Demo, DbError> {
    store::keys::revoke_all(tx, now).await?;
    store::sessions::use_up_links(tx, now).await?;
    let secret_key = Secret::generate(SecretKind::SecretKey);
    let publishable_key = Secret::generate(SecretKind::PublishableKey);
    let link = Secret::generate(SecretKind::SignInLink);
    store::keys::insert(tx, id_at(now), SecretKind::SecretKey, &secret_key, &[], now).await?;
    let origins = [origin.to_owned()];
    store::keys::insert(tx, id_at(now), SecretKind::PublishableKey, &publishable_key, &origins, now).await?;
    store::sessions::insert_link(tx, &link, owner, now).await?;
    Ok(Demo {
        tenant: DEMO_TENANT,
        secret_key: secret_key.reveal().into(),
        publishable_key: publishable_key.reveal().into(),
        owner_link: format!("{public_url}/console#link={}", link.reveal()),
    })
}
