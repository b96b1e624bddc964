//! Where known texts stand in another text, all of them found in one pass.

use std::collections::BTreeSet;
use std::iter;
use std::ops::Range;

use aho_corasick::automaton::Automaton as _;
use aho_corasick::nfa::noncontiguous::NFA;
use aho_corasick::{BuildError, Input};

/// Bytes of a needle that the automaton knows; the rest is compared where those are found. A secret of
/// 64 KiB in all its encodings would take a hundred megabytes otherwise.
const HEAD: usize = 64;

/// A set of texts to search for.
pub(super) struct Search {
    needles: Vec<String>,
    /// This kind alone, and not the type that chooses among all kinds: it is 50 KB of executable less.
    heads: NFA,
}

impl Search {
    /// # Errors
    /// More needles than the automaton can number.
    pub(super) fn new(needles: &BTreeSet<String>) -> Result<Self, BuildError> {
        let needles: Vec<String> = needles.iter().cloned().collect();
        let heads = needles.iter().map(|needle| &needle[..needle.floor_char_boundary(HEAD)]);
        // A search for matches that overlap has no use for a prefilter.
        let heads = NFA::builder().prefilter(false).build(heads)?;
        Ok(Self { needles, heads })
    }

    /// The ranges of `text` that needles cover, in order. Needles that overlap, one that lies inside
    /// another included, are one range: of none of them may a part be left.
    pub(super) fn covered(&self, text: &str) -> Vec<Range<usize>> {
        let Ok(found) = self.heads.try_find_overlapping_iter(Input::new(text)) else {
            // Not of this kind of automaton; what cannot be searched is not shown.
            return iter::once(0..text.len()).collect();
        };
        let found = found.filter_map(|head| {
            let needle = &self.needles[head.pattern()];
            let end = head.start() + needle.len();
            text[head.start()..].starts_with(needle.as_str()).then_some(head.start()..end)
        });
        let mut found: Vec<Range<usize>> = found.collect();
        found.sort_unstable_by_key(|range| range.start);
        let mut covered: Vec<Range<usize>> = Vec::new();
        for range in found {
            match covered.last_mut() {
                Some(last) if range.start < last.end => last.end = last.end.max(range.end),
                _ => covered.push(range),
            }
        }
        covered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covered(needles: &[&str], text: &str) -> Vec<(usize, usize)> {
        let needles = needles.iter().map(|needle| (*needle).to_owned()).collect();
        let ranges = Search::new(&needles).unwrap().covered(text);
        ranges.into_iter().map(|range| (range.start, range.end)).collect()
    }

    #[test]
    fn needles_that_overlap_are_one_range_and_neighbours_are_two() {
        assert_eq!(covered(&["abcdef", "defghi"], "-abcdefghi-"), [(1, 10)]);
        assert_eq!(covered(&["abcdef", "cd", "abc"], "abcdef"), [(0, 6)]);
        assert_eq!(covered(&["aba"], "ababa-aba"), [(0, 5), (6, 9)]);
        assert_eq!(covered(&["abc", "def"], "abcdef"), [(0, 3), (3, 6)]);
        assert_eq!(covered(&["abc"], "ab"), []);
    }

    #[test]
    fn a_needle_is_compared_beyond_its_head() {
        let long = "é".repeat(HEAD);
        let other = format!("{}x", "é".repeat(HEAD - 1));
        assert_eq!(covered(&[&long], &other), []);
        assert_eq!(covered(&[&long, &other], &format!("-{other}")), [(1, 1 + other.len())]);
    }
}
