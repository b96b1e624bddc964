//! Images like the sample application's with one more layer, put into the real
//! registry: nobody has pulled them before, and making one takes no engine.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::engine::tiny_image;
use super::github::{gzip, header};
use super::peers::{Peers, peers};
use super::registry::digest;

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// An image in the registry, under a tag of its own.
pub struct Variant {
    pub repository: &'static str,
    pub tag: String,
    /// Digests.
    pub manifest: String,
    pub config: String,
    pub layer: String,
}

/// Adds a layer with these files to `repository:base`.
pub fn push(repository: &'static str, base: &str, files: &[(&str, &str)]) -> Variant {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content) in files {
        tar.append(&header(path, tar::EntryType::Regular, content.len()), content.as_bytes()).unwrap();
    }
    let tar = tar.into_inner().unwrap();
    let layer = gzip(&tar);
    let url = format!("http://{}/v2/{repository}", peers().registry);
    let mut manifest: Value = serde_json::from_slice(&curl(&[
        "-H",
        &format!("Accept: {MANIFEST}"),
        &format!("{url}/manifests/{base}"),
    ]))
    .unwrap();
    let old = manifest["config"]["digest"].as_str().unwrap().to_owned();
    let mut config: Value = serde_json::from_slice(&curl(&[&format!("{url}/blobs/{old}")])).unwrap();
    config["rootfs"]["diff_ids"].as_array_mut().unwrap().push(json!(digest(&tar)));
    config["history"].as_array_mut().unwrap().push(json!({"created_by": "a test"}));
    let config = config.to_string().into_bytes();
    let variant = Variant {
        repository,
        tag: format!("kill-{:016x}", fastrand::u64(..)),
        manifest: String::new(),
        config: upload(&url, &config),
        layer: upload(&url, &layer),
    };
    manifest["config"]["digest"] = json!(variant.config);
    manifest["config"]["size"] = json!(config.len());
    let kind = manifest["layers"][0]["mediaType"].clone();
    let added = json!({"mediaType": kind, "size": layer.len(), "digest": variant.layer});
    manifest["layers"].as_array_mut().unwrap().push(added);
    let manifest = manifest.to_string().into_bytes();
    put(&format!("{url}/manifests/{}", variant.tag), MANIFEST, &manifest);
    Variant { manifest: digest(&manifest), ..variant }
}

fn upload(url: &str, blob: &[u8]) -> String {
    let digest = digest(blob);
    let head = String::from_utf8(curl(&["-D-", "-X", "POST", &format!("{url}/blobs/uploads/")])).unwrap();
    let location = head.lines().find_map(|line| line.strip_prefix("Location: ")).unwrap().trim();
    put(&format!("{location}&digest={digest}"), "application/octet-stream", blob);
    digest
}

fn put(url: &str, kind: &str, bytes: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let body = format!("@{}", file.path().display());
    curl(&["-X", "PUT", "-H", &format!("Content-Type: {kind}"), "--data-binary", &body, url]);
}

/// The password goes by standard input: arguments can be read by everybody.
fn curl(args: &[&str]) -> Vec<u8> {
    let Peers { registry_user, registry_password, .. } = peers();
    let mut child = Command::new("curl")
        .args(["-sSf", "-K", "-"])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let login = format!("user = \"{registry_user}:{registry_password}\"\n");
    child.stdin.take().unwrap().write_all(login.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "curl {args:?}: {}", output.status);
    output.stdout
}

/// An image as an old build of the agent with this state folder; its id.
pub fn stale_build(state: &str) -> String {
    tiny_image(&["preview-agent.role=build", &format!("preview-agent.scope={state}")])
}
