//! Who the client is: the peer, or who a trusted proxy says it speaks for.
//!
//! `X-Forwarded-For` is read from the right, because each proxy appends whom it
//! heard: the first entry that is no trusted proxy is the client. What stands left
//! of it is the client's own say and is not looked at (protocol.md section 5).

use std::net::IpAddr;

use ipnet::IpNet;

/// An `X-Forwarded-For` entry that had to be read is no plain address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadForwardedFor;

/// The client's address, IPv4-mapped ones as IPv4.
///
/// # Errors
/// [`BadForwardedFor`] if a trusted proxy handed on an entry that is no plain address.
pub(super) fn client_address(
    peer: IpAddr,
    forwarded_for: &[&[u8]],
    trusted: &[IpNet],
) -> Result<IpAddr, BadForwardedFor> {
    let mut client = peer.to_canonical();
    if !any_holds(trusted, client) {
        return Ok(client);
    }
    // Several lines are one list (RFC 9110 section 5.3); an empty line adds nothing to it.
    let entries = forwarded_for
        .iter()
        .rev()
        .filter(|line| !line.trim_ascii().is_empty())
        .flat_map(|line| line.rsplit(|&byte| byte == b','));
    for entry in entries {
        client = plain_address(entry).ok_or(BadForwardedFor)?;
        if !any_holds(trusted, client) {
            break;
        }
    }
    Ok(client)
}

/// Whether any of the networks holds the address, which is canonical.
#[must_use]
pub(super) fn any_holds(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| holds(network, address))
}

fn holds(network: &IpNet, address: IpAddr) -> bool {
    /// `::ffff:0:0/96` holds the IPv4-mapped addresses and nothing else.
    const MAPPED_PREFIX_BITS: u8 = 96;
    match (network, address) {
        // An operator may write an IPv4 network in its mapped form. A shorter prefix
        // means IPv6: `::/0` is no promise about IPv4 clients.
        (IpNet::V6(mapped), IpAddr::V4(v4)) => {
            mapped.prefix_len() >= MAPPED_PREFIX_BITS && mapped.contains(&v4.to_ipv6_mapped())
        }
        _ => network.contains(&address),
    }
}

/// An address without port, brackets or zone, white space around it allowed.
fn plain_address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry.trim_ascii()).ok()?;
    text.parse()
        .ok()
        .map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(list: &[&str]) -> Vec<IpNet> {
        list.iter()
            .map(|network| network.parse().unwrap())
            .collect()
    }

    #[test]
    fn the_client_is_the_first_untrusted_entry_from_the_right() {
        let cases: &[(&str, &[&str], Option<&str>)] = &[
            // Not from a trusted proxy: the peer, whatever the header says.
            ("203.0.113.9", &[], Some("203.0.113.9")),
            ("203.0.113.9", &["198.51.100.1"], Some("203.0.113.9")),
            ("203.0.113.9", &["nonsense"], Some("203.0.113.9")),
            ("::ffff:203.0.113.9", &["198.51.100.1"], Some("203.0.113.9")),
            // From one, without a header: the proxy itself.
            ("10.0.0.1", &[], Some("10.0.0.1")),
            ("10.0.0.1", &[""], Some("10.0.0.1")),
            ("10.0.0.1", &["198.51.100.1"], Some("198.51.100.1")),
            ("::ffff:10.0.0.1", &["198.51.100.1"], Some("198.51.100.1")),
            (
                "10.0.0.1",
                &["198.51.100.1, 198.51.100.2"],
                Some("198.51.100.2"),
            ),
            ("10.0.0.1", &["198.51.100.1,10.0.0.2"], Some("198.51.100.1")),
            (
                "10.0.0.1",
                &[" 198.51.100.1 \t,\t10.0.0.2 "],
                Some("198.51.100.1"),
            ),
            (
                "10.0.0.1",
                &["198.51.100.1", "198.51.100.2"],
                Some("198.51.100.2"),
            ),
            (
                "10.0.0.1",
                &["198.51.100.1", "10.0.0.2, 10.0.0.3"],
                Some("198.51.100.1"),
            ),
            (
                "10.0.0.1",
                &["198.51.100.1", "", "10.0.0.3"],
                Some("198.51.100.1"),
            ),
            (
                "10.0.0.1",
                &["::ffff:198.51.100.1, ::ffff:10.0.0.2"],
                Some("198.51.100.1"),
            ),
            ("10.0.0.1", &["2001:db8::7"], Some("2001:db8::7")),
            ("fd00::1", &["2001:db8::7, fd00::2"], Some("2001:db8::7")),
            // All trusted: the leftmost.
            (
                "10.0.0.1",
                &["10.0.0.4, 10.0.0.3", "10.0.0.2"],
                Some("10.0.0.4"),
            ),
            // Left of the client everything is the client's own say.
            (
                "10.0.0.1",
                &["nonsense, 198.51.100.1"],
                Some("198.51.100.1"),
            ),
            (
                "10.0.0.1",
                &["nonsense", "198.51.100.1, 10.0.0.2"],
                Some("198.51.100.1"),
            ),
            // What had to be read and is no plain address.
            ("10.0.0.1", &["198.51.100.1:4711"], None),
            ("10.0.0.1", &["[2001:db8::7]"], None),
            ("10.0.0.1", &["[2001:db8::7]:443"], None),
            ("10.0.0.1", &["fe80::1%eth0"], None),
            ("10.0.0.1", &["unknown"], None),
            ("10.0.0.1", &["198.51.100.1,"], None),
            ("10.0.0.1", &["198.51.100.1, , 10.0.0.2"], None),
            ("10.0.0.1", &["198.51.100.01"], None),
            ("10.0.0.1", &["198.51.100"], None),
            ("10.0.0.1", &["198.51.100.1/32"], None),
            ("10.0.0.1", &["nonsense, 10.0.0.2"], None),
            ("10.0.0.1", &["\u{661}.1.1.1"], None),
        ];
        let trusted = networks(&["10.0.0.0/8", "fd00::/8"]);
        for (peer, lines, expected) in cases {
            let lines: Vec<_> = lines.iter().map(|line| line.as_bytes()).collect();
            let got = client_address(peer.parse().unwrap(), &lines, &trusted);
            let expected = expected.map(|address| address.parse().unwrap());
            assert_eq!(got.ok(), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn a_network_holds_ipv4_and_its_mapped_form_alike() {
        let cases = [
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("::ffff:10.0.0.0/104", "10.1.2.3", true),
            ("::ffff:10.0.0.0/104", "11.1.2.3", false),
            ("::/0", "10.1.2.3", false),
            ("::/0", "2001:db8::1", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8::1", true),
        ];
        for (network, address, expected) in cases {
            let got = any_holds(&networks(&[network]), address.parse().unwrap());
            assert_eq!(got, expected, "{network} {address}");
        }
    }
}
