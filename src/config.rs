//! The configuration: read once in `main`, a struct for each role, each setting from its flag, else its environment variable, else its default.
//!
//! The doc comments here are the help text, and `.env.example` is made from them (`tuppence config --env-example`, compared in a test).

use billing::collection::DEFAULT_POLICY;
use billing::collector::{PayoutFloor, Terms};
use billing::store::PlatformShare;
use clap::{Arg, ArgMatches, Args, Command, CommandFactory, Parser, Subcommand, ValueEnum};
use sfu::{EgressKind, Ways};
use signaling::proxies::Proxy;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// Video calls, voicemail and cent-sized billing in one binary.
#[derive(Debug, Parser)]
#[command(name = "tuppence", version, propagate_version = true)]
pub(crate) struct Cli {
    /// What to do; `serve` when nothing is said.
    #[command(subcommand)]
    pub command: Option<Action>,
}

/// What the binary can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Run the whole service: calls, pages, billing and a private PostgreSQL (the default)
    Serve(Box<Config>),
    /// Run only a media node, which dials a hub: no database, no pages
    Node(Box<NodeConfig>),
    /// Say which media nodes may dial in
    #[command(subcommand)]
    Nodes(NodesAction),
    /// Say who may speak for the operator over HTTP
    #[command(subcommand)]
    Operators(OperatorsAction),
    /// Run only the private PostgreSQL of a data directory and print its URL, for psql, pg_dump and tests
    Postgres(Box<Config>),
    /// Work out every statement again from the facts, compare, and print each difference; beside a running service or without
    Audit(Box<Config>),
    /// Print the ledger as a journal for hledger or beancount; beside a running service or without
    Export {
        /// hledger or beancount
        #[arg(long)]
        format: billing::export::Format,
        /// Only what was posted in this month, as YYYY-MM
        #[arg(long)]
        month: Option<billing::period::Month>,
        #[command(flatten)]
        config: Box<Config>,
    },
    /// Print every setting with its value and where it comes from
    #[command(name = "config")]
    Show {
        /// Print the file .env.example instead
        #[arg(long)]
        env_example: bool,
        #[command(flatten)]
        config: Box<Config>,
    },
}

/// Which media nodes may dial in.
#[derive(Debug, Subcommand)]
pub(crate) enum NodesAction {
    /// Make a token for a node and print it, once
    Add {
        /// The node's name: small letters, digits and hyphens
        name: String,
        #[command(flatten)]
        database: DatabaseConfig,
        #[command(flatten)]
        log: LogConfig,
    },
    /// Revoke a node's token: it is cut off within seconds, and its people are placed elsewhere
    Revoke {
        /// The node's name
        name: String,
        #[command(flatten)]
        database: DatabaseConfig,
        #[command(flatten)]
        log: LogConfig,
    },
    /// Let a node's calls go over to other nodes, without a gap, and give it no new ones
    Drain {
        /// The node's name
        name: String,
        /// How long to wait for that and tell about it, in seconds
        #[arg(long, value_name = "SECONDS", default_value_t = 60)]
        within_s: u64,
        #[command(flatten)]
        database: DatabaseConfig,
        #[command(flatten)]
        log: LogConfig,
    },
    /// Give a drained node new calls again
    Undrain {
        /// The node's name
        name: String,
        #[command(flatten)]
        database: DatabaseConfig,
        #[command(flatten)]
        log: LogConfig,
    },
    /// List the nodes that may dial in, and how they stand
    List {
        #[command(flatten)]
        database: DatabaseConfig,
        #[command(flatten)]
        log: LogConfig,
    },
}

impl NodesAction {
    /// How it logs.
    pub(crate) fn log(&self) -> &LogConfig {
        let (Self::Add { log, .. }
        | Self::Revoke { log, .. }
        | Self::Drain { log, .. }
        | Self::Undrain { log, .. }
        | Self::List { log, .. }) = self;
        log
    }
}

