//! Runner of the wire cases, which are data files (`tests/wire`). Each case has bytes or frames,
//! the expected responses, the state of the connection afterwards, and the calls to the upstream.

mod http1;
mod http2;

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::support::{
    Authority, Connection, Origin, Reply, TestGateway, scratch, secured, versions_of,
};

const KEY: &str = "ikg_key";

/// Case of either protocol, with a unique name.
pub(crate) trait Case: DeserializeOwned {
    fn id(&self) -> &str;
}

/// Contents of a data file.
#[derive(serde::Deserialize)]
struct File<C> {
    case: Vec<C>,
}

/// Reads the cases of the files whose names `is_wanted` accepts.
fn read<C: Case>(is_wanted: impl Fn(&str) -> bool) -> Vec<C> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire");
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let name_of = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let mut paths: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|it| it == "toml") && is_wanted(&name_of(path)))
        .collect();
    paths.sort();
    let cases = paths.iter().flat_map(|path| {
        let text = std::fs::read_to_string(path).unwrap();
        let file: File<C> =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        file.case
    });
    cases.collect()
}

/// Returns the names of all HTTP/1.1 cases.
pub(crate) fn http1_cases() -> Vec<String> {
    http1::cases().iter().map(|case| case.id().to_owned()).collect()
}

/// Returns the names of all HTTP/2 cases.
pub(crate) fn http2_cases() -> Vec<String> {
    http2::cases().iter().map(|case| case.id().to_owned()).collect()
}

/// Returns the bytes of a text whose characters each stand for one byte (Latin-1). `{x*N}` stands
/// for N times the character, and `{new}` for a file that was not requested before.
fn expand(text: &str, new_file: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let byte = |character: char| u8::try_from(u32::from(character)).expect("not Latin-1");
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        if character != '{' {
            bytes.push(byte(character));
            continue;
        }
        let Some((macro_text, after)) = rest.split_once('}') else {
            bytes.push(b'{');
            continue;
        };
        if macro_text == "new" {
            bytes.extend(new_file.as_bytes());
            rest = after;
        } else if let Some((repeated, count)) = macro_text.split_once('*')
            && let (1, Ok(count)) = (repeated.chars().count(), count.parse::<usize>())
        {
            bytes.resize(bytes.len() + count, byte(repeated.chars().next().unwrap()));
            rest = after;
        } else {
            bytes.push(b'{');
        }
    }
    bytes
}

/// Gateway for cases: the file `stored` is a stored list, `missing` a stored 404.
struct Bench {
    origin: Origin,
    gateway: TestGateway,
    authority: Authority,
    files: u32,
    _directory: tempfile::TempDir,
}

impl Bench {
    async fn start(is_tls: bool) -> Self {
        let directory = scratch();
        let (authority, tls) = secured(directory.path());
        let secret = directory.path().join("webhook.secret");
        std::fs::write(&secret, "whsec_d2lyZQ==").unwrap();
        let origin = Origin::start().await;
        origin.replies(&versions_of("stored"), Reply::json(200, "[]"));
        let tls = if is_tls { tls } else { String::new() };
        let gateway = TestGateway::configured(
            &origin,
            &format!(
                "[server]\n{tls}\n[cache]\nttl = \"24h\"\nnot_found_ttl = \"24h\"\n\
                 [limits]\nanonymous = {{ per_second = 100000, burst = 100000 }}\n\
                 auth_failures = {{ per_second = 100000, burst = 100000 }}\n\
                 [webhooks]\nsecret_file = '{}'\n\
                 [cors]\nallowed_origins = [\"https://page.example\"]\n\
                 [[callers]]\nname = \"team\"\nkey_sha256 = \"{}\"\n\
                 quota = {{ per_second = 100000, burst = 100000 }}\n",
                secret.display(),
                ikgate::caller::KeyDigest::of(KEY),
            ),
        );
        let bench = Self { origin, gateway, authority, files: 0, _directory: directory };
        for (file, status) in [("stored", 200), ("missing", 404)] {
            let mut connection = bench.connect(is_tls).await;
            connection.write(plain(file)).await;
            assert_eq!(connection.read("GET").await.unwrap().status, status);
        }
        bench
    }

    async fn connect(&self, is_tls: bool) -> Connection {
        let address = self.gateway.public;
        if !is_tls {
            return Connection::open(address).await;
        }
        Connection::over(self.authority.connect(address, &["http/1.1"]).await.unwrap())
    }

    /// Returns a file that was not requested before. The upstream has an empty list for it.
    fn new_file(&mut self) -> String {
        self.files += 1;
        let file = format!("new-{}", self.files);
        self.origin.replies(&versions_of(&file), Reply::json(200, "[]"));
        file
    }

    /// Advances the clock, so that fixed quotas refill: the one for webhooks, by address.
    fn rest(&self) {
        self.gateway.clock.advance(std::time::Duration::from_secs(1));
    }
}

/// Returns a plain request for a file.
fn plain(file: &str) -> String {
    format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", versions_of(file))
}

#[test]
fn no_two_cases_have_the_same_name() {
    for mut names in [http1_cases(), http2_cases()] {
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
    assert!(http1_cases().len() + http2_cases().len() >= 300);
}
