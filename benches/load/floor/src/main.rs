//! Baseline server of the load tests: one epoll loop that answers each request with fixed bytes.
//!
//! It only finds the end of a request and keeps no state. The cost of a server above this baseline
//! is the cost of its work.
//!
//! `ikgate-floor BYTES [FIELD...]` answers with a body of `BYTES` bytes and the given fields.

use std::collections::HashMap;
use std::error::Error;
use std::io::{ErrorKind, Read, Write};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

const LISTENER: Token = Token(0);
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let length: usize = arguments.next().ok_or("how many bytes?")?.parse()?;
    let answer = answer(length, arguments);
    let mut listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    println!("http://{}", listener.local_addr()?);
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut connections: HashMap<Token, TcpStream> = HashMap::new();
    let (mut events, mut next, mut buffer) = (Events::with_capacity(1024), 1, vec![0; 16_384]);
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            let token = event.token();
            if token != LISTENER {
                let open = connections.get_mut(&token).map(|one| serve(one, &mut buffer, &answer));
                if !matches!(open, Some(Ok(true))) {
                    connections.remove(&token);
                }
                continue;
            }
            while let Ok((mut stream, _peer)) = listener.accept() {
                stream.set_nodelay(true)?;
                let token = Token(next);
                next += 1;
                poll.registry().register(&mut stream, token, Interest::READABLE)?;
                connections.insert(token, stream);
            }
        }
    }
}

fn answer(length: usize, fields: impl Iterator<Item = String>) -> Vec<u8> {
    let fields: String = fields.map(|field| format!("{field}\r\n")).collect();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n{fields}\r\n");
    let mut answer = head.into_bytes();
    // The body is a list, so that this server can act as an upstream.
    answer.extend(b"[\"".iter().chain(&vec![b'x'; length.saturating_sub(4)]).chain(b"\"]"));
    answer
}

/// Serves one request. The load generator sends requests whole and one at a time. Returns false if
/// the client has closed.
fn serve(stream: &mut TcpStream, buffer: &mut [u8], answer: &[u8]) -> std::io::Result<bool> {
    let mut filled = 0;
    loop {
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => return Ok(false),
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error),
        }
        if buffer[..filled].ends_with(END_OF_HEAD) {
            break;
        }
    }
    let mut rest = answer;
    while !rest.is_empty() {
        match stream.write(rest) {
            Ok(written) => rest = &rest[written..],
            // The generator reads as fast as it can, so there is room again at once.
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
            Err(error) => return Err(error),
        }
    }
    // A read that is shorter than the buffer has emptied the socket: the next bytes cause the next
    // event.
    Ok(true)
}