/// Who may speak for the operator over HTTP.
#[derive(Debug, Subcommand)]
pub(crate) enum OperatorsAction {
    /// Make a token and print it, once
    Add {
        /// Whose it is: small letters, digits and hyphens
        name: String,
        #[command(flatten)]
        database: DatabaseConfig,
        #[command(flatten)]
        log: LogConfig,
    },
    /// Revoke a token
    Revoke {
        /// Whose it is
        name: String,
        #[command(flatten)]
        database: DatabaseConfig,
        #[command(flatten)]
        log: LogConfig,
    },
    /// List the tokens that are not revoked
    List {
        #[command(flatten)]
        database: DatabaseConfig,
        #[command(flatten)]
        log: LogConfig,
    },
}

impl OperatorsAction {
    /// How it logs.
    pub(crate) fn log(&self) -> &LogConfig {
        let (Self::Add { log, .. } | Self::Revoke { log, .. } | Self::List { log, .. }) = self;
        log
    }
}

/// What a node without a hub can be told.
#[derive(Debug, Clone, Args)]
pub(crate) struct NodeConfig {
    /// Where the hub is, such as `https://calls.example.com`, or `http://10.0.0.5:8080` in a network of your own
    #[arg(long, env = "TUPPENCE_HUB", value_name = "URL", value_parser = public_url)]
    pub hub: String,
    /// File with the certificates (PEM) of those who may vouch for a hub at an https:// address [default: whom browsers trust]
    #[arg(long, env = "TUPPENCE_HUB_CA", value_name = "PATH")]
    pub hub_ca: Option<PathBuf>,
    /// The token that `tuppence nodes add` printed
    #[arg(long, env = "TUPPENCE_NODE_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub node_token: String,
    /// How long a node that is told to stop by SIGTERM waits for its calls to go over to other nodes, in seconds
    #[arg(long, env = "TUPPENCE_DRAIN_WITHIN_S", value_name = "SECONDS", default_value_t = 60)]
    pub drain_within_s: u64,
    /// Folder for the usage journal [default: ./data, or /var/lib/tuppence for root]
    #[arg(long, env = "TUPPENCE_DATA_DIR", value_name = "PATH")]
    pub data_dir: Option<PathBuf>,
    /// The media.
    #[command(flatten)]
    pub media: MediaConfig,
    /// Who may look inside.
    #[command(flatten)]
    pub metrics: MetricsConfig,
    /// What it says.
    #[command(flatten)]
    pub log: LogConfig,
}

impl NodeConfig {
    /// The data directory that was set, or the default for this user.
    pub(crate) fn data_dir(&self) -> PathBuf {
        data_dir_or_default(self.data_dir.as_ref())
    }
}

/// Everything that can be set.
#[derive(Debug, Clone, Args)]
pub(crate) struct Config {
    /// Pages and API.
    #[command(flatten)]
    pub http: HttpConfig,
    /// The media node.
    #[command(flatten)]
    pub media: MediaConfig,
    /// Further nodes.
    #[command(flatten)]
    pub fleet: FleetConfig,
    /// Signalling.
    #[command(flatten)]
    pub signaling: SignalingConfig,
    /// Where data lives.
    #[command(flatten)]
    pub database: DatabaseConfig,
    /// Money.
    #[command(flatten)]
    pub billing: BillingConfig,
    /// Who may look inside.
    #[command(flatten)]
    pub metrics: MetricsConfig,
    /// What it says.
    #[command(flatten)]
    pub log: LogConfig,
}

