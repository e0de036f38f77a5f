//! The PostgreSQL of a bench: its own cluster, with the settings of the service's own, which writes durably.

use anyhow::Result;
use billing::db::{self, Db};
use tokio_postgres::{Client, NoTls};

pub(crate) struct Server(String);

impl Server {
    pub(crate) fn start() -> Result<Self> {
        let settings = db::server::settings();
        Ok(Self(crate::cluster::start(&settings.iter().map(String::as_str).collect::<Vec<_>>())?))
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
