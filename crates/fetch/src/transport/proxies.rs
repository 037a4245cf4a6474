//! Which proxy a URL goes through, by the environment variables that curl and wget obey.

use std::ffi::OsString;
use std::net::IpAddr;

/// The proxies in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// The proxy for `http://` URLs, as a URL or `host:port`.
    pub http: Option<String>,
    /// The proxy for `https://` URLs.
    pub https: Option<String>,
    /// Hosts that are reached directly: names (with their subdomains), IP addresses, `10.0.0.0/8`,
    /// each with an optional `:port`, or `*` for all.
    pub direct: Vec<String>,
}

impl Proxies {
    /// Reads `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, each also in upper case;
    /// the lower case one counts first, as in curl. `lookup` returns a variable's value.
    pub fn from_environment(lookup: impl Fn(&str) -> Option<OsString>) -> Self {
        let read = |name: &str| {
            [name.to_owned(), name.to_ascii_uppercase()]
                .iter()
                .filter_map(|name| lookup(name))
                .filter_map(|value| value.into_string().ok())
                .map(|value| value.trim().to_owned())
                .find(|value| !value.is_empty())
        };
        let all = read("all_proxy");
        let direct = read("no_proxy").unwrap_or_default();
        Self {
            http: read("http_proxy").or_else(|| all.clone()),
            https: read("https_proxy").or(all),
            direct: direct
                .split([',', ' '])
                .filter(|entry| !entry.is_empty())
                .map(str::to_ascii_lowercase)
                .collect(),
        }
    }

    /// Returns whether `host` (without brackets) is reached without a proxy.
    pub(super) fn is_direct(&self, host: &str, port: u16) -> bool {
        let host = host.to_ascii_lowercase();
        self.direct.iter().any(|entry| matches(entry, &host, port))
    }
}

fn matches(entry: &str, host: &str, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        let named = entry.trim_start_matches('[').trim_end_matches(']');
        if named.parse() == Ok(address) || in_network(named, address) == Some(true) {
            return true;
        }
    }
    let name = match entry.rsplit_once(':') {
        Some((name, wanted)) => match wanted.parse::<u16>() {
            Ok(wanted) if wanted == port => name.trim_start_matches('[').trim_end_matches(']'),
            Ok(_) => return false,
            Err(_) => entry,
        },
        None => entry,
    };
    let name = name.trim_start_matches("*.").trim_start_matches('.');
    match host.strip_suffix(name) {
        Some(rest) => !name.is_empty() && (rest.is_empty() || rest.ends_with('.')),
        None => false,
    }
}

/// Returns whether `address` is within `network` (`10.0.0.0/8`); `None` if that is no network.
fn in_network(network: &str, address: IpAddr) -> Option<bool> {
    let (base, bits) = network.split_once('/')?;
    let bits: u32 = bits.parse().ok()?;
    match (base.parse().ok()?, address) {
        (IpAddr::V4(base), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32_u32.checked_sub(bits)?).unwrap_or(0);
            Some(base.to_bits() & mask == address.to_bits() & mask)
        }
        (IpAddr::V6(base), IpAddr::V6(address)) => {
            let mask = u128::MAX
                .checked_shl(128_u32.checked_sub(bits)?)
                .unwrap_or(0);
            Some(base.to_bits() & mask == address.to_bits() & mask)
        }
        _ => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Proxies {
        Proxies::from_environment(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.into())
        })
    }

    #[test]
    fn the_environment_is_read_as_curl_does() {
        let proxies = read(&[
            ("HTTPS_PROXY", "b:1"),
            ("https_proxy", "a:1"),
            ("ALL_PROXY", "c:1"),
        ]);
        assert_eq!(proxies.https.as_deref(), Some("a:1"));
        assert_eq!(proxies.http.as_deref(), Some("c:1"));
        let proxies = read(&[("http_proxy", " "), ("HTTP_PROXY", "d:1")]);
        assert_eq!(proxies.http.as_deref(), Some("d:1"));
        assert_eq!(proxies.https, None);
    }

    #[test]
    fn direct_hosts() {
        let list = "localhost,.corp.example, *.dev,10.0.0.0/8,192.168.1.1,[::1],host:8080,fd00::/8";
        let proxies = read(&[("no_proxy", list)]);
        for (host, port, direct) in [
            ("localhost", 80, true),
            ("LOCALHOST", 80, true),
            ("notlocalhost", 80, false),
            ("localhost.example", 80, false),
            ("corp.example", 80, true),
            ("a.corp.example", 80, true),
            ("acorp.example", 80, false),
            ("a.dev", 80, true),
            ("10.1.2.3", 80, true),
            ("11.1.2.3", 80, false),
            ("192.168.1.1", 80, true),
            ("192.168.1.11", 80, false),
            ("::1", 80, true),
            ("fd12::1", 80, true),
            ("fe80::1", 80, false),
            ("host", 8080, true),
            ("host", 80, false),
        ] {
            assert_eq!(proxies.is_direct(host, port), direct, "{host}:{port}");
        }
        assert!(read(&[("NO_PROXY", "*")]).is_direct("any", 1));
        assert!(!read(&[]).is_direct("any", 1));
    }
}
