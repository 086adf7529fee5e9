use super::*;
use proptest::prelude::*;

fn members() -> Membership {
    let nodes = [(1, "a:1"), (2, "b:2"), (3, "c:3"), (4, "learner")];
    let nodes: BTreeMap<_, _> =
        nodes.into_iter().map(|(id, addr)| (id, BasicNode { addr: addr.to_owned() })).collect();
    let configs = vec![BTreeSet::from([1, 2]), BTreeSet::from([2, 3])];
    Membership::new(configs, nodes).unwrap()
}

fn rows(entry: &Stored) -> Vec<(u64, Vec<u8>)> {
    let mut rows = Vec::new();
    let written = entry.write(|key, bytes, fill| {
        let mut place = vec![0; bytes];
        fill(&mut place);
        rows.push((key, place));
        Ok::<_, ()>(())
    });
    written.unwrap();
    assert_eq!(rows.len(), entry.rows());
    rows
}

fn read_rows(rows: &[(u64, Vec<u8>)]) -> Result<Stored, String> {
    let mut assembly = Assembly::default();
    let mut read = None;
    for (key, part) in rows {
        read = assembly.row(*key, part)?;
    }
    assembly.ended()?;
    read.ok_or("nothing".to_owned())
}

fn read_back(entry: &Stored) -> Result<Stored, String> {
    read_rows(&rows(entry))
}

#[test]
fn entries_of_many_parts() {
    let whole_part = PART_BYTES - ENTRY_HEAD_BYTES;
    for bytes in [whole_part - 1, whole_part, whole_part + 1, 3 * PART_BYTES, 12 << 20] {
        let body: Vec<u8> = (0..bytes).map(|at| at as u8).collect();
        let entry = Stored { index: 5, term: 2, kind: Kind::Batch as u8, body: body.into() };
        let kept = rows(&entry);
        assert_eq!(read_rows(&kept).unwrap(), entry);
        assert!(kept.len() == 1 || read_rows(&kept[1..]).is_err(), "without its first part");
        assert!(read_rows(&kept[..kept.len() - 1]).is_err(), "without its last part");
        // The entry behind a broken one is read all the same.
        let next = Stored { index: 6, ..entry.clone() };
        let mut assembly = Assembly::default();
        let both = kept[..kept.len() - 1].iter().cloned().chain(rows(&next));
        let read: Vec<_> = both.map(|(key, part)| assembly.row(key, &part)).collect();
        let broken = read.iter().filter(|row| row.is_err()).count();
        assert_eq!(broken, usize::from(kept.len() > 1), "{bytes}");
        assert_eq!(read.last().unwrap(), &Ok(Some(next)));
    }
}

#[test]
fn what_is_kept_comes_back() {
    let batch = pack(&[Bytes::from_static(b"one"), Bytes::new(), Bytes::from_static(b"three")]);
    for payload in [Payload::Blank, Payload::Normal(batch), Payload::Membership(members())] {
        let entry = Stored::new(&log_id(7, 9), &payload);
        let back = read_back(&entry).unwrap();
        assert_eq!(back, entry);
        assert_eq!(back.id(), log_id(7, 9));
        assert_eq!(back.payload().unwrap(), payload);
    }
    let stored = StoredMembership::new(Some(log_id(1, 2)), members());
    assert_eq!(take_stored_membership(put_stored_membership(&stored).into()).unwrap(), stored);
    let none = StoredMembership::default();
    assert_eq!(take_stored_membership(put_stored_membership(&none).into()).unwrap(), none);
    for committed in [false, true] {
        let leader = leader_id_std::LeaderId { term: 3, voted_for: u64::MAX };
        let vote = Vote::from_leader_id(leader, committed);
        assert_eq!(take_vote(&mut put_vote(&vote).into()).unwrap(), vote);
    }
}

#[test]
fn any_flipped_bit_of_an_entry_is_found() {
    let entry = Stored::new(&log_id(7, 9), &Payload::Normal(pack(&[Bytes::from_static(b"x")])));
    let mut kept = rows(&entry);
    for bit in 0..entry.len() * 8 {
        kept[0].1[bit / 8] ^= 1 << (bit % 8);
        assert!(read_rows(&kept).is_err(), "bit {bit}");
        kept[0].1[bit / 8] ^= 1 << (bit % 8);
    }
    assert_eq!(read_rows(&kept).unwrap(), entry);
    kept[0].0 = first_key(10);
    assert!(read_rows(&kept).is_err(), "in another's place");
}

#[test]
fn a_newer_batch_is_refused() {
    let mut bytes = pack(&[]).0.to_vec();
    bytes[0] = 2;
    assert!(unpack(&Batch(bytes.into())).unwrap_err().contains("version 2"));
}

#[test]
fn totals_forget_what_is_removed() {
    let mut totals = Totals::default();
    totals.add(1, 5, 10);
    let one = totals.clone();
    totals.add(1, 6, 10);
    totals.add(2, 6, 10);
    assert_eq!(Totals::take(totals.put().into()).unwrap(), totals);
    totals.remove(2, 6, 10);
    totals.remove(1, 6, 10);
    assert_eq!(totals, one);
    totals.remove(1, 5, 10);
    assert_eq!(totals, Totals::default());
}

fn bytes(bytes_max: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..bytes_max)
}

proptest! {
    #[test]
    fn batches(commands in prop::collection::vec(bytes(50), 0..20)) {
        let commands: Vec<Bytes> = commands.into_iter().map(Bytes::from).collect();
        prop_assert_eq!(unpack(&pack(&commands)).unwrap(), commands);
    }

    #[test]
    fn nothing_panics(bytes in bytes(200)) {
        let bytes = Bytes::from(bytes);
        let _ = unpack(&Batch(bytes.clone()));
        let _ = Assembly::default().row(first_key(1), &bytes);
        let _ = take_vote(&mut bytes.clone());
        let _ = take_membership(&mut bytes.clone());
        let _ = take_stored_membership(bytes.clone());
        let _ = Totals::take(bytes.clone());
        let _ = take_chunk(bytes.clone());
        // Past the checksum as well.
        let mut chunk = crc32c::crc32c(&bytes).to_le_bytes().to_vec();
        chunk.extend_from_slice(&bytes);
        let _ = take_chunk(chunk.into());
    }

    #[test]
    fn chunks(records in prop::collection::vec((1_u8..10, bytes(9), bytes(9)), 0..9)) {
        let chunk = put_chunk(records.iter().map(|(t, k, v)| (*t, k.as_slice(), v.as_slice())));
        let back = take_chunk(chunk).unwrap();
        prop_assert_eq!(back.len(), records.len());
        for (record, (family, key, value)) in back.iter().zip(&records) {
            prop_assert_eq!(record.table as u8, *family);
            prop_assert_eq!(&record.key[..], &key[..]);
            prop_assert_eq!(&record.value.as_ref().unwrap()[..], &value[..]);
        }
    }
}
