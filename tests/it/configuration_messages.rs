//! Tests of what the configuration's problems and warnings say: which entry, what is wrong, what is
//! allowed.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use ikgate::config::{self, Settings};

use crate::support::{Authority, scratch, section};

const KEY: (&str, &str) = ("IMAGEKIT_PRIVATE_KEY", "private_a=");

fn check(text: &str, directory: &Path, key: &str) -> Result<Settings, String> {
    let environment = [(KEY.0.to_owned(), key.to_owned())];
    config::from_text(text, directory, environment).map_err(|problems| problems.to_string())
}

fn warnings(text: &str, directory: &Path) -> Vec<String> {
    let settings = check(text, directory, KEY.1).unwrap();
    settings.warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn a_problem_of_a_list_names_the_entry_and_what_to_write() {
    for (text, problem) in [
        (
            "server.listen = [\":8080\"]",
            "server.listen: \":8080\" has no address: write \"0.0.0.0:8080\" for all of this \
             machine's, or \"127.0.0.1:8080\"",
        ),
        (
            "server.listen = [\"127.0.0.1:80\", \"localhost:8080\"]",
            "server.listen: \"localhost:8080\" is a name: write \"127.0.0.1:8080\"",
        ),
        (
            "admin.listen = \"9090\"",
            "admin.listen: \"9090\" has no address: write \"0.0.0.0:9090\" for all of this \
             machine's, or \"127.0.0.1:9090\"",
        ),
        (
            "server.listen = [\"a:b\"]",
            "server.listen: \"a:b\" is no address: write one like \"127.0.0.1:8080\", or \"systemd\"",
        ),
        (
            "server.trusted_proxies = [\"10.0.0.0/8\", \"192.168.0.0/166\"]",
            "server.trusted_proxies: \"192.168.0.0/166\" is no network: write one like \
             \"10.0.0.0/8\", or an address",
        ),
        (
            "cors.allowed_origins = [\"https://a.example\", \"https://b.example/\"]",
            "cors.allowed_origins: \"https://b.example/\" ends with a slash: write \
             \"https://b.example\"",
        ),
        (
            "[[callers]]\nname = \"a\"\nkey_sha256 = \"00\"\nfiles = [\"a\", \"b c\"]",
            "callers[0].files: \"b c\" is no file id: 1 to 64 of A-Z a-z 0-9 _ -",
        ),
        (
            "[[callers]]\nname = \"a\"\nkey_sha256 = [\
             \"0000000000000000000000000000000000000000000000000000000000000000\", \"ikg_canary\"]",
            "callers[0].key_sha256: the second must be the SHA-256 of a key as 64 hex digits \
             (`ikgate keygen` prints one)",
        ),
        (
            "[jwt]\nissuer = \"a\"\njwks_url = \"https://a.example\"\n\
             algorithms = [\"RS256\", \"HS256\"]",
            "jwt.algorithms: \"HS256\" is none of \"EdDSA\", \"ES256\", \"RS256\"",
        ),
        (
            "admin.hosts = [\"a.example\", \"b.example:9090\"]",
            "admin.hosts: \"b.example:9090\" is no host name: write it without a scheme and a port",
        ),
        (
            "webhooks.secret_file = \"whsec_canary\"",
            "webhooks.secret_file: must be the path of a file, and this looks like the secret itself",
        ),
        (
            "telemetry.log = \"debgu\"",
            "telemetry.log: \"debgu\" is no level: allowed are trace, debug, info, warn, error and \
             off, and MODULE=LEVEL as in \"info,ikgate::upstream=debug\"",
        ),
    ] {
        let problems = check(text, Path::new("/nowhere"), KEY.1).unwrap_err();
        assert!(problems.lines().any(|line| line == problem), "{text}:\n{problems}");
    }
}

#[test]
fn listeners_that_cannot_be_open_at_once_are_a_problem_that_names_both_keys() {
    let problems = |public: &str, admin: &str| {
        let admin = if admin.is_empty() { String::new() } else { format!("listen = '{admin}'") };
        let text = format!(
            "[server]\nlisten = [{public}]\n[limits]\nanonymous = false\n\
             [admin]\n{admin}\ntoken_file = 'admin.token'"
        );
        let directory = scratch();
        std::fs::write(directory.path().join("admin.token"), "0123456789abcdef").unwrap();
        check(&text, directory.path(), KEY.1).err().unwrap_or_default()
    };
    let remedy = "cannot both be open: give one of them another port";
    let default = "of admin.listen";
    for (public, admin, problem) in [
        (
            "'127.0.0.1:9090'",
            "",
            format!(
                "server.listen: \"127.0.0.1:9090\" and \"127.0.0.1:9090\", the default {default}, \
                 {remedy}"
            ),
        ),
        (
            "'127.0.0.1:80', '[::]:9090'",
            "",
            format!(
                "server.listen: \"[::]:9090\" and \"127.0.0.1:9090\", the default {default}, {remedy}"
            ),
        ),
        (
            "'127.0.0.1:80', '10.0.0.1:90'",
            "0.0.0.0:90",
            format!("admin.listen: \"0.0.0.0:90\" and \"10.0.0.1:90\" of server.listen {remedy}"),
        ),
        (
            "'127.0.0.1:80', '127.0.0.1:80'",
            "127.0.0.1:90",
            "server.listen: \"127.0.0.1:80\" is listed twice: remove one".to_owned(),
        ),
        (
            "'0.0.0.0:80', '[::]:80'",
            "127.0.0.1:90",
            "server.listen: \"[::]:80\" includes \"0.0.0.0:80\": remove \"0.0.0.0:80\", or give it \
             another port"
                .to_owned(),
        ),
        (
            "'[::1]:80', '[::]:80', '[::ffff:10.0.0.1]:81', '10.0.0.1:81'",
            "[::1]:80",
            "server.listen: \"[::]:80\" includes \"[::1]:80\": remove \"[::1]:80\", or give it another \
             port\n\
             server.listen: \"[::ffff:10.0.0.1]:81\" includes \"10.0.0.1:81\""
                .to_owned(),
        ),
    ] {
        let found = problems(public, admin);
        assert!(found.contains(&problem), "{public} {admin}:\n{found}");
    }
    for (public, admin) in [
        ("'127.0.0.1:0', '127.0.0.1:0', '0.0.0.0:0'", "127.0.0.1:0"),
        ("'systemd', 'systemd'", "systemd"),
        ("'127.0.0.1:80', '[::1]:80', '10.0.0.1:80'", "127.0.0.2:80"),
        ("'0.0.0.0:80', '[::1]:80'", "[::1]:81"),
        ("'[fe80::1%1]:80', '[fe80::1%2]:80'", ""),
    ] {
        assert_eq!(problems(public, admin), "", "{public} {admin}");
    }
}

#[test]
fn a_certificate_that_has_expired_or_soon_will_is_a_warning() {
    let directory = scratch();
    let authority = Authority::new();
    let warned = |year| {
        let pair = authority.pair("localhost", year);
        pair.write_certificate(directory.path());
        pair.write_key(directory.path());
        std::fs::set_permissions(directory.path().join("key.pem"), Permissions::from_mode(0o600))
            .unwrap();
        warnings(&section(directory.path()), directory.path())
    };
    assert_eq!(warned(2999), [""; 0]);
    assert_eq!(warned(2001), ["server.tls.certificate: has expired: no client accepts it"]);
}

#[test]
fn a_secret_that_every_user_can_read_or_anyone_can_guess_is_a_warning() {
    let directory = scratch();
    let path = directory.path().join("admin.token");
    std::fs::write(&path, "short").unwrap();
    let file = path.display();
    let text = format!("admin.token_file = '{file}'");
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    assert_eq!(
        warnings(&text, directory.path()),
        [
            format!(
                "admin.token_file: {file} can be read by every user: make it readable only to the \
                 user that ikgate runs as (chown, then chmod 400); with systemd, keep it root's and \
                 pass it with LoadCredential"
            ),
            "admin.token_file: holds fewer than 16 bytes: it can be guessed".to_owned(),
        ]
    );
    std::fs::write(&path, "0123456789abcdef").unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    assert_eq!(warnings(&text, directory.path()), [""; 0]);
}

/// A user who can read the secret of HS256 can sign tokens for every private file.
#[test]
fn a_shared_secret_of_tokens_that_every_user_can_read_is_a_warning() {
    let directory = scratch();
    let path = directory.path().join("jwt.secret");
    std::fs::write(&path, "a-secret-of-thirty-two-bytes-or-so").unwrap();
    let file = path.display();
    for (key, name) in [
        (format!("key_file = '{file}'"), "key_file"),
        (format!("key_files = {{ one = '{file}' }}"), "key_files.one"),
    ] {
        let text = format!("[jwt]\nalgorithm = \"HS256\"\nissuer = \"a\"\n{key}");
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let warned = warnings(&text, directory.path());
        let expected = format!("jwt.{name}: {file} can be read by every user: ");
        assert!(warned[0].starts_with(&expected), "{warned:?}");
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(warnings(&text, directory.path()), [""; 0]);
    }
}

#[test]
fn a_key_of_a_caller_in_place_of_the_private_key_is_a_warning() {
    let settings = check("", Path::new("/nowhere"), "ikg_abc").unwrap();
    let message = "upstream.private_key_file: IMAGEKIT_PRIVATE_KEY holds a caller's key of ikgate: ImageKit's begins \
                   with private_";
    assert_eq!(settings.warnings[0].to_string(), message);
}

#[test]
fn a_secret_that_imagekit_has_not_made_is_a_warning_without_the_secret() {
    let directory = scratch();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    };
    let quotes = ": remove the quotes around it, which count as part of it";
    let told = |prefix: &str, quotes: &str| {
        format!("does not begin with {prefix}, as ImageKit's do{quotes}")
    };
    for (key, hint) in
        [("canary", ""), ("\"private_canary=\"", quotes), ("'private_canary='", quotes)]
    {
        let wrong = told("private_", hint);
        let effect = "ImageKit refuses every call with it";
        let settings = check("", directory.path(), key).unwrap();
        let expected =
            format!("upstream.private_key_file: the key in IMAGEKIT_PRIVATE_KEY {wrong}; {effect}");
        assert_eq!(settings.warnings[0].to_string(), expected);
        write("imagekit.key", key);
        let text = "upstream.private_key_file = 'imagekit.key'";
        let settings = config::from_text(text, directory.path(), []).unwrap();
        let expected = format!("upstream.private_key_file: the key in the file {wrong}; {effect}");
        assert_eq!(settings.warnings[0].to_string(), expected);
    }
    let text = "webhooks.secret_file = 'webhook.secret'";
    for (secret, hint) in [("canary", ""), ("\"whsec_canary\"", quotes)] {
        write("webhook.secret", secret);
        let wrong = told("whsec_", hint);
        let expected = format!(
            "webhooks.secret_file: the secret {wrong}; webhooks that ImageKit signs are refused"
        );
        assert_eq!(warnings(text, directory.path()), [expected]);
    }
    write("webhook.secret", "whsec_canary");
    assert_eq!(warnings(text, directory.path()), [""; 0]);
    assert!(check("", directory.path(), "private_sandbox=").unwrap().warnings.is_empty());
}

