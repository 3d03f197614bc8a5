//! Tests of the command line: output and exit code of each command.

use std::path::Path;

use serde_json::json;

use crate::support::{Demo, FILE, Program, get, run, scratch, versions_of};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn write(directory: &Path, name: &str, content: &str) -> String {
    let file = directory.join(name);
    std::fs::write(&file, content).unwrap();
    file.to_str().unwrap().to_owned()
}

const COMMANDS: [&str; 13] = [
    "check",
    "completions",
    "demo",
    "healthcheck",
    "keygen",
    "man",
    "purge",
    "reference",
    "sandbox",
    "serve",
    "status",
    "token",
    "top",
];

#[test]
fn every_command_has_help_with_an_example() {
    for command in COMMANDS {
        let help = run(&[command, "--help"], &[]);
        assert_eq!(help.status.code(), Some(0), "{command}");
        let help = text(&help.stdout);
        assert!(help.contains("Example") && help.contains(&format!("ikgate {command}")), "{help}");
    }
}

#[test]
fn the_version_is_the_packages_with_the_commit_if_that_is_known() {
    let version = text(&run(&["--version"], &[]).stdout);
    let rest = version.strip_prefix(concat!("ikgate ", env!("CARGO_PKG_VERSION"))).unwrap();
    if let Some(commit) = rest.trim_end().strip_prefix(" (") {
        let commit = commit.strip_suffix(')').unwrap();
        assert!(commit.len() >= 12 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}

#[test]
fn each_command_has_a_manual_page_and_is_completed_by_shells() {
    let directory = scratch();
    let man = directory.path().join("man");
    let done = run(&["man", man.to_str().unwrap()], &[]);
    assert_eq!((done.status.code(), done.stdout.len()), (Some(0), 0));
    let page = std::fs::read_to_string(man.join("ikgate.1")).unwrap();
    for command in COMMANDS {
        assert!(page.contains(&format!("ikgate\\-{command}(1)")), "{command}: {page}");
        let own = std::fs::read_to_string(man.join(format!("ikgate-{command}.1"))).unwrap();
        assert!(own.contains("Example"), "{own}");
    }
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let completions = text(&run(&["completions", shell], &[]).stdout);
        for command in COMMANDS {
            assert!(completions.contains(command), "{shell}: {command}");
        }
    }
    assert_eq!(run(&["completions", "cmd"], &[]).status.code(), Some(64));
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ikgate"));
    let ended = command.args(["completions", "bash"]).stdout(full).status().unwrap();
    assert_eq!(ended.code(), Some(0), "a reader that is gone is not its problem");
    let file = write(directory.path(), "a-file", "");
    let failed = run(&["man", &file], &[]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(text(&failed.stderr).contains("a-file"));
}

#[test]
fn wrong_usage_is_64_and_says_what_is_wrong() {
    let table: [&[&str]; 9] = [
        &[],
        &["serve"],
        &["serve", "--conf", "a"],
        &["purge"],
        &["purge", "a b"],
        &["sandbox", "--rate", "0"],
        &["healthcheck", "--admin", "ftp://a"],
        &["status", "--admin", "ftp://a"],
        &["top"],
    ];
    for arguments in table {
        let output = run(arguments, &[]);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn check_prints_ok_or_every_problem_with_its_path() {
    let directory = scratch();
    write(directory.path(), "imagekit.key", "private_a=");
    let good =
        write(directory.path(), "good.toml", "[upstream]\nprivate_key_file = \"imagekit.key\"");
    let output = run(&["check", "--config", &good], &[]);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), "ok\n"));

    let bad = write(
        directory.path(),
        "bad.toml",
        "[cache]\nttl = \"soon\"\n[server]\nlisten = []\nworkers = 2\n\
         [upstream]\nprivate_key_file = \"imagekit.key\"",
    );
    let output = run(&["check", "--config", &bad], &[]);
    assert_eq!(output.status.code(), Some(78));
    let printed = text(&output.stdout);
    assert_eq!(printed.lines().count(), 3, "{printed}");
    for problem in [
        "2: cache.ttl: ",
        "4: server.listen: ",
        "5: server.workers: is not a key. The keys of server are ",
    ] {
        let problem = format!("{bad}:{problem}");
        assert!(printed.lines().any(|line| line.starts_with(&problem)), "{printed}");
    }
    let good = [("IKGATE_CACHE__TTL", "soon"), ("IKGATE_CACHE_TTL", "1s")];
    let output = run(&["check", "--config", &bad], &good[..1]);
    assert!(text(&output.stdout).contains("IKGATE_CACHE__TTL: cache.ttl: "), "{output:?}");
    let output = run(&["check", "--config", &bad], &good[1..]);
    let expected =
        "IKGATE_CACHE_TTL: is not a variable of ikgate: did you mean IKGATE_CACHE__TTL? ";
    assert!(text(&output.stdout).contains(expected), "{output:?}");
    assert_eq!(text(&output.stdout).lines().count(), 4, "{output:?}");
    let cut = write(directory.path(), "cut.toml", "[cache]\nttl = \n");
    let output = run(&["check", "--config", &cut], &[]);
    assert!(text(&output.stdout).starts_with(&format!("{cut}:2: not TOML: ")), "{output:?}");
    let missing = run(&["check", "--config", "/nonexistent"], &[]);
    assert_eq!(missing.status.code(), Some(78));
}

#[test]
fn a_first_slip_is_one_line_that_says_what_to_do() {
    let directory = scratch();
    let config = |text: &str| write(directory.path(), "ikgate.toml", text);
    for (text_of_file, key, line) in [
        (
            "",
            None,
            "upstream.private_key_file: is required: a file that holds ImageKit's private key, or set IMAGEKIT_PRIVATE_KEY",
        ),
        ("", Some(""), "upstream.private_key_file: IMAGEKIT_PRIVATE_KEY is empty"),
        (
            "",
            Some("public_a="),
            "upstream.private_key_file: IMAGEKIT_PRIVATE_KEY holds the public key; what is needed begins with private_",
        ),
        (
            "",
            Some("private_a:b="),
            "upstream.private_key_file: IMAGEKIT_PRIVATE_KEY holds a colon: ImageKit's keys have none, and a key with a colon cannot be sent",
        ),
        (
            "[cache]\ntll = \"30s\"",
            Some("private_a="),
            "cache.tll: is not a key: did you mean cache.ttl? The keys of cache are max_bytes, ttl, ttl_jitter_percent, stale_while_revalidate, stale_if_error, not_found_ttl, settle, browser_max_age, expose_private",
        ),
        (
            "[upsteam]",
            Some("private_a="),
            "upsteam: is not a section: did you mean upstream? The sections are server, admin, upstream, cache, limits, callers, jwt, cors, webhooks, cluster, telemetry",
        ),
        ("[cache\nttl = 30", Some("private_a="), "not TOML: unclosed table, expected `]`"),
        ("[cache]\nttl = 30", Some("private_a="), "cache.ttl: must be a duration like \"30s\""),
    ] {
        let variables: Vec<_> = key.iter().map(|key| ("IMAGEKIT_PRIVATE_KEY", *key)).collect();
        let output = run(&["serve", "--config", &config(text_of_file)], &variables);
        assert_eq!(output.status.code(), Some(78), "{line}");
        let said = text(&output.stderr);
        let (_, said) = said.split_once("ikgate.toml").unwrap();
        let (_, said) = said.split_once(": ").unwrap();
        assert_eq!(said.lines().collect::<Vec<_>>(), [line]);
    }
}

#[test]
fn serve_starts_nothing_on_a_bad_configuration_or_a_port_that_is_taken() {
    let directory = scratch();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let bad = write(directory.path(), "bad.toml", "[cache]\nttl = 1");
    let output = run(&["serve", "--config", &bad], &[]);
    assert_eq!(output.status.code(), Some(78));
    assert!(text(&output.stderr).contains("cache.ttl: "), "{output:?}");

    let clash = write(
        directory.path(),
        "clash.toml",
        &format!("[server]\nlisten = [\"{address}\"]\n[upstream]\nurl = \"http://127.0.0.1:1\""),
    );
    let output = run(&["serve", "--config", &clash], &[("IMAGEKIT_PRIVATE_KEY", "private_a=")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains(&format!("cannot listen on {address} (server.listen)")),
        "{output:?}"
    );
}

#[test]
fn demo_takes_variables_as_serve_does_and_binds_nothing_if_one_is_wrong() {
    // A demo that binds its page before it reads the variables ends with 1.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let page = taken.local_addr().unwrap().to_string();
    for (variables, said) in [
        (
            [("IKGATE_CACHE_TTL", "1s")],
            "IKGATE_CACHE_TTL: is not a variable of ikgate: did you mean IKGATE_CACHE__TTL?",
        ),
        ([("IKGATE_CACHE__TTL", "soon")], "cache.ttl: must be a duration like \"30s\""),
        (
            [("IKGATE_CORS__ALLOWED_ORIGINS", "http://a/")],
            "cors.allowed_origins: \"http://a/\" ends",
        ),
        ([("IKGATE_UPSTREAM__URL", "https://a.example")], "is set by `ikgate demo` itself"),
    ] {
        let output = run(&["demo", "--page", &page], &variables);
        assert_eq!(output.status.code(), Some(78), "{variables:?}");
        assert!(text(&output.stderr).contains(said), "{output:?}");
    }
    for clashing in [
        &["demo", "--listen", "127.0.0.1:9090"][..],
        &["demo", "--listen", "127.0.0.1:7", "--admin", "0.0.0.0:7"],
        &["demo", "--listen", "127.0.0.1:7", "--page", "127.0.0.1:7"],
    ] {
        let output = run(clashing, &[]);
        assert_eq!(output.status.code(), Some(64), "{output:?}");
        assert!(text(&output.stderr).contains("--listen 127.0.0.1:"), "{output:?}");
    }
    // A variable replaces the default that would clash.
    let elsewhere = [("IKGATE_ADMIN__LISTEN", "0.0.0.0:9191"), ("IKGATE_CACHE__TTL", "soon")];
    let output = run(&["demo", "--listen", "127.0.0.1:9090"], &elsewhere);
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    let output = run(&["demo", "--origin", "http://localhost:3000/"], &[]);
    assert_eq!(output.status.code(), Some(64), "{output:?}");
    assert!(text(&output.stderr).contains("write \"http://localhost:3000\""), "{output:?}");
}

#[tokio::test]
async fn a_page_under_development_reads_the_answers_of_the_demo() {
    let listen = ["demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let page = ["--page", "127.0.0.1:0", "--origin", "http://localhost:3000"];
    let variables = [("IKGATE_CACHE__BROWSER_MAX_AGE", "7s"), ("IKGATE_SERVER__BASE_PATH", "/ik")];
    let demo = Demo::start(&[&listen[..], &page].concat(), &variables);
    let list = format!("/ik{}", versions_of(FILE));
    for origin in ["http://localhost:3000", &demo.page] {
        let fields = [("Origin", origin)];
        let answer = crate::support::send(demo.gateway, "GET", &list, &fields).await;
        assert_eq!(answer.status, 200, "{answer:#?}");
        assert_eq!(answer.field("access-control-allow-origin"), origin);
        assert_eq!(answer.field("cache-control").split('=').next(), Some("private, max-age"));
    }
}

#[test]
fn a_generated_key_opens_what_its_block_configures() {
    let output = run(&["keygen", "--caller", "web-team"], &[]);
    let (printed, notes) = (text(&output.stdout), text(&output.stderr));
    let key = notes.lines().find_map(|line| line.strip_prefix("  ikg_")).unwrap();
    assert!(!printed.contains(key), "a redirect must not write the key: {printed}");
    let digest = ikgate::caller::KeyDigest::of(&format!("ikg_{key}")).to_string();
    // Appended to a file that ends with a line.
    let block: toml::Table = format!("[cache]\nttl = \"1s\"\n{printed}").parse().unwrap();
    let caller = &block["callers"][0];
    assert_eq!(caller["name"].as_str(), Some("web-team"));
    assert_eq!(caller["key_sha256"].as_str(), Some(digest.as_str()));
    assert_eq!(run(&["keygen", "--caller", "a b"], &[]).status.code(), Some(64));
}

#[tokio::test]
async fn a_signed_token_is_taken_by_the_gateway_with_the_same_configuration() {
    let directory = scratch();
    write(directory.path(), "jwt.secret", "a-secret-of-thirty-two-bytes-or-so");
    let config = write(
        directory.path(),
        "ikgate.toml",
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[upstream]\nurl = \"http://127.0.0.1:1\"\n\
         [admin]\nlisten = \"127.0.0.1:0\"\n\
         [jwt]\nalgorithm = \"HS256\"\nkey_file = \"jwt.secret\"\nissuer = \"https://a.example\"",
    );
    let sign = |more: &[&str]| run(&[&["token", "--config", &config], more].concat(), &[]);
    let signed = sign(&["--sub", "user-1", "--files", &format!("{FILE},other"), "--ttl", "1h"]);
    assert_eq!(signed.status.code(), Some(0), "{signed:?}");
    let value = format!("Bearer {}", text(&signed.stdout).trim_end());

    let key = [("IMAGEKIT_PRIVATE_KEY", "private_a=")];
    let program = Program::serve(Path::new(&config), &key);
    let fields = [("Authorization", value.as_str())];
    let ask = async |file: &str| {
        crate::support::send(program.public, "GET", &versions_of(file), &fields).await
    };
    let admitted = ask(FILE).await;
    assert_eq!((admitted.status, admitted.code().as_str()), (502, "upstream_unreachable"));
    assert!(admitted.field("ratelimit").starts_with("\"jwt\";r=19;"), "{admitted:#?}");
    assert_eq!(ask("third").await.status, 403);

    for wrong in [
        &["--sub", "a", "--ttl", "61m"][..],
        &["--sub", "a", "--files", "a/b"],
        &["--sub", ""],
        &[],
    ] {
        assert_eq!(sign(wrong).status.code(), Some(64), "{wrong:?}");
    }
    let needless = sign(&["--sub", "a", "--key", "jwt.pem"]);
    assert_eq!(needless.status.code(), Some(1), "{needless:?}");
    let none = write(directory.path(), "none.toml", "");
    let none = run(&["token", "--config", &none, "--sub", "a"], &[]);
    assert_eq!(none.status.code(), Some(78), "{none:?}");
    let wrong = write(directory.path(), "wrong.toml", "\n[jwt]\nkey_file = \"jwt.secret\"");
    let output = run(&["token", "--config", &wrong, "--sub", "a"], &[]);
    let problem = format!("{wrong}:2: jwt.issuer: is required\n");
    assert!(text(&output.stderr).contains(&problem), "{output:?}");
}

#[tokio::test]
async fn purge_and_healthcheck_talk_to_a_running_gateway() {
    let directory = scratch();
    write(directory.path(), "admin.token", "t0ken");
    let config = write(
        directory.path(),
        "ikgate.toml",
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[upstream]\nurl = \"http://127.0.0.1:1\"\n\
         [admin]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"admin.token\"",
    );
    let key = [("IMAGEKIT_PRIVATE_KEY", "private_a=")];
    let program = Program::serve(Path::new(&config), &key);
    let admin = format!("http://{}", program.admin);
    let token_file = directory.path().join("admin.token");
    let token_file = token_file.to_str().unwrap();

    assert_eq!(run(&["healthcheck", "--admin", &admin], &[]).status.code(), Some(0));
    let refused = run(&["purge", FILE, "--admin", &admin], &[]);
    assert_eq!(refused.status.code(), Some(1));
    let said = format!("ikgate: {FILE}: not purged: {admin} needs the admin token (401): ");
    assert!(text(&refused.stderr).starts_with(&said), "{refused:?}");
    let purge = |more: &[&str]| {
        let options = ["purge", "--admin", &admin, "--token-file", token_file];
        let purged = run(&[&options, more].concat(), &[]);
        assert_eq!(purged.status.code(), Some(0), "{purged:?}");
        text(&purged.stdout)
    };
    let said = purge(&[FILE, "other"]);
    assert_eq!(said, format!("{FILE}: not stored here\nother: not stored here\n"));
    let all = purge(&["--all", "--soft"]);
    assert_eq!(all, "all files: ≈ 0 responses marked stale\n");
    let result: serde_json::Value = serde_json::from_str(&purge(&[FILE, "--json"])).unwrap();
    let numbers = (&result["purged"], &result["soft"], &result["responses"]);
    assert_eq!(numbers, (&json!(FILE), &json!(false), &json!(0)));
    assert!(result["message"].as_str().unwrap().contains("was not stored"), "{result}");
    let counted = get(program.admin, "/metrics").await.body;
    assert!(counted.contains("ikgate_invalidations_total{source=\"admin\",kind=\"hard\"} 3"));
    assert!(counted.contains("ikgate_invalidations_total{source=\"admin\",kind=\"soft\"} 1"));

    program.signal("TERM");
    program.wait();
    let gone = run(&["healthcheck", "--admin", &admin], &[]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(text(&gone.stderr).contains("no answer from"), "{gone:?}");
}
