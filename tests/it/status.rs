//! Tests of `ikgate status` and `ikgate top`: the state of a gateway on the screen of an operator.

use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::support::{FILE, Program, Terminal, get, run, scratch, versions_of};

const KEY: [(&str, &str); 1] = [("IMAGEKIT_PRIVATE_KEY", "private_a=")];

/// Starts a gateway whose upstream does not exist. Its configuration ends with `more`.
fn serve(directory: &Path, admin: &str, more: &str, environment: &[(&str, &str)]) -> Program {
    let config = directory.join("ikgate.toml");
    let text = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"{admin}\"\n{more}\n\
         [upstream]\nurl = \"http://127.0.0.1:1\"\nretries.max = 0\n"
    );
    std::fs::write(&config, text).unwrap();
    Program::serve(&config, environment)
}

/// Returns a gateway, and the URL of its admin listener.
fn gateway(directory: &Path) -> (Program, String) {
    let program = serve(directory, "127.0.0.1:0", "", &KEY);
    let url = format!("http://{}", program.admin);
    (program, url)
}

fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn status_shows_the_cause_that_the_statistics_name_in_plain_text() {
    let directory = scratch();
    let (program, url) = gateway(directory.path());
    for _ in 0..3 {
        assert_eq!(get(program.public, &versions_of(FILE)).await.status, 502);
    }
    let stats = get(program.admin, "/api/stats").await.json();
    let (code, screen, errors) = told(&run(&["status", "--admin", &url], &[]));
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{screen}");
    assert!(screen.starts_with(&format!("READY  {url}  up ")), "{screen}");
    assert!(!screen.contains('\x1b') && screen.lines().all(|line| line.trim_end() == line));
    let (screen, problem) = (one_line(&screen), &stats["problems"][0]);
    let cause = stats["health"]["upstream"]["last_error"]["cause"].as_str().unwrap();
    assert!(cause.contains("refused"), "{cause}");
    assert!(screen.contains("CRITICAL ImageKit has been unreachable for "), "{screen}");
    assert_eq!(screen.matches(cause).count(), 2, "as a problem and as the last error: {screen}");
    let remedy = one_line(problem["remedy"].as_str().unwrap());
    assert!(screen.contains(&format!("Remedy {remedy} Runbook: IkgateBreakerOpen")), "{screen}");
    assert!(screen.contains(&format!("{FILE} 3 ")), "the most requested file: {screen}");
}

#[tokio::test]
async fn json_is_the_statistics_and_whether_the_gateway_is_ready() {
    let directory = scratch();
    let (program, url) = gateway(directory.path());
    let stats = get(program.admin, "/api/stats").await.json();
    let (code, output, _) = told(&run(&["status", "--json", "--admin", &url], &[]));
    assert_eq!((code, output.lines().count()), (Some(0), 1), "{output}");
    let mut report: Value = serde_json::from_str(&output).unwrap();
    let added = ["ready", "readiness"].map(|key| report.as_object_mut().unwrap().remove(key));
    assert_eq!(added, [Some(json!(true)), Some(json!("ready"))]);
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&report), keys(&stats));
    assert_eq!(report["events"], stats["events"]);
}

#[test]
fn a_gateway_that_is_not_ready_or_gone_is_exit_code_1_with_the_reason() {
    let directory = scratch();
    let key = directory.path().join("imagekit.key");
    std::fs::write(&key, "private_a=").unwrap();
    let file = [("IKGATE_UPSTREAM__PRIVATE_KEY_FILE", key.to_str().unwrap())];
    let program = serve(directory.path(), "127.0.0.1:0", "", &file);
    let url = format!("http://{}", program.admin);
    std::fs::remove_file(&key).unwrap();
    let (code, screen, errors) = told(&run(&["status", "--admin", &url], &[]));
    assert_eq!(code, Some(1));
    assert!(screen.starts_with("NOT READY: the private key cannot be read  http://"), "{screen}");
    assert_eq!(errors, "ikgate: not ready: the private key cannot be read\n");
    let (code, output, _) = told(&run(&["status", "--json", "--admin", &url], &[]));
    assert!(code == Some(1) && output.starts_with("{\"ready\":false,"), "{output}");

    let public = format!("http://{}", program.public);
    let (code, _, errors) = told(&run(&["status", "--admin", &public], &[]));
    let expected = "is not an admin listener of ikgate (404): --admin names it";
    assert!(code == Some(1) && errors.contains(expected), "{errors}");

    program.signal("TERM");
    program.wait();
    let (code, screen, errors) = told(&run(&["status", "--admin", &url], &[]));
    assert_eq!((code, screen.as_str()), (Some(1), ""));
    assert!(errors.starts_with(&format!("ikgate: no answer from {url}: ")), "{errors}");
    assert!(errors.contains("refused") && errors.contains("--admin"), "{errors}");
}

