//! A front before moto, which has what moto lacks. It rehearses in earnest, keeps client tokens, wants
//! tags, boots an instance for each launch and stops it at its end, and runs commands on it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::moto::{Answer, Moto, between};
use crate::support::aws_client::{AwsClient, aws_client};
use crate::support::engine::docker_try;
use crate::support::forwarder::{Forwarder, reachable};
use crate::support::imds::FakeImds;
use crate::support::link_local::{LinkLocal, Spec};
use crate::support::machine::Machine;
use crate::support::peers::peers;

/// The registry's name on the instances.
const REGISTRY: &str = "ghcr.io";

type Fields = BTreeMap<String, String>;

/// An instance that was booted.
pub struct Instance {
    pub id: String,
    pub address: String,
    pub machine: Machine,
}

/// What an instance finds around it.
struct Around {
    imds: FakeImds,
    network: LinkLocal,
    aws: AwsClient,
    registry: String,
    _registry_front: Forwarder,
}

#[derive(Default)]
pub struct Inner {
    pub instance: Option<Arc<Instance>>,
    /// The one that is on its way down.
    ending: Option<(String, JoinHandle<()>)>,
    /// Client tokens with what was asked and answered.
    tokens: BTreeMap<String, (Fields, Vec<u8>)>,
    pub commands: BTreeMap<String, (i32, String)>,
}

pub struct Shared {
    pub moto: Moto,
    around: Around,
    inner: Mutex<Inner>,
}

/// Answers a request of any service.
pub async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    // Docker and moto are asked in the way of the tests: one after the other, and waited for.
    let answered = tokio::task::spawn_blocking(move || shared.answer(&headers, &body)).await;
    let (status, kind, body) = answered.unwrap();
    (StatusCode::from_u16(status).unwrap(), [("content-type", kind)], body).into_response()
}

impl Shared {
    pub fn new() -> Self {
        let (moto, imds) = (Moto::start(), FakeImds::start());
        let network = LinkLocal::new(&imds);
        let registry_front = reachable(&peers().registry);
        let registry = network.host("registry", registry_front.address());
        let aws = aws_client(&moto.url());
        let around = Around { imds, network, aws, registry, _registry_front: registry_front };
        Self { moto, around, inner: Mutex::default() }
    }

    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    fn answer(&self, headers: &HeaderMap, body: &[u8]) -> Answer {
        let wanted = ["authorization", "content-type", "x-amz-target"];
        let headers: Vec<(&str, &str)> =
            wanted.iter().filter_map(|name| Some((*name, headers.get(*name)?.to_str().unwrap()))).collect();
        let target = headers.iter().find(|(name, _)| *name == "x-amz-target").map(|(_, value)| *value);
        match target.and_then(|target| target.rsplit('.').next()) {
            Some("SendCommand") => self.send_command(&serde_json::from_slice(body).unwrap()),
            Some("GetCommandInvocation") => self.invocation(&serde_json::from_slice(body).unwrap()),
            Some(_) => self.moto.pass(&headers, body),
            None => {
                let fields: Fields = url::form_urlencoded::parse(body).into_owned().collect();
                match fields["Action"].as_str() {
                    "RunInstances" => self.run_instances(&fields, &headers, body),
                    "TerminateInstances" => self.terminate(&fields, &headers, body),
                    "GetConsoleOutput" => self.console(&fields),
                    _ => self.passed(&fields, &headers, body),
                }
            }
        }
    }

    /// moto's answer, with the addresses and states of what really runs: its own addresses are strangers'.
    fn passed(&self, fields: &Fields, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let (status, kind, answer) = self.moto.pass(headers, body);
        let mut text = String::from_utf8_lossy(&answer).into_owned();
        let mut inner = self.lock();
        let address = inner.instance.as_ref().map(|instance| instance.address.clone()).unwrap_or_default();
        for tag in ["ipAddress", "publicIp"] {
            for foreign in between(&text, tag) {
                text = text.replace(&format!("<{tag}>{foreign}<"), &format!("<{tag}>{address}<"));
            }
        }
        inner.ending.take_if(|(_, stopped)| stopped.is_finished());
        if let Some((id, _)) = &inner.ending
            && fields.get("InstanceId.1") == Some(id)
        {
            text = text
                .replace("<code>48</code>", "<code>32</code>")
                .replace("<name>terminated</name>", "<name>shutting-down</name>");
        }
        (status, kind, text.into_bytes())
    }

