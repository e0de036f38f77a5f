//! The PostgreSQL of a bench: its own cluster, with PostgreSQL's own settings, which write durably.

use anyhow::Result;
use billing::db::Db;
use tokio_postgres::{Client, NoTls};

pub(crate) struct Server(String);

impl Server {
    pub(crate) fn start() -> Result<Self> {
        Ok(Self(crate::cluster::start(&["max_wal_size=8GB"])?))
    }

    /// The address of a new, migrated database.
    pub(crate) async fn database(&self, name: &str) -> Result<String> {
        self.client(&self.0).await?.batch_execute(&format!("create database {name}")).await?;
        let url = format!("{} dbname={name}", self.0);
        Db::connect(&url).await?.migrate().await?;
        Ok(url)
    }

    /// A connection as the superuser.
    pub(crate) async fn client(&self, url: &str) -> Result<Client> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }
}
