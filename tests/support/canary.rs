//! Values that must never show anywhere, and every place where they could.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;

use super::world::World;

#[derive(Default)]
pub struct Canaries(Vec<String>);

impl Canaries {
    /// Fails if a canary stands in the text in any encoding.
    #[track_caller]
    fn scan(&self, place: &str, text: &str) {
        for encoded in self.0.iter().flat_map(|canary| encodings(canary)) {
            assert!(!text.contains(&encoded), "{place} shows a secret");
        }
    }
}

impl World {
    /// A value that must never show anywhere, wherever the test puts it.
    pub fn canary(&mut self, value: &str) {
        self.canaries.0.push(value.to_owned());
    }

    /// Fails if a canary stands in the text in any encoding.
    #[track_caller]
    pub fn scan(&self, place: &str, text: &str) {
        self.canaries.scan(place, text);
    }

    pub(super) fn scan_everything(&self) {
        for file in files_below(&self.path("")) {
            let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
            self.scan(&file.display().to_string(), &text);
        }
        let shown = "{{json .Config.Labels}} {{json .Config.Cmd}} {{json .Args}} {{.Name}} {{json .Mounts}} \
                     {{json .HostConfig}}";
        for id in self.containers("app").iter().chain(&self.containers("migrate")) {
            self.scan("labels and arguments", &self.look(&["inspect", "--format", shown, id]));
        }
        for id in self.listed(&["network", "ls", "-q"]) {
            self.scan("network", &self.look(&["network", "inspect", &id]));
        }
        for id in self.listed(&["images", "-q"]) {
            self.scan("image", &self.look(&["image", "inspect", &id]));
            self.scan("image's history", &self.look(&["history", "--no-trunc", &id]));
        }
        self.written();
        self.check_modes();
    }

    /// What docker says of an object: nothing where that has just gone, as an agent that was killed may
    /// have asked for.
    fn look(&self, args: &[&str]) -> String {
        self.docker_try(args).unwrap_or_else(|refusal| {
            assert!(refusal.to_lowercase().contains("no such"), "docker {args:?}: {refusal}");
            String::new()
        })
    }

    /// What the agent wrote is its owner's alone, but for the status.
    fn check_modes(&self) {
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let state = self.path("state");
        // Without the agent's lock nobody but the test has made it.
        if !state.join("lock").exists() {
            return;
        }
        assert_eq!(mode(&state), 0o700, "the state folder");
        for file in files_below(&state) {
            assert_eq!(mode(&file) & 0o077, 0, "{}", file.display());
        }
        for file in files_below(&self.path("run")) {
            assert_eq!(mode(&file) & 0o022, 0, "{}", file.display());
            assert_eq!(file.file_name().unwrap(), "status.json", "nothing else is anybody's business");
        }
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        // The test's own folder for what it gives to the agent may hold secrets.
        if path.is_dir() && path.file_name().is_some_and(|name| name != "given") {
            files.extend(files_below(&path));
        } else if path.is_file() {
            files.push(path);
        }
    }
    files
}

/// The canary as it could leak: raw, percent-encoded, in JSON and in JSON again, in base64, in hex.
fn encodings(secret: &str) -> Vec<String> {
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
    let percent =
        percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC).to_string();
    let kept = [("%2D", "-"), ("%2E", "."), ("%5F", "_"), ("%7E", "~")];
    let unreserved = kept.iter().fold(percent.clone(), |text, (code, letter)| text.replace(code, letter));
    let inside = |text: &str| {
        let json = serde_json::to_string(text).unwrap();
        json[1..json.len() - 1].to_owned()
    };
    let hex = secret.bytes().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    vec![
        secret.to_owned(),
        percent.to_lowercase(),
        percent,
        unreserved.replace("%2F", "/"),
        unreserved,
        inside(secret),
        inside(&inside(secret)),
        STANDARD_NO_PAD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        hex,
    ]
}
