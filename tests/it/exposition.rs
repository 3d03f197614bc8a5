//! Tests of the metrics exposition with a strict parser: the Prometheus text format 0.0.4 and
//! `OpenMetrics` 1.0.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{Answer, FILE, Origin, Reply, TestGateway, get, send, versions_of};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    OpenMetrics,
    Prometheus,
}

/// Lines of one metric family, in order.
#[derive(Debug, Default)]
struct Family {
    name: String,
    kind: String,
    help: Option<String>,
    unit: Option<String>,
    samples: Vec<Sample>,
}

#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Sample {
    /// Parses a line of exactly the form `NAME[{LABEL="VALUE",...}] NUMBER`.
    fn parse(line: &str) -> Self {
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let (name, mut rest) = series.split_once('{').unwrap_or((series, "}"));
        let mut labels = BTreeMap::new();
        while rest != "}" {
            let (label, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
            assert!(is_name(label), "{line}");
            let end = end_of_value(after).unwrap_or_else(|| panic!("{line}"));
            let value = after[..end].to_owned();
            assert!(labels.insert(label.to_owned(), value).is_none(), "twice: {line}");
            rest = &after[end + 1..];
            rest = rest.strip_prefix(',').unwrap_or(rest);
        }
        assert!(is_name(name), "{line}");
        let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
        Self { name: name.to_owned(), labels, value }
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !text.starts_with(|c: char| c.is_ascii_digit())
}

/// Returns the index of the closing quote. Only a backslash, a quote and a line feed are escaped.
fn end_of_value(text: &str) -> Option<usize> {
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some(at),
            '\\' => assert!(matches!(characters.next()?.1, '\\' | '"' | 'n'), "{text}"),
            _ => {}
        }
    }
    None
}

/// Parses an exposition, and checks that each family is contiguous and follows its metadata.
fn families(text: &str, form: Form) -> Vec<Family> {
    let mut lines: Vec<_> = text.split('\n').collect();
    assert_eq!(lines.pop(), Some(""), "the last line ends");
    if form == Form::OpenMetrics {
        assert_eq!(lines.pop(), Some("# EOF"));
    }
    let (mut families, mut begun) = (Vec::<Family>::new(), BTreeSet::new());
    for line in lines {
        assert!(!line.is_empty() && !line.contains('\r') && line.trim() == line, "{line:?}");
        let Some(comment) = line.strip_prefix('#') else {
            let family = families.last_mut().expect("metadata comes first");
            family.samples.push(Sample::parse(line));
            continue;
        };
        let mut words =
            comment.strip_prefix(' ').unwrap_or_else(|| panic!("{line}")).splitn(3, ' ');
        let [keyword, name, rest] = [(); 3].map(|()| words.next().unwrap_or_default().to_owned());
        if families.last().is_none_or(|family| family.name != name) {
            assert!(is_name(&name) && begun.insert(name.clone()), "a second time: {line}");
            families.push(Family { name, ..Family::default() });
        }
        let family = families.last_mut().unwrap();
        assert!(family.samples.is_empty(), "below a sample: {line}");
        let stated = match keyword.as_str() {
            "TYPE" if family.kind.is_empty() => {
                family.kind = rest;
                None
            }
            "HELP" => family.help.replace(rest),
            "UNIT" if form == Form::OpenMetrics => family.unit.replace(rest),
            _ => panic!("{line}"),
        };
        assert_eq!(stated, None, "a second time: {line}");
    }
    families
}

impl Family {
    fn check(&self, form: Form) {
        let Self { name, kind, help, unit, samples } = self;
        assert!(help.as_ref().is_some_and(|help| !help.is_empty()), "{name}");
        if let Some(unit) = unit {
            assert!(name.ends_with(&format!("_{unit}")), "{name}: {unit}");
        }
        let suffixes: &[&str] = match (form, kind.as_str()) {
            (_, "histogram") => &["_bucket", "_sum", "_count"],
            (_, "gauge") | (Form::Prometheus, "counter") => &[""],
            (Form::OpenMetrics, "counter") => &["_total"],
            (Form::OpenMetrics, "info") => &["_info"],
            _ => panic!("{name} is a {kind}"),
        };
        let of_info = form == Form::OpenMetrics && kind == "info";
        assert!(form == Form::Prometheus || !name.ends_with("_total") && !name.ends_with("_info"));
        assert!(
            form == Form::OpenMetrics || kind != "counter" || name.ends_with("_total"),
            "{name}"
        );
        for Sample { name: own, labels, value } in samples {
            let suffix = own.strip_prefix(name.as_str()).unwrap_or_else(|| panic!("{own}: {name}"));
            assert!(suffixes.contains(&suffix), "{own} in {name}");
            assert!(kind != "counter" || value.is_finite() && *value >= 0.0, "{own}: {value}");
            assert!(!of_info || (*value - 1.0).abs() < f64::EPSILON, "{own}: {value}");
            assert!(suffix == "_bucket" || !labels.contains_key("le"), "{own}");
        }
        if kind == "histogram" {
            self.check_histograms();
        }
    }

