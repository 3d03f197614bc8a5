//! Tests of configuration parsing: a file is accepted, or every problem in it is reported.

use std::path::Path;

use ikgate::config::{self, Settings};
use ikgate::server::ListenSource;

use crate::support::scratch;

/// RSA public key of 1024 bits, which is too short.
const SHORT_RSA_KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
    MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDbBbRK4Ilibt5KDVb3HpGewqTz\n\
    qXwe6A3c6jPPcMQijQPfl71IKAGxwFw9Ab2LDXMjbSOu99zH1DoykhyYPZJYlD6d\n\
    SaBZMbFRBqUODb4feWKJ4uvdqPdISqb7aP5go9seT5Yox+jYa38X8PAI3leoC5FG\n\
    NVP+lM5ZbudXD3uRuQIDAQAB\n\
    -----END PUBLIC KEY-----\n";

const KEY: (&str, &str) = ("IMAGEKIT_PRIVATE_KEY", "private_a=");

fn check(text: &str, environment: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
    let environment =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    config::from_text(text, Path::new("/nowhere"), environment)
        .map_err(|problems| problems.0.iter().map(ToString::to_string).collect())
}

/// Returns the paths of the problems, in order.
fn paths(text: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let problems = check(text, environment).err().unwrap_or_default();
    problems.iter().map(|line| line.split(':').next().unwrap().to_owned()).collect()
}

#[test]
fn only_a_key_is_needed() {
    let settings = check("", &[KEY]).unwrap();
    assert_eq!(settings.upstream.url.to_string(), "https://api.imagekit.io");
    assert_eq!(settings.public.listen, [ListenSource::Address("127.0.0.1:8080".parse().unwrap())]);
    assert_eq!(settings.admin.listen, ListenSource::Address("127.0.0.1:9090".parse().unwrap()));
    assert_eq!(paths("", &[]), ["upstream.private_key_file"]);
}

const MISTAKES: &str = r#"
        surprise = 1
        [server]
        listen = ["localhost"]
        max_connections = 0
        base_path = "/a/"
        max_head_bytes = "1KiB"
        shutdown_grace = 30
        max_connections_per_ip = 0
        header_timeout = "0s"
        idle_timeout = "0s"
        write_stall_timeout = "0s"
        max_connection_age = "0s"
        tls = { certificate = "missing.pem" }
        [admin]
        listen = "9090"
        token_file = "admin.token"
        [upstream]
        url = "http://api.imagekit.io"
        private_key_file = "imagekit.key"
        request_timeout = "0s"
        budget = { per_second = 0, burst = 1000001 }
        retries = { max = 11, budget_percent = 101, more = 1 }
        breaker = { failures = 0, open_for = "0s" }
        ca_file = "missing.pem"
        max_response_bytes = "lots"
        [cache]
        tll = "60s"
        max_bytes = "1KiB"
        ttl = "1000y"
        [limits]
        anonymous = { per_second = 0, burts = 1 }
        [[callers]]
        key_sha256 = "00"
        [telemetry]
        log = "ikgate=loud"
        format = "xml"
        access_log = "some"
    "#;

