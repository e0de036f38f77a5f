//! The way to the database: one pool, two roles, one scope per transaction.
//!
//! Every connection of the pool works as `tuppence_app`, which row-level security binds: in a transaction of
//! [`Db::tenant`] it sees that tenant's rows and no others. Only [`Db::migrate`] works as the owner of the schema.
//!
//! ```no_run
//! # async fn example(db: billing::db::Db, tenant: billing::TenantId) -> Result<(), billing::db::DbError> {
//! let tx = db.tenant(tenant).await?;
//! tx.execute("update room set title = 'Tea' where title = 'Coffee'", &[]).await?;
//! tx.commit().await
//! # }
//! ```

mod error;
pub mod server;
mod transaction;

pub use error::DbError;
pub use transaction::Transaction;

use crate::ids::TenantId;
use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime,
    tokio_postgres::{Config, NoTls},
};
use std::time::Duration;
use uuid::Uuid;

#[expect(missing_docs, reason = "the macro writes it")]
mod embedded {
    refinery::embed_migrations!("../migrations");
}

/// The numbered steps from nothing to the schema.
pub mod migrations {
    pub use super::embedded::migrations::runner;
}

/// Connections at once; the next caller waits for one, but not longer than [`WAIT`].
const CONNECTIONS_MAX: usize = 16;
/// How long anyone waits for a connection before the answer is [`DbError::Unavailable`].
const WAIT: Duration = Duration::from_secs(2);
/// What every pooled connection says first. A statement that hangs must not hold its connection for ever.
const SESSION: &str = "set role tuppence_app; set statement_timeout = '30s'; \
                       set idle_in_transaction_session_timeout = '60s'; set time zone 'UTC'";

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    pool: Pool,
    owner: Config,
}

/// The connections to the database at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLook {
    /// How many there are.
    pub open: usize,
    /// Those of them that nobody uses.
    pub idle: usize,
    /// Callers that wait for one.
    pub waiting: usize,
    /// How many there may be.
    pub max: usize,
}

impl Db {
    /// Makes the pool for a `postgres://` URL or a `host=… user=…` string and tries one connection.
    pub async fn connect(url: &str) -> Result<Self, DbError> {
        let owner: Config = url.parse().map_err(DbError::Url)?;
        owner.connect(NoTls).await.map(drop)?;
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let pool = Pool::builder(Manager::from_config(owner.clone(), NoTls, recycling))
            .max_size(CONNECTIONS_MAX)
            .wait_timeout(Some(WAIT))
            .create_timeout(Some(WAIT))
            .recycle_timeout(Some(WAIT))
            .runtime(Runtime::Tokio1)
            .post_create(Hook::async_fn(|client, _| {
                Box::pin(async { client.batch_execute(SESSION).await.map_err(HookError::Backend) })
            }))
            .build()
            .expect("a runtime is given for the timeouts");
        Ok(Self { pool, owner })
    }

    /// Brings the schema up to date as its owner; many at once wait for each other.
    pub async fn migrate(&self) -> Result<(), DbError> {
        let (mut owner, connection) = self.owner.connect(NoTls).await?;
        let connection = tokio::spawn(connection);
        owner.batch_execute("select pg_advisory_lock(hashtext('tuppence migrations'))").await?;
        migrations::runner()
            .run_async(&mut owner)
            .await
            .map_err(|error| DbError::Migration(Box::new(error)))?;
        drop(owner);
        connection.await.ok();
        Ok(())
    }

    /// A transaction that sees one tenant.
    pub async fn tenant(&self, tenant: TenantId) -> Result<Transaction, DbError> {
        self.begin("tuppence.tenant", &tenant.0.to_string()).await
    }

    /// A transaction that sees the list of tenants and the service's own tables, but nothing of a tenant's.
    pub async fn service(&self) -> Result<Transaction, DbError> {
        self.begin("tuppence.scope", "service").await
    }

    /// A transaction that sees what statements are made of, whoever's they are, and writes statements.
    pub async fn closing(&self) -> Result<Transaction, DbError> {
        self.begin("tuppence.scope", "close").await
    }

    /// A transaction that sees the ledger, whoever's it is, and adds blocks to its chain.
    pub async fn sealing(&self) -> Result<Transaction, DbError> {
        self.begin("tuppence.scope", "seal").await
    }

    /// A transaction that looks through everybody's tabs and payments for what is to be done, and changes nothing.
    pub async fn collecting(&self) -> Result<Transaction, DbError> {
        self.begin("tuppence.scope", "collect").await
    }

    /// A transaction that sees everybody's books, and changes nothing.
    pub async fn auditing(&self) -> Result<Transaction, DbError> {
        self.begin("tuppence.scope", "audit").await
    }

    /// A transaction that sees the sandbox processor's own tables and nothing of ours.
    pub(crate) async fn processing(&self) -> Result<Transaction, DbError> {
        self.begin("tuppence.scope", "processor").await
    }

    /// A transaction that sees the one key, session or sign-in link whose SHA-256 is presented.
    pub async fn presented(&self, hash: &[u8; 32]) -> Result<Transaction, DbError> {
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        self.begin("tuppence.presented", &hex).await
    }

    /// A transaction that sees the one room whose link somebody holds.
    pub async fn presented_room(&self, room: Uuid) -> Result<Transaction, DbError> {
        self.begin("tuppence.presented_room", &room.to_string()).await
    }

    /// How the connections stand.
    pub fn pool_look(&self) -> PoolLook {
        let status = self.pool.status();
        PoolLook { open: status.size, idle: status.available, waiting: status.waiting, max: status.max_size }
    }

    /// Is the database there? For readiness, never for liveness.
    pub async fn ping(&self) -> Result<(), DbError> {
        self.pool.get().await?.batch_execute("select").await?;
        Ok(())
    }

    /// Begins in a scope. The words come from this file and from ids, so they need no quoting.
    async fn begin(&self, setting: &str, value: &str) -> Result<Transaction, DbError> {
        let transaction = Transaction::of(self.pool.get().await?);
        transaction.batch_execute(&format!("begin; set local {setting} = '{value}'")).await?;
        Ok(transaction)
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Db")
    }
}
