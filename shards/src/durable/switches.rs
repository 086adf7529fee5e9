//! Switches of naming in the replicated state: one record, what was set.

use crate::durable::answer::Answer;
use crate::durable::codec::Unreadable;
use crate::durable::record::{read_value, there, value};
use crate::durable::state::State;
use crate::durable::{Record, Table};
use crate::naming::switches::Sets;
use bytes::Bytes;
use nacre_proto::code::Code;

/// The key of their record in [`Table::Global`].
pub(super) const KEY: &[u8] = b"switches";

/// What commands set.
#[derive(Debug, Default)]
pub(super) struct Switched {
    pub sets: Sets,
    /// Since readers were last shown.
    pub touched: bool,
}

impl Switched {
    /// Takes in the record.
    pub fn load(&mut self, bytes: &[u8]) -> Result<(), Unreadable> {
        let mut reader = read_value(bytes)?;
        let mut sets = Sets::default();
        for _ in 0..reader.u64()? {
            sets.load(reader.text()?, reader.text()?);
        }
        reader.finish()?;
        self.sets = sets;
        self.touched = true;
        Ok(())
    }

    fn record(&self) -> Record {
        let mut writer = value(64);
        writer.u64(self.sets.iter().count() as u64);
        for (entry, value) in self.sets.iter() {
            writer.text(entry);
            writer.text(value);
        }
        there(Table::Global, Bytes::from_static(KEY), writer)
    }
}

impl State {
    pub(super) fn set_switch(
        &mut self,
        entry: &str,
        value: &str,
        records: &mut Vec<Record>,
    ) -> Answer {
        if let Err(text) = self.switches.sets.put(entry, value) {
            return Answer::refused(Code::ParameterValidateError, text);
        }
        self.switches.touched = true;
        self.revision += 1;
        records.push(self.switches.record());
        self.done()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::table::Tables;
    use crate::durable::command::Command;
    use std::sync::Arc;

    fn state() -> (State, Arc<Tables>) {
        let tables = Arc::new(Tables::default());
        (State::new(tables.clone()), tables)
    }

    fn set(state: &mut State, entry: &str, value: &str) -> (Answer, Vec<Record>) {
        let mut records = Vec::new();
        let command = Command::SetSwitch { entry, value }.encode();
        (state.apply(1, &command, &mut records), records)
    }

    #[test]
    fn a_switch_is_shown_when_settled_and_comes_back_from_its_record() {
        let (mut one, tables) = state();
        let (answer, _) = set(&mut one, "healthCheckTimes", "9");
        assert_eq!(answer, Answer::Done { revision: 1 });
        assert_eq!(tables.switches().now().check_times, 3);
        one.settle();
        assert_eq!(tables.switches().now().check_times, 9);
        let (_, records) = set(&mut one, "pushEnabled", "false");
        assert_eq!(records.len(), 2, "the switches and the count of changes");
        let (mut two, tables) = state();
        for record in records {
            two.load(record).unwrap();
        }
        two.loaded();
        let now = tables.switches().now();
        assert_eq!((now.check_times, now.push_enabled, two.revision()), (9, false, 2));
        drop(now);
        two.clear();
        two.settle();
        assert_eq!(tables.switches().now().check_times, 3);
    }

    #[test]
    fn a_refused_switch_leaves_no_trace() {
        let (mut state, _) = state();
        for (entry, value) in [("no such entry", "1"), ("pushCacheMillis", "1")] {
            let (answer, records) = set(&mut state, entry, value);
            assert!(matches!(answer, Answer::Refused(_)) && records.is_empty(), "{entry}");
        }
        assert_eq!(state.revision(), 0);
    }

    #[test]
    fn the_form_is_the_released_one() {
        let command = Command::SetSwitch { entry: "check", value: "false" }.encode();
        assert_eq!(&command[..], b"\x01\x20\x05check\x05false");
        assert_eq!(
            Command::decode(&command),
            Ok(Command::SetSwitch { entry: "check", value: "false" })
        );
        let (mut state, _) = state();
        let (_, records) = set(&mut state, "check", "false");
        assert_eq!(records[0].value.as_deref(), Some(&b"\x01\x01\x05check\x05false"[..]));
        for cut in 0..command.len() {
            assert!(Command::decode(&command[..cut]).is_err());
        }
        for cut in 0..13 {
            assert!(Switched::default().load(&b"\x01\x01\x05check\x05false"[..cut]).is_err());
        }
    }
}
