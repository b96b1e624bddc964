//! A GitHub that does as it is told: an API and a file host on ports of their
//! own, and the archives that `git archive` would make, honest and hostile.

#![allow(dead_code, reason = "each test file uses its part")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use preview_agent::github::Request;

/// The commit that archives are of unless said otherwise.
pub(crate) const COMMIT: &str = "b9270236a09a6d6aeda0757cecf48e4e02f4ce19";

/// What asks for that commit's source, of an API that is still to be named.
pub(crate) fn request() -> Request {
    Request {
        api_url: String::new(),
        repository: "acme/api".into(),
        reference: COMMIT.into(),
        token: None,
        context: ".".into(),
        dockerfile: "Dockerfile".into(),
    }
}

/// What a host does with one request.
#[derive(Clone)]
pub(crate) enum Answer {
    /// 302 to this address.
    Redirect(String),
    /// A status with headers and a body.
    Status(u16, Vec<(&'static str, String)>, String),
    /// 200 with its length.
    Body(Vec<u8>),
    /// 200 without a length, ended by closing.
    Unsized(Vec<u8>),
    /// 200 with the whole length, but cut after so many bytes.
    Cut(Vec<u8>, usize),
    /// 200 with the whole length, silent after so many bytes until the client goes.
    Stall(Vec<u8>, usize),
    /// 200, so many bytes at a time with a pause after each.
    Drip(Vec<u8>, usize, Duration),
    /// Closed without a word.
    Hangup,
}

/// One HTTP host; stops when dropped.
pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    script: Arc<Mutex<(Vec<Answer>, Vec<String>)>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Host {
    /// Gives these answers in turn, the last one for ever.
    pub(crate) fn new(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new((answers, Vec::new())));
        let stop = Arc::new(AtomicBool::new(false));
        let (own_script, own_stop) = (script.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if own_stop.load(Ordering::SeqCst) {
                    return;
                }
                let script = own_script.clone();
                std::thread::spawn(move || serve(stream.unwrap(), &script));
            }
        });
        Self { address, script, stop, thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The part of a configuration by which this API gives the commit's source.
    pub(crate) fn source(&self, commit: &str) -> String {
        format!("source: {{ repository: acme/api, ref: {commit}, api_url: \"{}\" }}\n", self.url())
    }

    /// Heads of the requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.script.lock().unwrap().1.clone()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the listener.
        drop(TcpStream::connect(self.address));
        self.thread.take().unwrap().join().unwrap();
    }
}

/// An API that redirects to a file host, which refuses whoever brings a token.
pub(crate) struct GitHub {
    pub(crate) api: Host,
    pub(crate) files: Host,
}

impl GitHub {
    /// The file host gives these answers in turn.
    pub(crate) fn new(answers: Vec<Answer>) -> Self {
        let files = Host::new(answers);
        let secret = format!("{}/acme/api/legacy.tar.gz?token=redirect-secret", files.url());
        Self { api: Host::new(vec![Answer::Redirect(secret)]), files }
    }

    /// A file host that serves this archive.
    pub(crate) fn serving(archive: Vec<u8>) -> Self {
        Self::new(vec![Answer::Body(archive)])
    }
}

fn serve(mut stream: TcpStream, script: &Mutex<(Vec<Answer>, Vec<String>)>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let answer = {
        let (answers, requests) = &mut *script.lock().unwrap();
        requests.push(head.clone());
        if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() }
    };
    let is_file = head.starts_with("GET /acme/api/legacy.tar.gz");
    let answer = if is_file && head.to_lowercase().contains("\r\nauthorization:") {
        Answer::Status(400, Vec::new(), r#"{"message":"a token reached the file host"}"#.into())
    } else {
        answer
    };
    // The client may go at any point; that is its right.
    drop(reply(&mut stream, answer));
}

