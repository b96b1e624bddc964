//! moto, a server of a test's own: EC2, STS and Parameter Store as others understand them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::imds::REGION;
use crate::support::peers::peers;
use crate::support::process::Own;

pub struct Moto {
    _process: Own,
    address: String,
}

/// Status, content type and body.
pub type Answer = (u16, String, Vec<u8>);

impl Moto {
    pub fn start() -> Self {
        let program = Path::new(&peers().python).with_file_name("moto_server");
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", "0"]).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = Own(command.spawn().unwrap());
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
        let address =
            lines.find_map(|line| line.split_once("Running on http://").map(|(_, at)| at.to_owned()));
        // It goes on to say who asks, and would wait for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Self { _process: process, address: address.expect("moto says where it listens").trim().to_owned() }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Passes a request on, with those of its headers that moto looks at.
    pub fn pass(&self, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let mut head =
            format!("POST / HTTP/1.0\r\nHost: {}\r\nContent-Length: {}\r\n", self.address, body.len());
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(b"\r\n").unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer of HTTP");
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let kind = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-type").then(|| value.to_owned())
        });
        (status, kind.unwrap_or_default(), answer[end + 4..].to_vec())
    }

    /// An action of EC2's or another service of the query protocol; has to be answered.
    #[track_caller]
    pub fn query(&self, service: &str, fields: &[(&str, &str)]) -> String {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let (status, _, answer) = self.pass(
            &[
                ("Authorization", &authorization(service)),
                ("Content-Type", "application/x-www-form-urlencoded"),
            ],
            body.as_bytes(),
        );
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!(status, 200, "{fields:?}: {text}");
        text
    }

    /// An action of Parameter Store; has to be answered.
    #[track_caller]
    pub fn ssm(&self, action: &str, body: &serde_json::Value) -> serde_json::Value {
        let (status, _, answer) = self.pass(
            &[
                ("Authorization", &authorization("ssm")),
                ("Content-Type", "application/x-amz-json-1.1"),
                ("X-Amz-Target", &format!("AmazonSSM.{action}")),
            ],
            body.to_string().as_bytes(),
        );
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!(status, 200, "{action} {body}: {text}");
        serde_json::from_str(&text).unwrap()
    }
}

/// moto reads service and region from it and checks nothing.
fn authorization(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20261129/{REGION}/{service}/aws4_request, SignedHeaders=host, \
         Signature=0"
    )
}

/// What is between these tags, each time.
pub fn between(xml: &str, tag: &str) -> Vec<String> {
    let open = format!("<{tag}>");
    xml.split(&open).skip(1).filter_map(|rest| rest.split_once("</")).map(|(it, _)| it.to_owned()).collect()
}
