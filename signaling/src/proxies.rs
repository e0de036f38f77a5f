//! Where a request comes from, also when it came through proxies of ours.

use axum::http::HeaderMap;
use ipnet::IpNet;
use std::fmt;
use std::net::{AddrParseError, IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};

/// Each proxy adds to it whom it was asked by, at the end.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// A proxy that is believed, or a network of them: `10.0.0.5`, `10.0.0.0/24`, `2001:db8::/64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proxy(IpNet);

impl FromStr for Proxy {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, AddrParseError> {
        match text.parse() {
            Ok(network) => Ok(Self(network)),
            Err(_) => text.parse::<IpAddr>().map(|address| Self(address.into())),
        }
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The proxies in front of the service.
#[derive(Debug, Default)]
pub struct Proxies {
    believed: Vec<Proxy>,
    /// The operator was told of one that is not named.
    told: AtomicBool,
}

impl Proxies {
    /// Believes these, and nobody else.
    pub fn new(believed: Vec<Proxy>) -> Self {
        Self { believed, told: AtomicBool::new(false) }
    }

    /// Where a request comes from that `peer` brought: the last address in `X-Forwarded-For` that is none of the proxies.
    /// What stands before it, the client may have made up. Where a proxy wrote none that can be read, it is the proxy itself.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        self.tell_of_unnamed(client, headers);
        let values = headers.get_all(FORWARDED_FOR).iter().rev();
        let mut before = values.flat_map(|value| value.to_str().unwrap_or_default().rsplit(','));
        while self.believes(client) {
            match before.next().and_then(|text| address(text.trim())) {
                Some(address) => client = address.to_canonical(),
                None => break,
            }
        }
        client
    }

    fn believes(&self, address: IpAddr) -> bool {
        self.believed.iter().any(|Proxy(network)| network.contains(&address))
    }

    /// Once: all who come through it share one limit, and nobody would know why.
    fn tell_of_unnamed(&self, peer: IpAddr, headers: &HeaderMap) {
        let is_unnamed = headers.contains_key(FORWARDED_FOR) && is_near(peer) && !self.believes(peer);
        if is_unnamed && !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(%peer, "requests come through a proxy that --trusted-proxies does not name: all its callers share the limits of one address");
        }
    }
}

/// Where a proxy of the operator's may be; from anywhere else the header is somebody's own idea.
fn is_near(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// An address as proxies write it: alone, in brackets or with a port.
fn address(text: &str) -> Option<IpAddr> {
    let alone = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse().map(|address: SocketAddr| address.ip());
    alone.parse().or_else(|_| with_port()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows: the proxies, who asks, the header's lines, and whom the request is taken to come from.
    #[test]
    fn a_client_is_the_last_that_is_no_proxy_of_ours() {
        for (proxies, peer, lines, client) in [
            ("", "192.0.2.1", vec!["198.51.100.7"], "192.0.2.1"),
            ("10.0.0.5", "192.0.2.1", vec!["198.51.100.7"], "192.0.2.1"), // believed from nobody else
            ("10.0.0.5", "10.0.0.5", vec!["198.51.100.7"], "198.51.100.7"),
            ("10.0.0.5", "::ffff:10.0.0.5", vec!["198.51.100.7"], "198.51.100.7"),
            ("10.0.0.5", "10.0.0.5", vec!["203.0.113.9, 198.51.100.7"], "198.51.100.7"), // made up by the client
            ("10.0.0.5", "10.0.0.5", vec!["203.0.113.9", "198.51.100.7"], "198.51.100.7"),
            ("10.0.0.0/24", "10.0.0.5", vec!["203.0.113.9, 198.51.100.7, 10.0.0.6"], "198.51.100.7"),
            ("10.0.0.5 2001:db8::/64", "2001:db8::1", vec!["198.51.100.7, 10.0.0.5"], "198.51.100.7"),
            ("10.0.0.5", "10.0.0.5", vec!["198.51.100.7:4711"], "198.51.100.7"),
            ("10.0.0.5", "10.0.0.5", vec!["[2001:db8::9]:4711"], "2001:db8::9"),
            ("10.0.0.5", "10.0.0.5", vec!["[2001:db8::9]"], "2001:db8::9"),
            ("10.0.0.5", "10.0.0.5", vec!["::ffff:198.51.100.7"], "198.51.100.7"),
            ("10.0.0.5", "10.0.0.5", vec!["198.51.100.7, unknown"], "10.0.0.5"),
            ("10.0.0.5", "10.0.0.5", vec!["198.51.100.7, "], "10.0.0.5"),
            ("10.0.0.5", "10.0.0.5", vec![], "10.0.0.5"),
            ("10.0.0.0/8", "10.0.0.5", vec!["10.0.0.7"], "10.0.0.7"),
        ] {
            let proxies = proxies.split_whitespace().map(|proxy| proxy.parse().expect(proxy)).collect();
            let mut headers = HeaderMap::new();
            for line in &lines {
                headers.append(FORWARDED_FOR, line.parse().expect(line));
            }
            let found = Proxies::new(proxies).client(peer.parse().expect(peer), &headers);
            assert_eq!(found.to_string(), client, "{peer} with {lines:?}");
        }
    }

    /// Rows: who asks, with what, and whether the operator is told.
    #[test]
    fn the_operator_is_told_of_a_proxy_that_is_not_named() {
        for (peer, line, is_told) in [
            ("10.0.0.5", Some("198.51.100.7"), false), // named
            ("10.0.0.6", None, false),
            ("10.0.0.6", Some("198.51.100.7"), true),
            ("::ffff:127.0.0.1", Some("198.51.100.7"), true),
            ("fd00::1", Some("198.51.100.7"), true),
            ("192.0.2.1", Some("198.51.100.7"), false), // anybody may write it
        ] {
            let proxies = Proxies::new(vec!["10.0.0.5".parse().expect("an address")]);
            let mut headers = HeaderMap::new();
            if let Some(line) = line {
                headers.append(FORWARDED_FOR, line.parse().expect(line));
            }
            proxies.client(peer.parse().expect(peer), &headers);
            assert_eq!(proxies.told.into_inner(), is_told, "{peer} with {line:?}");
        }
    }

    #[test]
    fn only_addresses_and_networks_are_proxies() {
        for text in ["", "localhost", "10.0.0.0/33", "10.0.0", "10.0.0.5:80", "0.0.0.0/-1"] {
            assert!(text.parse::<Proxy>().is_err(), "{text}");
        }
        assert_eq!("10.0.0.5".parse::<Proxy>().map(|it| it.to_string()), Ok("10.0.0.5/32".into()));
    }
}
