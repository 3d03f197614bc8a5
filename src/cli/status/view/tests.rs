//! Tests of the drawn screen, as the text that is printed.

use serde_json::json;

use super::*;
use crate::cli::status::output::text;
use crate::cli::status::samples::{NOW, body, of, well};
use crate::cli::status::snapshot::Readiness;

fn drawn_with(view: &View<'_>, width: u16, height: u16) -> Buffer {
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    view.draw(buffer.area, &mut buffer);
    buffer
}

fn view(snapshot: Option<&Snapshot>) -> View<'_> {
    let palette = Palette { has_colours: false };
    View { url: "http://127.0.0.1:9090", snapshot, silence: None, palette, is_live: false }
}

fn drawn(snapshot: &Snapshot, width: u16, height: u16) -> String {
    text(&drawn_with(&view(Some(snapshot)), width, height), false)
}

/// Returns a state with a long problem, and everything else that can be wrong.
fn trouble() -> Snapshot {
    let mut body = body();
    body["health"] = json!({
        "upstream": {
            "breaker": "open", "private_key": "accepted", "private_key_file": null,
                "key_refusals": 0, "key_refused_since": null,
            "budget_available": 3,
            "budget_limit": { "set_by": "imagekit", "per_second": 2.5, "burst": 10 },
            "failing_since": NOW - 200, "failed_calls": 9,
            "last_error": { "at": NOW - 2, "outcome": "unreachable", "cause": "Connection refused" },
        },
        "fleet": "cut_off", "fleet_error": "it did not answer in time", "pending_purges": 2, "draining": false, "connections": 3,
        "certificate_expires": NOW + 90_061,
    });
    body["problems"] = json!([{
        "severity": "critical",
        "code": "upstream_unreachable",
        "cause": "ImageKit has been unreachable for 3 min: Connection refused. In the last minute \
                  41 % of requests were answered stale and 59 % failed. The circuit breaker is \
                  open: no call leaves.",
        "remedy": "Check name resolution and the firewall.",
        "runbook": "IkgateBreakerOpen",
    }]);
    of(&body)
}

#[test]
fn a_healthy_gateway_fits_on_a_screen_of_80_by_24() {
    let expected = "\
READY  http://127.0.0.1:9090  up 3 h 12 min  2025-11-26T14:40:00Z  ikgate 0.1.0
Upstream     circuit breaker closed, private key accepted
Last error   none since the start
Budget       100 calls to ImageKit available now
Fleet        none: this gateway is alone
Certificate  none: no TLS on the public listener

Traffic                last 5 s  last 15 min   Now
Requests                  200/s        200/s   Cache size    1 MiB of 256 MiB
Errors (5xx)                0 %          0 %   Cache entries 812
Hit ratio                  98 %         98 %   Connections   12 of 10000
Upstream calls saved      197/s        197/s   Memory        45 MiB resident
Throttled                   0/s          0/s   Fills         0 in progress

Top callers, last 15 min              Requests Hit ratio Throttled    401    5xx
web-team                                  180k      98 %         0      0      0
anonymous                                   10         –         7      3      0

Top files by requests         Requests   Top files by upstream calls       Calls
64a1b2c3d4e5f60718293a4b         ≈ 90k   64a1b2c3d4e5f60718293a4c              7

Time      Level Recent events
14:39:00Z info  ready";
    assert_eq!(drawn(&well(), 80, 24), expected);
}

#[test]
fn a_wide_screen_shows_the_path_of_a_file() {
    let screen = drawn(&well(), 120, 24);
    assert!(screen.contains("64a1b2c3d4e5f60718293a4c  /images/red-car.jpg"), "{screen}");
}

