//! How configs, their history and the rest are written as records of a checkpoint. A version byte
//! starts every value, and every key says by itself where its parts end.

use crate::config::details::Details;
use crate::config::entry::{Draft, Gray, Variant};
use crate::config::gray::Rule;
use crate::config::md5::Md5;
use crate::durable::codec::{Reader, Unreadable, Writer};
use crate::durable::command::{read_name, write_name};
use crate::durable::history::{Lies, Operation, Row, Weight};
use crate::durable::{Record, Table};
use crate::key::ConfigName;
use bytes::Bytes;

/// First byte of every value of this form.
const VERSION: u8 = 1;

/// First byte of a history row without its content. Those of the first form hold it.
const HISTORY_VERSION: u8 = 2;

/// The count of changes in [`Table::Global`]; switches are its other record.
const REVISION_KEY: &[u8] = b"revision";

/// Starts a value.
pub fn value(bytes: usize) -> Writer {
    let mut writer = Writer::with_capacity(bytes + 1);
    writer.u8(VERSION);
    writer
}

/// Reads a value behind its version.
pub fn read_value(bytes: &[u8]) -> Result<Reader<'_>, Unreadable> {
    let mut reader = Reader::new(bytes);
    match reader.u8()? {
        VERSION => Ok(reader),
        _ => Err("a record of a version this build does not know"),
    }
}

/// A record that is there.
pub fn there(table: Table, key: Bytes, value: Writer) -> Record {
    Record { table, key, value: Some(value.finish().into()) }
}

/// A record that is gone.
pub fn gone(table: Table, key: Bytes) -> Record {
    Record { table, key, value: None }
}

/// Key of a formal config.
pub fn config_key(name: ConfigName<'_>) -> Bytes {
    let bytes = name.data_id.len() + name.group.len() + name.namespace.len() + 9;
    let mut writer = Writer::with_capacity(bytes);
    write_name(name, &mut writer);
    writer.finish().into()
}

/// Key of a gray variant: the config's, then the variant's name.
pub fn gray_key(name: ConfigName<'_>, gray: &str) -> Bytes {
    let mut writer = Writer::with_capacity(64 + gray.len());
    write_name(name, &mut writer);
    writer.text(gray);
    writer.finish().into()
}

/// Reads [`config_key`].
pub fn read_config_key(key: &[u8]) -> Result<ConfigName<'_>, Unreadable> {
    let mut reader = Reader::new(key);
    let name = read_name(&mut reader)?;
    reader.finish()?;
    Ok(name)
}

/// Reads [`gray_key`].
pub fn read_gray_key(key: &[u8]) -> Result<(ConfigName<'_>, &str), Unreadable> {
    let mut reader = Reader::new(key);
    let name = read_name(&mut reader)?;
    let gray = reader.text()?;
    reader.finish()?;
    Ok((name, gray))
}

/// All but the content.
fn write_about(draft: &Draft<'_>, writer: &mut Writer) {
    writer.u64(draft.id);
    writer.u64(draft.created_ms);
    writer.u64(draft.modified_ms);
    writer.raw(&draft.md5.0);
    draft.details.write(writer);
}

fn write_draft(draft: &Draft<'_>, writer: &mut Writer) {
    write_about(draft, writer);
    writer.text(draft.content);
}

/// All but the content, which is empty.
fn read_about<'a>(reader: &mut Reader<'a>) -> Result<Draft<'a>, Unreadable> {
    Ok(Draft {
        id: reader.u64()?,
        created_ms: reader.u64()?,
        modified_ms: reader.u64()?,
        md5: Md5(reader.array()?),
        details: Details::read(reader)?,
        content: "",
    })
}

fn read_draft<'a>(reader: &mut Reader<'a>) -> Result<Draft<'a>, Unreadable> {
    let about = read_about(reader)?;
    Ok(Draft { content: reader.text()?, ..about })
}

/// The record of a formal config.
pub fn config(name: ConfigName<'_>, draft: &Draft<'_>) -> Record {
    let mut writer = value(draft.content.len() + draft.details.schema.len() + 128);
    write_draft(draft, &mut writer);
    there(Table::Config, config_key(name), writer)
}

/// Reads the value of [`config`].
pub fn read_config(value: &[u8]) -> Result<Variant, Unreadable> {
    let mut reader = read_value(value)?;
    let draft = read_draft(&mut reader)?;
    reader.finish()?;
    Ok(Variant::new(&draft, None))
}

/// The record of a gray variant.
pub fn gray(name: ConfigName<'_>, gray: &str, rule: Rule<'_>, draft: &Draft<'_>) -> Record {
    let mut writer = value(draft.content.len() + draft.details.schema.len() + 192);
    rule.write(&mut writer);
    write_draft(draft, &mut writer);
    there(Table::Gray, gray_key(name, gray), writer)
}