fn reply(stream: &mut TcpStream, answer: Answer) -> std::io::Result<()> {
    match answer {
        Answer::Redirect(url) => {
            write!(
                stream,
                "HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
        }
        Answer::Status(status, headers, body) => {
            write!(
                stream,
                "HTTP/1.1 {status} Said\r\nContent-Length: {}\r\nConnection: close\r\n",
                body.len()
            )?;
            for (name, value) in headers {
                write!(stream, "{name}: {value}\r\n")?;
            }
            write!(stream, "\r\n{body}")
        }
        Answer::Body(body) => {
            let length = body.len();
            ok(stream, Some(length))?;
            stream.write_all(&body)
        }
        Answer::Unsized(body) => {
            ok(stream, None)?;
            stream.write_all(&body)
        }
        Answer::Cut(body, at) => {
            ok(stream, Some(body.len()))?;
            stream.write_all(&body[..at])
        }
        Answer::Stall(body, at) => {
            ok(stream, Some(body.len()))?;
            stream.write_all(&body[..at])?;
            stream.read(&mut [0]).map(drop)
        }
        Answer::Drip(body, size, pause) => {
            ok(stream, Some(body.len()))?;
            for piece in body.chunks(size) {
                stream.write_all(piece)?;
                std::thread::sleep(pause);
            }
            Ok(())
        }
        Answer::Hangup => Ok(()),
    }
}

fn ok(stream: &mut TcpStream, length: Option<usize>) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/x-gzip\r\nConnection: close\r\n")?;
    if let Some(length) = length {
        write!(stream, "Content-Length: {length}\r\n")?;
    }
    write!(stream, "\r\n")
}

/// A source archive in the making.
pub(crate) struct Tarball {
    tar: tar::Builder<Vec<u8>>,
    top: String,
}

impl Tarball {
    /// As GitHub makes it: the commit in a global header, everything in one top folder.
    pub(crate) fn new() -> Self {
        Self::of_commit(COMMIT)
    }

    pub(crate) fn of_commit(commit: &str) -> Self {
        let record = format!("52 comment={commit}\n");
        let mut tarball = Self::bare();
        tarball
            .tar
            .append(
                &header("pax_global_header", tar::EntryType::XGlobalHeader, record.len()),
                record.as_bytes(),
            )
            .unwrap();
        tarball.folder("")
    }

    /// Without a global header or a top folder's own entry.
    pub(crate) fn bare() -> Self {
        Self { tar: tar::Builder::new(Vec::new()), top: "acme-api-b927023".to_owned() }
    }

    pub(crate) fn folder(self, path: &str) -> Self {
        let name = format!("{}/{path}", self.top);
        self.raw(header(&name, tar::EntryType::Directory, 0), b"")
    }

    pub(crate) fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref();
        let name = format!("{}/{path}", self.top);
        self.raw(header(&name, tar::EntryType::Regular, content.len()), content)
    }

    pub(crate) fn symlink(self, path: &str, target: &str) -> Self {
        let name = format!("{}/{path}", self.top);
        let mut header = header(&name, tar::EntryType::Symlink, 0);
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        self.raw(header, b"")
    }

    /// `target` is relative to the repository, or climbs out of it.
    pub(crate) fn hard_link(self, path: &str, target: &str) -> Self {
        let name = format!("{}/{path}", self.top);
        let target = format!("{}/{target}", self.top);
        let mut header = header(&name, tar::EntryType::Link, 0);
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        self.raw(header, b"")
    }

    pub(crate) fn special(self, path: &str, kind: tar::EntryType) -> Self {
        let name = format!("{}/{path}", self.top);
        self.raw(header(&name, kind, 0), b"")
    }

    /// A file whose name, top folder included, is given as bytes in a long-name entry.
    pub(crate) fn long_name(self, name: &[u8], content: &[u8]) -> Self {
        let long = header("././@LongLink", tar::EntryType::GNULongName, name.len());
        self.raw(long, name).raw(header("cut", tar::EntryType::Regular, content.len()), content)
    }

    /// An entry exactly as given.
    pub(crate) fn raw(mut self, mut header: tar::Header, content: &[u8]) -> Self {
        header.set_cksum();
        self.tar.append(&header, content).unwrap();
        self
    }

    pub(crate) fn tar(self) -> Vec<u8> {
        self.tar.into_inner().unwrap()
    }

    /// These bytes in front of an archive's end, however broken.
    pub(crate) fn broken(tar: Vec<u8>) -> Self {
        Self { tar: tar::Builder::new(tar), top: String::new() }
    }

    pub(crate) fn gz(self) -> Vec<u8> {
        gzip(&self.tar())
    }
}

/// A ustar header, as git writes it; a long name goes into the prefix field.
pub(crate) fn header(name: &str, kind: tar::EntryType, size: usize) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    if header.set_path(name).is_err() || header.path_bytes() != name.as_bytes() {
        let field = &mut header.as_old_mut().name;
        field.fill(0);
        field[..name.len()].copy_from_slice(name.as_bytes());
    }
    header.set_entry_type(kind);
    header.set_size(size as u64);
    header.set_mode(if kind == tar::EntryType::Directory { 0o775 } else { 0o664 });
    header.set_uid(1000);
    header.set_gid(1000);
    header.set_mtime(1_790_000_000);
    header.set_cksum();
    header
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}
