//! Keys and values; a command sets some of them together. What is [`PAST`] only the disk knows.

use crate::raft::Machine;
use bytes::Bytes;
use nacre_shards::durable::{Record, Table};
use std::collections::BTreeMap;

/// Start of keys that are not loaded.
pub const PAST: &[u8] = b"past.";

/// The toy's state.
#[derive(Debug, Default)]
pub struct Toy {
    pub values: BTreeMap<Bytes, Bytes>,
    /// Positions of the commands that were applied since it was made.
    pub positions: Vec<u64>,
    pub settled: usize,
    pub cleared: usize,
    pub loaded: usize,
}

/// A command: `key=value` lines; an empty value removes.
pub fn set(pairs: &[(&str, &str)]) -> Bytes {
    let lines: Vec<_> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
    Bytes::from(lines.join("\n"))
}

impl Machine for Toy {
    /// How many keys there are afterwards.
    type Answer = u64;

    fn apply(&mut self, position: u64, command: &Bytes, records: &mut Vec<Record>) -> u64 {
        assert!(self.positions.last().is_none_or(|last| *last < position), "in order");
        self.positions.push(position);
        for line in command.split(|byte| *byte == b'\n') {
            let Some(at) = line.iter().position(|byte| *byte == b'=') else { continue };
            let (key, value) = (command.slice_ref(&line[..at]), &line[at + 1..]);
            let value = (!value.is_empty()).then(|| command.slice_ref(value));
            if key.starts_with(PAST) {
                records.push(Record { table: Table::Past, key, value });
                continue;
            }
            match &value {
                Some(value) => self.values.insert(key.clone(), value.clone()),
                None => self.values.remove(&key),
            };
            records.push(Record { table: Table::Config, key, value });
        }
        self.values.len() as u64
    }

    fn settle(&mut self) {
        self.settled += 1;
    }

    fn clear(&mut self) {
        self.cleared += 1;
        self.values.clear();
    }

    fn load(&mut self, record: Record) -> Result<(), String> {
        if record.table != Table::Config {
            return Err("not a toy's".to_owned());
        }
        let value = record.value.ok_or("removed records are not kept")?;
        self.values.insert(record.key, value);
        Ok(())
    }

    fn loaded(&mut self) {
        self.loaded += 1;
    }
}
