//! An answer that breaks off.

use axum::body::{Body, Bytes};
use axum::response::Response;

/// Less of a body than its head promises.
pub fn cut() -> Response {
    let body = Body::from_stream(futures_util::stream::iter([Err::<Bytes, _>(std::io::Error::other("cut"))]));
    Response::builder().header("content-length", "1000").body(body).unwrap()
}
