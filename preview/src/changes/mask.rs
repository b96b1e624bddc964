//! Values that may be secrets, kept out of what is shown. AWS masks parameters that ask for it (`NoEcho`), and
//! what it does not know to be one is known by its name.

use serde_json::Value;

/// What stands for a secret; AWS's own.
pub(super) const MASKED: &str = "****";

/// Parts of names whose values are not shown.
const SECRET: [&str; 9] =
    ["password", "passwd", "secret", "token", "apikey", "accesskey", "privatekey", "credential", "dsn"];

/// Whether what has this name is likely to be a secret.
pub(super) fn is_secret(name: &str) -> bool {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|part| name.contains(part))
}

/// A value of this name, fit to be shown.
pub(super) fn shown(name: &str, value: &str) -> String {
    // A reference to a secret is none, and is what a reviewer wants to see.
    let refers = value.starts_with("arn:") || value.starts_with("{{resolve:");
    if name.contains("UserData") {
        return format!("({} bytes)", value.len());
    }
    if is_secret(name) && !refers && !value.is_empty() {
        return MASKED.to_owned();
    }
    if value.starts_with(['{', '['])
        && let Ok(mut tree) = serde_json::from_str::<Value>(value)
    {
        mask(&mut tree);
        return tree.to_string();
    }
    without_password(value)
}

/// The same inside of a tree: by key, and by the `Name` beside a `Value`.
fn mask(tree: &mut Value) {
    match tree {
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::Object(fields) => {
            let own = ["Name", "Key"].iter().find_map(|key| fields.get(*key)?.as_str().map(str::to_owned));
            for (key, value) in fields.iter_mut() {
                let name = if key == "Value" { own.as_deref().unwrap_or(key) } else { key };
                match value {
                    Value::String(text) => *text = shown(name, text),
                    value if is_secret(name) && !value.is_object() && !value.is_array() => {
                        *value = MASKED.into();
                    }
                    value => mask(value),
                }
            }
        }
        Value::String(text) => *text = without_password(text),
        _ => {}
    }
}

/// A text without the passwords of the URLs in it.
fn without_password(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out += before;
        let end = after.find(|c: char| c == '/' || c.is_whitespace() || c == '"').unwrap_or(after.len());
        let authority = &after[..end];
        // A password may hold an @ of its own.
        match authority.rsplit_once('@').and_then(|(login, host)| Some((login.split_once(':')?.0, host))) {
            Some((user, host)) => out += &format!("{user}:{MASKED}@{host}"),
            None => out += authority,
        }
        rest = &after[end..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_names_and_places() {
        for (name, value, expected) in [
            ("ContainerImage", "img:2", "img:2"),
            ("DbPassword", "canary", MASKED),
            ("/Properties/MasterUserPassword", "canary", MASKED),
            ("SENTRY_DSN", "https://canary@sentry.io/1", MASKED),
            ("API_KEY", "canary", MASKED),
            ("DB_PASSWORD", "arn:aws:secretsmanager:x:y:secret:z", "arn:aws:secretsmanager:x:y:secret:z"),
            ("Password", "{{resolve:secretsmanager:x}}", "{{resolve:secretsmanager:x}}"),
            ("DATABASE_URL", "postgresql://app:can@ry@db:5432/app", "postgresql://app:****@db:5432/app"),
            (
                "Value",
                "a postgres://u:canary@h and https://x.io/a@b:c",
                "a postgres://u:****@h and https://x.io/a@b:c",
            ),
            ("UserData", "Y2FuYXJ5", "(8 bytes)"),
            ("KeyName", "laptop", "laptop"),
        ] {
            assert_eq!(shown(name, value), expected, "{name}");
        }
    }

    #[test]
    fn secrets_inside_of_trees_are_found() {
        let tree = r#"[{"Name":"DB_PASSWORD","Value":"canary"},{"Name":"MODE","Value":"fast"},
            {"Name":"URL","Value":"postgres://u:canary@h/d"},{"Token":1234567},{"Args":["postgres://u:canary@h"]}]"#;
        let masked = shown("Environment", tree);
        assert!(!masked.contains("canary") && !masked.contains("1234567"), "{masked}");
        assert!(masked.contains("fast") && masked.contains("DB_PASSWORD"), "{masked}");
    }
}
