//! What a started service says: to people three addresses to open, to programs a file.

use anyhow::{Context, Result};
use serde_json::json;
use signaling::bootstrap::Demo;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The addresses and the demo's keys of this start.
pub(crate) struct Announcement<'a> {
    public_url: &'a str,
    demo: Option<&'a Demo>,
    /// Of the private PostgreSQL, as its superuser, whom row-level security does not bind.
    admin_url: Option<String>,
}

impl<'a> Announcement<'a> {
    /// Takes what is to be said.
    pub(crate) fn new(public_url: &'a str, demo: Option<&'a Demo>, admin_url: Option<String>) -> Self {
        Self { public_url, demo, admin_url }
    }

    /// Writes the file for programs, if one is wanted: whole or not at all, for this user's eyes only.
    pub(crate) fn write(&self, file: Option<&Path>) -> Result<()> {
        let Some(file) = file else { return Ok(()) };
        let mut unfinished = file.as_os_str().to_owned();
        unfinished.push(".new");
        let told = || format!("{} cannot be written", file.display());
        let text = json!({
            "url": self.public_url,
            "owner_link": self.demo.map(|demo| &demo.owner_link),
            "secret_key": self.demo.map(|demo| &demo.secret_key),
            "publishable_key": self.demo.map(|demo| &demo.publishable_key),
            "tenant_id": self.demo.map(|demo| demo.tenant.0),
            "database_url": self.admin_url,
        })
        .to_string();
        let _ = std::fs::remove_file(&unfinished);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)
            .and_then(|mut opened| opened.write_all(text.as_bytes()))
            .and_then(|()| std::fs::rename(&unfinished, file))
            .with_context(told)
    }

    /// Prints the addresses to standard output, where logs do not go.
    pub(crate) fn print(&self) {
        let url = self.public_url;
        println!("\nTuppence is ready: {url}\n");
        if let Some(demo) = self.demo {
            println!("  Your way into the console (works once)   {}", demo.owner_link);
            println!("  A business's page with a call button     {url}/demo");
        }
        println!("  The API reference                        {url}/docs/api\n");
    }
}