/// Pages and API.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Pages and API")]
pub(crate) struct HttpConfig {
    /// Address and TCP port of the pages, the API and the WebSocket; where IPv6 is off, all of IPv4 instead
    #[arg(long, env = "TUPPENCE_LISTEN", value_name = "ADDRESS:PORT", default_value = "[::]:8080")]
    pub listen: SocketAddr,
    /// What people type to get here, without a path; browsers give camera and microphone to https and localhost only
    /// [default: http://localhost:PORT]
    #[arg(long, env = "TUPPENCE_PUBLIC_URL", value_name = "URL", value_parser = public_url)]
    pub public_url: Option<String>,
    /// IP addresses or networks of your own proxies, separated by commas, whose X-Forwarded-For says who asks; behind any other all callers share one limit
    /// [default: none]
    #[arg(long, env = "TUPPENCE_TRUSTED_PROXIES", value_name = "IP,…", value_delimiter = ',')]
    pub trusted_proxies: Vec<Proxy>,
    /// Keep a sandbox tenant with a demo page, a clock that can be advanced and an owner link printed at each start
    #[arg(long, env = "TUPPENCE_DEMO", value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    pub demo: bool,
}

/// The media node.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Media")]
pub(crate) struct MediaConfig {
    /// Address and port of the media, UDP and TCP
    #[arg(long, env = "TUPPENCE_MEDIA_LISTEN", value_name = "ADDRESS:PORT", default_value = "0.0.0.0:7900")]
    pub media_listen: SocketAddr,
    /// IP addresses to tell browsers, separated by commas; needed behind NAT
    /// [default: the addresses of this machine]
    #[arg(long, env = "TUPPENCE_MEDIA_ADVERTISE", value_name = "IP,…", value_delimiter = ',')]
    pub media_advertise: Vec<IpAddr>,
    /// Media threads; 0 means one for each core
    #[arg(long, env = "TUPPENCE_MEDIA_SHARDS", value_name = "COUNT", default_value_t = 0)]
    pub media_shards: usize,
    /// Connections that carry media at most; one more is refused with a reason
    #[arg(long, env = "TUPPENCE_MEDIA_LEGS_MAX", value_name = "COUNT", default_value_t = 512)]
    pub media_legs_max: usize,
    /// Who seals and sends packets: own, or str0m to compare
    #[arg(long, env = "TUPPENCE_MEDIA_EGRESS", value_name = "own|str0m", default_value = "own")]
    pub media_egress: EgressKind,
    /// How browsers reach the media: udp+tcp (UDP, and TCP on the same port where UDP is blocked), udp, or tcp
    #[arg(long, env = "TUPPENCE_MEDIA_WAYS", value_name = "udp+tcp|udp|tcp", default_value = "udp+tcp")]
    pub media_ways: Ways,
    #[command(flatten)]
    pub turn: TurnConfig,
}

/// The way to the media for those whose network lets nothing but TLS out.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Media through TLS")]
pub(crate) struct TurnConfig {
    /// Address and TCP port for browsers whose network lets nothing but TLS out; a TURN server that leads to this node only
    /// [default: none, and they cannot call]
    #[arg(long, env = "TUPPENCE_TURN_LISTEN", value_name = "ADDRESS:PORT", requires = "turn_url")]
    pub turn_listen: Option<SocketAddr>,
    /// What browsers are told of it, such as turns:turn.example.com:443
    #[arg(long, env = "TUPPENCE_TURN_URL", value_name = "URL", value_parser = turn_url, requires = "turn_listen")]
    pub turn_url: Option<String>,
    /// Its certificate with the chain, as PEM; read again when it changes
    /// [default: none, for a proxy before it that ends TLS]
    #[arg(long, env = "TUPPENCE_TURN_CERTIFICATE", value_name = "PATH", requires_all = ["turn_listen", "turn_key"])]
    pub turn_certificate: Option<PathBuf>,
    /// The certificate's private key, as PEM
    #[arg(long, env = "TUPPENCE_TURN_KEY", value_name = "PATH", requires = "turn_certificate")]
    pub turn_key: Option<PathBuf>,
}

