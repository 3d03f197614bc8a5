//! Construction of the request pipeline from the settings.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cache::Cache;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::config::Settings;
use crate::exchange::CallerLabel;
use crate::gateway::{AccessRules, Gateway, RefusedOrigins, WebhookReceiver};
use crate::invalidation::{Invalidator, LocalInvalidator, Webhooks};
use crate::limit::LeaseQueue;
use crate::route::Operations;
use crate::upstream::{Upstream, UpstreamStartError};

/// Builds the request pipeline and the parts behind it, without listeners.
///
/// `labels` are the metric labels of the configured callers, in the order of the configuration.
///
/// # Errors
///
/// Fails if TLS towards the upstream cannot be set up.
pub fn gateway(
    settings: Settings,
    labels: Vec<CallerLabel>,
    clock: &Clock,
) -> Result<Arc<Gateway>, UpstreamStartError> {
    let request_timeout = settings.upstream.request_timeout;
    let cache = Cache::new(&settings.cache);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let encoders = cores.div_ceil(2);
    let local = LocalInvalidator::new(Arc::clone(&cache), clock.clone());
    let lease_queue = settings.cluster.is_some().then(Arc::<LeaseQueue>::default);
    let cluster = settings.cluster.zip(lease_queue.clone());
    let cluster = cluster
        .map(|(settings, lease_queue)| Cluster::new(&settings, local.clone(), lease_queue, clock));
    let bus = cluster.as_ref().map(|cluster| cluster.bus());
    let invalidator = Invalidator::new(local, bus);
    Ok(Arc::new(Gateway {
        clock: clock.clone(),
        operations: Operations {
            base_path: settings.public.base_path,
            webhooks: settings.webhooks.is_some(),
            help: settings.public.help,
        },
        webhooks: settings.webhooks.map(|settings| {
            WebhookReceiver::new(Webhooks::new(settings, invalidator.clone(), clock.clone()))
        }),
        invalidator,
        cluster,
        proxies: settings.public.proxies,
        rules: ArcSwap::from_pointee(AccessRules::new(
            settings.access,
            labels,
            lease_queue.clone(),
            clock,
        )),
        refused_origins: RefusedOrigins::default(),
        cache,
        upstream: Upstream::new(&settings.upstream, settings.key, lease_queue, clock.clone())?,
        request_timeout,
        fills: TaskTracker::new(),
        closing: CancellationToken::new(),
        encoders: Semaphore::new(encoders),
    }))
}
