//! Who needs whom among the packages of a baked rootfs.
//!
//! Read off the apk database of the tree that the lock gives, so that packages of the base count
//! as well, and what `apk` would say inside is what is said here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use prebake_apk::dependency::{self, Dependency};
use prebake_apk::digest::Sha1;
use prebake_apk::index::Index;
use prebake_apk::version::Dialect;

use crate::arch::Arch;
use crate::context::Context;
use crate::error::Error;
use crate::lock::LockedRootfs;
use crate::recipe::Recipe;
use crate::{build, local, world};

/// The most chains that are listed from the world to one package. There may be very many.
pub const MAX_CHAINS: usize = 1000;

/// The packages of one rootfs and what ties them together.
#[derive(Debug)]
pub struct Graph {
    /// What it is for.
    pub arch: Arch,
    /// The packages, in the database's order.
    pub packages: Vec<Node>,
    /// What the world asks for, in its order, with the packages that answer it.
    pub roots: Vec<Root>,
}

/// A package of a [`Graph`].
#[derive(Debug)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Whether the base has it, at this very build.
    pub in_base: bool,
    /// What it needs, with the packages that answer it.
    pub needs: Vec<Edge>,
    /// The packages whose presence brought it (`install_if`); empty where it was needed.
    pub install_if: Vec<usize>,
}

/// One line of the world.
#[derive(Debug)]
pub struct Root {
    /// The entry as the world has it.
    pub entry: String,
    /// Whether the recipe names it; otherwise it is the base's.
    pub in_recipe: bool,
    /// The packages that answer it, as positions in [`Graph::packages`].
    pub providers: Vec<usize>,
}

/// One dependency of a package.
#[derive(Debug)]
pub struct Edge {
    /// The dependency as the package has it: `so:libz.so.1`.
    pub dependency: String,
    /// The packages that answer it, as positions in [`Graph::packages`].
    pub providers: Vec<usize>,
}

/// One step of a chain: a name, and the package that answered it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// What was asked for; for a package that came by `install_if`, what it waits for.
    pub dependency: String,
    /// Whether it came by `install_if`.
    pub install_if: bool,
    /// The package, as a position in [`Graph::packages`].
    pub package: usize,
}

/// Bakes what `locked` names, without writing it, and returns who needs whom.
pub fn graph(recipe: &Recipe, locked: &LockedRootfs, context: &Context) -> Result<Graph, Error> {
    let (facts, baked) = build::locked::bake_locked(recipe, locked, context)?;
    let index = |text: &[u8], what: &str| {
        Index::parse(text.to_vec()).map_err(|source| Error::IndexText {
            url: format!("{what} of {}", locked.arch),
            source,
        })
    };
    let before = index(&facts.installed, "the base's database")?;
    let installed = index(baked.installed(), "the database")?;
    let dialect = world::dialect(&facts);
    let own = world::of_base(&facts);
    let locals = local::entries(recipe, locked)?;
    let (world, _) = world::of(recipe, &locals, &own, dialect)?;
    let providers = Providers::of(&installed, dialect);
    let packages = installed.iter().map(|package| {
        let all =
            |list| dependency::list(list, dialect).filter(|one: &Dependency<'_>| !one.conflict);
        let needs = all(package.depends()).map(|dependency| Edge {
            dependency: dependency.to_string(),
            providers: providers.find(&dependency),
        });
        let install_if = all(package.install_if()).flat_map(|one| providers.find(&one));
        Node {
            name: package.name().to_owned(),
            version: package.version().to_owned(),
            in_base: before
                .iter()
                .any(|old| old.identity() == package.identity()),
            needs: needs.collect(),
            install_if: install_if.collect(),
        }
    });
    let packages = packages.collect();
    let roots = world
        .iter()
        .filter(|entry| !entry.conflict)
        .map(|entry| Root {
            entry: entry.to_string(),
            in_recipe: recipe
                .packages
                .iter()
                .map(|package| &package.value)
                .chain(&locals)
                .any(|asked| *asked == entry.to_string()),
            providers: providers.find(entry),
        });
    Ok(Graph {
        arch: locked.arch,
        packages,
        roots: roots.collect(),
    })
}

/// Who provides which name at which version.
struct Providers<'a> {
    by_name: BTreeMap<&'a str, Vec<(usize, Option<&'a str>)>>,
    identities: Vec<Sha1>,
    dialect: Dialect,
}

