//! The service itself, the binary that operators run, on the bench's PostgreSQL; and a client for it that does nothing else.

use anyhow::{Context, Result, bail, ensure};
use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// A running service. It is ended with its owner.
pub(crate) struct Service {
    process: Child,
    address: SocketAddr,
    data: PathBuf,
}

impl Service {
    pub(crate) async fn start(database: &str) -> Result<Self> {
        let binary = std::env::var_os("TUPPENCE_BIN").map(PathBuf::from);
        let binary = binary.context("TUPPENCE_BIN must name the service's binary; script/bench builds it")?;
        // Both are held until both are known, so that they differ.
        let [http, media] = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
        let (address, media_address) = (http.local_addr()?, media.local_addr()?);
        drop([http, media]);
        let data = std::env::temp_dir().join(format!("billing-bench-{}", std::process::id()));
        let process = Command::new(&binary)
            .arg("serve")
            .env("DATABASE_URL", database)
            .env("TUPPENCE_LISTEN", address.to_string())
            .env("TUPPENCE_MEDIA_LISTEN", media_address.to_string())
            .env("TUPPENCE_DATA_DIR", &data)
            .env("TUPPENCE_DEMO", "false")
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("{} does not start", binary.display()))?;
        let service = Self { process, address, data };
        service.ready().await?;
        Ok(service)
    }

    async fn ready(&self) -> Result<()> {
        for _ in 0..200 {
            if let Ok(mut client) = self.client("").await
                && client.get("/readyz").await.is_ok()
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("the service is not ready after 10 s")
    }

    /// A connection that shows a secret key.
    pub(crate) async fn client(&self, key: &str) -> Result<Client> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let head = format!("host: {}\r\nauthorization: Bearer {key}\r\n", self.address);
        Ok(Client { stream: BufReader::new(stream), head })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
        std::fs::remove_dir_all(&self.data).ok();
    }
}

/// One connection, one request after the other.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    head: String,
}

impl Client {
    pub(crate) async fn get(&mut self, path: &str) -> Result<String> {
        let request = format!("GET {path} HTTP/1.1\r\n{}\r\n", self.head);
        self.stream.write_all(request.as_bytes()).await?;
        self.answer().await
    }

    pub(crate) async fn post(&mut self, path: &str, media_type: &str, body: &[u8]) -> Result<String> {
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\n{}content-type: {media_type}\r\ncontent-length: {length}\r\n\r\n",
            self.head
        );
        self.stream.write_all(request.as_bytes()).await?;
        self.stream.write_all(body).await?;
        self.answer().await
    }

    /// The body of an answer that says how long it is.
    async fn answer(&mut self) -> Result<String> {
        let (mut head, mut line) = (String::new(), Vec::new());
        loop {
            line.clear();
            tokio::io::AsyncBufReadExt::read_until(&mut self.stream, b'\n', &mut line).await?;
            let text = String::from_utf8_lossy(&line);
            if text.trim().is_empty() {
                break;
            }
            head.push_str(&text.to_ascii_lowercase());
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.context("no length")?.trim().parse()?;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        let body = String::from_utf8(body)?;
        ensure!(head.starts_with("http/1.1 200"), "{}: {body}", head.lines().next().unwrap_or(""));
        Ok(body)
    }
}
