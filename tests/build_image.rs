//! Images are built by the real engine with BuildKit, and a build that fails says why.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::HashMap;
use std::io;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use bollard::{API_DEFAULT_VERSION, Docker};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use preview_agent::docker::build::{BuildError, BuildRequest, BuiltImage, build};
use preview_agent::docker::pull::Credentials;
use preview_agent::github::{Limits, Request, fetch};
use preview_agent::redact::Redactor;
use secrecy::SecretString;
use support::docker::{Answer, FakeDocker};
use support::engine::docker_try;
use support::github::{self, GitHub, Tarball};
use support::peers::peers;
use support::wait::{block_on, eventually};

/// As the command line builds; a failure ends the test long before.
const STALL: Duration = Duration::from_secs(60);

fn engine() -> Docker {
    // A second installation is refused and harmless: the first stays.
    drop(rustls::crypto::ring::default_provider().install_default());
    Docker::connect_with_unix("unix:///var/run/docker.sock", 60, API_DEFAULT_VERSION).unwrap()
}

/// An image name of this test's own, whose image is removed in the end.
struct Tag(String);

impl Tag {
    fn new() -> Self {
        Self(format!("preview-agent-test-{:016x}:built", fastrand::u64(..)))
    }

    fn exists(&self) -> bool {
        docker_try(&["image", "inspect", &self.0]).is_ok()
    }
}

impl Drop for Tag {
    fn drop(&mut self) {
        docker_try(&["image", "rm", "--force", &self.0]).ok();
    }
}

/// A build context in the making.
struct Context(tar::Builder<Vec<u8>>);

impl Context {
    fn new(dockerfile: &str) -> Self {
        Self(tar::Builder::new(Vec::new())).file("Dockerfile", dockerfile.as_bytes(), 0o644)
    }

    /// With a shell, so that `FROM scratch` needs no registry. `root/` holds it.
    fn with_shell(steps: &str) -> Self {
        // The nonce keeps the engine's cache of an earlier run out of the way.
        let nonce = fastrand::u64(..);
        let dockerfile = format!("FROM scratch\nCOPY root/ /\nENV NONCE={nonce} PATH=/bin\n{steps}\n");
        let mut context = Self::new(&dockerfile);
        for file in shell_files() {
            let content = std::fs::read(&file).unwrap();
            context = context.file(&format!("root{}", file.display()), &content, 0o755);
        }
        context
    }

    fn file(mut self, path: &str, content: &[u8], mode: u32) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        self.0.append_data(&mut header, path, content).unwrap();
        self
    }

    fn stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let tar = Bytes::from(self.0.into_inner().unwrap());
        let chunks: Vec<_> =
            (0..tar.len()).step_by(65536).map(|at| Ok(tar.slice(at..tar.len().min(at + 65536)))).collect();
        stream::iter(chunks)
    }
}

/// `/bin/sh`, `/bin/sleep` and the libraries they load.
fn shell_files() -> Vec<PathBuf> {
    let out = Command::new("ldd").args(["/bin/sh", "/bin/sleep"]).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let mut files: Vec<PathBuf> =
        text.split_whitespace().filter(|word| word.starts_with("/lib")).map(PathBuf::from).collect();
    files.extend(["/bin/sh".into(), "/bin/sleep".into()]);
    files.sort();
    files.dedup();
    files
}

fn request<S>(context: S, tag: &Tag) -> BuildRequest<S> {
    BuildRequest {
        context,
        dockerfile: "Dockerfile".into(),
        build_args: HashMap::new(),
        tag: tag.0.clone(),
        labels: HashMap::new(),
        credentials: HashMap::new(),
        redactor: Redactor::default(),
        stall: STALL,
    }
}

/// Builds and returns the outcome with the lines of output.
fn run<S>(request: BuildRequest<S>) -> (Result<BuiltImage, BuildError>, Vec<String>)
where
    S: Stream<Item = io::Result<Bytes>> + Send + 'static,
{
    let mut lines = Vec::new();
    let result = block_on(build(&engine(), request, |line| lines.push(line.to_owned())));
    (result, lines)
}

