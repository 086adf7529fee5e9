//! What the metrics are told of the group and its disk.

use std::sync::atomic::{AtomicU64, Ordering};

/// Upper bounds of the fsync histogram's buckets, in microseconds; the last bucket has none.
pub const FSYNC_BOUNDS_US: [u64; 11] =
    [100, 200, 300, 500, 1_000, 2_000, 5_000, 10_000, 50_000, 200_000, 1_000_000];

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The live counters: written on the Raft core and the storage threads, read anywhere.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: Count,)*
            /// Fsyncs by duration: one bucket per bound of [`FSYNC_BOUNDS_US`], one more without.
            pub fsync: [Count; FSYNC_BOUNDS_US.len() + 1],
        }

        /// The counters at one moment.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct Counted {
            $($(#[$doc])* pub $name: u64,)*
            /// Fsyncs per bucket of [`FSYNC_BOUNDS_US`], and one more without bound.
            pub fsync: [u64; FSYNC_BOUNDS_US.len() + 1],
        }

        impl Counters {
            /// All of them now; each is exact, together they may be a moment apart.
            pub fn read(&self) -> Counted {
                Counted {
                    $($name: self.$name.get(),)*
                    fsync: std::array::from_fn(|at| self.fsync[at].get()),
                }
            }
        }
    };
}

counters! {
    /// Commands handed in, refused or not.
    proposals,
    /// Commands that were committed and applied here, whoever proposed them.
    commands,
    /// Bytes of those commands.
    command_bytes,
    /// Log entries applied; commands per entry is how well batching works.
    entries,
    /// Durable transactions of the log: appends, votes, truncations.
    commits,
    /// Bytes handed to the files, both of them, pages and all.
    written_bytes,
    /// Microseconds spent in fsync; their number is the sum of the histogram.
    fsync_us,
    /// Starts whose checkpoint was read while its file was being opened: 1, or 0.
    loaded_early,
    /// Checkpoints written.
    checkpoints,
    /// Records written by them, after coalescing.
    checkpoint_records,
    /// Microseconds the last checkpoint took on its thread.
    checkpoint_last_us,
    /// Microseconds all checkpoints took.
    checkpoint_us,
    /// Commands waiting for their turn now.
    queue_items,
    /// Bytes of commands waiting for their turn now.
    queue_bytes,
    /// Refused because the queue was full.
    refused_full,
    /// Refused because the disk has no room.
    refused_read_only,
    /// Refused because the store is latched until a restart.
    refused_latched,
    /// Refused because no leader is known, or it is another member.
    refused_no_leader,
    /// Refused because the log is being replayed or the group is stopping.
    refused_starting,
    /// Refused because one command is larger than any may be.
    refused_too_large,
    /// Answered "may or may not be true": storage or leadership was lost on the way.
    interrupted,
    /// 1 while no room is left and writes are refused; an alarm.
    read_only,
    /// 1 after a failed fsync, until a restart; an alarm.
    latched,
    /// Times the store was closed and opened again after it had met a full disk.
    reopened,
    /// Bytes of log.wal.
    log_file_bytes,
    /// Bytes of state.redb.
    state_file_bytes,
    /// Free bytes of the file system, as of the last look.
    free_bytes,
}

/// One number that many threads may read. Relaxed: nothing is ordered by it.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds to what it counts.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// For gauges.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Its value now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    /// Notes one fsync.
    pub fn note_fsync(&self, micros: u64) {
        let bucket = FSYNC_BOUNDS_US.iter().position(|bound| micros <= *bound);
        self.fsync[bucket.unwrap_or(FSYNC_BOUNDS_US.len())].add(1);
        self.fsync_us.add(micros);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_fsync_falls_into_the_first_bucket_that_holds_it() {
        let counters = Counters::default();
        for micros in [0, 100, 101, 1_000_001] {
            counters.note_fsync(micros);
        }
        let counted = counters.read();
        assert_eq!(counted.fsync[..3], [2, 1, 0]);
        assert_eq!(counted.fsync[FSYNC_BOUNDS_US.len()], 1);
        assert_eq!(counted.fsync_us, 1_000_202);
    }
}
