//! What tokens are signed with where a setting names it, and how often that changed.
//!
//! Read by every core on each request with a token, written by the thread that looks at the file
//! the setting is in. Without such a setting the replicated key signs.

use super::limits::GENERATED_KEY_BYTES;
use super::token::Signer;
use arc_swap::ArcSwapOption;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The keys of a node; the same for all its cores.
#[derive(Debug, Default)]
pub struct Keys {
    named: ArcSwapOption<Signer>,
    /// Grows with each other key.
    version: AtomicU64,
    refused: AtomicU64,
    /// The replicated key as this node kept it, to be offered where the state has none.
    kept: Option<Vec<u8>>,
}

impl Keys {
    /// With the setting's signer, and the key in this node's file.
    pub fn new(named: Option<Signer>, kept: Option<Vec<u8>>) -> Self {
        let named = ArcSwapOption::new(named.map(Arc::new));
        Self { named, version: AtomicU64::new(0), refused: AtomicU64::new(0), kept }
    }

    /// The setting's signer.
    pub fn named(&self) -> Option<Arc<Signer>> {
        self.named.load_full()
    }

    /// Whether there is one.
    pub fn is_named(&self) -> bool {
        self.named.load().is_some()
    }

    /// Which of the setting's keys it is: another number, another key.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The setting names another key: tokens of the one before end.
    pub fn name(&self, signer: Signer) {
        self.named.store(Some(Arc::new(signer)));
        self.version.fetch_add(1, Ordering::Release);
    }

    /// The setting was changed to what cannot sign; the key before it stays.
    pub fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// How often another key was taken, and one refused, since the start.
    pub fn counts(&self) -> (u64, u64) {
        (self.version(), self.refused.load(Ordering::Relaxed))
    }

    /// A key for a state that has none: the one this node kept, or a new one.
    pub fn to_offer(&self) -> Vec<u8> {
        let made = || rand::random::<[u8; GENERATED_KEY_BYTES]>().to_vec();
        self.kept.clone().unwrap_or_else(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_key_is_another_version() {
        let signer = |byte| Signer::new(&[byte; 32]).unwrap();
        let keys = Keys::new(None, None);
        assert!(!keys.is_named() && keys.named().is_none());
        keys.name(signer(1));
        assert_eq!(keys.named().unwrap().issue("u", 1), signer(1).issue("u", 1));
        keys.refuse();
        assert_eq!((keys.counts(), keys.version()), ((1, 1), 1));
    }

    #[test]
    fn what_was_kept_is_offered_again() {
        assert_eq!(Keys::new(None, Some(vec![3; 40])).to_offer(), [3; 40]);
        let made = Keys::default();
        assert_eq!(made.to_offer().len(), GENERATED_KEY_BYTES);
        assert_ne!(made.to_offer(), made.to_offer());
    }
}