fn build_with_shell(steps: &str, tag: &Tag) -> (Result<BuiltImage, BuildError>, Vec<String>) {
    run(request(Context::with_shell(steps).stream(), tag))
}

#[test]
fn a_cache_mount_builds_and_the_image_carries_tag_and_labels() {
    let tag = Tag::new();
    let context = Context::with_shell(
        "RUN --mount=type=cache,target=/cache echo warm > /cache/x && echo it-is-mounted",
    );
    let labels = HashMap::from([("preview-agent.role".to_owned(), "build".to_owned())]);
    let (built, lines) = run(BuildRequest { labels, ..request(context.stream(), &tag) });
    let built = built.unwrap();
    assert!(lines.iter().any(|line| line == "it-is-mounted"), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("RUN --mount=type=cache")), "{lines:#?}");
    let image = block_on(engine().inspect_image(&tag.0)).unwrap();
    assert_eq!(image.id, Some(built.id));
    assert_eq!(image.config.unwrap().labels.unwrap()["preview-agent.role"], "build");
}

#[test]
fn build_args_and_another_dockerfile_are_used() {
    let tag = Tag::new();
    let context = Context::with_shell("RUN false").file(
        "deploy/Api.dockerfile",
        b"FROM scratch\nCOPY root/ /\nARG COLOUR\nRUN echo the colour is $COLOUR\n",
        0o644,
    );
    let build_args = HashMap::from([("COLOUR".to_owned(), format!("teal & {}", fastrand::u64(..)))]);
    let expected = format!("the colour is {}", build_args["COLOUR"]);
    let dockerfile = "deploy/Api.dockerfile".to_owned();
    let (built, lines) = run(BuildRequest { dockerfile, build_args, ..request(context.stream(), &tag) });
    built.unwrap();
    assert!(lines.contains(&expected), "{lines:#?}");
}

#[test]
fn a_tarball_is_built_as_its_ignore_file_says() {
    let shell = shell_files();
    let mut tarball = Tarball::new().file(
        "api/Dockerfile",
        format!(
            "FROM scratch\nCOPY . /\nENV NONCE={} PATH=/bin\nRUN test -f kept && test ! -e ignored && test -x bin/sh\n",
            fastrand::u64(..)
        ),
    );
    tarball = tarball.file("api/.dockerignore", "ignored\n").file("api/kept", "").file("api/ignored", "");
    for file in &shell {
        let mut header =
            github::header(&format!("acme-api-b927023/api{}", file.display()), tar::EntryType::Regular, 0);
        let content = std::fs::read(file).unwrap();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        tarball = tarball.raw(header, &content);
    }
    let github = GitHub::serving(tarball.gz());
    let tag = Tag::new();
    let (docker, spool) = (engine(), tempfile::tempdir().unwrap());
    let source = Request {
        api_url: github.api.url(),
        repository: "acme/api".into(),
        reference: github::COMMIT.into(),
        token: None,
        context: "api".into(),
        dockerfile: "Dockerfile".into(),
    };
    block_on(async {
        let archive = fetch(&source, spool.path(), &Limits::default(), |_| {}).await.unwrap();
        build(&docker, request(archive.context(), &tag), |_| {}).await.unwrap();
    });
}

#[test]
fn a_failing_step_is_named_with_its_words_and_its_output() {
    let tag = Tag::new();
    let (result, lines) = build_with_shell("RUN echo about to fail; echo why >&2; exit 3", &tag);
    let Err(BuildError::Failed { step, message }) = result else { panic!("{result:?} {lines:#?}") };
    assert!(step.contains("RUN echo about to fail"), "{step}");
    assert!(message.contains("exit code: 3"), "{message}");
    for said in ["about to fail", "why"] {
        assert!(lines.iter().any(|line| line == said), "{lines:#?}");
    }
    assert!(!tag.exists());
}

