//! Where somebody listens: a host name or an IP address, and a port.
//!
//! This reads and writes the text `HOST:PORT`; it does not look up names and does not know whether anybody
//! listens there.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use thiserror::Error;

use crate::limits::{CONDUCTOR_PORT_DEFAULT, HOST_LEN_MAX};

/// A place to connect to, as people write it.
///
/// `Display` gives the form that manifests have: `HOST:PORT`, IPv6 as `[::1]:9999`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// Invariant: at most [`HOST_LEN_MAX`] bytes; an IPv6 address (perhaps with a `%zone`, never with
    /// brackets), or one or more of ASCII letters, digits, `-`, `_` and `.`.
    host: String,
    /// Invariant: not 0.
    port: u16,
}

/// Why a text is not such a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HostPortError {
    /// There is no host, or it has characters that no host name has.
    #[error("HOST:PORT was expected, with a host name or an IP address as HOST")]
    Host,
    /// The host is longer than host names are.
    #[error("a host name of at most {HOST_LEN_MAX} bytes was expected")]
    HostLen,
    /// A bare IPv6 address, in which nobody can tell where the port begins.
    #[error("an IPv6 address must stand in brackets, like [::1]:{CONDUCTOR_PORT_DEFAULT}")]
    Unbracketed,
    /// What stands in brackets is no IPv6 address, or something other than a port follows it.
    #[error("an IPv6 address was expected in the brackets, like [::1]:{CONDUCTOR_PORT_DEFAULT}")]
    Brackets,
    /// The port is not one.
    #[error("a port from 1 to 65535 was expected after the colon")]
    Port,
}

impl HostPort {
    /// Reads `HOST:PORT` or `[IPv6]:PORT`; where there is a default port, `HOST` or `[IPv6]` will do.
    ///
    /// # Errors
    /// The text is anything else.
    pub fn parse(text: &str, default: Option<u16>) -> Result<HostPort, HostPortError> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or(HostPortError::Brackets)?;
                if !is_ipv6(host) || !(after.is_empty() || after.starts_with(':')) {
                    return Err(HostPortError::Brackets);
                }
                (host, after.strip_prefix(':'))
            }
            None if is_ipv6(text) => return Err(HostPortError::Unbracketed),
            None => {
                let (host, port) = match text.split_once(':') {
                    Some((host, port)) => (host, Some(port)),
                    None => (text, None),
                };
                if !is_host(host) {
                    return Err(HostPortError::Host);
                }
                (host, port)
            }
        };
        if host.len() > HOST_LEN_MAX {
            return Err(HostPortError::HostLen);
        }
        let port = match port {
            Some(port) => parse_port(port)?,
            None => default.ok_or(HostPortError::Port)?,
        };
        Ok(HostPort { host: host.to_owned(), port })
    }

    /// The host name or IP address, an IPv6 address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl Default for HostPort {
    /// The conductor on this computer, at the usual port.
    fn default() -> HostPort {
        HostPort { host: "localhost".to_owned(), port: CONDUCTOR_PORT_DEFAULT }
    }
}

impl FromStr for HostPort {
    type Err = HostPortError;

    /// Reads the place of a conductor: a missing port is [`CONDUCTOR_PORT_DEFAULT`].
    fn from_str(text: &str) -> Result<HostPort, HostPortError> {
        HostPort::parse(text, Some(CONDUCTOR_PORT_DEFAULT))
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

fn is_host(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_host_byte)
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// Whether this is an IPv6 address; a link-local one may name its interface: `fe80::1%eth0`.
fn is_ipv6(text: &str) -> bool {
    let (address, zone) = match text.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (text, None),
    };
    address.parse::<Ipv6Addr>().is_ok() && zone.is_none_or(is_host)
}

fn parse_port(text: &str) -> Result<u16, HostPortError> {
    // `parse` would take a sign.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0).ok_or(HostPortError::Port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_people_write() {
        for (text, host, port, shown) in [
            ("192.168.1.1:9999", "192.168.1.1", 9999, "192.168.1.1:9999"),
            ("192.168.1.1", "192.168.1.1", 9999, "192.168.1.1:9999"),
            ("localhost", "localhost", 9999, "localhost:9999"),
            ("my-host_1.example.org:80", "my-host_1.example.org", 80, "my-host_1.example.org:80"),
            ("[::1]:7", "::1", 7, "[::1]:7"),
            ("[2001:DB8::1]", "2001:DB8::1", 9999, "[2001:DB8::1]:9999"),
            ("[fe80::1%eth0]:9999", "fe80::1%eth0", 9999, "[fe80::1%eth0]:9999"),
        ] {
            let conductor: HostPort = text.parse().unwrap();
            assert_eq!((conductor.host(), conductor.port()), (host, port), "{text}");
            assert_eq!(conductor.to_string(), shown);
        }
        assert_eq!(HostPort::default().to_string(), "localhost:9999");
    }

    #[test]
    fn without_a_default_a_port_is_needed() {
        assert_eq!(HostPort::parse("host", None), Err(HostPortError::Port));
        assert_eq!(HostPort::parse("[::1]", None), Err(HostPortError::Port));
        assert_eq!(HostPort::parse("host:1", None).unwrap().port(), 1);
    }

    #[test]
    fn other_texts_are_refused_for_a_reason() {
        for (text, error) in [
            ("", HostPortError::Host),
            (":9999", HostPortError::Host),
            ("a b:1", HostPortError::Host),
            ("bücher.example", HostPortError::Host),
            ("host\u{1b}[2J", HostPortError::Host),
            ("http://host:80", HostPortError::Port),
            ("::1", HostPortError::Unbracketed),
            ("2001:db8::1:9999", HostPortError::Unbracketed),
            ("[::1", HostPortError::Brackets),
            ("[localhost]:1", HostPortError::Brackets),
            ("[::1]9999", HostPortError::Brackets),
            ("[fe80::1%]", HostPortError::Brackets),
            ("[]:1", HostPortError::Brackets),
            ("host:", HostPortError::Port),
            ("host:0", HostPortError::Port),
            ("host:+80", HostPortError::Port),
            ("host:65536", HostPortError::Port),
            ("host:80:81", HostPortError::Port),
            ("[::1]:", HostPortError::Port),
        ] {
            assert_eq!(text.parse::<HostPort>(), Err(error), "{text}");
        }
        assert_eq!("h".repeat(HOST_LEN_MAX + 1).parse::<HostPort>(), Err(HostPortError::HostLen));
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(text in any::<String>()) {
            if let Ok(conductor) = text.parse::<HostPort>() {
                prop_assert_eq!(conductor.to_string().parse(), Ok(conductor));
            }
        }

        #[test]
        fn every_ip_address_and_port_reads_back(address: std::net::SocketAddr, port in 1..=u16::MAX) {
            let mut address = address;
            address.set_port(port);
            if let std::net::SocketAddr::V6(v6) = &mut address {
                v6.set_scope_id(0);
            }
            let conductor: HostPort = address.to_string().parse().unwrap();
            prop_assert_eq!(conductor.to_string(), address.to_string());
        }
    }
}
