//! `[etc]`: what a host is told of itself.

use std::net::IpAddr;

use super::Reader;
use crate::document::{At, Table};
use crate::recipe::{Etc, MAX_HOSTNAME, MAX_NAMESERVERS, Resolv};

const ETC: &[&str] = &["hostname", "timezone", "repositories", "resolv"];
const RESOLV: &[&str] = &["nameservers", "search"];

/// The longest label of a domain, in bytes.
const MAX_LABEL: usize = 63;

/// The longest domain, in bytes.
const MAX_DOMAIN: usize = 253;

impl Reader<'_> {
    pub(super) fn etc(&self, top: &Table<'_>) -> Etc {
        let Some(table) = top.table("etc", "[etc]", ETC) else {
            return Etc::default();
        };
        let hostname = table
            .string("hostname")
            .filter(|name| self.is_domain(name, "host name", MAX_HOSTNAME));
        let timezone = table.string("timezone").filter(|zone| self.is_zone(zone));
        let lines = table.strings("repositories");
        let repositories = table.has("repositories").then(|| At {
            value: lines
                .into_iter()
                .filter(|line| self.is_repository_line(line))
                .map(|line| line.value)
                .collect(),
            span: table.key_span("repositories"),
        });
        let resolv = table.table("resolv", "`resolv`", RESOLV);
        let resolv = resolv.map(|table| At {
            value: self.resolv(&table),
            span: table.span.clone(),
        });
        Etc {
            hostname,
            timezone,
            repositories,
            resolv,
        }
    }

    /// Says whether a name is one by RFC 1123: labels of letters, digits and `-`, a dot between.
    fn is_domain(&self, name: &At<String>, what: &str, longest: usize) -> bool {
        let label = |label: &str| {
            !label.is_empty()
                && label.len() <= MAX_LABEL
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let good = name.value.len() <= longest && name.value.split('.').all(label);
        if !good {
            let message = format!("`{}` is not a {what}", name.value);
            let hint = format!(
                "use up to {longest} letters, digits and `-`, in parts with a `.` between, no `-` \
                 at either end of a part"
            );
            self.problems.add_with_hint(&name.span, message, hint);
        }
        good
    }

    fn is_zone(&self, zone: &At<String>) -> bool {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '.');
        let part =
            |part: &str| !part.is_empty() && !matches!(part, "." | "..") && part.chars().all(plain);
        let good = zone.value.len() <= MAX_DOMAIN && zone.value.split('/').all(part);
        if !good {
            let message = format!("`{}` is not the name of a time zone", zone.value);
            self.problems.add_with_hint(
                &zone.span,
                message,
                "for example `Europe/Berlin` or `UTC`",
            );
        }
        good
    }

    fn is_repository_line(&self, line: &At<String>) -> bool {
        let place = |word: &str| {
            let schemes = ["https://", "http://", "ftp://", "file://", "/"];
            schemes.iter().any(|scheme| word.starts_with(scheme))
        };
        let good = !line.value.contains(char::is_control)
            && !line.value.starts_with('#')
            && line.value.split(' ').any(place);
        if !good {
            let message = format!("`{}` is not a line of /etc/apk/repositories", line.value);
            let hint = "an address or a folder, and where it has one its `@tag ` before it";
            self.problems.add_with_hint(&line.span, message, hint);
        }
        good
    }

    fn resolv(&self, table: &Table<'_>) -> Resolv {
        let mut nameservers = Vec::new();
        for server in table.strings("nameservers") {
            match server.value.parse::<IpAddr>() {
                Ok(address) => nameservers.push(address),
                Err(_) => self.problems.add_with_hint(
                    &server.span,
                    format!("`{}` is not an IP address", server.value),
                    "for example `1.1.1.1` or `2606:4700:4700::1111`",
                ),
            }
        }
        if nameservers.len() > MAX_NAMESERVERS {
            self.problems.add(
                &table.value_span("nameservers"),
                format!("musl asks no more than {MAX_NAMESERVERS} name servers"),
            );
        }
        let search = table.strings("search");
        let search = search
            .into_iter()
            .filter(|domain| self.is_domain(domain, "domain", MAX_DOMAIN))
            .map(|domain| domain.value)
            .collect();
        Resolv {
            search,
            nameservers,
        }
    }
}