    /// Checks that each histogram is complete: buckets in order up to `+Inf`, and sum and count
    /// before or after them.
    fn check_histograms(&self) {
        let mut of = BTreeMap::<_, (Vec<(f64, f64)>, Vec<f64>, Vec<f64>)>::new();
        for Sample { name, labels, value } in &self.samples {
            let mut labels = labels.clone();
            let bound = labels.remove("le").map(|bound| bound.parse().unwrap());
            let (buckets, sums, counts) = of.entry(labels).or_default();
            match name.strip_prefix(self.name.as_str()).unwrap() {
                "_bucket" => buckets.push((bound.unwrap(), *value)),
                "_sum" => sums.push(*value),
                _ => counts.push(*value),
            }
        }
        for (labels, (buckets, sums, counts)) in of {
            let at = format!("{} {labels:?}", self.name);
            assert!(buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{at}: {buckets:?}");
            assert!(buckets.iter().all(|(_, count)| count.fract() == 0.0), "{at}: {buckets:?}");
            let (bound, all) = *buckets.last().unwrap();
            assert_eq!((bound, counts.as_slice()), (f64::INFINITY, &[all][..]), "{at}");
            assert!(matches!(sums[..], [sum] if sum >= 0.0), "{at}: {sums:?}");
        }
    }
}

/// Checks one exposition by its content type, and returns its families.
fn checked(scraped: &Answer) -> Vec<Family> {
    assert_eq!(scraped.status, 200);
    let form = match scraped.field("content-type") {
        OPEN_METRICS => Form::OpenMetrics,
        PROMETHEUS => Form::Prometheus,
        other => panic!("{other}"),
    };
    let text = std::str::from_utf8(&scraped.bytes).unwrap();
    let families = families(text, form);
    let mut series = BTreeSet::new();
    for family in &families {
        family.check(form);
        for sample in &family.samples {
            assert!(series.insert((&sample.name, &sample.labels)), "twice: {sample:?}");
        }
    }
    families
}

async fn scrape(gateway: &TestGateway, accept: &[&str]) -> Answer {
    let fields: Vec<_> = accept.iter().map(|line| ("Accept", *line)).collect();
    send(gateway.admin, "GET", "/metrics", &fields).await
}

/// Starts a gateway and causes hits, misses, errors and purges, also by a named caller.
async fn worked() -> (Origin, TestGateway) {
    let origin = Origin::start().await;
    let path = versions_of(FILE);
    origin.replies(&path, Reply::json(200, "[1,2]"));
    let digest = ikgate::caller::KeyDigest::of("ikg_key");
    let more = format!(
        "[limits]\nanonymous = {{ per_second = 1, burst = 5 }}\n\
         [[callers]]\nname = \"web.team-1_A\"\nkey_sha256 = \"{digest}\""
    );
    let gateway = TestGateway::configured(&origin, &more);
    for _ in 0..7 {
        gateway.get(&path).await;
    }
    gateway.send("GET", &path, &[("Authorization", "Bearer ikg_key")]).await;
    gateway.send("GET", &path, &[("Authorization", "Bearer \"\\")]).await;
    gateway.send("GET", &versions_of("other"), &[("Authorization", "Bearer ikg_key")]).await;
    gateway.get("/\"\\\n").await;
    gateway.purge("/api/cache").await;
    (origin, gateway)
}

#[tokio::test]
async fn both_expositions_are_valid_by_a_strict_parser_and_say_the_same() {
    let (_origin, gateway) = worked().await;
    let prometheus = checked(&scrape(&gateway, &[]).await);
    let open = checked(&scrape(&gateway, &["application/openmetrics-text"]).await);
    assert!(prometheus.len() > 35 && prometheus.len() == open.len());
    let kinds: BTreeSet<_> = open.iter().map(|family| family.kind.as_str()).collect();
    assert_eq!(kinds, BTreeSet::from(["counter", "gauge", "histogram", "info"]));
    for (one, other) in prometheus.iter().zip(&open) {
        let series = |family: &Family| {
            let of = |sample: &Sample| (sample.name.clone(), sample.labels.clone());
            family.samples.iter().map(of).collect::<Vec<_>>()
        };
        // The system's counters of the process change between two scrapes, so values may differ.
        assert_eq!(series(one), series(other));
        assert_eq!(one.help, other.help);
    }
    gateway.finish().await;
}

#[tokio::test]
async fn the_format_is_the_one_that_a_scraper_prefers() {
    let gateway = TestGateway::start(&Origin::start().await);
    for (accept, expected) in [
        (&[][..], PROMETHEUS),
        (&["*/*"], PROMETHEUS),
        (&["application/openmetrics-text"], OPEN_METRICS),
        (&["text/plain;q=0.4", "APPLICATION/OpenMetrics-Text; Q=0.5"], OPEN_METRICS),
        (&["application/openmetrics-text;q=0.4", "text/plain;q=0.5"], PROMETHEUS),
        (&["application/openmetrics-text;q=0, text/plain"], PROMETHEUS),
        (&["application/openmetrics-text; version=0.0.1"], PROMETHEUS),
    ] {
        let scraped = scrape(&gateway, accept).await;
        assert_eq!(scraped.field("content-type"), expected, "{accept:?}");
        assert!(!checked(&scraped).is_empty());
    }
    gateway.finish().await;
}

#[tokio::test]
async fn scrapes_at_once_are_all_whole() {
    let (_origin, gateway) = worked().await;
    let path = versions_of(FILE);
    let one = || scrape(&gateway, &["application/openmetrics-text"]);
    let other = || get(gateway.admin, "/metrics");
    let (a, b, c, d, ..) =
        tokio::join!(one(), other(), one(), other(), gateway.get(&path), gateway.get(&path));
    for scraped in [a, b, c, d] {
        assert!(checked(&scraped).len() > 35);
    }
    gateway.finish().await;
}
