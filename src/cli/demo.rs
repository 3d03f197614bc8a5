//! `ikgate demo`: runs the gateway, a sandbox and a demo page in one process, without set-up.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::companion::CompanionListener;
use super::config_file::environment;
use super::demo_variables::{self, DemoArguments};
use super::report::{Failure, called_as, print};
use super::runtime::runtime;
use super::sandbox;
use super::serve::{self, StopSignals};
use crate::caller::KeyDigest;
use crate::config::{self, Settings};
use crate::demo::{DemoAddresses, DemoPage};
use crate::invalidation::{SigningSecret, WebhookSettings};
use crate::sandbox::{
    DEFAULT_KEY, DEFAULT_RATE, IMAGE_WITH_VERSIONS, SandboxSettings, WebhookTarget, WebhookUrl,
};
use crate::secret::Secret;
use crate::server::{PassedSockets, clash};

/// Caller key of the demo. An SDK sends it in place of ImageKit's private key; it opens only the
/// demo.
const CALLER_KEY: &str = "ikg_demo";

/// Default addresses of the listeners and of the page.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
const ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9090);
const PAGE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8070);

/// Tolerance for webhook timestamps. Sender and receiver are one process, with the same clock.
const TOLERANCE: Duration = Duration::from_mins(1);

#[derive(Debug, clap::Args)]
pub(super) struct Demo {
    /// Address of the public listener, for callers. Default: 127.0.0.1:8080.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Address of the admin listener, for operators. Default: 127.0.0.1:9090.
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
    /// Address of the demo page, which shows the version history of a file from another origin.
    /// Default: 127.0.0.1:8070, or any free port if that one is in use.
    #[arg(long, value_name = "ADDRESS")]
    page: Option<SocketAddr>,
    /// Origin of a page under development, which may read answers too. Can be repeated.
    #[arg(long = "origin", value_name = "ORIGIN", value_parser = config::listed_origin)]
    origins: Vec<String>,
}

impl Demo {
    pub(super) fn run(&self) -> Result<(), Failure> {
        // Nothing is bound if an argument or a variable is wrong.
        self.check_addresses()?;
        self.settings(PAGE, PAGE)?;
        runtime()?.block_on(async {
            let mut stop = StopSignals::listen()?;
            let page = self.bind_page()?;
            let sandbox = sandbox::start(
                SocketAddr::from(([127, 0, 0, 1], 0)),
                SandboxSettings {
                    key: Secret::new(DEFAULT_KEY.to_owned()),
                    rate: DEFAULT_RATE,
                    // Enough to tell a miss from a hit by eye.
                    latency: Duration::from_millis(100),
                },
            )?;
            let mut settings = self.settings(page.address, sandbox.address)?;
            let base_path = settings.public.base_path.as_str().to_owned();
            let secret = SigningSecret::new(webhook_secret()?);
            settings.webhooks =
                Some(WebhookSettings { secret: secret.clone(), tolerance: TOLERANCE });
            let started = serve::start(settings, PassedSockets::default());
            let (app, _log) = started.map_err(with_port_options)?;
            let public = app.public.first().copied().unwrap_or(LISTEN);
            let url = format!("http://{public}{base_path}/webhooks/imagekit");
            let url = WebhookUrl::parse(&url).map_err(|error| Failure::Run(error.to_owned()))?;
            sandbox.sandbox.deliver_to(WebhookTarget { url, secret });
            let file = IMAGE_WITH_VERSIONS;
            let (admin, sandbox_at, page_at) = (app.admin, sandbox.address, page.address);
            let addresses =
                DemoAddresses { gateway: public, base_path, admin, sandbox: sandbox_at, file };
            let page = page.serve(Arc::new(DemoPage::new(&addresses)));
            let program = called_as();
            print(&greeting(&program, &addresses, page_at));
            stop.next().await;
            page.stop().await;
            let ended = stop.drain(app).await;
            sandbox.stop().await;
            ended
        })
    }

    /// Checks that the listeners, at the addresses of the arguments or at their defaults, and a page
    /// at a given address can be open at once. Addresses of variables are checked with the
    /// configuration.
    fn check_addresses(&self) -> Result<(), Failure> {
        let is_set = |variable| environment().any(|(name, _)| name.eq_ignore_ascii_case(variable));
        let or_default = |given: Option<SocketAddr>, variable, default| {
            given.or_else(|| (!is_set(variable)).then_some(default))
        };
        let listen = or_default(self.listen, demo_variables::LISTEN, LISTEN);
        let admin = or_default(self.admin, demo_variables::ADMIN, ADMIN);
        let named = [("--listen", listen), ("--admin", admin), ("--page", self.page)];
        let named = named.map(|(name, address)| Some((name, address?)));
        let [listen, admin, page] = named;
        let pairs = [listen.zip(admin), listen.zip(page), admin.zip(page)];
        for ((one, first), (other, second)) in pairs.into_iter().flatten() {
            if clash(first, second) {
                let message = format!("{one} {first} and {other} {second} cannot both be open");
                return Err(Failure::Usage(format!("{message}: give one of them another port")));
            }
        }
        Ok(())
    }