#[test]
fn a_problem_comes_first_with_its_whole_cause_and_its_remedy() {
    let expected = "\
READY  http://127.0.0.1:9090  up 3 h 12 min  2025-11-26T14:40:00Z  ikgate 0.1.0
CRITICAL     ImageKit has been unreachable for 3 min: Connection refused. In the
             last minute 41 % of requests were answered stale and 59 % failed.
             The circuit breaker is open: no call leaves.
Remedy       Check name resolution and the firewall. Runbook: IkgateBreakerOpen
Upstream     circuit breaker open, private key accepted, failing for 3 min 20 s
             (9 calls in a row)
Last error   2 s ago: Connection refused (unreachable)
Budget       3 calls to ImageKit available now, at 2.5/s (ImageKit's own limit)
Fleet        cut off, 2 pending purges: it did not answer in time
Certificate  expires in 1 d 1 h, at 2025-11-27T15:41:01Z";
    let screen = drawn(&trouble(), 80, 24);
    assert!(screen.starts_with(expected), "{screen}");
    assert!(screen.contains("web-team") && screen.contains("Top files"), "{screen}");
}

#[test]
fn a_gateway_that_has_just_started_shows_dashes_and_no_entries() {
    let mut body = body();
    for list in ["points", "callers", "events"] {
        body[list] = json!([]);
    }
    body["top"] = json!({ "requests": [], "fills": [] });
    let screen = drawn(&of(&body), 80, 24);
    assert!(screen.contains("Hit ratio                     –            –   Connections   –"));
    assert!(screen.contains("\nTop callers, –  "), "{screen}");
    assert_eq!(screen.lines().filter(|line| line.starts_with("none")).count(), 2, "{screen}");
    assert!(!screen.contains("Recent events"), "{screen}");
}

#[test]
fn a_gateway_that_is_not_ready_says_why_first() {
    let mut snapshot = well();
    let readiness = "draining".to_owned();
    snapshot.readiness = Readiness { is_ready: false, readiness };
    assert!(drawn(&snapshot, 80, 24).starts_with("NOT READY: draining  http://"));
}

#[test]
fn long_names_and_lists_are_cut_and_a_line_says_how_many_are_left_out() {
    let mut body = body();
    let callers = (0..20).map(|number| {
        json!({ "caller": format!("{number:0>64}"), "requests": 31, "lookups": 1, "hits": 1,
                "failed": 5, "unauthorized": 0, "throttled": 0 })
    });
    body["callers"] = callers.collect();
    let files = json!(vec![json!({ "file": "f".repeat(64), "count": 77, "error": 0 }); 20]);
    body["top"] = json!({ "requests": files, "fills": files });
    let snapshot = of(&body);
    for (height, callers, files) in [(24, 3, 2), (50, 16, 15), (80, 20, 20)] {
        let screen = drawn(&snapshot, 80, height);
        let count = |end: &str| screen.lines().filter(|line| line.ends_with(end)).count();
        assert_eq!((count("     5"), count("       77")), (callers, files), "{screen}");
        for shown in [callers, files].into_iter().filter(|shown| *shown < 20) {
            assert!(screen.contains(&format!("… {} more", 20 - shown)), "{screen}");
        }
        assert!(screen.lines().count() <= height.into() && screen.contains(" 31 "), "{screen}");
    }
}

#[test]
fn no_size_of_a_terminal_panics_and_the_first_line_stays() {
    let (trouble, well) = (trouble(), well());
    let silence = Silence { since: NOW, last_seen: Some(NOW - 1), reason: "a ".repeat(300) };
    for width in (0..100).step_by(9).chain([200, 400]) {
        for height in (0..40).step_by(3).chain([100]) {
            for snapshot in [&trouble, &well] {
                let screen = drawn(snapshot, width, height);
                assert_eq!(screen.starts_with("READY"), width >= 5 && height >= 1, "{screen}");
            }
            let view = View { silence: Some(&silence), is_live: true, ..view(Some(&well)) };
            drawn_with(&view, width, height);
        }
    }
    let narrow = drawn(&trouble, 30, 24);
    assert!(narrow.contains("\nCRITICAL: ImageKit has been\nunreachable for 3 min:"), "{narrow}");
}

#[test]
fn silence_stands_above_the_old_values_which_are_dimmed() {
    let well = well();
    let reason = "no answer from http://127.0.0.1:9090: Connection refused".to_owned();
    let silence = Silence { since: NOW + 60, last_seen: Some(NOW + 58), reason };
    let view = View { silence: Some(&silence), is_live: true, ..view(Some(&well)) };
    let buffer = drawn_with(&view, 80, 24);
    let screen = text(&buffer, false);
    let told = "\
NO ANSWER    gateway gone since 14:41:00Z, last seen 14:40:58Z: no answer from
             http://127.0.0.1:9090: Connection refused
READY  http";
    assert!(screen.starts_with(told), "{screen}");
    assert!(screen.ends_with("\nUpdated every 2 s. q, Esc or Ctrl-C quits."), "{screen}");
    let is_dim = |x, y| buffer[(x, y)].modifier.contains(Modifier::DIM);
    assert_eq!([is_dim(0, 0), is_dim(0, 2), is_dim(40, 10)], [false, true, true]);
}

#[test]
fn texts_of_the_gateway_cannot_send_escape_sequences() {
    let nasty = "a\u{1b}[2J\u{1b}]0;b\u{7}\u{9b}31m\r\n\u{202e}";
    let mut body = body();
    body["version"] = json!(nasty);
    body["callers"][0]["caller"] = json!(nasty);
    body["top"]["requests"][0]["file"] = json!(nasty);
    body["events"][0]["text"] = json!(nasty);
    body["health"]["upstream"]["last_error"] =
        json!({ "at": NOW, "outcome": nasty, "cause": nasty });
    body["problems"] = json!([{ "severity": "warning", "code": nasty, "cause": nasty,
                                "remedy": nasty, "runbook": nasty }]);
    let screen = drawn(&of(&body), 300, 60);
    assert!(screen.matches("a\\u{1b}[2J\\u{1b}]0;b\\u{7}\\u{9b}31m\\r\\n\\u{202e}").count() >= 8);
    let is_plain = |character: char| !character.is_control() && character != '\u{202e}';
    assert!(screen.lines().all(|line| line.chars().all(is_plain)), "{screen:?}");
}

#[test]
fn colours_are_escape_sequences_only_if_they_are_wanted() {
    let trouble = trouble();
    let mut view = view(Some(&trouble));
    let plain = text(&drawn_with(&view, 80, 24), true);
    assert!(plain.contains("\u{1b}[1m") && !plain.contains("\u{1b}[3"), "{plain:?}");
    view.palette = Palette { has_colours: true };
    let coloured = drawn_with(&view, 80, 24);
    assert!(text(&coloured, true).contains("\u{1b}[38;5;"), "{:?}", text(&coloured, true));
    assert!(!text(&coloured, false).contains('\u{1b}'));
}