impl<'a> Providers<'a> {
    fn of(installed: &'a Index, dialect: Dialect) -> Self {
        let mut by_name: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for (position, package) in installed.iter().enumerate() {
            let own = (position, Some(package.version()));
            by_name.entry(package.name()).or_default().push(own);
            for provided in dependency::list(package.provides(), dialect) {
                let version = Some(provided.version).filter(|version| !version.is_empty());
                by_name
                    .entry(provided.name)
                    .or_default()
                    .push((position, version));
            }
        }
        let identities = installed.iter().map(|package| package.identity()).collect();
        Self {
            by_name,
            identities,
            dialect,
        }
    }

    /// Returns the packages that answer a dependency, each once.
    fn find(&self, dependency: &Dependency<'_>) -> Vec<usize> {
        let of_name = self.by_name.get(dependency.name).into_iter().flatten();
        let answering = of_name.filter(|(position, version)| {
            let identity = self.identities.get(*position);
            identity.is_some_and(|identity| {
                dependency.is_satisfied_by(*version, identity, self.dialect)
            })
        });
        let positions: BTreeSet<usize> = answering.map(|(position, _)| *position).collect();
        positions.into_iter().collect()
    }
}

impl Graph {
    /// Returns the package of that name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.packages
            .iter()
            .position(|package| package.name == name)
    }

    /// Returns the name nearest to one that is not there.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        crate::document::nearest(
            name,
            self.packages.iter().map(|package| package.name.as_str()),
        )
    }

    /// Returns chains from the world to a package, shortest first, at most [`MAX_CHAINS`]; none
    /// of them goes through a package twice. The first step of each is a [`Root`]'s.
    pub fn why(&self, package: usize) -> Vec<Vec<Link>> {
        let mut chains = Vec::new();
        let mut queue: VecDeque<Vec<Link>> = VecDeque::new();
        for root in &self.roots {
            for provider in &root.providers {
                queue.push_back(vec![Link {
                    dependency: root.entry.clone(),
                    install_if: false,
                    package: *provider,
                }]);
            }
        }
        // Only packages that lead to the target are walked through, or the paths would explode.
        let leading = self.leading_to(package);
        let mut steps = 0;
        while let Some(chain) = queue.pop_front() {
            steps += 1;
            let Some(last) = chain.last() else { continue };
            if last.package == package {
                chains.push(chain);
                if chains.len() == MAX_CHAINS {
                    break;
                }
                continue;
            }
            if steps > MAX_CHAINS * 100 {
                break;
            }
            for link in self.next(last.package) {
                let seen = chain.iter().any(|earlier| earlier.package == link.package);
                if leading.contains(&link.package) && !seen {
                    let mut longer = chain.clone();
                    longer.push(link);
                    queue.push_back(longer);
                }
            }
        }
        chains
    }

    /// Returns what a package brings: what it needs, and what came because it is there.
    pub fn next(&self, package: usize) -> Vec<Link> {
        let mut links: Vec<Link> = Vec::new();
        let needs = self
            .packages
            .get(package)
            .into_iter()
            .flat_map(|node| &node.needs);
        for edge in needs {
            for provider in &edge.providers {
                // A package is listed once, by the first of its names that is asked for.
                if *provider != package && links.iter().all(|link| link.package != *provider) {
                    links.push(Link {
                        dependency: edge.dependency.clone(),
                        install_if: false,
                        package: *provider,
                    });
                }
            }
        }
        for (position, node) in self.packages.iter().enumerate() {
            let brings = node.install_if.contains(&package) && position != package;
            if brings && links.iter().all(|link| link.package != position) {
                links.push(Link {
                    dependency: node.name.clone(),
                    install_if: true,
                    package: position,
                });
            }
        }
        links
    }

    /// Returns the packages from which `target` can be reached, itself among them.
    fn leading_to(&self, target: usize) -> BTreeSet<usize> {
        let mut leading = BTreeSet::from([target]);
        loop {
            let before = leading.len();
            for position in 0..self.packages.len() {
                let leads = self
                    .next(position)
                    .iter()
                    .any(|link| leading.contains(&link.package));
                if leads {
                    leading.insert(position);
                }
            }
            if leading.len() == before {
                return leading;
            }
        }
    }
}
