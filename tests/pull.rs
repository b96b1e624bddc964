//! Pulls by the real engine from a registry that misbehaves: every outcome is
//! told by its meaning, and credentials go to their own host only.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use preview_agent::config::ImageReference;
use preview_agent::docker::pull::{Credentials, Progress, PullError};
use preview_agent::docker::{Engine, LocalImage, Scope};
use secrecy::SecretString;
use support::engine::docker;
use support::registry::{Access, At, FakeRegistry, Trouble, other_architecture};
use support::wait::block_on;
use support::world::World;

/// A pull of a few kilobytes from this machine never comes near it.
const STALL: Duration = Duration::from_secs(30);

async fn engine() -> Engine {
    let scope = Scope::new(Path::new("/nowhere/of-the-pull-tests"));
    Engine::connect("/var/run/docker.sock", scope, Duration::from_secs(10)).await.unwrap()
}

type Pulled = Result<(LocalImage, Option<String>), PullError>;

fn pull_as(image: &str, login: Option<(&str, &str)>, stall: Duration) -> (Pulled, Vec<Progress>) {
    let image = ImageReference::parse(image).unwrap();
    let login = login.map(|(username, password)| Credentials {
        username: username.to_owned(),
        password: SecretString::from(password),
    });
    let mut seen = Vec::new();
    let pulled = block_on(async {
        engine().await.pull(&image, login.as_ref(), stall, |progress| seen.push(progress)).await
    });
    (pulled, seen)
}

fn pull(image: &str) -> Pulled {
    pull_as(image, None, STALL).0
}

#[test]
fn a_pulled_image_is_told_by_digest_and_its_progress_ends_at_the_total() {
    let registry = FakeRegistry::start();
    let wanted = registry.put("1", support::registry::architecture());
    let (pulled, seen) = pull_as(&registry.image("1"), None, STALL);
    let (local, digest) = pulled.unwrap();
    assert_eq!(digest, Some(wanted.clone()));
    assert_eq!(local.repo_digests, [format!("{}/acme/tiny@{wanted}", registry.host())]);
    let size = registry.layer_size();
    assert_eq!(seen.last(), Some(&Progress { bytes: size, total: size }));
    assert!(seen.is_sorted_by_key(|progress| progress.bytes), "{seen:?}");
}

#[test]
fn the_name_is_folded_to_lower_case_and_the_tag_is_not() {
    let registry = FakeRegistry::start();
    registry.put("V1", support::registry::architecture());
    pull(&registry.image("V1").replace("acme/tiny", "ACME/Tiny")).unwrap();
}

#[test]
fn what_registries_refuse_is_told_apart() {
    type Meaning = fn(String) -> PullError;
    let cases: &[(At, Trouble, Meaning)] = &[
        (At::Manifest, Trouble::Status(404, "MANIFEST_UNKNOWN", "manifest unknown"), PullError::NotFound),
        (At::Manifest, Trouble::Status(404, "NAME_UNKNOWN", "name unknown"), PullError::NotFound),
        (At::Manifest, Trouble::Status(403, "DENIED", "denied"), PullError::Denied),
        (At::Manifest, Trouble::Status(401, "UNAUTHORIZED", "unauthorized"), PullError::Denied),
        (At::Manifest, Trouble::Status(429, "TOOMANYREQUESTS", "slow down"), PullError::Throttled),
        (At::Manifest, Trouble::Status(500, "UNKNOWN", "unknown error"), PullError::Unreachable),
        (At::Manifest, Trouble::Page(503), PullError::Unreachable),
        (At::Blob, Trouble::Status(429, "TOOMANYREQUESTS", "slow down"), PullError::Throttled),
        (At::Blob, Trouble::Status(404, "BLOB_UNKNOWN", "blob unknown"), PullError::Failed),
        (At::Layer, Trouble::Corrupt, PullError::Failed),
    ];
    for (at, trouble, meaning) in cases {
        let registry = FakeRegistry::start();
        registry.trouble(*at, usize::MAX, *trouble);
        let error = pull(&registry.image("1")).unwrap_err();
        let wanted = meaning(String::new());
        assert_eq!(
            std::mem::discriminant(&error),
            std::mem::discriminant(&wanted),
            "{at:?} {trouble:?}: {error:?}"
        );
        let again = !matches!(error, PullError::NotFound(_) | PullError::Denied(_));
        assert_eq!(error.retryable(), again, "{error:?}");
    }
}

