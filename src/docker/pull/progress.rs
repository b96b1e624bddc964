//! How much of an image has come, from what the engine tells of its layers.

use std::collections::HashMap;

use bollard::models::CreateImageInfo;

/// Layers whose progress is counted; an image has at most 127 (overlay2's limit).
const LAYERS_MAX: usize = 1024;

/// Bytes of all layers seen so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes downloaded.
    pub bytes: u64,
    /// Bytes to download, as far as known.
    pub total: u64,
}

/// The layers told of so far, by their ids.
#[derive(Default)]
pub(super) struct Layers(HashMap<String, Progress>);

impl Layers {
    /// Takes a line of the engine's answer, and returns the sum over all layers if it has changed.
    pub(super) fn update(&mut self, line: CreateImageInfo) -> Option<Progress> {
        let id = line.id?;
        match line.status.unwrap_or_default().as_str() {
            // A hostile stream may name layers without end; real images have at most 127.
            "Downloading" if self.0.len() < LAYERS_MAX || self.0.contains_key(&id) => {
                let detail = line.progress_detail.unwrap_or_default();
                let count = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
                let layer = Progress { bytes: count(detail.current), total: count(detail.total) };
                self.0.insert(id, layer);
            }
            "Download complete" => {
                self.0.entry(id).and_modify(|layer| layer.bytes = layer.bytes.max(layer.total));
            }
            _ => return None,
        }
        Some(self.0.values().fold(Progress::default(), |sum, layer| Progress {
            bytes: sum.bytes.saturating_add(layer.bytes),
            total: sum.total.saturating_add(layer.total),
        }))
    }
}
