//! Form of a declaration: one section of the configuration, and its keys.

/// Section of the configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct SectionSpec {
    /// Path of the table, like `server.tls`.
    pub name: &'static str,
    pub presence: Presence,
    /// Sentence about the section as a whole; empty if its keys say enough.
    pub about: &'static str,
    /// Page with more about the section, as a path in the repository.
    pub page: Option<&'static str>,
    pub keys: &'static [KeySpec],
}

/// Rule for a file without the section.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Presence {
    /// The defaults of its keys apply.
    Always,
    /// The feature is off.
    Optional,
    /// The section is a list of tables, and the list is empty.
    List,
}

/// Key of a section.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeySpec {
    pub name: &'static str,
    pub kind: Kind,
    pub default: KeyDefault,
    pub change: Change,
    /// Sentence about the key, in Markdown, with its full stop.
    pub meaning: &'static str,
}

/// Rule for a section without the key. The texts are values in TOML.
#[derive(Clone, Copy, Debug)]
pub(super) enum KeyDefault {
    /// This value applies.
    Value(&'static str),
    /// The section is not valid. The text is an example.
    Required(&'static str),
    /// The feature is off. The text is an example.
    Off(&'static str),
}

/// Time at which a changed value applies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Change {
    /// At a reload.
    Live,
    /// At the next start.
    Restart,
}

/// Type of a value, with its unit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Address,
    Addresses,
    Bits,
    Boolean,
    Count,
    Digests,
    /// Time span, with its unit in the text.
    Duration,
    Factor,
    FieldName,
    FileIds,
    Filter,
    Name,
    Names,
    Networks,
    Origins,
    Path,
    /// Inline table of paths, by key id.
    PathsByKid,
    Percent,
    Quota,
    /// Bytes, with their unit in the text.
    Size,
    Text,
    Url,
    UrlPath,
    /// Inline table, with the kinds of its members in order.
    Table(&'static [Self]),
}

impl SectionSpec {
    /// Returns the key of this name.
    pub(super) fn key(&self, name: &str) -> Option<&'static KeySpec> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// Returns the name as the reference writes it: `callers[]` for a list of tables.
    pub(super) fn shown_name(&self) -> String {
        let list = if self.presence == Presence::List { "[]" } else { "" };
        format!("{}{list}", self.name)
    }
}

impl KeyDefault {
    /// Returns the value that applies without the key.
    pub(super) fn value(self) -> Option<&'static str> {
        match self {
            Self::Value(text) => Some(text),
            Self::Required(_) | Self::Off(_) => None,
        }
    }

    /// Returns the default, or the example if there is none.
    pub(super) fn example(self) -> &'static str {
        let (Self::Value(text) | Self::Required(text) | Self::Off(text)) = self;
        text
    }
}

impl Change {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Restart => "restart",
        }
    }
}

impl Kind {
    /// Returns whether the value is a list, which a variable writes with commas.
    pub(super) fn is_list(self) -> bool {
        matches!(
            self,
            Self::Addresses | Self::FileIds | Self::Names | Self::Networks | Self::Origins
        )
    }

    /// Returns the name of the type, as the reference shows it.
    pub(super) fn text(self) -> String {
        let name = match self {
            Self::Address => "address",
            Self::Addresses => "list of addresses",
            Self::Bits => "bits",
            Self::Boolean => "true or false",
            Self::Count => "count",
            Self::Digests => "hex, or a list of two",
            Self::Duration => "duration",
            Self::Factor => "factor",
            Self::FieldName => "field name",
            Self::FileIds => "list of file ids",
            Self::Filter => "filter",
            Self::Name => "name",
            Self::Names => "list of names",
            Self::Networks => "list of networks",
            Self::Origins => "list of origins",
            Self::Path => "path",
            Self::PathsByKid => "paths by `kid`",
            Self::Percent => "percent",
            Self::Quota => "quota",
            Self::Size => "size",
            Self::Text => "text",
            Self::Url => "URL",
            Self::UrlPath => "path of a URL",
            Self::Table(members) => {
                return members.iter().map(|kind| kind.text()).collect::<Vec<_>>().join(", ");
            }
        };
        name.to_owned()
    }
}

/// Declares a key that a reload applies.
pub(super) const fn live(
    name: &'static str,
    kind: Kind,
    default: KeyDefault,
    meaning: &'static str,
) -> KeySpec {
    KeySpec { name, kind, default, change: Change::Live, meaning }
}

/// Declares a key whose change needs a restart.
pub(super) const fn restart(
    name: &'static str,
    kind: Kind,
    default: KeyDefault,
    meaning: &'static str,
) -> KeySpec {
    KeySpec { name, kind, default, change: Change::Restart, meaning }
}