#[test]
fn a_trusted_network_of_all_addresses_is_a_warning() {
    let warned = |networks: &str| {
        warnings(&format!("server.trusted_proxies = [{networks}]"), Path::new("/nowhere"))
    };
    let expected = [("0.0.0.0/0", "IPv4"), ("::/0", "IPv6")].map(|(network, family)| {
        format!(
            "server.trusted_proxies: \"{network}\" is every {family} address: each client can then \
             name any address as its own; list only your proxies"
        )
    });
    assert_eq!(warned("'10.0.0.0/8', '0.0.0.0/0', '::/0'"), expected);
    assert_eq!(warned("'10.0.0.0/8', '0.0.0.0', '::1'"), [""; 0]);
}

#[test]
fn a_listener_that_closes_at_once_at_a_restart_is_a_warning_unless_its_socket_stays() {
    let nowhere = Path::new("/nowhere");
    let limits = "limits.anonymous = false\n";
    let open = format!("{limits}server.listen = [\"0.0.0.0:80\"]\n");
    assert_eq!(
        warnings(&open, nowhere),
        [
            "server.shutdown_delay: is 0: a load balancer that has not seen /readyz yet is refused at a \
          restart; 10s fits most"
        ]
    );
    let delayed = format!("{open}server.shutdown_delay = \"10s\"");
    assert_eq!(warnings(&delayed, nowhere), [""; 0]);
    let passed = format!("{limits}server.listen = [\"systemd\"]");
    assert_eq!(warnings(&passed, nowhere), [""; 0]);
}

