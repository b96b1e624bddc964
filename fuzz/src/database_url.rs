//! Database URLs: an error repeats nothing, `Debug` shows no secret, and what
//! the parts say makes the same URL again.

use preview_agent::config::DatabaseUrl;
use secrecy::{ExposeSecret as _, SecretString};

use super::{CANARY, fit_to_show};

pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let url = match DatabaseUrl::parse(text) {
        Ok(url) => url,
        Err(error) => {
            fit_to_show(&error.to_string(), 200);
            assert!(!error.to_string().contains(CANARY));
            return;
        }
    };
    assert_eq!(url.url().expose_secret(), text);
    assert!(!url.endpoints().is_empty());
    for endpoint in url.endpoints() {
        assert!(!endpoint.host.is_empty() && endpoint.port > 0, "{endpoint}");
        fit_to_show(&endpoint.to_string(), 300);
    }
    if let Some(password) = url.password().map(SecretString::expose_secret) {
        // A password may be the database's name; a longer one is told from what is shown.
        let shown = format!("{url:?} {}", url.endpoints_text());
        let told = url.name().is_some_and(|name| name.contains(password));
        assert!(password.len() < 8 || told || shown_elsewhere(&url, password) || !shown.contains(password));
    }
    for (name, value) in url.libpq_env() {
        assert!(name.starts_with("PG"));
        assert!(!value.expose_secret().contains('\0') || text.contains("%00"));
    }
    round_trip(&url, text);
}

/// A host may be what the password is, too.
fn shown_elsewhere(url: &DatabaseUrl, password: &str) -> bool {
    url.endpoints_text().contains(password) || format!("{:?}", url.endpoints()).contains(password)
}

fn round_trip(url: &DatabaseUrl, text: &str) {
    let ([endpoint], Some(user), Some(password)) = (url.endpoints(), url.user(), url.password()) else {
        return;
    };
    let scheme = text.split("://").next().unwrap();
    let name = url.name().unwrap_or_default();
    let again = DatabaseUrl::from_parts(scheme, &endpoint.host, endpoint.port, name, user, password)
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(again.endpoints(), url.endpoints());
    assert_eq!((again.name(), again.user()), (url.name(), url.user()));
    assert_eq!(again.password().map(SecretString::expose_secret), Some(password.expose_secret()));
}
