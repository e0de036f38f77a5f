//! A transaction that owns its connection, so that it can be passed around without a lifetime.

use super::DbError;
use deadpool_postgres::{ClientWrapper, Object};
use std::ops::Deref;
use tokio_postgres::{Row, types::ToSql};

/// One transaction in one scope; a `tokio_postgres::Client` by [`Deref`]. Without [`Transaction::commit`] nothing
/// of it happened.
pub struct Transaction(Option<Object>);

impl Transaction {
    /// Takes a connection on which a transaction is about to begin.
    pub(super) fn of(connection: Object) -> Self {
        Self(Some(connection))
    }

    /// The rows of a query. Its plan is kept with the connection.
    pub async fn all(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, DbError> {
        let statement = self.prepare_cached(sql).await?;
        Ok(self.query(&statement, params).await?)
    }

    /// The row of a query that has one or none.
    pub async fn optional(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>, DbError> {
        let statement = self.prepare_cached(sql).await?;
        Ok(self.query_opt(&statement, params).await?)
    }

    /// The row of a query that always has one.
    pub async fn one(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Row, DbError> {
        let statement = self.prepare_cached(sql).await?;
        Ok(self.query_one(&statement, params).await?)
    }

    /// Changes rows and tells how many.
    pub async fn run(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<u64, DbError> {
        let statement = self.prepare_cached(sql).await?;
        Ok(self.execute(&statement, params).await?)
    }

    /// Makes it happen.
    pub async fn commit(mut self) -> Result<(), DbError> {
        self.batch_execute("commit").await?;
        self.0.take();
        Ok(())
    }

    /// Makes it not have happened, and waits for that. Dropping does the same without waiting.
    pub async fn rollback(mut self) -> Result<(), DbError> {
        self.batch_execute("rollback").await?;
        self.0.take();
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        self.0.as_ref().expect("only an ended transaction has no connection, and ending consumes it")
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let Some(connection) = self.0.take() else { return };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(roll_back(connection))),
            // Without a runtime nobody can wait for the answer: closing the connection rolls back, too.
            Err(_) => drop(Object::take(connection)),
        }
    }
}

/// The connection goes back to the pool only when nothing is open on it.
async fn roll_back(connection: Object) {
    if connection.batch_execute("rollback").await.is_err() {
        drop(Object::take(connection));
    }
}
