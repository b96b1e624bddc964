//! Image names: what is accepted is complete, clean and read back the same.

use preview_agent::config::{ImageReference, is_registry_host};

use super::fit_to_show;

pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match ImageReference::parse(text) {
        Ok(image) => {
            let shown = image.to_string();
            assert_eq!(ImageReference::parse(&shown).as_ref(), Ok(&image), "{shown}");
            assert!(is_registry_host(image.registry()), "{shown}");
            assert!(image.tag().is_some() || image.digest().is_some(), "{shown}");
            assert!(image.name().len() <= 255, "{shown}");
            assert!(!image.name().contains(|c: char| c.is_ascii_uppercase()), "{shown}");
            // What becomes of it in a URL and in a shell is what it was.
            let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:@[]".contains(c);
            assert!(shown.chars().all(plain), "{shown}");
            if let Some(ecr) = image.ecr() {
                assert!(image.registry().contains(&ecr.account) && image.registry().contains(&ecr.region));
            }
        }
        Err(error) => fit_to_show(&error.to_string(), 200),
    }
}
