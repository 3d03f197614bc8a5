//! The floor under every measurement: one epoll loop that answers each request with fixed bytes.
//!
//! It reads no more of a request than where it ends, and keeps nothing. Whatever a server costs
//! more than this, its work costs.
//!
//! `ikgate-floor BYTES [FIELD...]`: with a body of so many bytes, and these fields.

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
    // A list, so that it can stand for an upstream.
    answer.extend(b"[\"".iter().chain(&vec![b'x'; length.saturating_sub(4)]).chain(b"\"]"));
    answer
}

/// One request, as the generator sends them: whole, and one at a time. False: it has left.
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
            // The generator reads as fast as it can; it will have room at once.
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
            Err(error) => return Err(error),
        }
    }
    // What is shorter than the buffer was all there was: the next event comes with the next bytes.
    Ok(true)
}
