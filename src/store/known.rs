//! Tokens that were looked up. Every request brings one, and where nobody else writes to the database this daemon knows
//! when one of them changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::types::TokenRow;
use crate::base::limits::STORE_TOKENS_KNOWN_MAX;

/// Shared by those who read and the writer, which forgets everything when a token may have changed.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownTokens(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    by_hash: HashMap<String, TokenRow>,
    /// How often everything was forgotten.
    era: u64,
}

/// When a lookup began: what it finds is worth nothing once the era is over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Era(u64);

impl KnownTokens {
    /// The token, or the era in which it is to be looked up.
    pub fn get(&self, hash: &str) -> Result<TokenRow, Era> {
        let known = self.lock();
        known.by_hash.get(hash).cloned().ok_or(Era(known.era))
    }

    pub fn keep(&self, era: Era, token: &TokenRow) {
        let mut known = self.lock();
        if known.era != era.0 {
            return;
        }
        if known.by_hash.len() >= STORE_TOKENS_KNOWN_MAX {
            known.by_hash.clear();
        }
        known.by_hash.insert(token.hash.clone(), token.clone());
    }

    /// Before whoever changed a token is answered.
    pub fn forget(&self) {
        let mut known = self.lock();
        known.by_hash.clear();
        known.era += 1;
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;

    fn token(hash: &str) -> TokenRow {
        TokenRow {
            name: hash.to_owned(),
            hash: hash.to_owned(),
            role: "viewer".to_owned(),
            jobs: Vec::new(),
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
            last_used_at: None,
            revoked_at: None,
        }
    }

    #[test]
    fn what_was_looked_up_before_a_change_is_not_kept_after_it() {
        let known = KnownTokens::default();
        let early = known.get("a").expect_err("not looked up yet");
        known.keep(early, &token("a"));
        assert_eq!(known.get("a").expect("kept"), token("a"));
        let slow = known.get("b").expect_err("not looked up yet");
        known.forget();
        known.keep(slow, &token("b"));
        assert!(known.get("a").is_err() && known.get("b").is_err());
    }

    #[test]
    fn few_tokens_are_known() {
        let known = KnownTokens::default();
        for number in 0..=STORE_TOKENS_KNOWN_MAX {
            let era = known.get(&number.to_string()).expect_err("not looked up yet");
            known.keep(era, &token(&number.to_string()));
        }
        assert_eq!(known.lock().by_hash.len(), 1);
    }
}
