//! `tuppence serve`: starts the roles in the order in which they need each other, and stops them in the reverse order.

use crate::config::Config;
use crate::data_dir::DataDir;
use crate::postgres::PrivatePostgres;
use crate::stop::Stop;
use anyhow::Result;

/// Runs the service until it is told to stop.
pub(crate) async fn serve(config: &Config) -> Result<()> {
    postgres_alone(config).await
}

/// Runs only the private PostgreSQL until we are told to stop.
pub(crate) async fn postgres_alone(config: &Config) -> Result<()> {
    let mut stop = Stop::catch()?;
    let data_dir = DataDir::open(&config.database.data_dir())?;
    tokio::select! {
        started = PrivatePostgres::start(&data_dir, &config.database) => {
            let postgres = started?;
            println!("{}", postgres.url());
            stop.told().await;
            postgres.stop().await;
        }
        () = stop.told() => {}
    }
    Ok(())
}
