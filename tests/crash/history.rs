//! Whether what clients saw of one key can have happened to one register, one step after another.
//!
//! The general question is exponential; ours is not, because the order of writes is known: a key
//! has either one writer, or only writers that name the value they replace. Then a history is
//! linearizable exactly if positions in that order never go back in real time.

use std::collections::HashMap;

/// Nanoseconds since the test began.
pub type Moment = u64;

/// What a client did, and when it was sent and answered.
#[derive(Debug, Clone)]
pub struct Operation {
    pub key: usize,
    pub what: What,
    pub begin: Moment,
    /// `None`: never answered, so it may have happened at any later time, or not at all.
    pub end: Option<Moment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Read(u64),
    /// A value no other write has, and the one it replaces when that is its condition.
    Write {
        number: u64,
        replaces: Option<u64>,
        ended: Ended,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Done,
    /// Its condition did not hold.
    Lost,
    /// It never happened, says the server.
    Refused,
    Unknown,
}

/// Checks the operations on one key that held `base` before them; its last value by order. Writes
/// of an unconditional key are in the order of their numbers.
///
/// # Errors
/// What cannot have happened, as a sentence.
pub fn check(base: u64, operations: &[Operation]) -> Result<u64, String> {
    let (positions, last) = order(base, operations)?;
    let mut placed = Vec::new();
    for operation in operations {
        match operation.what {
            What::Read(number) => {
                let position = positions.get(&number);
                let position = position.ok_or_else(|| {
                    format!("{number} was read, which was refused or never written")
                })?;
                placed.push((operation, *position, false));
            }
            What::Write { number, ended: Ended::Done | Ended::Unknown, .. } => {
                // Without a position it did not happen, which nobody was promised.
                if let Some(position) = positions.get(&number) {
                    placed.push((operation, *position, true));
                }
            }
            What::Write { .. } => {}
        }
    }
    never_back(&mut placed)?;
    for operation in operations {
        if let What::Write { replaces: Some(number), ended: Ended::Lost, .. } = operation.what {
            lost_to_somebody(operation, positions.get(&number).copied(), &placed)?;
        }
    }
    Ok(last)
}

/// The place of each value that was there, and the last of them.
fn order(base: u64, operations: &[Operation]) -> Result<(HashMap<u64, u64>, u64), String> {
    let mut positions = HashMap::from([(base, 0)]);
    let mut next: HashMap<u64, u64> = HashMap::new();
    let (mut happened, mut conditional) = (0, false);
    let read: std::collections::HashSet<u64> = operations
        .iter()
        .filter_map(|operation| match operation.what {
            What::Read(number) => Some(number),
            What::Write { replaces, .. } => replaces,
        })
        .collect();
    let mut plain = Vec::new();
    for operation in operations {
        let What::Write { number, replaces, ended } = operation.what else { continue };
        let did = ended == Ended::Done || (ended == Ended::Unknown && read.contains(&number));
        match replaces {
            None if did => plain.push(number),
            Some(before) if did => {
                (happened, conditional) = (happened + 1, true);
                if let Some(other) = next.insert(before, number) {
                    return Err(format!("{number} and {other} both replaced {before}"));
                }
            }
            _ => {}
        }
    }
    plain.sort_unstable();
    let mut last = base;
    for (at, number) in plain.iter().enumerate() {
        positions.insert(*number, at as u64 + 1);
        last = *number;
    }
    while let Some(number) = next.get(&last).filter(|_| conditional) {
        positions.insert(*number, positions.len() as u64);
        last = *number;
    }
    if conditional && positions.len() != happened + 1 {
        return Err(format!("{happened} writes happened; from {base}, {last} is the last reached"));
    }
    Ok((positions, last))
}

/// Whoever began after somebody was answered is not before him in the order of values.
fn never_back(placed: &mut [(&Operation, u64, bool)]) -> Result<(), String> {
    placed.sort_by_key(|(operation, ..)| operation.begin);
    let mut ended: Vec<_> = placed.to_vec();
    ended.retain(|(operation, ..)| operation.end.is_some());
    ended.sort_by_key(|(operation, ..)| operation.end);
    let (mut passed, mut reached) = (0, None::<(&Operation, u64)>);
    for (operation, position, is_write) in placed {
        while let Some((earlier, at, _)) = ended.get(passed) {
            if earlier.end >= Some(operation.begin) {
                break;
            }
            if reached.is_none_or(|(_, reached)| *at > reached) {
                reached = Some((*earlier, *at));
            }
            passed += 1;
        }
        if let Some((earlier, reached)) = reached
            && (reached > *position || (*is_write && reached == *position))
        {
            return Err(format!("{earlier:?} was over before {operation:?} began, yet is later"));
        }
    }
    Ok(())
}

/// A condition that did not hold: some other value was there at some time between question and
/// answer.
fn lost_to_somebody(
    lost: &Operation,
    wanted: Option<u64>,
    placed: &[(&Operation, u64, bool)],
) -> Result<(), String> {
    let before = |(operation, ..): &&(&Operation, u64, bool)| {
        operation.end.is_some_and(|end| end < lost.begin)
    };
    let after = |(operation, ..): &&(&Operation, u64, bool)| {
        lost.end.is_some_and(|end| end < operation.begin)
    };
    let least = placed.iter().filter(before).map(|(_, position, _)| *position).max().unwrap_or(0);
    let most = placed.iter().filter(after);
    let most = most.map(|(_, position, is_write)| position - u64::from(*is_write)).min();
    if wanted == Some(least) && most == Some(least) {
        return Err(format!("{lost:?} lost though its value was there all the time"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(what: What, begin: Moment, end: impl Into<Option<Moment>>) -> Operation {
        Operation { key: 0, what, begin, end: end.into() }
    }

    fn read(number: u64, begin: Moment, end: Moment) -> Operation {
        operation(What::Read(number), begin, end)
    }

    fn put(number: u64, begin: Moment, end: Option<Moment>) -> Operation {
        let ended = if end.is_some() { Ended::Done } else { Ended::Unknown };
        operation(What::Write { number, replaces: None, ended }, begin, end)
    }

    fn swap(before: u64, number: u64, ended: Ended, begin: Moment, end: Moment) -> Operation {
        let end = (ended != Ended::Unknown).then_some(end);
        operation(What::Write { number, replaces: Some(before), ended }, begin, end)
    }

    #[test]
    fn one_writer() {
        let writes = [put(1, 10, Some(20)), put(2, 30, Some(40)), put(3, 50, None)];
        let with = |reads: &[Operation]| check(0, &[&writes[..], reads].concat());
        assert_eq!(with(&[]), Ok(2));
        assert_eq!(with(&[read(0, 5, 15), read(1, 12, 18), read(1, 25, 35)]), Ok(2));
        assert_eq!(with(&[read(2, 60, 70)]), Ok(2), "what nobody answered need not be");
        assert_eq!(with(&[read(2, 60, 70), read(3, 80, 90)]), Ok(3), "or may be, late");
        assert!(with(&[read(1, 60, 70)]).is_err(), "an acknowledged write is lost");
        assert!(with(&[read(3, 60, 70), read(2, 80, 90)]).is_err(), "seen, then gone");
        assert!(with(&[read(2, 21, 25)]).is_err(), "before it was asked for");
        assert!(with(&[read(9, 60, 70)]).is_err(), "never written");
        let refused = What::Write { number: 4, replaces: None, ended: Ended::Refused };
        let refused = operation(refused, 60, 70);
        assert_eq!(with(std::slice::from_ref(&refused)), Ok(2));
        assert!(with(&[refused, read(4, 80, 90)]).is_err(), "refused, and yet there");
    }

    #[test]
    fn many_writers() {
        let chain = [swap(0, 7, Ended::Done, 10, 20), swap(7, 3, Ended::Done, 15, 40)];
        let with = |more: &[Operation]| check(0, &[&chain[..], more].concat());
        assert_eq!(with(&[read(0, 12, 18), read(7, 12, 30), read(3, 41, 50)]), Ok(3));
        assert!(with(&[read(7, 41, 50)]).is_err(), "an acknowledged write is lost");
        assert!(with(&[swap(7, 5, Ended::Done, 15, 40)]).is_err(), "two won");
        assert_eq!(with(&[swap(7, 5, Ended::Unknown, 15, 0)]), Ok(3));
        assert!(with(&[swap(7, 5, Ended::Unknown, 15, 0), read(5, 60, 70)]).is_err());
        assert_eq!(with(&[swap(3, 5, Ended::Unknown, 45, 0), read(5, 60, 70)]), Ok(5));
        assert!(with(&[swap(8, 5, Ended::Done, 45, 50)]).is_err(), "replaced what never was");
        assert_eq!(with(&[swap(7, 5, Ended::Lost, 30, 45)]), Ok(3), "3 came between");
        assert_eq!(with(&[swap(3, 5, Ended::Lost, 45, 50)]), Ok(3), "perhaps, if nobody looks");
        let alone = [swap(3, 5, Ended::Lost, 45, 50), read(3, 60, 70)];
        assert!(with(&alone).is_err(), "lost to nobody");
    }
}