#[test]
fn a_token_that_is_refused_is_denied_and_a_token_service_that_is_down_is_not() {
    let registry = FakeRegistry::start();
    let login = Some(("octocat", "right-password"));
    registry.allow(Access::Bearer {
        user: "octocat".into(),
        password: "right-password".into(),
        anonymous: false,
    });
    for wrong in [None, Some(("octocat", "wrong-password"))] {
        let (pulled, _) = pull_as(&registry.image("1"), wrong, STALL);
        assert!(matches!(pulled, Err(PullError::Denied(_))), "{pulled:?}");
    }
    registry.trouble(At::Token, usize::MAX, Trouble::Page(503));
    let (pulled, _) = pull_as(&registry.image("1"), login, STALL);
    assert!(matches!(pulled, Err(PullError::Unreachable(_))), "{pulled:?}");
    registry.trouble(At::Token, 0, Trouble::Silence);
    pull_as(&registry.image("1"), login, STALL).0.unwrap();
}

#[test]
fn nobody_at_the_port_is_unreachable() {
    let mut registry = FakeRegistry::start();
    let image = registry.image("1");
    registry.stop();
    let error = pull(&image).unwrap_err();
    assert!(matches!(&error, PullError::Unreachable(words) if words.contains("refused")), "{error:?}");
}