#[test]
fn every_mistake_is_reported_in_one_run() {
    let mut found = paths(MISTAKES, &[]);
    found.sort_unstable();
    let expected = [
        "admin.listen",
        "admin.token_file",
        "cache.max_bytes",
        "cache.tll",
        "cache.ttl",
        "callers[0].key_sha256",
        "callers[0].name",
        "limits.anonymous.burts",
        "limits.anonymous.per_second",
        "server.base_path",
        "server.header_timeout",
        "server.idle_timeout",
        "server.listen",
        "server.max_connection_age",
        "server.max_connections",
        "server.max_connections_per_ip",
        "server.max_head_bytes",
        "server.shutdown_grace",
        "server.tls.key",
        "server.write_stall_timeout",
        "surprise",
        "telemetry.access_log",
        "telemetry.format",
        "telemetry.log",
        "upstream.breaker.failures",
        "upstream.breaker.open_for",
        "upstream.budget.burst",
        "upstream.budget.per_second",
        "upstream.ca_file",
        "upstream.max_response_bytes",
        "upstream.private_key_file",
        "upstream.request_timeout",
        "upstream.retries.budget_percent",
        "upstream.retries.max",
        "upstream.retries.more",
        "upstream.url",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_fleet_needs_one_server_by_its_url_and_keeps_its_password_to_itself() {
    let url = |url: &str| format!("[cluster]\nredis_url = \"{url}\"");
    assert_eq!(
        paths("[cluster]\nnamespace = \"a b\"", &[KEY]),
        ["cluster.redis_url", "cluster.namespace"]
    );
    for wrong in ["127.0.0.1:6379", "http://h", "redis://", "unix:///run/redis.sock"] {
        assert_eq!(paths(&url(wrong), &[KEY]), ["cluster.redis_url"], "{wrong}");
    }
    let settings = check(&url("rediss://fleet:canary@redis.example:6380/1"), &[KEY]).unwrap();
    let shown = format!("{settings:?} {}", settings.effective);
    assert!(shown.contains("rediss://***@redis.example:6380/1") && !shown.contains("canary"));
    // A URL that cannot be parsed is not shown either, because it may hold a password.
    let problems = check(&url("redis:/:canary@h"), &[KEY]).unwrap_err();
    assert!(!format!("{problems:?}").contains("canary"), "{problems:?}");
}

#[test]
fn the_environment_overrides_scalars_and_lists() {
    let settings = check(
        "[cache]\nttl = \"60s\"",
        &[
            KEY,
            ("IKGATE_CACHE__TTL", "30s"),
            ("IKGATE_SERVER__LISTEN", "127.0.0.1:1, 127.0.0.1:2"),
            ("IKGATE_SERVER__MAX_CONNECTIONS", "7"),
            ("IKGATE_LIMITS__ANONYMOUS__BURST", "9"),
        ],
    )
    .unwrap();
    assert_eq!(settings.cache.freshness.ttl.as_secs(), 30);
    assert_eq!(settings.public.listen.len(), 2);
    assert_eq!(settings.public.server.max_connections, 7);
    assert_eq!(settings.access.limits.anonymous.unwrap().burst.get(), 9);
    let refused = check("", &[KEY, ("IKGATE_LIMITS__ANONYMOUS", "false")]).unwrap();
    assert_eq!(refused.access.anonymous, ikgate::caller::AnonymousPolicy::Refuse);
    assert_eq!(paths("", &[KEY, ("IKGATE_CACHE__TLL", "1s")]), ["IKGATE_CACHE__TLL"]);
    assert_eq!(paths("[server]\nmax_connections = \"7\"", &[KEY]), ["server.max_connections"]);
}

#[test]
fn a_secret_comes_from_one_place() {
    let directory = scratch();
    let file = directory.path().join("imagekit.key");
    std::fs::write(&file, "private_a=\n").unwrap();
    let text = format!("[upstream]\nprivate_key_file = \"{}\"", file.display());
    assert!(check(&text, &[]).is_ok());
    assert_eq!(paths(&text, &[KEY]), ["upstream.private_key_file"]);
    assert_eq!(paths("", &[("IMAGEKIT_PRIVATE_KEY", "")]), ["upstream.private_key_file"]);
    let printed = format!("{:?}", check("", &[KEY]).unwrap());
    assert!(!printed.contains("private_a"), "{printed}");
}

#[test]
fn paths_start_at_the_files_directory() {
    let directory = scratch();
    std::fs::write(directory.path().join("imagekit.key"), "private_a=\n").unwrap();
    let file = directory.path().join("ikgate.toml");
    std::fs::write(&file, "[upstream]\nprivate_key_file = \"imagekit.key\"").unwrap();
    assert!(config::load(&file, []).is_ok());
}

#[test]
fn what_can_be_reached_from_elsewhere_asks_for_more() {
    let open = "[server]\nlisten = [\"127.0.0.1:80\", \"0.0.0.0:81\"]\n";
    assert_eq!(paths(open, &[KEY]), ["limits.anonymous"]);
    assert!(check(&format!("{open}[limits]\nanonymous = false"), &[KEY]).is_ok());
    assert!(check(&format!("{open}[limits.anonymous]\nburst = 5"), &[KEY]).is_ok());
    // The service manager that passes a socket decides which clients can reach it.
    let passed = "[server]\nlisten = [\"systemd\"]\n";
    assert_eq!(paths(passed, &[KEY]), ["limits.anonymous"]);
    let chosen = check(&format!("{passed}[limits]\nanonymous = false"), &[KEY]).unwrap();
    assert_eq!(chosen.public.listen, [ListenSource::Passed]);
    for listen in ["0.0.0.0:90", "systemd"] {
        let open = format!("[admin]\nlisten = \"{listen}\"");
        assert_eq!(paths(&open, &[KEY]), ["admin.token_file"], "{listen}");
    }
}

#[test]
fn callers_are_told_apart() {
    let digest = |digit: char| digit.to_string().repeat(64);
    let caller =
        |name: &str, keys: &str| format!("[[callers]]\nname = \"{name}\"\nkey_sha256 = {keys}\n");
    let (a, b) = (format!("\"{}\"", digest('a')), format!("\"{}\"", digest('b')));
    let two = format!("[{a}, {b}]");
    assert!(check(&caller("web", &two), &[KEY]).is_ok());
    let same_name = caller("web", &a) + &caller("web", &b);
    assert_eq!(paths(&same_name, &[KEY]), ["callers[1].name"]);
    let same_key = caller("web", &two) + &caller("ci", &b);
    assert_eq!(paths(&same_key, &[KEY]), ["callers[1].key_sha256"]);
    for name in ["", "a b", "a\\\"b", "anonymous", "jwt", "none", &"x".repeat(65)] {
        assert_eq!(paths(&caller(name, &a), &[KEY]), ["callers[0].name"], "{name}");
    }
    assert_eq!(paths(&caller("web", "[]"), &[KEY]), ["callers[0].key_sha256"]);
}

#[test]
fn a_certificate_must_be_one_and_fit_its_key() {
    let directory = scratch();
    let write = |name: &str, content: &str| {
        std::fs::write(directory.path().join(name), content).unwrap();
    };
    let pair = || {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["a".to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    };
    let ((certificate, key), (_, other)) = (pair(), pair());
    write("cert.pem", &certificate);
    write("key.pem", &key);
    write("other.pem", &other);
    write("empty.pem", "");
    write("encrypted.pem", &key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"));
    let fields = "RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n";
    let legacy = key.replacen("PRIVATE KEY-----\n", fields, 1);
    write("encrypted-rsa.pem", &legacy.replace("END PRIVATE", "END RSA PRIVATE"));
    write("odd.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    for (certificate, key, problem) in [
        ("cert.pem", "key.pem", None),
        ("cert.pem", "other.pem", Some("cannot be used together")),
        ("cert.pem", "empty.pem", Some("key: empty.pem holds no private key")),
        ("cert.pem", "cert.pem", Some("key: cert.pem holds no private key")),
        ("cert.pem", "missing.pem", Some("key: cannot read missing.pem: No such file")),
        ("cert.pem", "encrypted.pem", Some("key: encrypted.pem holds an encrypted key")),
        (
            "cert.pem",
            "encrypted-rsa.pem",
            Some("with openssl pkey -in encrypted-rsa.pem -out FILE"),
        ),
        ("key.pem", "key.pem", Some("holds no certificate")),
        ("empty.pem", "key.pem", Some("holds no certificate")),
        ("odd.pem", "key.pem", Some("is not a certificate")),
        ("missing.pem", "key.pem", Some("cannot read")),
    ] {
        let text = format!("[server.tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"");
        let key_given = [(KEY.0.to_owned(), KEY.1.to_owned())];
        let loaded = config::from_text(&text, directory.path(), key_given);
        let told = loaded.err().map(|problems| problems.0[0].to_string());
        match problem {
            None => assert_eq!(told, None),
            Some(problem) => {
                let told = told.unwrap();
                let told = told.replace(&format!("{}/", directory.path().display()), "");
                let told = told.strip_prefix("server.tls.").unwrap();
                let is_of_key = key != "key.pem" && key != "other.pem";
                assert_eq!(told.starts_with("key: "), is_of_key, "{told}");
                assert!(is_of_key || told.starts_with("certificate: "), "{told}");
                assert!(told.contains(problem), "{told}");
            }
        }
    }
}

#[test]
fn a_key_of_tokens_must_be_of_the_algorithm() {
    let directory = scratch();
    let write = |name: &str, content: &str| {
        std::fs::write(directory.path().join(name), content).unwrap();
    };
    for (name, kind) in [
        ("ed", &rcgen::PKCS_ED25519),
        ("p256", &rcgen::PKCS_ECDSA_P256_SHA256),
        ("p384", &rcgen::PKCS_ECDSA_P384_SHA384),
        ("rsa", &rcgen::PKCS_RSA_SHA256),
    ] {
        let pair = rcgen::KeyPair::generate_for(kind).unwrap();
        write(&format!("{name}.pem"), &pair.serialize_pem());
        write(&format!("{name}.pub"), &pair.public_key_pem());
    }
    // openssl genrsa 1024 | openssl pkey -pubout
    write("short.pub", SHORT_RSA_KEY);
    write("secret", "a-secret-of-thirty-two-bytes-or-so");
    write("short", "thirty-one-bytes-are-too-short-");
    write("lines", "a-secret-of-thirty-two-bytes\nbut-of-two-lines");
    let loaded = |algorithm: &str, key_file: &str| {
        let text = format!(
            "[jwt]\nalgorithm = \"{algorithm}\"\nkey_file = \"{key_file}\"\nissuer = \"a\""
        );
        let key = [(KEY.0.to_owned(), KEY.1.to_owned())];
        config::from_text(&text, directory.path(), key)
    };
    for (algorithm, right) in
        [("EdDSA", "ed.pub"), ("ES256", "p256.pub"), ("RS256", "rsa.pub"), ("HS256", "secret")]
    {
        for file in [
            "ed.pub",
            "p256.pub",
            "rsa.pub",
            "p384.pub",
            "short.pub",
            "secret",
            "short",
            "lines",
            "ed.pem",
            "p256.pem",
            "rsa.pem",
            "missing",
        ] {
            let fits = file == right;
            assert_eq!(loaded(algorithm, file).is_ok(), fits, "{algorithm} {file}");
        }
    }
    let found = paths("[jwt]\nalgorithm = \"none\"", &[KEY]);
    assert_eq!(found, ["jwt.algorithm", "jwt.key_file", "jwt.issuer"].map(String::from));
}

/// The keys that a file may leave out depend on the open listeners, not on the named ones.
#[test]
fn a_reload_does_not_let_in_callers_that_no_operator_chose() {
    let open = "[server]\nlisten = [\"192.0.2.1:80\"]\n[limits]\nanonymous = false";
    let running = check(open, &[KEY]).unwrap();
    let closed = "[server]\nlisten = [\"127.0.0.1:80\"]\n";
    let refused = running.reloaded(check(closed, &[KEY]).unwrap()).unwrap_err();
    assert_eq!(refused.0[0].path, "limits.anonymous");
    let chosen = format!("{closed}[limits]\nanonymous = {{ burst = 9 }}");
    let reloaded = running.reloaded(check(&chosen, &[KEY]).unwrap()).unwrap();
    assert_eq!(reloaded.needs_restart, ["server.listen"]);
    assert_eq!(reloaded.changed, ["limits.anonymous"]);
    let in_force = reloaded.settings;
    assert_eq!(in_force.access.limits.anonymous.unwrap().burst.get(), 9);
    assert_eq!(in_force.effective["server"]["listen"][0].as_str(), Some("192.0.2.1:80"));
}

/// A disk that is full leaves an empty file. A gateway with its key in the environment would take it.
#[test]
fn a_reload_does_not_take_a_file_that_has_become_empty() {
    let running = check("[server]\nmax_connections = 7", &[KEY]).unwrap();
    for empty in ["", "\n# a comment\n"] {
        let refused = running.reloaded(check(empty, &[KEY]).unwrap()).unwrap_err();
        assert!(refused.to_string().starts_with("the file sets nothing any more"), "{refused}");
    }
    let never_had_one = check("", &[KEY]).unwrap();
    assert!(never_had_one.reloaded(check("", &[KEY]).unwrap()).is_ok());
}

/// A problem never quotes the line, because it may hold a secret and a reload logs the problem.
#[test]
fn what_is_not_toml_is_not_repeated() {
    let problems = check("[cache]\nprivate_key = \"private_canary\n", &[KEY]).unwrap_err();
    assert!(problems[0].starts_with("not TOML: "), "{problems:?}");
    assert!(!problems[0].contains("canary"), "{problems:?}");
}

#[test]
fn what_is_not_toml_is_one_problem() {
    let problems = check("[server\n", &[KEY]).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("not TOML:"), "{problems:?}");
}
