//! `prebake why` and `prebake tree`: who needs whom.

use prebake::graph::{Graph, Link, MAX_CHAINS, graph};
use prebake::{Error, Upgrade};
use serde_json::{Value, json};

use crate::arguments::RecipeOption;
use crate::arguments::{Global, TreeArguments, WhyArguments};
use crate::{exit_code, output, session};

pub(crate) fn why(arguments: &WhyArguments, global: &Global) -> Result<u8, Error> {
    let graphs = graphs(&arguments.recipe, &arguments.arch, global)?;
    let mut results = Vec::new();
    for graph in &graphs {
        let Some(package) = graph.find(&arguments.package) else {
            return Err(Error::NoSuchPackage {
                name: arguments.package.clone(),
                arch: graph.arch,
                near: graph.nearest(&arguments.package).map(str::to_owned),
            });
        };
        let chains = graph.why(package);
        if global.json {
            results.push(why_json(graph, package, &chains));
        } else {
            show_why(graph, package, &chains);
        }
    }
    if global.json {
        output::json(&Value::Array(results));
    }
    Ok(exit_code::SUCCESS)
}

fn show_why(graph: &Graph, package: usize, chains: &[Vec<Link>]) {
    output::line(&format!("{} ({})", label(graph, package), graph.arch));
    for chain in chains {
        let steps = chain
            .iter()
            .enumerate()
            .map(|(step, link)| chain_step(graph, chain, step, link));
        output::line(&format!("  {}", steps.collect::<Vec<_>>().join(", ")));
    }
    if chains.is_empty() {
        output::line("  nothing asks for it: the base brought it");
    } else if chains.len() == MAX_CHAINS {
        output::line(&format!(
            "  and more: the first {MAX_CHAINS} chains are shown"
        ));
    }
}

/// Returns one step of a chain in words: who asks, for what, and which package that is.
fn chain_step(graph: &Graph, chain: &[Link], step: usize, link: &Link) -> String {
    let name = |package: usize| graph.packages.get(package).map_or("", |node| &node.name);
    let before = step.checked_sub(1).and_then(|before| chain.get(before));
    let asks = match before {
        Some(before) if link.install_if => format!("{} makes come", name(before.package)),
        Some(before) => format!("{} needs", name(before.package)),
        None => {
            let root = graph
                .roots
                .iter()
                .find(|root| root.entry == link.dependency);
            let own = root.is_some_and(|root| root.in_recipe);
            format!(
                "{} asks for",
                if own {
                    "the recipe"
                } else {
                    "the base's world"
                }
            )
        }
    };
    let package = name(link.package);
    if link.dependency == package {
        format!("{asks} {package}")
    } else {
        format!("{asks} {} = {package}", link.dependency)
    }
}

fn why_json(graph: &Graph, package: usize, chains: &[Vec<Link>]) -> Value {
    let name = |position: usize| graph.packages.get(position).map(|node| node.name.clone());
    json!({
        "arch": graph.arch.name(),
        "package": name(package),
        "version": graph.packages.get(package).map(|node| node.version.clone()),
        "in_base": graph.packages.get(package).map(|node| node.in_base),
        "chains": chains.iter().map(|chain| chain.iter().map(|link| json!({
            "asks_for": link.dependency,
            "package": name(link.package),
            "install_if": link.install_if,
        })).collect::<Vec<_>>()).collect::<Vec<_>>(),
    })
}

pub(crate) fn tree(arguments: &TreeArguments, global: &Global) -> Result<u8, Error> {
    let graphs = graphs(&arguments.recipe, &arguments.arch, global)?;
    if global.json {
        output::json(&Value::Array(graphs.iter().map(tree_json).collect()));
        return Ok(exit_code::SUCCESS);
    }
    for graph in &graphs {
        output::line(&graph.arch.to_string());
        let mut shown = vec![false; graph.packages.len()];
        for root in graph
            .roots
            .iter()
            .filter(|root| root.in_recipe || arguments.base)
        {
            for provider in &root.providers {
                let text = label(graph, *provider);
                let is_own = graph
                    .packages
                    .get(*provider)
                    .is_some_and(|one| one.name == root.entry);
                let asked = if is_own {
                    String::new()
                } else {
                    format!("{} = ", root.entry)
                };
                output::line(&format!("{asked}{text}{}", mark(graph, *provider, &shown)));
                branch(graph, *provider, "", &mut shown);
            }
        }
    }
    Ok(exit_code::SUCCESS)
}

/// Shows what a package brings, each package's own branch once.
fn branch(graph: &Graph, package: usize, indent: &str, shown: &mut [bool]) {
    if shown.get(package).copied().unwrap_or(true) {
        return;
    }
    if let Some(shown) = shown.get_mut(package) {
        *shown = true;
    }
    let links = graph.next(package);
    for (position, link) in links.iter().enumerate() {
        let last = position + 1 == links.len();
        let (knot, line) = if last {
            ("└── ", "    ")
        } else {
            ("├── ", "│   ")
        };
        let by = if link.install_if { " (install_if)" } else { "" };
        let text = label(graph, link.package);
        output::line(&format!(
            "{indent}{knot}{text}{by}{}",
            mark(graph, link.package, shown)
        ));
        branch(graph, link.package, &format!("{indent}{line}"), shown);
    }
}

fn label(graph: &Graph, package: usize) -> String {
    let node = graph.packages.get(package);
    node.map_or_else(String::new, |node| {
        format!("{} {}", node.name, node.version)
    })
}

/// Returns what is to be said of a package behind its name.
fn mark(graph: &Graph, package: usize, shown: &[bool]) -> &'static str {
    let in_base = graph.packages.get(package).is_some_and(|node| node.in_base);
    let again = shown.get(package).copied().unwrap_or(false) && !graph.next(package).is_empty();
    match (in_base, again) {
        (true, true) => " [base] (*)",
        (true, false) => " [base]",
        (false, true) => " (*)",
        (false, false) => "",
    }
}

fn tree_json(graph: &Graph) -> Value {
    let name = |position: &usize| graph.packages.get(*position).map(|node| node.name.clone());
    json!({
        "arch": graph.arch.name(),
        "world": graph.roots.iter().map(|root| json!({
            "entry": root.entry,
            "in_recipe": root.in_recipe,
            "packages": root.providers.iter().map(name).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "packages": graph.packages.iter().map(|node| json!({
            "name": node.name,
            "version": node.version,
            "in_base": node.in_base,
            "needs": node.needs.iter().map(|edge| json!({
                "dependency": edge.dependency,
                "packages": edge.providers.iter().map(name).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
            "install_if": node.install_if.iter().map(name).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    })
}

/// Makes the lock current and returns a graph for each architecture that is asked for.
fn graphs(option: &RecipeOption, arches: &[String], global: &Global) -> Result<Vec<Graph>, Error> {
    let recipe = session::recipe(&option.recipe, &option.host)?;
    let arches = prebake::select_arches(&recipe, arches)?;
    let context = session::open(&option.host, global)?;
    let locked = prebake::update_lock(&recipe, &Upgrade::Keep, &context)?;
    let rootfs = arches.iter().filter_map(|arch| locked.lock.rootfs(*arch));
    rootfs
        .map(|rootfs| graph(&recipe, rootfs, &context))
        .collect()
}
