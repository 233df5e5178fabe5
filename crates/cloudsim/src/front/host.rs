//! Which hosts the front answers to.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A host of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    /// `NAME` of `NAME.localhost`, in lower case.
    pub(super) name: Option<String>,
    /// `:PORT` as it was sent, or nothing.
    pub(super) port: String,
}

/// `localhost`, `NAME.localhost` and loopback addresses, each with or without a port; `None` for
/// every other text.
pub(super) fn parse(text: &str) -> Option<Host> {
    let (host, port) = cut_port(text)?;
    let host = host.to_ascii_lowercase();
    let name = host.strip_suffix(".localhost").filter(|name| is_name(name)).map(str::to_owned);
    (name.is_some() || is_plain(&host)).then(|| Host { name, port: port.to_owned() })
}

fn is_plain(host: &str) -> bool {
    let v6 = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    host == "localhost"
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || v6
            .and_then(|address| address.parse::<Ipv6Addr>().ok())
            .is_some_and(|address| address.is_loopback())
}

fn is_name(name: &str) -> bool {
    name.split('.').all(|label| {
        !label.is_empty()
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    })
}

/// Host, and `:PORT` or nothing.
fn cut_port(text: &str) -> Option<(&str, &str)> {
    let after_address = text.rfind(']').map_or(0, |end| end + 1);
    let Some(colon) = text.get(after_address..)?.find(':') else {
        return Some((text, ""));
    };
    let (host, port) = text.split_at_checked(after_address + colon)?;
    port.strip_prefix(':')?.parse::<u16>().ok()?;
    Some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_hosts_are_accepted_with_and_without_a_port() {
        for host in
            ["localhost", "LOCALHOST:8420", "127.0.0.1:8420", "127.8.8.8", "[::1]:80", "[::1]"]
        {
            assert_eq!(parse(host).and_then(|host| host.name), None, "{host}");
            assert!(parse(host).is_some(), "{host}");
        }
        assert_eq!(
            parse("Alice.localhost:8420"),
            Some(Host { name: Some("alice".into()), port: ":8420".into() })
        );
        assert_eq!(parse("ann.marie.localhost").unwrap().name.as_deref(), Some("ann.marie"));
    }

    #[test]
    fn other_hosts_are_refused() {
        for host in [
            "",
            "example.com",
            "localhost.example.com",
            "localhost.",
            ".localhost",
            "a..localhost",
            "10.0.0.1",
            "[::2]",
            "::1",
            "localhost:x",
            "localhost:99999",
            "alice@localhost",
            "a b.localhost",
            "localhost:80:80",
            "[::1",
            "0.0.0.0",
        ] {
            assert_eq!(parse(host), None, "{host}");
        }
    }
}