#[test]
fn a_step_that_fills_the_disk_is_not_the_dockerfiles_fault() {
    let tag = Tag::new();
    let (result, _) = build_with_shell("RUN echo sh: write error: No space left on device >&2; exit 2", &tag);
    assert!(matches!(result, Err(BuildError::DiskFull(_))), "{result:?}");
}

#[test]
fn secrets_are_masked_in_output_and_error() {
    let tag = Tag::new();
    let redactor = Redactor::default();
    redactor.learn("canary-0123456789");
    let context = Context::with_shell("RUN echo token canary-0123456789; exit 4");
    let (result, lines) = run(BuildRequest { redactor, ..request(context.stream(), &tag) });
    let said = format!("{lines:?} {result:?}");
    assert!(said.contains("token [redacted]") && !said.contains("canary-0123456789"), "{said}");
}

/// The platform's base image under a name that no engine has ever pulled: one
/// that lies on the host would be used without asking the registry.
fn private_base() -> String {
    let peers = peers();
    let name = peers.platform_base.strip_prefix(&format!("{}/", peers.registry)).unwrap();
    let (repository, tag) = name.rsplit_once(':').unwrap();
    let manifests = format!("http://{}/v2/{repository}/manifests", peers.registry);
    let kind = "application/vnd.docker.distribution.manifest.v2+json";
    drop(rustls::crypto::ring::default_provider().install_default());
    let http = reqwest::Client::new();
    let login = |request: reqwest::RequestBuilder| {
        request.basic_auth(&peers.registry_user, Some(&peers.registry_password))
    };
    block_on(async {
        let got = login(http.get(format!("{manifests}/{tag}")).header("Accept", kind)).send().await.unwrap();
        let manifest = got.error_for_status().unwrap().bytes().await.unwrap();
        let put = http.put(format!("{manifests}/never-pulled")).header("Content-Type", kind).body(manifest);
        login(put).send().await.unwrap().error_for_status().unwrap();
    });
    format!("{}/{repository}:never-pulled", peers.registry)
}

#[test]
fn a_private_base_needs_its_registrys_credentials() {
    let peers = peers();
    let tag = Tag::new();
    let base = private_base();
    let attempt = |base: &str, password: Option<&str>| {
        let context = Context::new(&format!("FROM {base}\nENV NONCE={}\n", fastrand::u64(..)));
        let login = |password: &str| Credentials {
            username: peers.registry_user.clone(),
            password: SecretString::from(password),
        };
        let credentials =
            password.map(|password| (peers.registry.clone(), login(password))).into_iter().collect();
        run(BuildRequest { credentials, ..request(context.stream(), &tag) }).0
    };
    for password in [None, Some("wrong/password+=")] {
        let result = attempt(&base, password);
        let Err(BuildError::Base { image, message }) = result else { panic!("{result:?}") };
        assert!(image.contains(&base), "{image}");
        assert!(message.contains("401") || message.contains("no basic auth"), "{message}");
    }
    let missing = format!("{}/no/such:image", peers.registry);
    let result = attempt(&missing, Some(&peers.registry_password));
    let Err(BuildError::Base { image, message }) = result else { panic!("{result:?}") };
    assert!(image.contains(&missing) && message.contains("not found"), "{image}: {message}");
    assert!(!tag.exists());
    attempt(&base, Some(&peers.registry_password)).unwrap();
}

#[test]
fn a_registry_that_is_not_there_is_the_bases_fault() {
    let tag = Tag::new();
    // Bound and dropped: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let context = Context::new(&format!("FROM 127.0.0.1:{port}/a/b:c\n"));
    let (result, _) = run(request(context.stream(), &tag));
    let Err(BuildError::Base { message, .. }) = result else { panic!("{result:?}") };
    assert!(message.contains("connection refused"), "{message}");
}

