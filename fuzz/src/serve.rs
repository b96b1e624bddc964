//! HTTP servers in this process that answer with the input's bytes.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// What a request for a path is answered with: pieces, one write each.
type Answer = Box<dyn FnMut(&str) -> Vec<Vec<u8>> + Send>;

/// What is answered from now on.
#[derive(Clone)]
pub struct Script(Arc<Mutex<Answer>>);

impl Script {
    pub fn set(&self, answer: impl FnMut(&str) -> Vec<Vec<u8>> + Send + 'static) {
        *self.0.lock().unwrap() = Box::new(answer);
    }

    fn new() -> Self {
        Self(Arc::new(Mutex::new(Box::new(|_| Vec::new()))))
    }
}

/// A server on a loopback port; its address.
pub fn tcp() -> (String, Script) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let script = Script::new();
    let own = script.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let own = own.clone();
            std::thread::spawn(move || drop(stream.map(|stream| talk(stream, &own))));
        }
    });
    (address, script)
}

/// A server on a socket in a folder that goes with the process; its path.
pub fn unix(folder: &Path) -> (PathBuf, Script) {
    let path = folder.join("docker.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let script = Script::new();
    let own = script.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let own = own.clone();
            std::thread::spawn(move || drop(stream.map(|stream| talk(stream, &own))));
        }
    });
    (path, script)
}

/// Answers one request and closes, as `Connection: close` says.
fn talk(mut stream: impl Read + Write, script: &Script) -> std::io::Result<()> {
    let (mut request, mut buffer) = (Vec::new(), [0; 8192]);
    let head = loop {
        let read = stream.read(&mut buffer)?;
        request.extend_from_slice(&buffer[..read]);
        if let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") {
            break String::from_utf8_lossy(&request[..end]).into_owned();
        }
        if read == 0 {
            return Ok(());
        }
    };
    // A chunked body ends in a chunk of no length; others of ours fit into the first read.
    if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        while !request.ends_with(b"0\r\n\r\n") {
            let read = stream.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            request.extend_from_slice(&buffer[..read]);
        }
    }
    let path = head.split(' ').nth(1).unwrap_or_default();
    let pieces = (script.0.lock().unwrap())(path);
    for piece in pieces {
        stream.write_all(&piece)?;
        stream.flush()?;
    }
    Ok(())
}

/// The head of an answer whose body ends with the connection.
pub fn head(status: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n").into_bytes()
}

/// A whole answer.
pub fn answer(status: &str, body: &[u8]) -> Vec<u8> {
    [head(status), body.to_vec()].concat()
}