#[test]
fn an_origin_for_development_is_a_warning_where_others_can_connect() {
    let nowhere = Path::new("/nowhere");
    let server = |listen| {
        format!(
            "[server]\nlisten = [\"{listen}:0\"]\nshutdown_delay = \"10s\"\n\
             [limits]\nanonymous = false\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [cors]\nallowed_origins = [\"https://a.example\", \"http://127.0.0.1:*\"]"
        )
    };
    assert_eq!(warnings(&server("127.0.0.1"), nowhere), [""; 0]);
    assert_eq!(
        warnings(&server("0.0.0.0"), nowhere),
        ["cors.allowed_origins: allows every port of localhost or 127.0.0.1, which is for \
          development, and server.listen is not only loopback: list the origins of your pages"]
    );
    let exact = server("0.0.0.0").replace(":*", ":3000");
    assert_eq!(warnings(&exact, nowhere), [""; 0]);
}

#[test]
fn a_log_directive_for_a_module_that_does_not_exist_is_a_warning() {
    let text = "telemetry.log = \"info,ikgate::upstraem=debug\"";
    assert_eq!(
        warnings(text, Path::new("/nowhere")),
        ["telemetry.log: ikgate has no module \"ikgate::upstraem\": the directive has no effect"]
    );
}

#[test]
fn problems_of_variables_and_of_the_file_are_reported_in_one_run() {
    let environment = [
        ("IKGATE_CACHE_TTL", "30s"),
        ("IKGATE_LIMITS__ANONYMOUS", "{ per_second"),
        ("IKGATE_CACHE__SETTLE", "soon"),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let checked = config::from_text("[cache]\nttl = \"soon\"", Path::new(""), environment);
    let problems = checked.unwrap_err().0;
    let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
    let expected = [
        "IKGATE_CACHE_TTL",
        "limits.anonymous",
        "cache.ttl",
        "cache.settle",
        "upstream.private_key_file",
    ];
    for path in expected {
        assert!(paths.contains(&path), "{path} in {paths:?}");
    }
    assert_eq!(paths.len(), expected.len(), "{problems:?}");
}

#[test]
fn a_private_key_in_place_of_the_public_one_is_told_as_such() {
    let directory = scratch();
    let signer = crate::support::signers::Signer::ed25519("a");
    std::fs::write(directory.path().join("jwt.pub"), signer.private()).unwrap();
    let text = "[jwt]\nkey_file = \"jwt.pub\"\nissuer = \"a\"";
    let problems = check(text, directory.path(), KEY.1).unwrap_err();
    assert!(problems.starts_with("jwt.key_file: holds a private key"), "{problems}");
    assert!(!problems.contains("BEGIN"), "{problems}");
}

#[test]
fn problems_are_in_the_order_of_the_file() {
    let directory = scratch();
    let file = directory.path().join("ikgate.toml");
    let text = "[telemetry]\nlog = \"debgu\"\n[cors]\nallowed_origin = [\"https://a.example\"]\n\
                [cache]\nttl = \"soon\"";
    std::fs::write(&file, text).unwrap();
    let environment = [(KEY.0.to_owned(), KEY.1.to_owned())];
    let problems = config::load(&file, environment).unwrap_err().0;
    let lines: Vec<_> = problems.iter().map(|problem| problem.location.clone().unwrap()).collect();
    assert_eq!(lines.len(), 4, "{problems:?}");
    let sorted = [2, 3, 4, 6].map(|line| format!("{}:{line}", file.display()));
    assert_eq!(lines, sorted, "{problems:?}");
}