#[test]
fn a_dockerfile_that_cannot_be_read_is_said_so() {
    let tag = Tag::new();
    for dockerfile in ["FROM scratch\nFLY away\n", "", "# only a comment\n"] {
        let (result, _) = run(request(Context::new(dockerfile).stream(), &tag));
        assert!(matches!(result, Err(BuildError::Dockerfile(_))), "{dockerfile:?}: {result:?}");
    }
    let missing = BuildRequest {
        dockerfile: "elsewhere/Dockerfile".into(),
        ..request(Context::new("FROM scratch").stream(), &tag)
    };
    let (result, _) = run(missing);
    assert!(
        matches!(&result, Err(BuildError::Dockerfile(words)) if words.contains("elsewhere")),
        "{result:?}"
    );
}

#[test]
fn a_missing_file_of_a_copy_is_a_failed_step() {
    let tag = Tag::new();
    let (result, _) = run(request(Context::new("FROM scratch\nCOPY absent.txt /\n").stream(), &tag));
    let Err(BuildError::Failed { step, message }) = result else { panic!("{result:?}") };
    assert!(step.contains("COPY absent.txt") && message.contains("absent.txt"), "{step}: {message}");
}

#[test]
fn a_context_that_breaks_off_never_becomes_an_image() {
    let tag = Tag::new();
    let broken = Context::with_shell("RUN true")
        .stream()
        .take(1)
        .chain(stream::iter([Err(io::Error::other("the spool is gone"))]));
    let (result, _) = run(request(broken, &tag));
    let Err(BuildError::Context(error)) = result else { panic!("{result:?}") };
    assert_eq!(error.to_string(), "the spool is gone");
    assert!(!tag.exists());
}

#[test]
fn a_context_that_never_comes_stalls() {
    let tag = Tag::new();
    let silent = Context::new("FROM scratch").stream().take(0).chain(stream::pending());
    let stall = Duration::from_millis(500);
    let begun = Instant::now();
    let (result, _) = run(BuildRequest { stall, ..request(silent, &tag) });
    assert!(matches!(result, Err(BuildError::Stalled { after }) if after == stall), "{result:?}");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

/// Whether a process with this argument runs on the machine.
fn runs(argument: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|part| part == argument.as_bytes())
    })
}

#[test]
fn a_silent_step_stalls_and_is_ended() {
    let tag = Tag::new();
    let seconds = format!("3600.{}", fastrand::u32(..));
    let context = Context::with_shell(&format!("RUN sleep {seconds}"));
    let stall = Duration::from_secs(3);
    let (result, lines) = run(BuildRequest { stall, ..request(context.stream(), &tag) });
    assert!(matches!(result, Err(BuildError::Stalled { .. })), "{result:?}");
    assert!(lines.iter().any(|line| line.contains(&seconds)), "it never came to the step: {lines:#?}");
    eventually("the end of the step", || !runs(&seconds));
}

