//! A region: the front with moto behind it, its network, and what is left in it.

use std::sync::Arc;

use axum::Router;
use serde_json::json;

use crate::front::{Instance, Shared, answer};
use crate::moto::between;
use crate::support::server::Server;

pub struct Region {
    server: Server,
    shared: Arc<Shared>,
}

impl Region {
    pub fn new() -> Self {
        let shared = Arc::new(Shared::new());
        let server = Server::start(Router::new().fallback(answer).with_state(Arc::clone(&shared)));
        Self { server, shared }
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The instance that was launched and not ended.
    pub fn instance(&self) -> Option<Arc<Instance>> {
        self.shared.lock().instance.clone()
    }

    /// A subnet of the account's own network, and a new security group in it for each of these names.
    pub fn network(&self, groups: [&str; 2]) -> (String, [String; 2]) {
        let moto = &self.shared.moto;
        let ask = |fields: &[(&str, &str)], tag| between(&moto.query("ec2", fields), tag).remove(0);
        let subnets = [("Action", "DescribeSubnets"), ("Version", "2016-11-15")];
        let (subnet, vpc) = (ask(&subnets, "subnetId"), ask(&subnets, "vpcId"));
        let groups = groups.map(|name| {
            let group = [("Action", "CreateSecurityGroup"), ("GroupName", name), ("GroupDescription", name)];
            ask(&[group.as_slice(), &[("VpcId", &vpc), ("Version", "2016-11-15")]].concat(), "groupId")
        });
        (subnet, groups)
    }

    /// An instance profile of this name.
    pub fn profile(&self, name: &str) {
        let fields =
            [("Action", "CreateInstanceProfile"), ("InstanceProfileName", name), ("Version", "2010-05-08")];
        self.shared.moto.query("iam", &fields);
    }

    /// The inbound rules of a group as `port from description`, sorted.
    pub fn rules(&self, group: &str) -> Vec<String> {
        let fields = [
            ("Action", "DescribeSecurityGroupRules"),
            ("Filter.1.Name", "group-id"),
            ("Filter.1.Value.1", group),
            ("Version", "2016-11-15"),
        ];
        let answer = self.shared.moto.query("ec2", &fields);
        let first = |item: &str, tag| between(item, tag).into_iter().next().unwrap_or_default();
        let items =
            answer.split("<securityGroupRuleId>").skip(1).filter(|item| first(item, "isEgress") == "false");
        let mut rules: Vec<String> = items
            .map(|item| {
                format!(
                    "{} {} {}",
                    first(item, "fromPort"),
                    first(item, "cidrIpv4"),
                    first(item, "description")
                )
            })
            .collect();
        rules.sort();
        rules
    }

    /// The names of all parameters below the previews' folder.
    pub fn parameters(&self) -> Vec<String> {
        let found =
            self.shared.moto.ssm("GetParametersByPath", &json!({ "Path": "/pr-preview", "Recursive": true }));
        let all = found["Parameters"].as_array().unwrap().iter();
        all.map(|it| it["Name"].as_str().unwrap().to_owned()).collect()
    }
}
