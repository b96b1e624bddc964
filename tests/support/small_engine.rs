//! An engine with one image and one container, which serves a page: enough for
//! a whole deployment and for watching it, at a rate no real container keeps up with.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use axum::response::IntoResponse as _;
use futures_util::stream;
use serde_json::json;

use super::docker::{Answer, FakeDocker, document, stream_of};
use super::registry::architecture;

pub struct SmallEngine {
    pub docker: FakeDocker,
    probes: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
}

impl SmallEngine {
    /// The container publishes this port and takes `pause` for each answer.
    pub fn start(port: u16, pause: Duration) -> Self {
        let probes = Arc::new(AtomicU64::new(0));
        let ended = Arc::new(AtomicBool::new(false));
        let (counter, over) = (Arc::clone(&probes), Arc::clone(&ended));
        let (mut created, proven) = (false, AtomicBool::new(false));
        let docker = FakeDocker::start(move |method, path| {
            let path = path.split('?').next().unwrap_or_default();
            Some(match (method, path) {
                ("GET", "/images/json") => document(&json!([])),
                ("GET", path) if path.starts_with("/images/") => {
                    document(&json!({"Id": "sha256:small", "Architecture": architecture()}))
                }
                ("GET", "/containers/json") if created => document(&json!([{"Id": "app", "Created": 1}])),
                ("POST", "/networks/create") => document(&json!({"Id": "network", "Warning": ""})),
                ("POST", "/containers/create") => {
                    created = true;
                    document(&json!({"Id": "app", "Warnings": []}))
                }
                ("POST", "/containers/app/start") => {
                    serve(port, pause, Arc::clone(&counter), Arc::clone(&over));
                    Answer::Response(axum::http::StatusCode::NO_CONTENT.into_response())
                }
                ("POST", "/containers/app/update") => {
                    proven.store(true, Ordering::SeqCst);
                    document(&json!({"Warnings": []}))
                }
                ("POST", "/containers/app/wait") => Answer::Silence,
                ("GET", "/containers/app/json") => {
                    let policy = if proven.load(Ordering::SeqCst) { "unless-stopped" } else { "no" };
                    let status = if over.load(Ordering::SeqCst) { "exited" } else { "running" };
                    document(&json!({
                        "Id": "app", "Name": "/small-app", "Image": "sha256:small", "RestartCount": 0,
                        "State": {"Status": status, "ExitCode": if status == "exited" { 137 } else { 0 }},
                        "HostConfig": {"RestartPolicy": {"Name": policy}},
                        "Config": {"Image": "small", "Labels": {}, "Env": []}
                    }))
                }
                ("GET", "/events") => stream_of(stream::pending()),
                _ => return None,
            })
        });
        Self { docker, probes, ended }
    }

    /// The container ends, and no event tells of it.
    pub fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    /// Requests that the container has answered.
    pub fn probes(&self) -> u64 {
        self.probes.load(Ordering::SeqCst)
    }
}

/// One connection after the other; ends with the test process.
fn serve(port: u16, pause: Duration, probes: Arc<AtomicU64>, ended: Arc<AtomicBool>) {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    thread::spawn(move || {
        let mut request = [0; 4096];
        for mut stream in listener.incoming().flatten() {
            if ended.load(Ordering::SeqCst) {
                return;
            }
            if stream.read(&mut request).is_ok_and(|size| size > 0) {
                thread::sleep(pause);
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok").ok();
                probes.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
}