#[test]
fn a_dropped_build_is_ended_and_leaves_no_image() {
    let tag = Tag::new();
    let seconds = format!("3600.{}", fastrand::u32(..));
    let context = Context::with_shell(&format!("RUN sleep {seconds}")).stream();
    let docker = engine();
    let (begun, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let mark = seconds.clone();
    block_on(async {
        let building = build(&docker, request(context, &tag), |line| {
            if line.contains(&mark) {
                begun.send(()).unwrap();
            }
        });
        tokio::select! {
            result = building => panic!("{result:?}"),
            begun = seen.recv() => assert!(begun.is_some()),
        }
        eventually("a step that runs", || runs(&seconds));
    });
    eventually("the end of the step", || !runs(&seconds));
    assert!(!tag.exists());
}

#[test]
fn builds_leave_no_connection_behind() {
    const ALONE: &str = "PREVIEW_AGENT_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        // In a process of its own: the sockets of other tests would be counted here.
        let mut alone = Command::new(std::env::current_exe().unwrap());
        alone.args(["--exact", "builds_leave_no_connection_behind"]).env(ALONE, "1");
        let output = alone.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let docker = engine();
    block_on(async {
        let mut open = None;
        for _ in 0..4 {
            let tag = Tag::new();
            let context = Context::new(&format!("FROM scratch\nENV N={}\nCOPY Dockerfile /\n", tag.0));
            build(&docker, request(context.stream(), &tag), |_| {}).await.unwrap();
            let silent = BuildRequest {
                stall: Duration::from_millis(300),
                ..request(Context::new("FROM scratch").stream().take(0).chain(stream::pending()), &tag)
            };
            assert!(build(&docker, silent, |_| {}).await.is_err());
            settles_at(&mut open).await;
        }
    });
}

/// Waits until no more sockets are open than when it was first called.
async fn settles_at(open: &mut Option<usize>) {
    let sockets = || {
        let links = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        links
            .filter_map(|fd| std::fs::read_link(fd.path()).ok())
            .filter(|link| link.starts_with("socket:"))
            .count()
    };
    let end = Instant::now() + Duration::from_secs(10);
    while sockets() > *open.get_or_insert_with(sockets) {
        assert!(Instant::now() < end, "{} sockets, {open:?} before", sockets());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What comes of a build that an engine answers with this status and these lines; it knows no image.
fn pretend(status: u16, lines: &'static str) -> BuildError {
    drop(rustls::crypto::ring::default_provider().install_default());
    let status = StatusCode::from_u16(status).unwrap();
    let fake = FakeDocker::start(move |_, path| {
        path.starts_with("/build?").then(|| Answer::Response((status, lines).into_response()))
    });
    let docker = Docker::connect_with_unix(fake.socket().to_str().unwrap(), 60, API_DEFAULT_VERSION).unwrap();
    let tag = Tag::new();
    block_on(build(&docker, request(Context::new("FROM scratch").stream(), &tag), |_| {})).unwrap_err()
}

#[test]
fn a_stream_that_just_ends_is_no_success() {
    for lines in ["", "{\"id\":\"moby.image.id\",\"aux\":{\"ID\":\"sha256:0\"}}\r\n"] {
        let error = pretend(200, lines);
        assert!(matches!(error, BuildError::Incomplete), "{error:?}");
    }
}

#[test]
fn a_full_disk_and_a_missing_buildkit_are_told_apart() {
    let error = pretend(
        200,
        "{\"errorDetail\":{\"message\":\"failed to copy files: write /x: no space left on device\"},\"error\":\"x\"}\r\n",
    );
    assert!(matches!(error, BuildError::DiskFull(_)), "{error:?}");
    let error = pretend(400, "{\"message\":\"buildkit is not enabled on this daemon\"}");
    assert!(matches!(error, BuildError::NoBuildKit(_)), "{error:?}");
    let error = pretend(500, "{\"message\":\"something else\"}");
    assert!(matches!(error, BuildError::Refused(_)), "{error:?}");
}

#[test]
fn a_session_that_buildkit_has_lost_is_not_the_bases_fault() {
    let error = pretend(
        200,
        "{\"errorDetail\":{\"message\":\"failed to solve with frontend dockerfile.v0: failed to create LLB definition: no active session for 1f: context deadline exceeded\"},\"error\":\"x\"}\r\n",
    );
    assert!(matches!(&error, BuildError::Engine(words) if words.contains("no active session")), "{error:?}");
}

#[test]
fn an_engine_that_breaks_off_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let docker = Docker::connect_with_unix(socket.to_str().unwrap(), 60, API_DEFAULT_VERSION).unwrap();
    drop(listener);
    let tag = Tag::new();
    let error =
        block_on(build(&docker, request(Context::new("FROM scratch").stream(), &tag), |_| {})).unwrap_err();
    assert!(matches!(error, BuildError::Engine(_)), "{error:?}");
}
