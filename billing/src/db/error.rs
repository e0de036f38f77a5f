//! What can go wrong on the way to the database, named for what the caller will do.

use deadpool_postgres::{HookError, PoolError};
use tokio_postgres::error::SqlState;

/// Why a transaction did not happen.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The database is away or too busy: say so quickly, and try again later.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// Somebody else changed the same rows at once: try again now.
    #[error("another transaction was in the way")]
    Conflict(#[source] tokio_postgres::Error),
    /// The address is not one.
    #[error("the database's address is not understood: {0}")]
    Url(#[source] tokio_postgres::Error),
    /// The schema could not be brought up to date.
    #[error("a migration failed: {0}")]
    Migration(#[source] Box<refinery::Error>),
    /// The database refused the statement.
    #[error("the database refused: {0}")]
    Refused(#[source] tokio_postgres::Error),
    /// A stored value does not mean anything to this version.
    #[error("stored data is not understood: {0}")]
    Stored(String),
}

impl DbError {
    /// The name of the constraint that refused, if one did.
    pub fn constraint(&self) -> Option<&str> {
        match self {
            DbError::Refused(error) => error.as_db_error().and_then(|refusal| refusal.constraint()),
            _ => None,
        }
    }

    /// Shall the same be tried again, now or later?
    pub fn is_transient(&self) -> bool {
        matches!(self, DbError::Unavailable(_) | DbError::Conflict(_))
    }
}

impl From<tokio_postgres::Error> for DbError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.code() {
            None if error.is_closed() || is_io(&error) => DbError::Unavailable(chain(&error)),
            Some(code) if is_away(code) => DbError::Unavailable(chain(&error)),
            Some(code) if is_conflict(code) => DbError::Conflict(error),
            _ => DbError::Refused(error),
        }
    }
}

impl From<PoolError> for DbError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => error.into(),
            other => DbError::Unavailable(other.to_string()),
        }
    }
}

/// Class 08 is connections, 53 resources, 57 the operator's intervention (shut down, starting up, statement timeout).
fn is_away(code: &SqlState) -> bool {
    ["08", "53", "57"].contains(&&code.code()[..2])
}

/// Of queries that were sent together, the ones after a deadlock's victim say only that the transaction had failed.
fn is_conflict(code: &SqlState) -> bool {
    [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::IN_FAILED_SQL_TRANSACTION,
    ]
    .contains(code)
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    use std::error::Error;
    error.source().is_some_and(|source| source.is::<std::io::Error>())
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