#[test]
fn a_token_that_is_missing_or_refused_is_told_with_its_option_and_ends_top() {
    let directory = scratch();
    let file = |name: &str, token: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, token).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (right, wrong) = (file("admin.token", "a-token-of-an-operator"), file("other", "another"));
    let program = serve(directory.path(), "0.0.0.0:0", "token_file = \"admin.token\"", &KEY);
    let url = format!("http://127.0.0.1:{}", program.admin.port());
    let status = |more: &[&str]| told(&run(&[&["status", "--admin", &url], more].concat(), &[]));
    let missing = format!("{url} needs the admin token (401): --token-file names its file");
    assert_eq!(status(&[]), (Some(1), String::new(), format!("ikgate: {missing}\n")));
    let (code, _, errors) = status(&["--token-file", &wrong]);
    assert!(code == Some(1) && errors.contains("refuses the admin token (401)"), "{errors}");
    assert_eq!(status(&["--token-file", &right]).0, Some(0));

    let mut top = Terminal::start(&["top", "--admin", &url], &[]);
    assert_eq!(top.is_left_as_it_was(), Some(1));
    assert!(one_line(&top.text()).contains("needs the admin token"), "{}", top.text());
}

#[test]
fn top_shows_the_gateway_until_a_key_or_a_signal_and_leaves_the_terminal_as_it_was() {
    let directory = scratch();
    let (_program, url) = gateway(directory.path());
    for end in ["q", "\x1b", "\x03", "TERM"] {
        let mut top = Terminal::start(&["top", "--admin", &url], &[]);
        top.shows("READY  http://");
        top.shows("Last error   none since the start");
        top.shows("Updated every 2 s. q, Esc or Ctrl-C quits.");
        if end == "TERM" {
            top.signal(end);
        } else {
            top.press(end);
        }
        assert_eq!(top.is_left_as_it_was(), Some(0), "{end:?}");
        assert!(!top.text().contains("READY"), "{}", top.text());
        assert!(top.output.contains("\x1b[38;5;"), "no colours: {:?}", top.output);
    }
}

#[test]
fn top_fits_a_terminal_that_changes_its_size_and_has_no_colours_if_none_are_wanted() {
    let directory = scratch();
    let (_program, url) = gateway(directory.path());
    let mut top = Terminal::start(&["top", "--admin", &url], &[("NO_COLOR", "1")]);
    top.shows("Top files by upstream calls");
    top.resize(5, 30);
    top.hides("Traffic");
    top.shows("READY");
    top.resize(40, 120);
    top.shows("Recent events");
    top.press("q");
    assert_eq!(top.is_left_as_it_was(), Some(0));
    assert!(!["[38;", "[48;", "[3", "[4", "[9"].iter().any(|code| has_colour(&top.output, code)));
}

/// Returns whether the output sets a colour with a sequence that begins so. Resets are none.
fn has_colour(output: &str, code: &str) -> bool {
    output.match_indices(&format!("\x1b{code}")).any(|(at, found)| {
        let rest = &output[at + found.len()..];
        let end = rest.find(|character: char| !character.is_ascii_digit() && character != ';');
        let (digits, command) = rest.split_at(end.unwrap_or(rest.len()));
        command.starts_with('m') && digits != "9"
    })
}

#[test]
fn status_in_a_terminal_prints_once_on_the_screen_that_is_there() {
    let directory = scratch();
    let (_program, url) = gateway(directory.path());
    let mut status = Terminal::start(&["status", "--admin", &url], &[]);
    assert_eq!(status.is_left_as_it_was(), Some(0));
    assert!(status.text().starts_with("READY  http://"), "{}", status.text());
    assert!(status.output.contains("\x1b[38;5;") && !status.output.contains("\x1b[?"));
}

/// Relays connections to the admin listener of a gateway while it is told to.
async fn relay(gateway: std::net::SocketAddr) -> (String, Arc<AtomicBool>) {
    let relays = Arc::new(AtomicBool::new(true));
    let is_open = Arc::clone(&relays);
    let (address, _) = crate::shared::listen(move |mut client| {
        let relays = is_open.load(Ordering::SeqCst);
        async move {
            if relays {
                let mut server = TcpStream::connect(gateway).await.unwrap();
                // It fails if a side is reset. The client notices by itself.
                _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            }
        }
    })
    .await;
    (format!("http://{address}"), relays)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn top_says_since_when_the_gateway_is_gone_and_shows_it_again_when_it_is_back() {
    let directory = scratch();
    let (program, _) = gateway(directory.path());
    let (url, relays) = relay(program.admin).await;
    relays.store(false, Ordering::SeqCst);
    let mut top = Terminal::start(&["top", "--admin", &url], &[]);
    top.shows("NO ANSWER    gateway gone since ");
    top.shows("not seen yet: no answer from");
    relays.store(true, Ordering::SeqCst);
    top.shows("READY  http://");
    top.hides("NO ANSWER");
    relays.store(false, Ordering::SeqCst);
    top.shows("last seen ");
    assert!(top.text().contains("\nREADY  http://"), "{}", top.text());
    assert!(top.output.contains("\x1b[2m"), "the old values are dimmed");
    relays.store(true, Ordering::SeqCst);
    top.hides("NO ANSWER");
    top.press("q");
    assert_eq!(top.is_left_as_it_was(), Some(0));
}