impl TurnConfig {
    /// What the media node is to start, if anything.
    pub(crate) fn server(&self) -> Option<sfu::TurnConfig> {
        let (listen, url) = self.turn_listen.zip(self.turn_url.clone())?;
        let files = self.turn_certificate.clone().zip(self.turn_key.clone());
        let tls = files.map(|(certificate, key)| sfu::TlsFiles { certificate, key });
        Some(sfu::TurnConfig { listen, url, tls })
    }
}

/// Further nodes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Nodes")]
pub(crate) struct FleetConfig {
    /// Carry media in this process, too; without it, calls need a node that dials in
    #[arg(long, env = "TUPPENCE_MEDIA_NODE", value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    pub media_node: bool,
    /// How long a node may be silent before its people are placed on another, in seconds
    #[arg(long, env = "TUPPENCE_NODE_LEASE_S", value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub node_lease_s: u64,
}

/// Signalling.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Signalling")]
pub(crate) struct SignalingConfig {
    /// How long a participant whose WebSocket dropped may come back to the same place, in seconds
    #[arg(long, env = "TUPPENCE_RESUME_WITHIN_S", value_name = "SECONDS", default_value_t = 30)]
    pub resume_within_s: u64,
    /// How often the server says that it is there, in seconds
    #[arg(long, env = "TUPPENCE_HEARTBEAT_S", value_name = "SECONDS", default_value_t = 5)]
    pub heartbeat_s: u64,
}

/// Where data lives.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Data")]
pub(crate) struct DatabaseConfig {
    /// Folder for everything that must survive: the private PostgreSQL and the usage journal
    /// [default: ./data, or /var/lib/tuppence for root]
    #[arg(long, env = "TUPPENCE_DATA_DIR", value_name = "PATH")]
    pub data_dir: Option<PathBuf>,
    /// A PostgreSQL 15 or newer of your own, instead of the private one; its role must own the database and may create roles
    /// [default: a private PostgreSQL in the data folder]
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Folder with PostgreSQL's programs (postgres, initdb)
    /// [default: looked for in PATH and in the usual places]
    #[arg(long, env = "TUPPENCE_POSTGRES_BIN", value_name = "PATH")]
    pub postgres_bin: Option<PathBuf>,
    /// User that runs the private PostgreSQL when tuppence runs as root
    #[arg(long, env = "TUPPENCE_POSTGRES_USER", value_name = "NAME", default_value = "postgres")]
    pub postgres_user: String,
}

/// Who may look inside.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Metrics")]
pub(crate) struct MetricsConfig {
    /// Address and TCP port of /metrics for Prometheus; whoever reaches it may read it, so keep it off the internet
    /// [default: none, and no metrics]
    #[arg(long, env = "TUPPENCE_METRICS_LISTEN", value_name = "ADDRESS:PORT")]
    pub metrics_listen: Option<SocketAddr>,
    /// How many rooms have metrics of their own, the busiest first; the rest is one
    #[arg(long, env = "TUPPENCE_METRICS_ROOMS", value_name = "COUNT", default_value_t = 20)]
    pub metrics_rooms: usize,
}

/// Money.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Money")]
pub(crate) struct BillingConfig {
    /// What the platform keeps of what it collects for vendors, in thousandths; what a vendor is credited afterwards says it
    #[arg(long, env = "TUPPENCE_PLATFORM_SHARE_PER_MILLE", value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub platform_share_per_mille: u16,
    /// The least that a vendor is paid at once, in hundredths of the currency's unit (cents); of a yen, so many
    #[arg(long, env = "TUPPENCE_PAYOUT_FLOOR", value_name = "COUNT", default_value_t = 1_000)]
    pub payout_floor: u32,
}

impl BillingConfig {
    /// What collecting goes by.
    pub(crate) fn terms(&self) -> Terms {
        Terms {
            policy: DEFAULT_POLICY,
            platform: PlatformShare(self.platform_share_per_mille),
            payout_floor: PayoutFloor(self.payout_floor),
        }
    }
}

