//! Which addresses of this machine a caller could reach: read from what Linux tells about itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// Addresses that callers are told, at most: each costs them checks.
const ADDRESSES_MAX: usize = 8;

/// The machine's addresses, the one that leads to the internet first. Loopback only when there is no other.
pub(crate) fn detect() -> Vec<IpAddr> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let mut found = Vec::new();
    found.extend(leading_out("0.0.0.0:0", "192.0.2.1:9"));
    found.extend(leading_out("[::]:0", "[2001:db8::1]:9"));
    found.extend(parse_fib_trie(&read("/proc/net/fib_trie")).into_iter().map(IpAddr::V4));
    found.extend(parse_if_inet6(&read("/proc/net/if_inet6")).into_iter().map(IpAddr::V6));
    choose(found)
}

/// Reads a text as each of the files.
#[cfg(feature = "fuzzing")]
pub(crate) fn read_anything(text: &str) {
    let found = parse_fib_trie(text).into_iter().map(IpAddr::V4);
    let found: Vec<IpAddr> = found.chain(parse_if_inet6(text).into_iter().map(IpAddr::V6)).collect();
    assert!((1..=ADDRESSES_MAX).contains(&choose(found).len()));
}

fn choose(found: Vec<IpAddr>) -> Vec<IpAddr> {
    let mut chosen = Vec::new();
    for address in found {
        if is_reachable(address) && !chosen.contains(&address) && chosen.len() < ADDRESSES_MAX {
            chosen.push(address);
        }
    }
    if chosen.is_empty() {
        chosen.push(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    chosen
}

fn is_reachable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            !address.is_loopback()
                && !address.is_unspecified()
                && !address.is_link_local()
                && !address.is_multicast()
        }
        IpAddr::V6(address) => {
            !address.is_loopback()
                && !address.is_unspecified()
                && !address.is_unicast_link_local()
                && !address.is_multicast()
        }
    }
}

/// The address a packet to the outside would leave from. Nothing is sent.
fn leading_out(from: &str, to: &str) -> Option<IpAddr> {
    let socket = UdpSocket::bind(from).ok()?;
    socket.connect(to).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

/// Lines `|-- 192.0.2.2` followed by `/32 host LOCAL`.
fn parse_fib_trie(text: &str) -> Vec<Ipv4Addr> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let local = lines.windows(2).filter(|pair| pair[1].starts_with("/32 host LOCAL"));
    local.filter_map(|pair| pair[0].strip_prefix("|-- ")?.parse().ok()).collect()
}

/// Lines `fd000000000000000000000000000002 04 40 00 82     eth0`: address, index, prefix, scope, flags, name. Of global
/// scope (00), and neither temporary, deprecated nor tentative.
fn parse_if_inet6(text: &str) -> Vec<Ipv6Addr> {
    const UNSTABLE: u32 = 0x01 | 0x20 | 0x40;
    let parse = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [address, _, _, scope, flags, ..] = fields[..] else { return None };
        let flags = u32::from_str_radix(flags, 16).ok()?;
        let address = u128::from_str_radix(address, 16).ok()?;
        (scope == "00" && flags & UNSTABLE == 0).then(|| Ipv6Addr::from(address))
    };
    text.lines().filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linux_is_understood() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 192.0.2.2\n        /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\n";
        assert_eq!(parse_fib_trie(trie), [Ipv4Addr::LOCALHOST, Ipv4Addr::new(192, 0, 2, 2)]);
        let inet6 = "00000000000000000000000000000001 01 80 10 80       lo\nfd000000000000000000000000000002 04 40 00 82     eth0\nfd000000000000000000000000000003 04 40 00 01     eth0\n";
        assert_eq!(parse_if_inet6(inet6), ["fd00::2".parse::<Ipv6Addr>().unwrap()]);
        assert!(parse_if_inet6("rubbish\n\n1 2 3 4 5").is_empty());
    }

    #[test]
    fn loopback_is_the_last_resort() {
        let parse = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(choose(vec![parse("127.0.0.1"), parse("::1")]), [parse("127.0.0.1")]);
        let found = vec![
            parse("127.0.0.1"),
            parse("192.0.2.2"),
            parse("fe80::1"),
            parse("192.0.2.2"),
            parse("fd00::2"),
        ];
        assert_eq!(choose(found), [parse("192.0.2.2"), parse("fd00::2")]);
    }
}
