//! Parameter Store and Run Command over AWS's JSON 1.1.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::account::Inner;
use super::ec2::{Answer, page};

#[derive(Debug, Clone)]
pub struct Parameter {
    pub value: String,
    pub secure: bool,
    pub tags: BTreeMap<String, String>,
}

fn refused(code: &str, message: &str) -> Answer {
    Err((400, code.to_owned(), message.to_owned()))
}

fn paged(inner: &Inner, asked: &Value, all: &[Value]) -> Value {
    let (page, next) = page(inner.page, asked["NextToken"].as_str(), all);
    json!({ "Parameters": page, "NextToken": next })
}

pub fn answer(inner: &mut Inner, action: &str, body: &[u8]) -> Answer {
    let asked: Value = serde_json::from_slice(body).unwrap();
    let text = |name: &str| asked[name].as_str().unwrap_or_default().to_owned();
    let tags = |name: &str| -> BTreeMap<String, String> {
        let tags = asked[name].as_array().into_iter().flatten();
        tags.map(|tag| (tag["Key"].as_str().unwrap().to_owned(), tag["Value"].as_str().unwrap().to_owned()))
            .collect()
    };
    let answer = match action {
        "GetParameter" => match inner.parameters.get(&text("Name")) {
            None => return refused("ParameterNotFound", ""),
            Some(it) => json!({ "Parameter": { "Name": text("Name"), "Type": "String", "Value": it.value } }),
        },
        "PutParameter" => {
            let (name, value) = (text("Name"), text("Value"));
            let overwrite = asked["Overwrite"] == true;
            let tags = tags("Tags");
            if overwrite && !tags.is_empty() {
                return refused(
                    "ValidationException",
                    "Invalid request: tags and overwrite can't be used together.",
                );
            }
            if value.is_empty() || value.len() > 4096 || value.contains("{{") {
                return refused("ValidationException", "1 validation error detected");
            }
            let secure = text("Type") == "SecureString";
            match inner.parameters.get_mut(&name) {
                Some(_) if !overwrite => {
                    return refused("ParameterAlreadyExists", "The parameter already exists.");
                }
                Some(it) => it.value = value,
                None => drop(inner.parameters.insert(name, Parameter { value, secure, tags })),
            }
            json!({ "Version": 1, "Tier": "Standard" })
        }
        "AddTagsToResource" => {
            let Some(it) = inner.parameters.get_mut(&text("ResourceId")) else {
                return refused("InvalidResourceId", "");
            };
            it.tags.extend(tags("Tags"));
            json!({})
        }
        "DeleteParameters" => {
            let names: Vec<String> = serde_json::from_value(asked["Names"].clone()).unwrap();
            if names.is_empty() || names.len() > 10 {
                return refused("ValidationException", "1 to 10 names");
            }
            let (gone, unknown): (Vec<_>, Vec<_>) =
                names.into_iter().partition(|name| inner.parameters.remove(name).is_some());
            json!({ "DeletedParameters": gone, "InvalidParameters": unknown })
        }
        "GetParametersByPath" => {
            let folder = format!("{}/", text("Path"));
            let inside = inner.parameters.iter().filter(|(name, _)| name.starts_with(&folder));
            let inside =
                inside.map(|(name, it)| json!({ "Name": name, "Type": "String", "Value": it.value }));
            paged(inner, &asked, &inside.collect::<Vec<_>>())
        }
        "DescribeParameters" => {
            let filters = asked["ParameterFilters"].as_array().unwrap();
            let fits = |it: &Parameter| {
                filters.iter().all(|filter| {
                    let tag = filter["Key"].as_str().unwrap().strip_prefix("tag:").unwrap();
                    it.tags.get(tag).is_some_and(|it| *it == filter["Values"][0])
                })
            };
            let with = inner.parameters.iter().filter(|(_, it)| fits(it));
            paged(inner, &asked, &with.map(|(name, _)| json!({ "Name": name })).collect::<Vec<_>>())
        }
        "SendCommand" => json!({ "Command": { "CommandId": "c-1", "DocumentName": text("DocumentName") } }),
        "GetCommandInvocation" => json!({
            "CommandId": "c-1", "Status": "Success", "ResponseCode": 0, "StandardOutputContent": inner.log,
        }),
        other => return refused("UnknownOperationException", other),
    };
    Ok(answer.to_string())
}
