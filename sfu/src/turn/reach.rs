//! What an allocation may reach: this node's media, and nothing else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The addresses that callers are told, each with where it is to be had on this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    peers: Vec<(SocketAddr, SocketAddr)>,
}

impl Reach {
    /// Adds a shard: what callers are told, and what its sockets are bound to.
    pub(crate) fn add(&mut self, told: &[SocketAddr], bound: &[SocketAddr]) {
        let inside = |told: &SocketAddr| {
            let same_family = || bound.iter().find(|bound| bound.is_ipv4() == told.is_ipv4());
            bound.iter().find(|bound| *bound == told).or_else(same_family).copied().map(on_this_machine)
        };
        self.peers.extend(told.iter().filter_map(|told| Some((*told, inside(told)?))));
    }

    /// Where what is sent to this address goes; `None` if it is none of ours. Compared as it is written: an IPv4 address in
    /// the form of an IPv6 one is another, so that no spelling leads around this.
    pub(crate) fn inside(&self, told: SocketAddr) -> Option<SocketAddr> {
        self.peers.iter().find(|(peer, _)| *peer == told).map(|(_, inside)| *inside)
    }

    /// Whether any port of this address is ours.
    pub(crate) fn has(&self, ip: IpAddr) -> bool {
        self.peers.iter().any(|(told, _)| told.ip() == ip)
    }

    /// From where datagrams get there, for IPv4 or else IPv6.
    pub(crate) fn from(&self, ipv4: bool) -> Option<From> {
        let told =
            self.peers.iter().find(|(told, inside)| [told, inside].map(SocketAddr::is_ipv4) == [ipv4; 2]);
        told.map(|(told, inside)| From { told: told.ip(), inside: inside.ip() })
    }
}

/// Where an allocation's socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct From {
    /// As callers know this machine: Firefox pairs no loopback address with another.
    pub(crate) told: IpAddr,
    pub(crate) inside: IpAddr,
}

/// A socket for all addresses is reached by loopback.
fn on_this_machine(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, bound.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_told_is_reached_where_it_is_bound() {
        let mut reach = Reach::default();
        let own = [address("192.0.2.1:7900"), address("[2001:db8::1]:7900")];
        reach.add(&own, &own);
        assert_eq!(reach.inside(own[0]), Some(own[0]));
        assert_eq!(reach.inside(own[1]), Some(own[1]));
        let here = |at: SocketAddr| Some(From { told: at.ip(), inside: at.ip() });
        assert_eq!((reach.from(true), reach.from(false)), (here(own[0]), here(own[1])));
    }

    #[test]
    fn behind_a_nat_it_is_reached_by_loopback() {
        let mut reach = Reach::default();
        reach.add(&[address("198.51.100.4:7901")], &[address("0.0.0.0:7901"), address("[::]:7901")]);
        assert_eq!(reach.inside(address("198.51.100.4:7901")), Some(address("127.0.0.1:7901")));
        assert_eq!(reach.inside(address("198.51.100.4:7900")), None);
        let from = From { told: address("198.51.100.4:0").ip(), inside: Ipv4Addr::LOCALHOST.into() };
        assert_eq!((reach.from(true), reach.from(false)), (Some(from), None));
    }
}
