//! The status documents that the agent shows, held against the schema.

use std::fs;
use std::sync::LazyLock;

use serde_json::Value;

use super::ssm::FakeSsm;
use super::wait::eventually;
use super::world::World;

/// Where a status document breaks the schema.
pub fn schema_errors(document: &Value) -> Vec<String> {
    static SCHEMA: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
        let schema = serde_json::from_str(include_str!("../../schemas/status.v1.json")).unwrap();
        jsonschema::validator_for(&schema).unwrap()
    });
    SCHEMA.iter_errors(document).map(|error| error.to_string()).collect()
}

impl World {
    /// The status file.
    pub fn status(&self) -> Option<Value> {
        let bytes = fs::read(self.path("run/status.json")).ok()?;
        Some(self.valid(&bytes))
    }

    pub fn status_bytes(&self) -> Vec<u8> {
        fs::read(self.path("run/status.json")).unwrap()
    }

    /// The parameter's documents, oldest first.
    pub fn written(&self) -> Vec<Value> {
        self.ssm.writes().iter().map(|write| self.valid(write.value.as_bytes())).collect()
    }

    /// Waits until this store's parameter holds what the file holds.
    #[track_caller]
    pub fn is_reported(&self, ssm: &FakeSsm) {
        eventually("the parameter holds what the file holds", || {
            ssm.value("/test/status").is_some_and(|value| value.into_bytes() == self.status_bytes())
        });
    }

    fn valid(&self, bytes: &[u8]) -> Value {
        assert!(bytes.len() <= 2300, "a status of {} bytes", bytes.len());
        let text = std::str::from_utf8(bytes).unwrap();
        let document = serde_json::from_str(text).unwrap();
        assert_eq!(schema_errors(&document), Vec::<String>::new(), "{text}");
        self.scan("status", text);
        document
    }
}