    fn run_instances(&self, fields: &Fields, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        for resource in ["instance", "volume", "network-interface"] {
            if !is_tagged(fields, resource) {
                return refused("UnauthorizedOperation", &format!("{resource} lacks the tag Purpose"));
            }
        }
        if fields.get("MetadataOptions.HttpTokens").is_none_or(|it| it != "required") {
            return refused("UnauthorizedOperation", "IMDSv1");
        }
        // moto's rehearsal takes any name.
        let group = &fields["NetworkInterface.1.SecurityGroupId.1"];
        for (action, name, value) in [
            ("DescribeImages", "ImageId.1", &fields["ImageId"]),
            ("DescribeInstanceTypes", "InstanceType.1", &fields["InstanceType"]),
            ("DescribeSubnets", "SubnetId.1", &fields["NetworkInterface.1.SubnetId"]),
            ("DescribeSecurityGroups", "GroupId.1", group),
        ] {
            let asked = format!("Action={action}&{name}={value}&Version=2016-11-15");
            let answer = self.moto.pass(headers, asked.as_bytes());
            if answer.0 != 200 {
                return answer;
            }
        }
        if fields.get("DryRun").is_some_and(|dry| dry == "true") {
            return self.moto.pass(headers, body);
        }
        let token = fields["ClientToken"].clone();
        if let Some((asked, answer)) = self.lock().tokens.get(&token) {
            return match asked == fields {
                true => (200, "text/xml;charset=UTF-8".to_owned(), answer.clone()),
                false => refused("IdempotentParameterMismatch", "other arguments"),
            };
        }
        let (status, kind, answer) = self.moto.pass(headers, body);
        if status == 200 {
            let id = between(&String::from_utf8_lossy(&answer), "instanceId").remove(0);
            self.boot(&id, &STANDARD.decode(&fields["UserData"]).unwrap());
            self.lock().tokens.insert(token, (fields.clone(), answer.clone()));
        }
        (status, kind, answer)
    }

    fn boot(&self, id: &str, user_data: &[u8]) {
        // The metadata service can be that of one at a time.
        let ending = self.lock().ending.take();
        if let Some((_, stopped)) = ending {
            stopped.join().unwrap();
        }
        let around = &self.around;
        around.imds.identify(id, "t3.small");
        let host = format!("{REGISTRY}:{}", around.registry);
        let machine = around.network.launch(&Spec {
            image: "bookworm",
            id,
            user_data,
            aws: &around.aws,
            registry: REGISTRY,
            network: true,
            options: &["--add-host", &host],
        });
        let address = machine.address();
        around.imds.set("/latest/meta-data/public-ipv4", address.clone());
        self.lock().instance = Some(Arc::new(Instance { id: id.to_owned(), address, machine }));
    }

    fn terminate(&self, fields: &Fields, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let answer = self.moto.pass(headers, body);
        let mut inner = self.lock();
        let ours = inner.instance.take_if(|instance| fields.get("InstanceId.1") == Some(&instance.id));
        if let Some(instance) = ours {
            // Its units are told to stop, as an instance's are.
            let id = instance.id.clone();
            let stopped = std::thread::spawn(move || {
                docker_try(&["stop", "--time", "60", &instance.machine.name]).ok();
                instance.machine.remove();
            });
            inner.ending = Some((id, stopped));
        }
        answer
    }

    fn console(&self, fields: &Fields) -> Answer {
        let instance = self.lock().instance.clone().filter(|it| it.id == fields["InstanceId"]);
        let console = instance.map(|it| it.machine.console()).unwrap_or_default();
        let body = format!(
            "<GetConsoleOutputResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><instanceId>{}</instanceId>\
             <output>{}</output></GetConsoleOutputResponse>",
            fields["InstanceId"],
            STANDARD.encode(console)
        );
        (200, "text/xml;charset=UTF-8".to_owned(), body.into_bytes())
    }
}

/// Whether what the launch makes of this kind has our tag from its first moment, as the role's policy wants.
fn is_tagged(fields: &Fields, resource: &str) -> bool {
    (1..10).any(|i| {
        let of = |part: &str| fields.get(&format!("TagSpecification.{i}.{part}")).map(String::as_str);
        of("ResourceType") == Some(resource)
            && (1..20).any(|j| of(&format!("Tag.{j}.Key")) == Some("Purpose"))
    })
}

fn refused(code: &str, message: &str) -> Answer {
    let body = format!(
        "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>\
         <RequestID>00000000-0000-4000-8000-000000000000</RequestID></Response>"
    );
    (400, "text/xml;charset=UTF-8".to_owned(), body.into_bytes())
}
