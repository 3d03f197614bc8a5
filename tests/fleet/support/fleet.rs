//! Gateways that share a Redis and an origin.

use tempfile::TempDir;

use super::{Gateway, Link, Origin, Redis, config};

/// What is not as usual.
#[derive(Clone, Copy, Default)]
pub(crate) struct Plan<'a> {
    pub(crate) gateways: usize,
    /// Of each gateway's configuration.
    pub(crate) more: &'a str,
    /// Of Redis.
    pub(crate) arguments: &'a [&'a str],
    /// With which the gateways go to Redis: `user:password@`.
    pub(crate) credentials: &'a str,
}

pub(crate) struct Fleet {
    pub(crate) gateways: Vec<Gateway>,
    /// Of each gateway to Redis.
    pub(crate) links: Vec<Link>,
    pub(crate) redis: Redis,
    pub(crate) origin: Origin,
    more: String,
    credentials: String,
    directory: TempDir,
}

impl Fleet {
    /// So many, once all of them know of each other.
    pub(crate) async fn start(gateways: usize) -> Self {
        Self::configured(gateways, "").await
    }

    /// With further configuration of each gateway.
    pub(crate) async fn configured(gateways: usize, more: &str) -> Self {
        let fleet = Self::apart(Plan { gateways, more, ..Plan::default() }).await;
        for gateway in &fleet.gateways {
            gateway.is_connected().await;
            #[expect(clippy::cast_precision_loss, reason = "there are few")]
            gateway.shows("ikgate_cluster_nodes", gateways as f64).await;
        }
        fleet
    }

    /// Which may not find to each other.
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

    /// Puts a new process in the place of one, which is killed.
    pub(crate) async fn replace(&mut self, place: usize) {
        self.gateways[place].kill();
        self.gateways[place] = self.gateway(place).await;
    }

    /// Has every gateway store a file as it is now.
    pub(crate) async fn warm(&self, file: &str) {
        for gateway in &self.gateways {
            assert_eq!(gateway.version(file).await, self.origin.version(file));
        }
    }

    /// Waits until every gateway answers with this version of a file, and none before it.
    pub(crate) async fn answers_with(&self, file: &str, version: u64) {
        for gateway in &self.gateways {
            gateway.answers_with(file, version).await;
        }
    }
}

impl Drop for Fleet {
    #[expect(clippy::print_stderr, reason = "of a test that fails, to whoever looks into it")]
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for (place, gateway) in self.gateways.iter().enumerate() {
            eprintln!("gateway {place}:\n{}", gateway.log());
        }
    }
}
