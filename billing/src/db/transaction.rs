//! A transaction that owns its connection, so that it can be passed around without a lifetime.

use super::DbError;
use deadpool_postgres::{ClientWrapper, Object};
use std::ops::Deref;

/// One transaction in one scope; a `tokio_postgres::Client` by [`Deref`]. Without [`Transaction::commit`] nothing
/// of it happened.
pub struct Transaction(Option<Object>);

impl Transaction {
    /// Takes a connection on which a transaction is about to begin.
    pub(super) fn of(connection: Object) -> Self {
        Self(Some(connection))
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