#[test]
fn a_registry_that_falls_silent_stalls_the_pull() {
    for (at, trouble) in [(At::Manifest, Trouble::Silence), (At::Layer, Trouble::Stall)] {
        let registry = FakeRegistry::start();
        registry.trouble(at, usize::MAX, trouble);
        let stall = Duration::from_secs(1);
        let begun = Instant::now();
        let (pulled, _) = pull_as(&registry.image("1"), None, stall);
        assert!(matches!(pulled, Err(PullError::Stalled(after)) if after == stall), "{pulled:?}");
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn an_image_for_another_machine_is_named_so() {
    let registry = FakeRegistry::start();
    registry.put_index("list", &[other_architecture()]);
    registry.put("single", other_architecture());
    for tag in ["list", "single"] {
        let error = pull(&registry.image(tag)).unwrap_err();
        assert!(matches!(error, PullError::Architecture(_)), "{tag}: {error:?}");
        assert!(!error.retryable());
    }
    registry.put_index("both", &[other_architecture(), support::registry::architecture()]);
    pull(&registry.image("both")).unwrap();
}

#[test]
fn a_digest_is_held_to_its_word() {
    let registry = FakeRegistry::start();
    let digest = registry.put("1", support::registry::architecture());
    let pinned = format!("{}@{digest}", registry.image("moved-away"));
    let (_, told) = pull(&pinned).unwrap();
    assert_eq!(told, Some(digest));

    let forged = registry.put("2", support::registry::architecture());
    registry.forge(&forged);
    let error = pull(&format!("{}@{forged}", registry.image("2"))).unwrap_err();
    assert!(matches!(error, PullError::Failed(_)), "{error:?}");

    let absent = format!("{}@sha256:{}", registry.image("1"), "0".repeat(64));
    let error = pull(&absent).unwrap_err();
    assert!(matches!(error, PullError::NotFound(_)), "{error:?}");
}

#[test]
fn any_password_reaches_the_registry_as_it_is() {
    // In three alignments, so that base64 of the JSON around it has `+` and `/` in any case.
    for user in ["u", "us", "use"] {
        for password in ["~>?~>?~>?", "pä§§wörd/+=\"\\", "%20 &=:@"] {
            let registry = FakeRegistry::start();
            registry.allow(Access::Basic(user.into(), password.into()));
            let (pulled, _) = pull_as(&registry.image("1"), Some((user, password)), STALL);
            assert!(pulled.is_ok(), "{password}: {pulled:?}");
            assert_eq!(registry.logins(), [format!("{user}:{password}")]);
        }
    }
}

#[test]
fn a_registry_in_trouble_is_asked_again() {
    let registry = FakeRegistry::start();
    registry.trouble(At::Manifest, 2, Trouble::Page(503));
    let world = World::new();
    let ran = world.run_once(&world.bare(&registry.image("1"), ""));
    let phases = ran.status["phases"].as_array().unwrap();
    let image = phases.iter().find(|phase| phase["name"] == "image").unwrap();
    assert_eq!(image["state"], "done", "{}", ran.stderr);
    assert!(image["attempts"].as_u64().unwrap() >= 2, "{image}");
}

#[test]
fn credentials_go_to_their_own_host_and_no_other() {
    let (one, two) = (FakeRegistry::start(), FakeRegistry::start());
    let mut world = World::new();
    world.secret("/test/one", "password-of-one");
    world.secret("/test/two", "password-of-two");
    one.allow(Access::Basic("user-one".into(), "password-of-one".into()));
    two.allow(Access::Basic("user-two".into(), "password-of-two".into()));
    let more = format!(
        "registries:\n  {}: {{ username: user-one, password: {{ ssm: /test/one }} }}\n  {}: {{ username: user-two, password: {{ ssm: /test/two }} }}\n\
         jobs:\n  - {{ name: other, image: \"{}\", command: [/data] }}\ntries: {{ migrate: 1 }}\n",
        one.host(),
        two.host(),
        two.image("1"),
    );
    let ran = world.run_once(&world.bare(&one.image("1"), &more));
    assert_eq!(ran.phase("image"), "done", "{}", ran.stderr);
    assert_eq!(one.logins(), ["user-one:password-of-one"]);
    assert_eq!(two.logins(), ["user-two:password-of-two"]);
}

#[test]
fn what_a_bad_token_is_denied_is_asked_for_once_without() {
    let registry = FakeRegistry::start();
    let mut world = World::new();
    world.secret("/test/token", "token-that-expired");
    let more = format!(
        "registries:\n  {}: {{ username: octocat, password: {{ ssm: /test/token }} }}\n",
        registry.host()
    );
    let config = world.bare(&registry.image("1"), &more);
    let access =
        |anonymous| Access::Bearer { user: "octocat".into(), password: "new-token".into(), anonymous };

    registry.allow(access(false));
    let ran = world.run_once(&config);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert_eq!(ran.status["fault"]["code"], "registry_denied");
    let asked = |login: Option<&str>| {
        let login = login.map(str::to_owned);
        registry.seen().iter().filter(|seen| seen.path == "/token" && seen.login == login).count()
    };
    let (with, without) = (asked(Some("octocat:token-that-expired")), asked(None));
    assert!(with >= 1 && with == without, "{with} with, {without} without");

    registry.allow(access(true));
    let ran = world.run_once(&config);
    assert_eq!(ran.phase("image"), "done", "{}", ran.stderr);
    let notes = ran.status["notes"].to_string();
    assert!(notes.contains("pulled anonymously"), "{notes}");
}

#[test]
fn no_docker_configuration_is_written() {
    let registry = FakeRegistry::start();
    let mut world = World::new();
    world.secret("/test/password", "password-of-the-registry");
    registry.allow(Access::Basic("octocat".into(), "password-of-the-registry".into()));
    let home = world.path("home");
    std::fs::create_dir(&home).unwrap();
    world.set_env("HOME", home.to_str().unwrap());
    let more = format!(
        "registries:\n  {}: {{ username: octocat, password: {{ ssm: /test/password }} }}\n",
        registry.host()
    );
    let ran = world.run_once(&world.bare(&registry.image("1"), &more));
    assert_eq!(ran.phase("image"), "done", "{}", ran.stderr);
    assert_eq!(std::fs::read_dir(&home).unwrap().count(), 0);
    assert!(docker(&["images", "-q", &registry.image("1")]).len() > 10);
}
