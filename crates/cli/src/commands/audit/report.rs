//! What `audit` found, for people and for programs.

use std::fmt::Write as _;

use prebake::arch::Arch;
use prebake::audit::{Audit, AuditDifference, Finding, Kind, Policy};
use prebake_apk::shown;
use serde_json::{Value, json};

use super::Audited;

/// How many characters of a text are shown: no honest rule or path is longer.
const MOST_SHOWN: usize = 1000;

/// What stands in front of a finding that must not be there.
const DENIED: &str = "!";

/// Returns the report for people; where they want to hear errors alone, only what is denied.
pub(super) fn text(audited: &[Audited], policy: &Policy, quiet: bool) -> String {
    // Writing to a `String` cannot fail, so the results below are dropped on purpose.
    let mut out = String::new();
    for one in audited {
        if !quiet {
            headline(&mut out, one);
            for kind in Kind::ALL {
                findings(&mut out, &one.audit, kind, policy);
            }
            nothing(&mut out, &one.audit);
            if let Some(difference) = &one.difference {
                changes(&mut out, difference);
            }
        }
        verdict(&mut out, one, policy);
    }
    out
}

fn headline(out: &mut String, one: &Audited) {
    let audit = &one.audit;
    let arch = audit.arch.map(|arch| format!(" for {arch}"));
    let _ = writeln!(
        out,
        "{}{}: {} packages, identity {}",
        plain(&one.name),
        arch.unwrap_or_default(),
        audit.packages.len(),
        audit.identity
    );
}

fn findings(out: &mut String, audit: &Audit, kind: Kind, policy: &Policy) {
    let found = audit.findings.iter().filter(|finding| finding.kind == kind);
    let found: Vec<_> = found.collect();
    if found.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{kind} ({}): {}", found.len(), kind.explanation());
    for finding in found {
        let mark = if policy.denies(finding) { DENIED } else { " " };
        let _ = writeln!(out, "{mark} {}", line(finding));
    }
}

/// Returns a finding as a line: what, how, whose.
fn line(finding: &Finding) -> String {
    let mut line = plain(&finding.subject);
    if !finding.detail.is_empty() {
        line.push_str("  ");
        line.push_str(&plain(&finding.detail));
    }
    if let Some(package) = &finding.package {
        let _ = write!(line, "  (from {})", plain(package));
    }
    line
}

/// Says what there is none of, and what nobody knows: silence would look like the former.
fn nothing(out: &mut String, audit: &Audit) {
    let unknown = |kind: Kind| audit.unknown.iter().find(|unknown| unknown.kind == kind);
    let none = Kind::ALL.into_iter().filter(|kind| {
        unknown(*kind).is_none() && !audit.findings.iter().any(|finding| finding.kind == *kind)
    });
    let none: Vec<_> = none.map(Kind::name).collect();
    if !none.is_empty() {
        let _ = writeln!(out, "\nlooked for and not found: {}", none.join(", "));
    }
    for unknown in &audit.unknown {
        let _ = writeln!(out, "not known: {}, as {}", unknown.kind, unknown.why);
    }
}

fn changes(out: &mut String, difference: &AuditDifference) {
    let AuditDifference {
        added,
        removed,
        packages,
    } = difference;
    if added.is_empty() && removed.is_empty() && packages.is_empty() {
        let _ = writeln!(out, "\nsince the older one: no difference");
        return;
    }
    let _ = writeln!(out, "\nsince the older one:");
    for package in packages {
        let _ = writeln!(out, "  {}", plain(&package.to_string()));
    }
    for (sign, findings) in [("+", added), ("-", removed)] {
        for finding in findings {
            let _ = writeln!(out, "  {sign} {}: {}", finding.kind, line(finding));
        }
    }
}

fn verdict(out: &mut String, one: &Audited, policy: &Policy) {
    if policy.deny.is_empty() {
        return;
    }
    let denied = one
        .audit
        .findings
        .iter()
        .filter(|finding| policy.denies(finding));
    let denied: Vec<_> = denied.collect();
    let undecided = policy.undecided(&one.audit);
    let arch = one
        .audit
        .arch
        .map(|arch| format!(" for {arch}"))
        .unwrap_or_default();
    for finding in &denied {
        let _ = writeln!(out, "denied{arch}: {}:{}", finding.kind, line(finding));
    }
    for kind in &undecided {
        let _ = writeln!(
            out,
            "denied{arch}: {kind}, of which nobody knows whether there is any"
        );
    }
    if denied.is_empty() && undecided.is_empty() {
        let _ = writeln!(out, "nothing that is denied{arch}");
    }
}

/// Returns `text`, which comes from the rootfs, so that it steers no terminal.
fn plain(text: &str) -> String {
    shown::plain(text, MOST_SHOWN)
}

/// Returns the report for programs.
pub(super) fn json(audited: &[Audited], policy: &Policy) -> Value {
    let names = |kinds: &[Kind]| kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>();
    let finding = |finding: &Finding| {
        json!({
            "kind": finding.kind.name(),
            "subject": finding.subject,
            "detail": finding.detail,
            "package": finding.package,
        })
    };
    let rootfs = audited.iter().map(|one| {
        let audit = &one.audit;
        let findings = audit.findings.iter().map(|found| {
            let mut value = finding(found);
            value["denied"] = policy.denies(found).into();
            value
        });
        let unknown = audit
            .unknown
            .iter()
            .map(|unknown| json!({ "kind": unknown.kind.name(), "why": unknown.why }));
        json!({
            "name": one.name,
            "arch": audit.arch.map(Arch::name),
            "identity": audit.identity.to_string(),
            "packages": audit.packages.iter().map(|package| json!({
                "name": package.name,
                "version": package.version,
                "identity": package.identity.to_apk(),
            })).collect::<Vec<_>>(),
            "findings": findings.collect::<Vec<_>>(),
            "unknown": unknown.collect::<Vec<_>>(),
            "undecided": names(&policy.undecided(audit)),
            "since": one.difference.as_ref().map(|difference| json!({
                "added": difference.added.iter().map(finding).collect::<Vec<_>>(),
                "removed": difference.removed.iter().map(finding).collect::<Vec<_>>(),
                "packages": difference.packages.iter().map(|package| json!({
                    "name": package.name,
                    "what": package.what(),
                    "from": package.from,
                    "to": package.to,
                })).collect::<Vec<_>>(),
            })),
        })
    });
    let rootfs: Vec<_> = rootfs.collect();
    let audits: Vec<_> = audited.iter().map(|one| one.audit.clone()).collect();
    json!({
        "deny": names(&policy.deny),
        "allow": policy.allow.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "unused_allow": policy.unused(&audits).iter().map(ToString::to_string).collect::<Vec<_>>(),
        "rootfs": rootfs,
    })
}
