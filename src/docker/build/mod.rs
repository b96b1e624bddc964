//! Building an image with BuildKit.
//!
//! Dropping the future cancels the build: the connection closes, and with it
//! the engine's side ends.

mod buildkit_errors;
mod error;
mod transcript;
mod upload;

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error as Bollard;
use bollard::query_parameters::{BuildImageOptions, BuilderVersion};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio::time::timeout;

pub use error::BuildError;

use self::transcript::Transcript;
use self::upload::Upload;
use super::credentials::Credentials;
use super::error::is_end_of_stream;
use super::error_text::describe;
use crate::redact::Redactor;

/// Longest time without a sign of progress from either side.
pub const STALL: Duration = Duration::from_secs(5 * 60);

/// The client's own limit, up to the first answer, which comes after the
/// context was sent: longer than any build may take, the caller's deadline holds.
const CLIENT_LIMIT: Duration = Duration::from_secs(24 * 3600);

/// The engine answers an inspect at once.
const INSPECT: Duration = Duration::from_secs(60);

/// How Docker Hub is called where its credentials are kept.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// An image to build.
pub struct BuildRequest<S> {
    /// The build context as a tar; an error in it fails the build.
    pub context: S,
    /// Dockerfile, relative to the context.
    pub dockerfile: String,
    /// Build arguments; they stay in the image's history.
    pub build_args: HashMap<String, String>,
    /// The image's name.
    pub tag: String,
    /// Labels of the image.
    pub labels: HashMap<String, String>,
    /// Logins by the registry host that base images may come from.
    pub credentials: HashMap<String, Credentials>,
    /// Masks secrets in the output and in errors.
    pub redactor: Redactor,
    /// Longest time without progress, [`STALL`] by policy.
    pub stall: Duration,
}

/// An image that was built and is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltImage {
    /// The engine's id of it, `sha256:…`.
    pub id: String,
}

/// Builds an image, handing each line of output to `on_line`.
///
/// # Errors
/// See [`BuildError`].
pub async fn build<S>(
    docker: &Docker,
    request: BuildRequest<S>,
    mut on_line: impl FnMut(&str),
) -> Result<BuiltImage, BuildError>
where
    S: Stream<Item = io::Result<Bytes>> + Send + 'static,
{
    let options = BuildImageOptions {
        dockerfile: request.dockerfile,
        t: Some(request.tag.clone()),
        buildargs: Some(request.build_args),
        labels: Some(request.labels),
        version: BuilderVersion::BuilderBuildKit,
        // A session id that was used before makes the engine wait for the old session.
        session: Some(format!("{:032x}", fastrand::u128(..))),
        ..BuildImageOptions::default()
    };
    let credentials = request.credentials.into_iter();
    let credentials = credentials.map(|(host, login)| (build_host(host), login.for_engine())).collect();
    let upload = Upload::default();
    let body = bollard::body_try_stream(upload.watch(request.context));
    let mut client = docker.clone();
    client.set_timeout(CLIENT_LIMIT);
    let mut transcript = Transcript::new(request.redactor);
    let mut messages = client.build_image(options, Some(credentials), Some(body));
    loop {
        let sent = upload.sent();
        match timeout(request.stall, messages.next()).await {
            Err(_) if upload.sent() == sent => return Err(BuildError::Stalled { after: request.stall }),
            Err(_) => {}
            Ok(None) => break,
            Ok(Some(Err(error))) if is_end_of_stream(&error) => break,
            Ok(Some(Ok(message))) => transcript.take(message, &mut on_line),
            Ok(Some(Err(error))) => return Err(failure(error, &upload, transcript, &mut on_line)),
        }
    }
    transcript.finish(&mut on_line);
    // A stream that ends early looks like one that ends well: only the image tells.
    match timeout(INSPECT, docker.inspect_image(&request.tag)).await {
        Ok(Ok(image)) => match (image.id, transcript.image()) {
            (Some(id), Some(_)) => Ok(BuiltImage { id }),
            _ => Err(BuildError::Incomplete),
        },
        Ok(Err(Bollard::DockerResponseServerError { .. })) => Err(BuildError::Incomplete),
        Ok(Err(error)) => Err(BuildError::Engine(describe(&error))),
        Err(_) => Err(BuildError::Stalled { after: INSPECT }),
    }
}

fn build_host(registry: String) -> String {
    match registry.as_str() {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB.to_owned(),
        _ => registry,
    }
}

fn failure(
    error: Bollard,
    upload: &Upload,
    mut transcript: Transcript,
    on_line: &mut impl FnMut(&str),
) -> BuildError {
    transcript.finish(on_line);
    if let Some(error) = upload.take_error() {
        return BuildError::Context(error);
    }
    match error {
        Bollard::DockerStreamError { error: message }
        | Bollard::DockerResponseServerError { message, .. } => transcript.explain(&message),
        error => BuildError::Engine(describe(&error)),
    }
}
