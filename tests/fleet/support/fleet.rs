//! Fleet under test: several gateways that share a Redis and an origin.

use tempfile::TempDir;

use super::{Gateway, Link, Origin, Redis, config};

/// Options of a fleet that differ from the defaults.
#[derive(Clone, Copy, Default)]
pub(crate) struct Plan<'a> {
    pub(crate) gateways: usize,
    /// Additional configuration of each gateway.
    pub(crate) more: &'a str,
    /// Additional arguments of Redis.
    pub(crate) arguments: &'a [&'a str],
    /// Credentials of the gateways at Redis: `user:password@`.
    pub(crate) credentials: &'a str,
}

pub(crate) struct Fleet {
    pub(crate) gateways: Vec<Gateway>,
    /// Link of each gateway to Redis.
    pub(crate) links: Vec<Link>,
    pub(crate) redis: Redis,
    pub(crate) origin: Origin,
    more: String,
    credentials: String,
    directory: TempDir,
}

impl Fleet {
    /// Starts `gateways` gateways and waits until all of them know each other.
    pub(crate) async fn start(gateways: usize) -> Self {
        Self::configured(gateways, "").await
    }

    /// Starts a fleet with further configuration of each gateway.
    pub(crate) async fn configured(gateways: usize, more: &str) -> Self {
        let fleet = Self::apart(Plan { gateways, more, ..Plan::default() }).await;
        for gateway in &fleet.gateways {
            gateway.is_connected().await;
            #[expect(clippy::cast_precision_loss, reason = "there are few")]
            gateway.shows("ikgate_cluster_nodes", gateways as f64).await;
        }
        fleet
    }

    /// Starts a fleet without waiting for its gateways to find each other.
    pub(crate) async fn apart(plan: Plan<'_>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let redis = Redis::start(directory.path(), plan.arguments).await;
        let (origin, gateways, links) = (Origin::start().await, Vec::new(), Vec::new());
        let (more, credentials) = (plan.more.to_owned(), plan.credentials.to_owned());
        let mut fleet = Self { gateways, links, redis, origin, more, credentials, directory };
        for place in 0..plan.gateways {
            fleet.links.push(Link::to(&fleet.redis.socket()).await);
            let gateway = fleet.gateway(place).await;
            fleet.gateways.push(gateway);
        }
        fleet
    }

    async fn gateway(&self, place: usize) -> Gateway {
        let url = format!("redis://{}{}", self.credentials, self.links[place].address);
        let config = config(self.origin.address, &url, &self.more);
        let name = format!("gateway-{place}");
        Gateway::start(self.directory.path(), &name, &config, &[]).await
    }

    /// Kills a gateway and starts a new process in its place.
    pub(crate) async fn replace(&mut self, place: usize) {
        self.gateways[place].kill();
        self.gateways[place] = self.gateway(place).await;
    }

    /// Makes every gateway store the current version of a file.
    pub(crate) async fn warm(&self, file: &str) {
        for gateway in &self.gateways {
            assert_eq!(gateway.version(file).await, self.origin.version(file));
        }
    }

    /// Waits until every gateway answers with this version of a file, and fails on a newer one.
    pub(crate) async fn answers_with(&self, file: &str, version: u64) {
        for gateway in &self.gateways {
            gateway.answers_with(file, version).await;
        }
    }
}

impl Drop for Fleet {
    #[expect(clippy::print_stderr, reason = "helps to debug a test that fails")]
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for (place, gateway) in self.gateways.iter().enumerate() {
            eprintln!("gateway {place}:\n{}", gateway.log());
        }
    }
}
