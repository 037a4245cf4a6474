//! Says in people's words why no choice of packages satisfies a recipe.
//!
//! The solver knows that nothing fits; this looks for the plain reasons behind it, one by one:
//! names that nobody provides, versions that are not there, and what forbids what. It decides
//! nothing.

use std::collections::{BTreeMap, BTreeSet};

use prebake_apk::dependency::{self, Dependency, Operator};
use prebake_apk::index::Stanza;
use prebake_solve::Request;

use crate::document::nearest;

/// The most reasons that are given: one usually explains it all.
const MAX_REASONS: usize = 8;

/// The most versions that are named as the ones there are.
const MAX_VERSIONS: usize = 4;

/// A package under one of its names.
struct Provider<'a> {
    stanza: Stanza<'a>,
    /// The version under that name; `None` where a `provides` gives none.
    version: Option<&'a str>,
    /// The tag of its repository.
    tag: Option<&'a str>,
}

/// A dependency and who has it.
struct Asked<'a> {
    dependency: Dependency<'a>,
    /// The package; `None` for the recipe and the base's own world.
    by: Option<Stanza<'a>>,
}

/// Returns the reasons that can be told for why `request` has no solution; perhaps none.
pub(crate) fn reasons(request: &Request<'_>) -> Vec<String> {
    let providers = providers(request);
    let mut asked: Vec<_> = request
        .world
        .iter()
        .map(|dependency| Asked {
            dependency: *dependency,
            by: None,
        })
        .collect();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut chosen: Vec<&Provider<'_>> = Vec::new();
    let mut reasons = Vec::new();
    let mut next = 0;
    while let Some(Asked { dependency, by }) = asked.get(next) {
        next += 1;
        if dependency.conflict {
            continue;
        }
        let all = providers
            .get(dependency.name)
            .map_or(&[][..], Vec::as_slice);
        let fitting: Vec<_> = all
            .iter()
            .filter(|one| one.tag.is_none() || one.tag == dependency.tag)
            .filter(|one| {
                dependency.is_satisfied_by(one.version, &one.stanza.identity(), request.dialect)
            })
            .collect();
        let [only] = fitting.as_slice() else {
            if fitting.is_empty() {
                let what = missing(dependency, all, &providers);
                reasons.push(format!("{}{what}", needed(dependency, by.as_ref())));
            }
            // Where there is a choice, the reason is elsewhere or too long to tell.
            continue;
        };
        if seen.insert(only.stanza.name()) {
            let dependencies = only.stanza.dependencies(request.dialect);
            let by = only.stanza;
            chosen.push(only);
            asked.extend(dependencies.map(|dependency| Asked {
                dependency,
                by: Some(by),
            }));
        }
    }
    for Asked { dependency, by } in asked.iter().filter(|asked| asked.dependency.conflict) {
        let dialect = request.dialect;
        for one in providers.get(dependency.name).into_iter().flatten() {
            let is_chosen = chosen
                .iter()
                .any(|chosen| chosen.stanza.identity() == one.stanza.identity());
            let is_own = by.is_some_and(|by| by.name() == one.stanza.name());
            let fits = dependency.is_satisfied_by(one.version, &one.stanza.identity(), dialect);
            if is_chosen && !is_own && !fits {
                let who = by.map_or("the recipe".to_owned(), |by| label(&by));
                let what = label(&one.stanza);
                reasons.push(format!(
                    "{who} forbids `{dependency}`, and {what} is needed"
                ));
            }
        }
    }
    reasons.truncate(MAX_REASONS);
    reasons
}

type Providers<'a> = BTreeMap<&'a str, Vec<Provider<'a>>>;

fn providers<'a>(request: &Request<'a>) -> Providers<'a> {
    let mut providers = Providers::new();
    let repositories = request.repositories.iter().map(|one| (one.index, one.tag));
    let installed = request.installed.map(|index| (index, None));
    for (index, tag) in repositories.chain(installed) {
        for stanza in index.iter() {
            let mut add = |name, version| {
                let of_name: &mut Vec<Provider<'_>> = providers.entry(name).or_default();
                let is_known = |one: &Provider<'_>| one.stanza.identity() == stanza.identity();
                if !of_name.iter().any(is_known) {
                    of_name.push(Provider {
                        stanza,
                        version,
                        tag,
                    });
                }
            };
            add(stanza.name(), Some(stanza.version()));
            for provided in dependency::list(stanza.provides(), request.dialect) {
                let version = (provided.operator != Operator::Any).then_some(provided.version);
                add(provided.name, version);
            }
        }
    }
    providers
}

/// Says what is there in place of what `dependency` asks for.
fn missing(dependency: &Dependency<'_>, all: &[Provider<'_>], names: &Providers<'_>) -> String {
    let tag = all.iter().find_map(|one| one.tag);
    if let (Some(tag), true) = (tag, all.iter().all(|one| one.tag.is_some())) {
        let name = dependency.name;
        return format!("only the repository tagged `@{tag}` has it; write `{name}@{tag}`");
    }
    if all.is_empty() {
        let packages = names.keys().copied();
        let packages = packages.filter(|name| !name.contains([':', '/']));
        let near = nearest(dependency.name, packages);
        let near = near.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
        return format!("no repository has it{near}");
    }
    let mut labels: Vec<_> = all.iter().map(|one| label(&one.stanza)).collect();
    labels.sort();
    labels.dedup();
    labels.truncate(MAX_VERSIONS);
    format!("there is only {}", labels.join(", "))
}

fn needed(dependency: &Dependency<'_>, by: Option<&Stanza<'_>>) -> String {
    match by {
        Some(by) => format!("`{dependency}`, which {} needs: ", label(by)),
        None => format!("`{dependency}`: "),
    }
}

fn label(stanza: &Stanza<'_>) -> String {
    format!("{}-{}", stanza.name(), stanza.version())
}
