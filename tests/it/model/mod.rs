//! Model-based property test of the cache: random interleavings of reads, upstream responses,
//! invalidations and time, each step compared with a reference model.
//!
//! It also checks the promise of the interface: after a hard invalidation is acknowledged, a later
//! request is answered only from an upstream request sent after it, or with an error.

mod reference;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use ikgate::invalidation::SigningSecret;
use ikgate::secret::Secret;
use proptest::prelude::*;
use reference::{Expected, File, Outcome, Read};

use crate::support::{Answer, Connection, Origin, Reply, TestGateway, scratch, versions_of};

const FILES: [&str; 2] = ["a", "b"];
const SECRET: &str = "whsec_bW9kZWw=";

#[derive(Clone, Copy, Debug)]
enum Source {
    Admin,
    Webhook,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Advance(Duration),
    /// The upstream answers one of its open requests for a file.
    Answer {
        file: usize,
        which: usize,
        outcome: Outcome,
    },
    Purge {
        file: usize,
        source: Source,
    },
    PurgeAll,
    Read {
        file: usize,
    },
    SoftPurge {
        file: usize,
    },
    SoftPurgeAll,
}

fn step() -> impl Strategy<Value = Step> {
    let file = 0..FILES.len();
    let outcome = prop_oneof![
        6 => Just(Outcome::List),
        2 => Just(Outcome::ServerError),
        1 => Just(Outcome::NotFound),
        1 => Just(Outcome::NoStore),
        1 => Just(Outcome::Garbage),
    ];
    // The boundaries of every TTL and stale window are sums of these.
    let seconds = prop::sample::select(vec![0.5, 1.0, 2.0, 9.0, 10.0, 28.0, 30.0, 58.0, 60.0]);
    let source = prop_oneof![Just(Source::Admin), Just(Source::Webhook)];
    prop_oneof![
        10 => file.clone().prop_map(|file| Step::Read { file }),
        8 => (file.clone(), 0..4_usize, outcome)
            .prop_map(|(file, which, outcome)| Step::Answer { file, which, outcome }),
        5 => seconds.prop_map(|seconds| Step::Advance(Duration::from_secs_f64(seconds))),
        3 => (file.clone(), source).prop_map(|(file, source)| Step::Purge { file, source }),
        1 => Just(Step::PurgeAll),
        1 => file.prop_map(|file| Step::SoftPurge { file }),
        1 => Just(Step::SoftPurgeAll),
    ]
}

/// Connections that wait for one upstream request of a file, in order of arrival. Each has the
/// floor at its arrival.
type WaitingConnections = VecDeque<(Connection, usize)>;

/// Gateway and model, with the waiting connections of both.
struct Run {
    origin: Origin,
    gateway: TestGateway,
    now: Duration,
    files: [File; FILES.len()],
    waiting: HashMap<(usize, usize), WaitingConnections>,
    events: usize,
    finished: f64,
}

