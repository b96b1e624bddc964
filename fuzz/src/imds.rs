//! Documents of the metadata service: facts are short lines of text, and an
//! answer that is none is refused without being quoted.

use std::sync::OnceLock;

use preview_agent::aws::{Imds, ImdsError};

use super::serve::{self, Script};
use super::{CANARY, block_on, fit_to_show};

/// What stands between the three documents of an input: identity, public address, tag.
const BORDER: &[u8] = b"\n--\n";

fn server() -> &'static (String, Script) {
    static SERVER: OnceLock<(String, Script)> = OnceLock::new();
    SERVER.get_or_init(|| {
        drop(rustls::crypto::ring::default_provider().install_default());
        serve::tcp()
    })
}

pub fn check(data: &[u8]) {
    let mut documents = split(data);
    let (endpoint, script) = server();
    script.set(move |path| {
        let body = match path {
            "/latest/api/token" => b"token".to_vec(),
            path if path.contains("/document") => std::mem::take(&mut documents[0]),
            path if path.ends_with("/public-ipv4") => std::mem::take(&mut documents[1]),
            _ => std::mem::take(&mut documents[2]),
        };
        vec![serve::answer("200 OK", &body)]
    });
    block_on(async {
        let imds = Imds::connect(Some(endpoint)).unwrap();
        match imds.instance().await {
            Ok(instance) => {
                let instance = instance.unwrap();
                fact(&instance.id);
                fact(&instance.region);
                [instance.availability_zone, instance.instance_type, instance.image_id]
                    .iter()
                    .chain([&instance.account_id, &instance.architecture])
                    .flatten()
                    .for_each(|text| fact(text));
            }
            Err(error) => refused(&error),
        }
        match imds.tag("Name").await {
            Ok(tag) => tag.iter().for_each(|text| fact(text)),
            Err(error) => refused(&error),
        }
    });
}

fn split(data: &[u8]) -> [Vec<u8>; 3] {
    let mut rest = data;
    let mut next = || {
        let at = rest.windows(BORDER.len()).position(|window| window == BORDER);
        let (document, after) = at.map_or((rest, &[][..]), |at| (&rest[..at], &rest[at + BORDER.len()..]));
        rest = after;
        document.to_vec()
    };
    [next(), next(), next()]
}

#[track_caller]
fn fact(text: &str) {
    assert!(!text.is_empty() && !text.contains(char::is_control), "{text:?}");
    fit_to_show(text, 1024);
}

#[track_caller]
fn refused(error: &ImdsError) {
    assert!(matches!(error, ImdsError::Malformed { .. }), "{error:?}");
    fit_to_show(&error.to_string(), 300);
    assert!(!error.to_string().contains(CANARY));
}
