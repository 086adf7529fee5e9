use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

fn key(number: u8) -> ConfigKey {
    let data_id = format!("c{number}");
    ConfigKey::new(ConfigName { data_id: &data_id, group: "g", namespace: "public" })
}

/// The same by a plain list.
#[derive(Default)]
struct Model(Vec<(u64, u64, u32, u8)>);

impl Model {
    fn drop_at(&mut self, at: usize) -> u64 {
        self.0.remove(at).0
    }

    fn bound(&mut self, config: u8, entries_max: u32, bytes_max: u64) -> Vec<u64> {
        let mut dropped = Vec::new();
        while self.0.iter().filter(|row| row.3 == config).count() > entries_max.max(1) as usize {
            let first = self.0.iter().position(|row| row.3 == config).unwrap();
            dropped.push(self.drop_at(first));
        }
        while self.0.iter().map(|row| u64::from(row.2)).sum::<u64>() > bytes_max && self.0.len() > 1
        {
            dropped.push(self.drop_at(0));
        }
        dropped
    }

    fn sweep(&mut self, before_ms: u64) -> Vec<u64> {
        let mut dropped = Vec::new();
        while dropped.len() < SWEPT_MAX && self.0.first().is_some_and(|row| row.1 < before_ms) {
            dropped.push(self.drop_at(0));
        }
        dropped
    }
}

fn is_apart(number: u64) -> bool {
    number % 3 == 1
}

fn dropped(records: &[Record]) -> Vec<u64> {
    let number = |record: &Record| {
        assert_eq!(record.value, None);
        (record.table, record::read_history_key(&record.key).unwrap())
    };
    let dropped: Vec<(Table, u64)> = records.iter().map(number).collect();
    let rows = dropped.iter().filter(|(table, _)| *table == Table::History);
    let rows: Vec<u64> = rows.map(|(_, number)| *number).collect();
    let of_past = dropped.iter().filter(|(table, _)| *table == Table::Past);
    let of_past: Vec<u64> = of_past.map(|(_, number)| *number).collect();
    let apart: Vec<u64> = rows.iter().copied().filter(|number| is_apart(*number)).collect();
    assert_eq!(of_past, apart, "contents go with their rows");
    rows
}

#[derive(Debug, Clone)]
enum Act {
    Add { config: u8, bytes: u32 },
    Bound { config: u8, entries_max: u32, bytes_max: u64 },
    Sweep { back_ms: u64 },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (0u8..4, 1u32..100).prop_map(|(config, bytes)| Act::Add { config, bytes }),
        2 => (0u8..4, 0u32..6, 0u64..2_000)
            .prop_map(|(config, entries_max, bytes_max)| {
                Act::Bound { config, entries_max, bytes_max }
            }),
        1 => (0u64..40).prop_map(|back_ms| Act::Sweep { back_ms }),
    ]
}

proptest! {
    #[test]
    fn keeps_what_a_plain_list_keeps(acts in vec(act(), 0..200)) {
        let (mut history, mut model) = (History::default(), Model::default());
        for (now, act) in acts.into_iter().enumerate() {
            let now = now as u64;
            let mut records = Vec::new();
            match act {
                Act::Add { config, bytes } => {
                    let weight = Weight::new(bytes as usize, is_apart(now));
                    history.add(now, now, weight, &key(config));
                    model.0.push((now, now, bytes, config));
                }
                Act::Bound { config, entries_max, bytes_max } => {
                    if let Some(config) = history.find(&key(config)) {
                        history.bound(config, entries_max, bytes_max, &mut records);
                    } else {
                        continue;
                    }
                    prop_assert_eq!(dropped(&records), model.bound(config, entries_max, bytes_max));
                }
                Act::Sweep { back_ms } => {
                    let before_ms = now.saturating_sub(back_ms);
                    history.sweep(before_ms, &mut records);
                    prop_assert_eq!(dropped(&records), model.sweep(before_ms));
                }
            }
            prop_assert_eq!(history.len(), model.0.len());
            prop_assert_eq!(history.oldest_ms(), model.0.first().map(|row| row.1));
            let bytes: u64 = model.0.iter().map(|row| u64::from(row.2)).sum();
            prop_assert_eq!(history.bytes(), bytes);
            for config in 0..4 {
                let numbers: Vec<_> =
                    model.0.iter().filter(|row| row.3 == config).map(|row| row.0).collect();
                prop_assert_eq!(history.numbers_of(&key(config)), numbers);
            }
        }
    }
}

/// One config written without end beside one that is kept: the holes are closed.
#[test]
fn a_fast_writer_does_not_make_the_index_grow() {
    let mut history = History::default();
    let weight = Weight::new(10, true);
    history.add(0, 0, weight, &key(0));
    for number in 1..200_000 {
        let config = history.add(number, number, weight, &key(1));
        history.bound(config, 5, u64::MAX, &mut Vec::new());
    }
    assert_eq!((history.len(), history.rows_of(&key(1))), (6, 5));
    assert_eq!(history.numbers_of(&key(1)), [199_995, 199_996, 199_997, 199_998, 199_999]);
    assert_eq!(history.numbers_of(&key(0)), [0]);
    assert!(history.items.len() <= 2 * HOLES_MIN + 6, "{}", history.items.len());
}
