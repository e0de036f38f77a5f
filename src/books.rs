//! A look into the database for one command, beside a running service or without one.

use crate::config::{Config, DatabaseConfig};
use crate::data_dir::DataDir;
use crate::postgres::PrivatePostgres;
use anyhow::{Context, Result};
use billing::db::Db;

/// Does something with the operator's database, or with the private one, which is started and stopped for it unless it
/// runs.
pub(crate) async fn with_database<T>(config: &Config, work: impl AsyncFnOnce(Db) -> Result<T>) -> Result<T> {
    if let Some(url) = where_it_runs(&config.database) {
        return work(connect(&url).await?).await;
    }
    let data_dir = DataDir::open(&config.database.data_dir())?;
    let postgres = PrivatePostgres::start(&data_dir, &config.database).await?;
    let done = match connect(&postgres.url()).await {
        Ok(db) => work(db).await,
        Err(error) => Err(error),
    };
    postgres.stop().await;
    done
}

/// The database of the operator's, or the private one of a service that runs.
fn where_it_runs(config: &DatabaseConfig) -> Option<String> {
    config.database_url.clone().or_else(|| PrivatePostgres::url_of_running(&config.data_dir()))
}

async fn connect(url: &str) -> Result<Db> {
    Db::connect(url).await.context("the database does not let us in")
}
