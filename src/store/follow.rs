//! Who waits for news of which run, so that a commit wakes only those whom it concerns.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::base::RunId;

#[derive(Debug, Clone, Default)]
pub(super) struct Followers(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    by_run: HashMap<RunId, watch::Sender<u64>>,
    /// The writer has ended: nothing will change any more.
    closed: bool,
}

/// Changes with every commit that holds log lines, a new state or new progress of one run.
#[derive(Debug)]
pub struct Follow {
    run: RunId,
    commits: watch::Receiver<u64>,
    followers: Followers,
}

impl Followers {
    pub fn follow(&self, run: RunId) -> Follow {
        let mut table = self.table();
        let commits = match table.closed {
            false => table.by_run.entry(run).or_insert_with(|| watch::Sender::new(0)).subscribe(),
            true => watch::channel(0).1,
        };
        drop(table);
        Follow { run, commits, followers: self.clone() }
    }

    pub fn wake(&self, runs: &[RunId]) {
        let table = self.table();
        if table.by_run.is_empty() {
            return;
        }
        for run in runs {
            if let Some(sender) = table.by_run.get(run) {
                sender.send_modify(|commits| *commits += 1);
            }
        }
    }

    /// For when it is not known whom a commit concerned.
    pub fn wake_all(&self) {
        for sender in self.table().by_run.values() {
            sender.send_modify(|commits| *commits += 1);
        }
    }

    /// Ends all waiting, now and later.
    pub fn close(&self) {
        let mut table = self.table();
        table.closed = true;
        table.by_run.clear();
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Follow {
    /// Takes what was committed until now as seen. Call it before reading.
    pub fn mark_seen(&mut self) {
        self.commits.mark_unchanged();
    }

    /// Returns true at the first commit after the last `mark_seen`, false when the writer has ended.
    pub async fn changed(&mut self) -> bool {
        self.commits.changed().await.is_ok()
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        let mut table = self.followers.table();
        // This receiver goes while the table is held: of two that are dropped at once, the second one sees none left.
        drop(std::mem::replace(&mut self.commits, watch::channel(0).1));
        if table.by_run.get(&self.run).is_some_and(|sender| sender.receiver_count() == 0) {
            table.by_run.remove(&self.run);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_followed_run_wakes_and_nothing_is_left_behind() {
        let followers = Followers::default();
        let (a, b) = (RunId::generate(), RunId::generate());
        let mut first = followers.follow(a);
        let second = followers.follow(a);
        followers.wake(&[b]);
        assert!(!first.commits.has_changed().expect("the sender is kept"));
        followers.wake(&[a]);
        assert!(first.changed().await);
        first.mark_seen();
        assert!(!first.commits.has_changed().expect("the sender is kept"));
        drop(first);
        assert_eq!(followers.table().by_run.len(), 1);
        drop(second);
        assert!(followers.table().by_run.is_empty());
    }

    #[test]
    fn followers_that_go_at_once_leave_nothing_behind() {
        let followers = Followers::default();
        for _ in 0..500 {
            let run = RunId::generate();
            let both = [followers.follow(run), followers.follow(run)];
            let table = followers.table();
            std::thread::scope(|scope| {
                let dropping = both.map(|follow| scope.spawn(move || drop(follow)));
                // Both are on their way now.
                drop(table);
                dropping.into_iter().for_each(|thread| thread.join().expect("no panic"));
            });
            assert!(followers.table().by_run.is_empty());
        }
    }

    #[tokio::test]
    async fn waiting_ends_with_the_writer() {
        let followers = Followers::default();
        let mut before = followers.follow(RunId::generate());
        followers.close();
        assert!(!before.changed().await);
        assert!(!followers.follow(RunId::generate()).changed().await);
    }
}