/// Reads the value of [`gray`].
pub fn read_gray(name: &str, value: &[u8]) -> Result<Gray, Unreadable> {
    let mut reader = read_value(value)?;
    let rule = Rule::read(&mut reader)?;
    let draft = read_draft(&mut reader)?;
    reader.finish()?;
    Ok(Gray::new(name, rule, &draft))
}

/// Key of a history row: numbers in the order they were given.
pub fn history_key(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

/// Reads [`history_key`].
pub fn read_history_key(key: &[u8]) -> Result<u64, Unreadable> {
    let key = key.try_into().map_err(|_| "a history key that is no number")?;
    Ok(u64::from_be_bytes(key))
}

/// The records of a history row: what is loaded, and its content unless that is elsewhere. And what
/// the row counts for.
pub fn history(number: u64, row: &Row<'_>) -> (Record, Option<Record>, Weight) {
    let draft = &row.draft;
    let mut writer = Writer::with_capacity(draft.details.schema.len() + 256);
    writer.u8(HISTORY_VERSION);
    writer.u8(row.operation as u8);
    writer.u64(row.at_ms);
    write_name(row.name, &mut writer);
    writer.text(row.source_user);
    writer.text(row.source_ip);
    match &row.gray {
        None => writer.u8(0),
        Some((gray, rule)) => {
            writer.u8(1);
            writer.text(gray);
            rule.write(&mut writer);
        }
    }
    write_about(draft, &mut writer);
    let key = history_key(number);
    let past = match row.operation {
        Operation::Insert => {
            writer.u8(0);
            None
        }
        Operation::Update | Operation::Delete => {
            writer.u8(1);
            writer.u64(draft.content.len() as u64);
            let mut content = value(draft.content.len());
            content.raw(draft.content.as_bytes());
            Some(there(Table::Past, key.clone(), content))
        }
    };
    let content_bytes = past.as_ref().map(|_| draft.content.len());
    let row = there(Table::History, key, writer);
    let weight = weigh(row.value.as_deref().unwrap_or_default(), content_bytes);
    (row, past, weight)
}

/// What a row's records count for: their bytes.
fn weigh(row: &[u8], content_bytes: Option<usize>) -> Weight {
    const KEY_BYTES: usize = size_of::<u64>();
    let past = content_bytes.map_or(0, |content| KEY_BYTES + 1 + content);
    Weight::new(KEY_BYTES + row.len() + past, content_bytes.is_some())
}

/// Reads a row's first record, says where its content is and what it counts for. The content is
/// empty unless it is in there.
pub fn read_history(value: &[u8]) -> Result<(Row<'_>, Lies, Weight), Unreadable> {
    let mut reader = Reader::new(value);
    let version = reader.u8()?;
    if !matches!(version, VERSION | HISTORY_VERSION) {
        return Err("a record of a version this build does not know");
    }
    let mut row = Row {
        operation: Operation::of(reader.u8()?)?,
        at_ms: reader.u64()?,
        name: read_name(&mut reader)?,
        source_user: reader.text()?,
        source_ip: reader.text()?,
        gray: match reader.u8()? {
            0 => None,
            1 => Some((reader.text()?, Rule::read(&mut reader)?)),
            _ => return Err("a history row neither formal nor gray"),
        },
        draft: read_about(&mut reader)?,
    };
    let (lies, content_bytes) = if version == VERSION {
        row.draft.content = reader.text()?;
        (Lies::Here, None)
    } else {
        match reader.u8()? {
            0 => (Lies::After, None),
            1 => {
                let bytes = usize::try_from(reader.u64()?).map_err(|_| "a length beyond memory")?;
                (Lies::Apart, Some(bytes))
            }
            _ => return Err("a history row whose content is nowhere"),
        }
    };
    reader.finish()?;
    Ok((row, lies, weigh(value, content_bytes)))
}

/// Reads a row's second record: the content.
pub fn read_past(value: &[u8]) -> Result<&str, Unreadable> {
    let reader = read_value(value)?;
    std::str::from_utf8(reader.rest()).map_err(|_| "text that is not UTF-8")
}

/// The record of the count of changes.
pub fn revision(revision: u64) -> Record {
    let mut writer = value(10);
    writer.u64(revision);
    there(Table::Global, Bytes::from_static(REVISION_KEY), writer)
}

/// Reads a record of [`Table::Global`].
pub fn read_revision(key: &[u8], value: &[u8]) -> Result<u64, Unreadable> {
    if key != REVISION_KEY {
        return Err("a global record this build does not know");
    }
    let mut reader = read_value(value)?;
    let revision = reader.u64()?;
    reader.finish()?;
    Ok(revision)
}