impl Run {
    async fn start() -> Self {
        let origin = Origin::start().await;
        for file in FILES {
            origin.gate(&versions_of(file));
        }
        let directory = scratch();
        let secret = directory.path().join("webhook.secret");
        std::fs::write(&secret, SECRET).unwrap();
        let more = format!(
            "[cache]\nttl = \"60s\"\nstale_while_revalidate = \"30s\"\nstale_if_error = \"60s\"\n\
             not_found_ttl = \"10s\"\nsettle = \"2s\"\n\
             [upstream]\nrequest_timeout = \"10m\"\n\
             [limits]\nanonymous = {{ per_second = 100000, burst = 100000 }}\n\
             [webhooks]\nsecret_file = \"{}\"",
            secret.display()
        );
        let gateway = TestGateway::configured(&origin, &more);
        let files = [(); FILES.len()].map(|()| File::default());
        let (now, waiting) = (Duration::ZERO, HashMap::new());
        Self { origin, gateway, now, files, waiting, events: 0, finished: 0.0 }
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Advance(by) => {
                self.now += by;
                self.gateway.clock.advance(by);
            }
            Step::Answer { file, which, outcome } => self.answer(file, which, outcome).await,
            Step::Purge { file, source } => {
                match source {
                    Source::Admin => {
                        _ = self.gateway.purge(&format!("/api/cache/{}", FILES[file])).await;
                    }
                    Source::Webhook => self.deliver(FILES[file]).await,
                }
                self.files[file].invalidate_hard(self.now, true);
            }
            Step::PurgeAll => {
                self.gateway.purge("/api/cache").await;
                for file in &mut self.files {
                    file.invalidate_hard(self.now, false);
                }
            }
            Step::SoftPurge { file } => {
                self.gateway.purge(&format!("/api/cache/{}?soft=true", FILES[file])).await;
                self.files[file].invalidate_soft(self.now, true);
            }
            Step::SoftPurgeAll => {
                self.gateway.purge("/api/cache?soft=true").await;
                for file in &mut self.files {
                    file.invalidate_soft(self.now, false);
                }
            }
            Step::Read { file } => self.read(file).await,
        }
    }

    async fn deliver(&mut self, file: &str) {
        self.events += 1;
        let body = format!(
            "{{\"id\":\"{}\",\"type\":\"file.updated\",\"data\":{{\"fileId\":\"{file}\"}}}}",
            self.events
        );
        let secret = SigningSecret::new(Secret::new(SECRET.to_owned()));
        let signature = secret.sign_legacy(self.gateway.clock.wall(), body.as_bytes());
        let length = body.len();
        let mut connection = Connection::open(self.gateway.public).await;
        let head = format!(
            "POST /webhooks/imagekit HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\
             x-ik-signature: {signature}\r\n\r\n"
        );
        connection.write(head + &body).await;
        assert_eq!(connection.read("POST").await.unwrap().status, 204);
    }

    async fn read(&mut self, file: usize) {
        let floor = self.files[file].floor;
        let mut connection = self.gateway.ask(FILES[file]).await;
        let asks = match self.files[file].read(self.now) {
            Read::Now { expected, asks } => {
                let answer = connection.read("GET").await.unwrap();
                check(&answer, &expected, floor);
                asks
            }
            Read::Waits { asks } => {
                let flight = self.files[file].current.as_ref().unwrap();
                let waiting = flight.waiting.len() as u64;
                self.gateway.has_waiting(FILES[file], waiting).await;
                let queue = self.waiting.entry((file, flight.number)).or_default();
                queue.push_back((connection, floor));
                asks
            }
        };
        let path = versions_of(FILES[file]);
        if asks {
            self.origin.has_seen(&path, self.files[file].asked).await;
        }
        assert_eq!(self.origin.requests_for(&path), self.files[file].asked, "{path}: asked");
    }

    async fn answer(&mut self, file: usize, which: usize, outcome: Outcome) {
        let model = &mut self.files[file];
        let flights = model.outdated.iter().chain(&model.current).map(|flight| flight.number);
        let flights: Vec<_> = flights.collect();
        let Some(number) = flights.get(which % flights.len().max(1)).copied() else { return };
        let place = model.outdated.iter().position(|flight| flight.number == number);
        let flight = match place {
            Some(place) => model.outdated.remove(place),
            None => model.current.take().unwrap(),
        };
        let was_current = place.is_none();
        let expected = model.land(&flight, was_current, outcome, self.now);
        let path = versions_of(FILES[file]);
        self.origin.answer(&path, number, reply(number, outcome));
        self.finished += 1.0;
        self.has_landed().await;
        let queue = self.waiting.remove(&(file, number)).unwrap_or_default();
        assert_eq!(queue.len(), expected.len());
        for ((mut connection, floor), expected) in queue.into_iter().zip(expected) {
            check(&connection.read("GET").await.unwrap(), &expected, floor);
        }
    }

    /// Waits until the gateway has taken as many upstream responses as were given.
    async fn has_landed(&self) {
        let finished = async {
            loop {
                let exposed = crate::support::get(self.gateway.admin, "/metrics").await.body;
                let calls = exposed.lines().filter_map(|line| {
                    let value = line.strip_prefix("ikgate_upstream_requests_total{")?;
                    value.rsplit(' ').next()?.parse::<f64>().ok()
                });
                if calls.sum::<f64>() >= self.finished {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), finished).await.expect("not finished");
    }

    async fn finish(mut self) {
        for file in 0..FILES.len() {
            while self.files[file].current.is_some() || !self.files[file].outdated.is_empty() {
                self.answer(file, 0, Outcome::List).await;
            }
        }
        self.gateway.finish().await;
    }
}

/// Returns an upstream response. Its body holds the number of the request that it answers.
fn reply(number: usize, outcome: Outcome) -> Reply {
    match outcome {
        Outcome::Garbage => Reply::json(200, "{}"),
        Outcome::List => Reply::json(200, &format!("[{number}]")),
        Outcome::NoStore => {
            Reply::with_fields(200, "Cache-Control: no-store\r\n", &format!("[{number}]"))
        }
        Outcome::NotFound => {
            Reply::json(404, &format!("{{\"message\":\"[{number}]\",\"help\":\"\"}}"))
        }
        Outcome::ServerError => Reply::json(500, ""),
    }
}

fn check(answer: &Answer, expected: &Expected, floor: usize) {
    let from = answer.body.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    let from: Option<usize> = from.and_then(|(number, _)| number.parse().ok());
    if let Some(from) = from {
        assert!(from >= floor, "from request {from}, sent before an invalidation: {answer:#?}");
    }
    let found = Expected {
        status: answer.status,
        from,
        cache_status: answer.field("cache-status").to_owned(),
        age: answer.find("age").map(|age| age.parse().unwrap()),
    };
    assert_eq!(found, *expected);
}

/// Takes the steps on a new gateway, each compared with the model.
fn check_steps(steps: Vec<Step>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut run = Run::start().await;
        for step in steps {
            run.take(step).await;
        }
        run.finish().await;
    });
}

/// The list is 123 s old, and its longest stale window ends at 120 s.
#[test]
fn a_list_past_all_its_stale_windows_is_fetched_again() {
    let advance = |seconds| Step::Advance(Duration::from_secs(seconds));
    check_steps(vec![
        Step::Read { file: 1 },
        Step::Answer { file: 1, which: 0, outcome: Outcome::List },
        advance(28),
        advance(28),
        advance(9),
        advance(58),
        Step::Read { file: 1 },
    ]);
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_time: 10_000, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn every_interleaving_ends_as_the_model_says(steps in prop::collection::vec(step(), 1..80)) {
        check_steps(steps);
    }
}