    /// Binds the demo page. Without `--page`, a default port that is in use does not fail the
    /// demo: the page takes any free port.
    fn bind_page(&self) -> Result<CompanionListener, Failure> {
        let bind = |address| CompanionListener::new(address, "the page").map_err(with_port_options);
        match self.page {
            Some(address) => bind(address),
            None => bind(PAGE).or_else(|_| bind(SocketAddr::from((PAGE.ip(), 0)))),
        }
    }

    /// Returns the settings of the gateway: the demo's own settings, overridden by the variables,
    /// then by the arguments.
    fn settings(&self, page: SocketAddr, sandbox: SocketAddr) -> Result<Settings, Failure> {
        let arguments = DemoArguments {
            listen: self.listen.is_some(),
            admin: self.admin.is_some(),
            page: origin(page),
            origins: &self.origins,
        };
        let variables = demo_variables::applied(environment(), &arguments);
        let variables = variables.map_err(Failure::Config)?;
        config::from_text(&self.config(sandbox), Path::new(""), variables).map_err(Failure::Config)
    }

    /// Returns the text of the demo's configuration file.
    fn config(&self, sandbox: SocketAddr) -> String {
        format!(
            r#"
            [server]
            listen = ["{}"]
            shutdown_grace = "2s"
            [admin]
            listen = "{}"
            [upstream]
            url = "http://{sandbox}"
            [limits]
            anonymous = {{ per_second = 10, burst = 20 }}
            [[callers]]
            name = "demo"
            key_sha256 = "{}"
            [telemetry]
            log = "warn"
            format = "pretty"
            "#,
            self.listen.unwrap_or(LISTEN),
            self.admin.unwrap_or(ADMIN),
            KeyDigest::of(CALLER_KEY)
        )
    }
}

/// Returns the origin of the page in the form of the browser's Origin field: no port if it is 80.
fn origin(page: SocketAddr) -> String {
    match page.port() {
        80 => format!("http://{}", page.to_string().trim_end_matches(":80")),
        _ => format!("http://{page}"),
    }
}

fn with_port_options(failure: Failure) -> Failure {
    let Failure::Run(message) = failure else { return failure };
    Failure::Run(format!("{message} (other ports: --listen, --admin and --page)"))
}

/// Makes a random webhook secret for this run, so that no other process can purge its cache.
fn webhook_secret() -> Result<Secret, Failure> {
    let mut bits = [0; 24];
    getrandom::fill(&mut bits)
        .map_err(|error| Failure::Run(format!("cannot get random numbers: {error}")))?;
    Ok(Secret::new(format!("whsec_{}", BASE64_STANDARD.encode(bits))))
}

/// Returns what the demo prints. `program`: the program as it was called.
fn greeting(program: &str, addresses: &DemoAddresses, page: SocketAddr) -> String {
    let DemoAddresses { gateway, base_path, admin, sandbox, file } = addresses;
    let list = format!("http://{gateway}{base_path}/v1/files/{file}/versions");
    format!(
        "Page:         http://{page}/  (open this)
Help:         http://{gateway}{base_path}/
Dashboard:    http://{admin}/
Metrics:      http://{admin}/metrics
More files:   http://{sandbox}/_sandbox/files

A miss, then a hit (see Cache-Status):
  curl -i {list}
  curl -i {list}

A purge, after which the next one is a miss again:
  curl -X DELETE http://{admin}/api/cache/{file}

As a caller with a key, as ImageKit's SDKs send it:
  curl -i -u {CALLER_KEY}: {list}

A new version in the sandbox, whose webhook makes the next one a miss too:
  curl -X POST http://{sandbox}/_sandbox/files/{file}/versions

For a page of your own, stop it and start it so; then the page may read answers:
  {program} demo --origin http://localhost:3000

Stop with Ctrl-C."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_screen_begins_with_the_page_and_fits_a_terminal_of_24_lines() {
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let addresses = DemoAddresses {
            gateway: at(8080),
            base_path: String::new(),
            admin: at(9090),
            sandbox: at(8090),
            file: "64a1b2c3d4e5f60718293a4b",
        };
        let screen = greeting("ikgate", &addresses, at(8070));
        assert!(screen.starts_with("Page:         http://127.0.0.1:8070/"), "{screen}");
        // One line is the prompt with the command.
        assert!(screen.lines().count() <= 23, "{screen}");
    }

    #[test]
    fn the_origin_of_the_page_is_as_a_browser_writes_it() {
        for (address, written) in [
            ("127.0.0.1:8070", "http://127.0.0.1:8070"),
            ("127.0.0.1:80", "http://127.0.0.1"),
            ("[::1]:80", "http://[::1]"),
            ("[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(origin(address.parse().unwrap()), written);
        }
    }
}
