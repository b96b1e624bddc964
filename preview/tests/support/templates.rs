//! Templates of the second document's stack, and of others.

use serde_json::{Value, json};

/// The service, with two parameters, one of them with a default.
pub fn service() -> Value {
    let reference = |name: &str| json!({ "Ref": name });
    json!({
        "Parameters": {
            "Environment": { "Type": "String", "Default": "poc" },
            "ContainerImage": { "Type": "String" },
            "DatabaseStackName": { "Type": "String", "Default": "xray-poc-database" },
        },
        "Resources": {
            "Task": { "Type": "AWS::ECS::TaskDefinition", "Properties": {
                "Family": reference("Environment"),
                "ContainerDefinitions": [
                    { "Name": "app", "Image": reference("ContainerImage") },
                    { "Name": "xray-daemon", "Image": "public.ecr.aws/xray/aws-xray-daemon:latest" },
                ],
            } },
            "Service": { "Type": "AWS::ECS::Service", "Properties": {
                "Cluster": reference("Environment"), "Database": reference("DatabaseStackName"),
            } },
        },
    })
}

/// The same with one more resource.
pub fn with(id: &str, resource: &Value) -> Value {
    let mut template = service();
    template["Resources"][id] = resource.clone();
    template
}

/// A database of this engine.
pub fn database(engine: &str) -> Value {
    json!({ "Type": "AWS::RDS::DBInstance", "Properties": { "Engine": engine, "Iops": "100" } })
}
