//! Paths and URLs with `{name}`, `{release}`, `{branch}` and `{arch}` in them.

use crate::arch::Arch;

/// A text with variables in braces, checked when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Variable(Variable),
}

/// What a template may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// The recipe's `name`.
    Name,
    /// The base's release, as in `3.21.3`.
    Release,
    /// The base's branch, as in `v3.21`.
    Branch,
    /// The architecture.
    Arch,
}

/// What a template's variables stand for.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// For `{name}`.
    pub name: &'a str,
    /// For `{release}` and `{branch}`; `None` where the base has no known release.
    pub release: Option<&'a str>,
    /// For `{arch}`.
    pub arch: Arch,
}

/// Why a text is not a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A `{` with no `}`.
    #[error("a `{{` is not closed")]
    Unclosed,
    /// A word in braces that means nothing.
    #[error("unknown variable `{{{0}}}`")]
    Unknown(String),
}

impl Variable {
    /// The variables' names, in braces where they are used.
    pub const NAMES: [&'static str; 4] = ["name", "release", "branch", "arch"];

    fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Release => "release",
            Self::Branch => "branch",
            Self::Arch => "arch",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "name" => Self::Name,
            "release" => Self::Release,
            "branch" => Self::Branch,
            "arch" => Self::Arch,
            _ => return None,
        })
    }
}

impl std::fmt::Display for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => f.write_str(text)?,
                Piece::Variable(variable) => write!(f, "{{{}}}", variable.name())?,
            }
        }
        Ok(())
    }
}

impl Template {
    /// Reads a template; `{name}` and its kin are variables, everything else stands for itself.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            let (name, after) = after.split_once('}').ok_or(TemplateError::Unclosed)?;
            let variable =
                Variable::from_name(name).ok_or_else(|| TemplateError::Unknown(name.to_owned()))?;
            pieces.push(Piece::Variable(variable));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// Says whether the template names `variable`.
    pub fn uses(&self, variable: Variable) -> bool {
        self.0.contains(&Piece::Variable(variable))
    }

    /// Returns the text with every variable replaced, or the variable that has no value.
    pub fn expand(&self, values: &Values<'_>) -> Result<String, Variable> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Variable(Variable::Name) => text.push_str(values.name),
                Piece::Variable(Variable::Arch) => text.push_str(values.arch.name()),
                Piece::Variable(Variable::Release) => {
                    // It is what a base says of itself, and a lock of that: no part of a path.
                    let release = values.release.filter(|release| is_release(release));
                    text.push_str(release.ok_or(Variable::Release)?);
                }
                Piece::Variable(Variable::Branch) => {
                    let release = values.release.filter(|release| is_release(release));
                    text.push_str(&branch(release.ok_or(Variable::Branch)?));
                }
            }
        }
        Ok(text)
    }
}

/// Says whether a text is a release as Alpine's are named: `3.21.3`, `20240923`,
/// `3.21.0_alpha20240923`.
pub(crate) fn is_release(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_');
    text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(plain)
}

/// Returns the branch of a release, as Alpine's mirrors name it: `v3.21` for `3.21.3`, and `edge`
/// for a snapshot's date.
pub fn branch(release: &str) -> String {
    let mut parts = release.split(['.', '_']);
    match (parts.next(), parts.next()) {
        (Some(major), Some(minor)) if major.len() < 8 => format!("v{major}.{minor}"),
        _ => "edge".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced() {
        let template = Template::parse("out/{name}-{release}-{branch}-{arch}.tar.gz").unwrap();
        let values = Values {
            name: "n",
            release: Some("3.21.3"),
            arch: Arch::X86_64,
        };
        assert_eq!(
            template.expand(&values).unwrap(),
            "out/n-3.21.3-v3.21-x86_64.tar.gz"
        );
        let values = Values {
            release: None,
            ..values
        };
        assert_eq!(template.expand(&values), Err(Variable::Release));
    }

    #[test]
    fn what_is_no_template_is_refused() {
        assert_eq!(Template::parse("a{"), Err(TemplateError::Unclosed));
        assert_eq!(
            Template::parse("{arhc}"),
            Err(TemplateError::Unknown("arhc".to_owned()))
        );
    }

    #[test]
    fn branches() {
        for (release, name) in [
            ("3.21.3", "v3.21"),
            ("3.20.0_rc1", "v3.20"),
            ("20240923", "edge"),
        ] {
            assert_eq!(branch(release), name);
        }
    }
}
