//! Run Command: the project's own documents, run on the instance as its SSM Agent would.

use std::path::Path;

use serde_json::{Value, json};

use crate::front::Shared;
use crate::moto::Answer;

impl Shared {
    /// Runs a document, to its end.
    pub fn send_command(&self, asked: &Value) -> Answer {
        let Some(instance) = self.lock().instance.clone().filter(|it| asked["InstanceIds"] == json!([it.id]))
        else {
            return json_refused("InvalidInstanceId");
        };
        let name = asked["DocumentName"].as_str().unwrap().to_lowercase();
        let file = format!("packaging/ssm/{}.yaml", name.trim_start_matches("previewagent-"));
        let Ok(text) = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)) else {
            return json_refused("InvalidDocument");
        };
        let document: Value = serde_saphyr::from_str(&text).unwrap();
        let given = asked["Parameters"].as_object().unwrap().iter();
        let mut script: String = given
            .map(|(name, values)| format!("export SSM_{name}='{}'\n", values[0].as_str().unwrap()))
            .collect();
        for line in document["mainSteps"][0]["inputs"]["runCommand"].as_array().unwrap() {
            script += line.as_str().unwrap();
        }
        let (code, text) = instance.machine.try_sh(&script);
        let id = format!("00000000-0000-4000-8000-{:012x}", fastrand::u32(..));
        self.lock().commands.insert(id.clone(), (code.unwrap_or(-1), text));
        json_answer(&json!({ "Command": { "CommandId": id } }))
    }

    /// How a command ended.
    pub fn invocation(&self, asked: &Value) -> Answer {
        match self.lock().commands.get(asked["CommandId"].as_str().unwrap()) {
            None => json_refused("InvocationDoesNotExist"),
            Some((code, text)) => json_answer(&json!({
                "CommandId": asked["CommandId"], "Status": if *code == 0 { "Success" } else { "Failed" },
                "ResponseCode": code, "StandardOutputContent": text,
            })),
        }
    }
}

fn json_answer(body: &Value) -> Answer {
    (200, "application/x-amz-json-1.1".to_owned(), body.to_string().into_bytes())
}

fn json_refused(code: &str) -> Answer {
    (
        400,
        "application/x-amz-json-1.1".to_owned(),
        json!({ "__type": code, "message": "" }).to_string().into_bytes(),
    )
}
