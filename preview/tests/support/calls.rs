//! Requests that were seen, and how the next ones fail.

use std::collections::BTreeMap;

/// The fields of a request; a JSON body's are flattened to its top level.
pub type Fields = BTreeMap<String, String>;

/// How a request fails.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// An error of AWS's: status, code, message.
    Error(u16, &'static str, &'static str),
    /// The connection is cut before an answer.
    Cut,
    /// It is done, and the answer is cut.
    Lost,
    /// Nothing is answered.
    Hang,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Seen {
    /// As in `RunInstances`.
    pub action: String,
    /// What was asked.
    pub fields: Fields,
}

/// What is to go wrong.
#[derive(Debug, Default)]
pub struct Troubles(Vec<(String, usize, Trouble)>);

impl Troubles {
    /// The next `times` requests of this action fail so.
    pub fn add(&mut self, action: &str, times: usize, trouble: Trouble) {
        self.0.push((action.to_owned(), times, trouble));
    }

    /// What happens to this request, if anything does.
    pub fn next(&mut self, action: &str) -> Option<Trouble> {
        let (_, times, trouble) = self.0.iter_mut().find(|(of, times, _)| of == action && *times > 0)?;
        *times = times.saturating_sub(1);
        Some(trouble.clone())
    }
}