/// What it says.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Logs")]
pub(crate) struct LogConfig {
    /// What to log, as a level (error, warn, info, debug, trace) or a filter like `info,sfu=debug`
    #[arg(long, env = "TUPPENCE_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,
    /// How log lines look, on standard error
    #[arg(long, env = "TUPPENCE_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// File to write once the service is ready, with its addresses and the demo's keys as JSON, for programs that start it;
    /// only this user can read it [default: none]
    #[arg(long, env = "TUPPENCE_ANNOUNCE", value_name = "PATH")]
    pub announce: Option<PathBuf>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl HttpConfig {
    /// The address to print and to put into links, once the port is known.
    pub(crate) fn public_url(&self, port: u16) -> String {
        self.public_url.clone().unwrap_or_else(|| format!("http://localhost:{port}"))
    }

    /// Whether the address means "every address", in which case IPv4 alone will do.
    pub(crate) fn listens_everywhere(&self) -> bool {
        self.listen.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    }
}

impl DatabaseConfig {
    /// The data directory that was set, or the default for this user.
    pub(crate) fn data_dir(&self) -> PathBuf {
        data_dir_or_default(self.data_dir.as_ref())
    }
}

fn data_dir_or_default(set: Option<&PathBuf>) -> PathBuf {
    let default = if rustix::process::geteuid().is_root() { "/var/lib/tuppence" } else { "data" };
    set.cloned().unwrap_or_else(|| PathBuf::from(default))
}

/// Takes `http://host[:port]` or `https://…` and drops a closing slash.
fn public_url(text: &str) -> Result<String, String> {
    let text = text.trim_end_matches('/');
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']) => Ok(text.to_owned()),
        _ => {
            Err("must be http://host or https://host, with a port if need be, and nothing after it"
                .to_owned())
        }
    }
}

/// Takes `turns:host[:port]` or `turn:…` (RFC 7065), and says that it is TCP.
fn turn_url(text: &str) -> Result<String, String> {
    let text = text.strip_suffix("?transport=tcp").unwrap_or(text);
    let host = text.strip_prefix("turns:").or_else(|| text.strip_prefix("turn:"));
    let is_host = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '-' | ':' | '[' | ']');
    match host {
        Some(host) if !host.is_empty() && host.chars().all(is_host) => Ok(format!("{text}?transport=tcp")),
        _ => {
            Err("must be turns:host or turn:host, with a port if need be, such as turns:turn.example.com:443"
                .to_owned())
        }
    }
}

/// The settings of `serve`, in the order of the structs above.
fn settings() -> Command {
    Config::augment_args(Command::new("tuppence"))
}

/// The file `.env.example`.
pub(crate) fn env_example() -> String {
    let mut text = String::from(
        "# Every setting of tuppence with its default; made by `tuppence config --env-example`.\n\
         # Copy to .env for script/server, or give the lines to your service manager. A flag of the same name wins.\n",
    );
    for setting in settings().get_arguments() {
        let Some(variable) = setting.get_env() else { continue };
        text.push('\n');
        for line in help_of(setting).lines() {
            text.push_str(&format!("# {}\n", line.trim()));
        }
        text.push_str(&format!("#{}={}\n", variable.to_string_lossy(), default_of(setting)));
    }
    text
}

/// Each setting with its value and its source.
pub(crate) fn explain(matches: &ArgMatches) -> String {
    let mut text = String::new();
    for setting in settings().get_arguments() {
        let (Some(variable), Some(flag)) = (setting.get_env(), setting.get_long()) else { continue };
        let source = match matches.value_source(setting.get_id().as_str()) {
            Some(clap::parser::ValueSource::CommandLine) => format!("--{flag}"),
            Some(clap::parser::ValueSource::EnvVariable) => variable.to_string_lossy().into_owned(),
            _ => "default".to_owned(),
        };
        let value = if setting.is_hide_env_values_set() && source != "default" {
            "(set, not shown)".to_owned()
        } else {
            value_of(matches, setting)
        };
        text.push_str(&format!("{flag:<18} {value:<28} {source}\n"));
    }
    text
}

