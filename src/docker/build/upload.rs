//! The build context on its way to the engine.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};

/// What is known of the context on its way: the client reports neither its progress nor its failure.
#[derive(Clone, Default)]
pub(super) struct Upload {
    chunks: Arc<AtomicU64>,
    error: Arc<Mutex<Option<io::Error>>>,
}

impl Upload {
    pub(super) fn watch<S>(&self, context: S) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static
    where
        S: Stream<Item = io::Result<Bytes>> + Send + 'static,
    {
        let own = self.clone();
        context.map(move |chunk| {
            own.chunks.fetch_add(1, Ordering::Relaxed);
            chunk.map_err(|error| {
                let kind = error.kind();
                *own.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                kind.into()
            })
        })
    }

    pub(super) fn sent(&self) -> u64 {
        self.chunks.load(Ordering::Relaxed)
    }

    pub(super) fn take_error(&self) -> Option<io::Error> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
