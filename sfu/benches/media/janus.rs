//! Janus, where Debian's package is installed: the same callers, its `videoroom`, and what that costs it.
//!
//! It is asked over its plain HTTP interface on loopback. Its media need an address that is not loopback: it offers no other.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cpu;

const PROGRAM: &str = "/usr/bin/janus";
const ROOM: u32 = 1;
const PUBLISHER: u32 = 1;
/// How long it may take to start.
const TRIES: u32 = 100;
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// A running Janus with one room.
pub(crate) struct Janus {
    process: Child,
    _config: TempDir,
    port: u16,
    ip: IpAddr,
    session: u64,
}

/// A subscription that is offered.
pub(crate) struct Watching {
    handle: u64,
    pub(crate) offer: String,
}

impl Drop for Janus {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _ended = self.process.wait();
    }
}

impl Janus {
    /// Starts it, if it is there and this machine has an address for it.
    pub(crate) fn start() -> Option<Janus> {
        let folder = fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path().join("janus"));
        let folder = folder.chain([PathBuf::from("/usr/lib/janus")]).find(|folder| folder.is_dir())?;
        let ip = own_address()?;
        let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let config = tempfile::tempdir().ok()?;
        let folder = folder.display();
        let general = format!(
            "general: {{ plugins_folder = \"{folder}/plugins\" transports_folder = \"{folder}/transports\" \
             session_timeout = 0 debug_level = 2 }}\n\
             transports: {{ disable = \"libjanus_pfunix.so,libjanus_websockets.so,libjanus_rabbitmq.so,libjanus_mqtt.so,libjanus_nanomsg.so\" }}\n"
        );
        let http =
            format!("general: {{ http = true port = {port} ip = \"127.0.0.1\" json = \"compact\" }}\n");
        fs::write(config.path().join("janus.jcfg"), general).ok()?;
        fs::write(config.path().join("janus.transport.http.jcfg"), http).ok()?;
        let mut command = Command::new(PROGRAM);
        command.arg("--configs-folder").arg(config.path());
        command.arg("--config").arg(config.path().join("janus.jcfg"));
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let mut janus = Janus { process, _config: config, port, ip, session: 0 };
        janus.begin()?;
        Some(janus)
    }

    /// The address that its candidates have.
    pub(crate) fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Processor time of all its threads.
    pub(crate) fn cpu(&self) -> Duration {
        cpu::of_process(self.process.id())
    }

    /// Publishes what is offered. Answers the answer.
    pub(crate) fn publish(&self, offer: &str) -> String {
        let body =
            json!({ "request": "joinandconfigure", "ptype": "publisher", "room": ROOM, "id": PUBLISHER });
        let handle = self.attach();
        self.tell(handle, &body, Some(("offer", offer)));
        self.description(handle)
    }

    /// Asks for the publisher's picture.
    pub(crate) fn watch(&self) -> Watching {
        let streams = json!([{ "feed": PUBLISHER }]);
        let body = json!({ "request": "join", "ptype": "subscriber", "room": ROOM, "streams": streams });
        let handle = self.attach();
        self.tell(handle, &body, None);
        Watching { handle, offer: self.description(handle) }
    }

    /// Takes the answer of somebody who watches.
    pub(crate) fn start_watching(&self, watching: &Watching, answer: &str) {
        self.tell(watching.handle, &json!({ "request": "start" }), Some(("answer", answer)));
    }

    /// Opens the session and the room, once it answers at all.
    fn begin(&mut self) -> Option<()> {
        let create = json!({ "janus": "create", "transaction": "t" });
        let mut created = None;
        for _ in 0..TRIES {
            created = self.post("", &create);
            if created.is_some() {
                break;
            }
            std::thread::sleep(BETWEEN_TRIES);
        }
        self.session = created?["data"]["id"].as_u64()?;
        let room = json!({
            "request": "create", "room": ROOM, "publishers": 10, "videocodec": "vp8", "bitrate": 0,
        });
        let handle = self.attach();
        self.tell(handle, &room, None);
        Some(())
    }

    /// Another connection to the room.
    fn attach(&self) -> u64 {
        let attach = json!({ "janus": "attach", "plugin": "janus.plugin.videoroom", "transaction": "t" });
        let attached = self.post(&format!("/{}", self.session), &attach).expect("an answer");
        attached["data"]["id"].as_u64().expect("a handle")
    }

    fn tell(&self, handle: u64, body: &Value, description: Option<(&str, &str)>) {
        let mut message = json!({ "janus": "message", "transaction": "t", "body": body });
        if let Some((kind, sdp)) = description {
            message["jsep"] = json!({ "type": kind, "sdp": sdp });
        }
        let path = format!("/{}/{handle}", self.session);
        self.post(&path, &message).expect("it is taken");
    }

    /// Waits until it has the publisher's media: before, nobody can ask for them.
    pub(crate) fn await_media(&self) {
        while self.event()["janus"] != "media" {}
    }

    /// Waits for the description that a connection is sent.
    fn description(&self, handle: u64) -> String {
        loop {
            let event = self.event();
            let is_own = event["sender"].as_u64() == Some(handle);
            if let Some(sdp) = event["jsep"]["sdp"].as_str().filter(|_| is_own) {
                return sdp.to_owned();
            }
        }
    }

    /// The next thing that it has to say.
    fn event(&self) -> Value {
        let event = self.ask("GET", &format!("/{}?maxev=1", self.session), "").expect("an event");
        assert!(event["plugindata"]["data"]["error"].is_null(), "Janus refuses: {event}");
        event
    }

    fn post(&self, path: &str, body: &Value) -> Option<Value> {
        self.ask("POST", path, &body.to_string())
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Option<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let length = body.len();
        let head = format!("{method} /janus{path} HTTP/1.0\r\nHost: janus\r\nConnection: close\r\n");
        write!(stream, "{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
            .ok()?;
        let mut answer = BufReader::new(stream);
        let mut line = String::new();
        while answer.read_line(&mut line).ok()? > 2 {
            line.clear();
        }
        let mut body = Vec::new();
        answer.read_to_end(&mut body).ok()?;
        serde_json::from_slice(&body).ok()
    }
}

/// The address that packets to the outside leave from; none is sent.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}