fn help_of(setting: &Arg) -> String {
    let help = setting.get_help().map(ToString::to_string).unwrap_or_default();
    help.replace(" [default:", "\n[default:")
}

fn default_of(setting: &Arg) -> String {
    let values: Vec<_> = setting.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    values.join(",")
}

fn value_of(matches: &ArgMatches, setting: &Arg) -> String {
    match matches.get_raw(setting.get_id().as_str()) {
        Some(values) => values.map(|value| value.to_string_lossy()).collect::<Vec<_>>().join(","),
        None => help_of(setting)
            .split_once("[default: ")
            .map(|(_, text)| text.trim_end_matches(']').to_owned())
            .unwrap_or_default(),
    }
}

/// The command line as clap sees it, for `explain`.
pub(crate) fn command() -> Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve(arguments: &[&str]) -> Config {
        let all = ["tuppence", "serve"].iter().chain(arguments);
        match Cli::try_parse_from(all).unwrap().command {
            Some(Action::Serve(config)) => *config,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn the_example_file_is_up_to_date() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/.env.example");
        let there = std::fs::read_to_string(file).unwrap();
        assert_eq!(there, env_example(), "run: cargo run -- config --env-example > .env.example");
    }

    #[test]
    fn the_public_address_follows_the_port() {
        assert_eq!(serve(&[]).http.public_url(8099), "http://localhost:8099");
        assert_eq!(
            serve(&["--public-url", "https://calls.example/"]).http.public_url(1),
            "https://calls.example"
        );
    }

    #[test]
    fn public_addresses_are_checked() {
        for good in ["http://localhost:8080", "https://a.example", "https://a.example/", "http://[::1]:80"] {
            assert!(public_url(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "localhost",
            "ftp://a",
            "https://",
            "https://a/b",
            "https://a?b",
            "https://u@a",
            "http://a b",
        ] {
            assert!(public_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_turn_address_is_checked_and_says_that_it_is_tcp() {
        for good in ["turns:turn.example.com", "turns:192.0.2.1:443", "turn:[2001:db8::1]:3478?transport=tcp"]
        {
            let told = turn_url(good).unwrap();
            assert!(told.ends_with("?transport=tcp") && told.matches('?').count() == 1, "{told}");
        }
        for bad in [
            "",
            "turns:",
            "stun:a",
            "https://a",
            "turns:a?transport=udp",
            "turns:a b",
            "turns:a>; rel=x",
            "turns:a\r\nb",
        ] {
            assert!(turn_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn turn_is_set_up_whole_or_not_at_all() {
        let begins =
            |arguments: &[&str]| Cli::try_parse_from(["tuppence", "serve"].iter().chain(arguments)).is_ok();
        let (at, url) = (["--turn-listen", "0.0.0.0:443"], ["--turn-url", "turns:a"]);
        let files = ["--turn-certificate", "a.pem", "--turn-key", "b.pem"];
        assert!(serve(&[]).media.turn.server().is_none());
        let plain = serve(&[at, url].concat()).media.turn.server().unwrap();
        assert!(plain.tls.is_none(), "a proxy ends TLS");
        assert!(serve(&[&at[..], &url, &files].concat()).media.turn.server().unwrap().tls.is_some());
        for part in [
            &at[..],
            &url,
            &files,
            &[&at[..], &url, &files[..2]].concat(),
            &[&at[..], &url, &files[2..]].concat(),
        ] {
            assert!(!begins(part), "{part:?}");
        }
    }

    #[test]
    fn the_database_url_is_not_shown() {
        let matches = command()
            .try_get_matches_from(["tuppence", "config", "--database-url", "postgresql://u:secret@h/d"])
            .unwrap();
        let text = explain(matches.subcommand_matches("config").unwrap());
        assert!(!text.contains("secret") && text.contains("--database-url"), "{text}");
    }
}
