//! A server whose certificate nobody has signed.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// OpenSSL's own server, with a certificate made for this test; ended when dropped.
pub struct Untrusted {
    server: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Untrusted {
    /// On a free port of this address of the machine.
    pub fn start(own: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let (key, certificate) = (path("key.pem"), path("certificate.pem"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
            .args(["-subj", "/CN=impostor", "-addext", &format!("subjectAltName=IP:{own}")])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-days", "30", "-keyout", &key, "-out", &certificate])
            .stderr(Stdio::null())
            .status();
        assert!(made.unwrap().success(), "openssl made no certificate");
        let mut server = Command::new("openssl")
            .args(["s_server", "-www", "-accept", &format!("{own}:0"), "-key", &key, "-cert", &certificate])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(server.stdout.take().unwrap()).lines().map(Result::unwrap);
        let accepts = said.find_map(|line| line.strip_prefix("ACCEPT ").map(str::to_owned)).unwrap();
        // It goes on to say who connects, and would wait for a reader.
        std::thread::spawn(move || said.for_each(drop));
        Self { server, address: accepts, _folder: folder }
    }

    /// `host:port`
    pub fn host(&self) -> &str {
        &self.address
    }

    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }
}

impl Drop for Untrusted {
    fn drop(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
    }
}
