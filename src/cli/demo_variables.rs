//! Environment variables that apply to `ikgate demo`. Its arguments override them.

use crate::config::{PRIVATE_KEY_VARIABLE, Problem, Problems};
use crate::sandbox::DEFAULT_KEY;

/// Variable of the public listener's addresses.
pub(super) const LISTEN: &str = "IKGATE_SERVER__LISTEN";
/// Variable of the admin listener's address.
pub(super) const ADMIN: &str = "IKGATE_ADMIN__LISTEN";
const ORIGINS: &str = "IKGATE_CORS__ALLOWED_ORIGINS";

/// Beginnings of the variables of keys that the demo sets itself: its gateway always talks to its
/// own sandbox, without TLS on either side, and never joins a fleet, which would get its lists.
const OWN: [&str; 6] = [
    "IKGATE_CLUSTER__",
    "IKGATE_SERVER__TLS",
    "IKGATE_UPSTREAM__CA_FILE",
    "IKGATE_UPSTREAM__PRIVATE_KEY_FILE",
    "IKGATE_UPSTREAM__URL",
    "IKGATE_WEBHOOKS__",
];

/// Arguments of the demo that win over a variable.
pub(super) struct DemoArguments<'a> {
    /// Whether the address of the public listener was given.
    pub(super) listen: bool,
    /// Whether the address of the admin listener was given.
    pub(super) admin: bool,
    /// Origin of the demo's page. It may always read answers.
    pub(super) page: String,
    /// Origins that were given.
    pub(super) origins: &'a [String],
}

/// Returns the variables that configure the demo's gateway. The private key is the sandbox's, also
/// where the environment has one of an account.
///
/// # Errors
///
/// [`Problems`] with each variable of a key that the demo sets itself.
pub(super) fn applied(
    environment: impl IntoIterator<Item = (String, String)>,
    arguments: &DemoArguments<'_>,
) -> Result<Vec<(String, String)>, Problems> {
    let DemoArguments { listen, admin, page, origins } = arguments;
    let (mut variables, mut problems) = (Vec::new(), Vec::new());
    let mut listed = origins.join(",");
    for (name, value) in environment {
        // Sections and keys may be written in any case.
        let upper = name.to_ascii_uppercase();
        match upper.as_str() {
            PRIVATE_KEY_VARIABLE => {}
            LISTEN if *listen => {}
            ADMIN if *admin => {}
            ORIGINS => {
                if origins.is_empty() {
                    listed = value;
                }
            }
            upper if OWN.iter().any(|own| upper.starts_with(own)) => problems.push(own_key(&name)),
            _ => variables.push((name, value)),
        }
    }
    variables.push((PRIVATE_KEY_VARIABLE.to_owned(), DEFAULT_KEY.to_owned()));
    variables.push((ORIGINS.to_owned(), format!("{page},{listed}")));
    if problems.is_empty() { Ok(variables) } else { Err(Problems(problems)) }
}

fn own_key(name: &str) -> Problem {
    Problem::new(name, "is set by `ikgate demo` itself: unset it, or use `ikgate serve`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(
        environment: &[(&str, &str)],
        listen: bool,
        origins: &[&str],
    ) -> Result<Vec<(String, String)>, Problems> {
        let owned = environment.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let origins: Vec<_> = origins.iter().map(|origin| (*origin).to_owned()).collect();
        let page = "http://127.0.0.1:8070".to_owned();
        applied(owned, &DemoArguments { listen, admin: false, page, origins: &origins })
    }

    #[test]
    fn a_variable_applies_unless_an_argument_says_otherwise() {
        let environment = [(LISTEN, "127.0.0.1:1"), (ORIGINS, "http://a.example"), ("PATH", "/")];
        let find = |listen, origins: &[&str], name: &str| {
            let variables = apply(&environment, listen, origins).unwrap();
            let found = variables.into_iter().filter(|(own, _)| own == name);
            found.map(|(_, value)| value).collect::<Vec<_>>()
        };
        assert_eq!(find(false, &[], LISTEN), ["127.0.0.1:1"]);
        assert_eq!(find(true, &[], LISTEN), [""; 0]);
        assert_eq!(find(false, &[], ORIGINS), ["http://127.0.0.1:8070,http://a.example"]);
        let given = ["http://localhost:3000", "http://localhost:5173"];
        let listed = ["http://127.0.0.1:8070,http://localhost:3000,http://localhost:5173"];
        assert_eq!(find(false, &given, ORIGINS), listed);
        assert_eq!(find(false, &[], "PATH"), ["/"]);
    }

    #[test]
    fn the_key_of_an_account_is_not_used() {
        let variables = apply(&[(PRIVATE_KEY_VARIABLE, "private_canary=")], false, &[]).unwrap();
        assert!(variables.iter().all(|(_, value)| !value.contains("canary")), "{variables:?}");
    }

    #[test]
    fn a_key_that_the_demo_sets_itself_is_a_problem() {
        let environment = [
            ("IKGATE_UPSTREAM__URL", "https://api.imagekit.io"),
            ("IKGATE_webhooks__tolerance", "1m"),
        ];
        let problems = apply(&environment, false, &[]).unwrap_err().to_string();
        let line = "is set by `ikgate demo` itself: unset it, or use `ikgate serve`";
        assert_eq!(
            problems,
            format!("IKGATE_UPSTREAM__URL: {line}\nIKGATE_webhooks__tolerance: {line}")
        );
    }
}
