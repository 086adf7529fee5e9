//! Configs in a zip file (`http-api.md` 2.2): `group/dataId` entries, and what else is known of
//! them in `.metadata.yml`, or in the older `.meta.yml`.
//!
//! Files come from strangers: entries, their sizes and all they hold together are bounded, names
//! are never paths. Runs beside the core, since inflating takes long.

use nacre_proto::json;
use std::collections::HashMap;
use std::io::{Cursor, Read, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Entries of one file.
const ENTRIES_MAX: usize = 10_000;

/// Bytes of all entries, inflated: as much as a request may bring of contents, and room for text
/// that was well compressed.
pub const CONTENTS_BYTES_MAX: u64 = 64 * 1024 * 1024;

const METADATA: &str = ".metadata.yml";
const OLD_METADATA: &str = ".meta.yml";

/// One config.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Item {
    pub data_id: String,
    pub group: String,
    pub content: String,
    pub config_type: String,
    pub app_name: String,
    pub description: String,
    pub tags: String,
}

/// Which metadata a file carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `.meta.yml`: application names alone.
    Old,
    /// `.metadata.yml`.
    New,
}

/// What was found in a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    pub items: Vec<Item>,
    /// Entries nobody described, and descriptions of entries that are not there.
    pub unrecognized: Vec<String>,
}

/// Why a file is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    /// It is no zip file, not text, or too large.
    Unreadable,
    /// It lacks its metadata, or an item lacks its name or type.
    Metadata,
}

/// Writes a file of items, which are made twice, one after the other: never are all there at once.
///
/// # Errors
/// What the zip format cannot hold.
pub fn pack(items: impl Iterator<Item = Item> + Clone, form: Form) -> Result<Vec<u8>, String> {
    let written = || -> Result<Vec<u8>, zip::result::ZipError> {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for item in items.clone() {
            zip.start_file(format!("{}/{}", item.group, item.data_id), options)?;
            zip.write_all(item.content.as_bytes())?;
        }
        let (name, text) = match form {
            Form::New => (METADATA, described(items)),
            Form::Old => (OLD_METADATA, applications(items)),
        };
        if form == Form::New || !text.is_empty() {
            zip.start_file(name, options)?;
            zip.write_all(text.as_bytes())?;
        }
        Ok(zip.finish()?.into_inner())
    };
    written().map_err(|error| error.to_string())
}

/// Texts are quoted as JSON quotes them, which YAML reads.
fn described(items: impl Iterator<Item = Item>) -> String {
    let mut out = b"metadata:\n".to_vec();
    for item in items {
        for (at, (key, value)) in [
            ("appName", &item.app_name),
            ("configTags", &item.tags),
            ("dataId", &item.data_id),
            ("desc", &item.description),
            ("group", &item.group),
            ("type", &item.config_type),
        ]
        .into_iter()
        .enumerate()
        {
            out.extend_from_slice(if at == 0 { b"- " } else { b"  " });
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(b": ");
            json::write_string(&mut out, value);
            out.push(b'\n');
        }
    }
    String::from_utf8(out).expect("written from text")
}

/// `group.dataId.app=name`, the last dot of the dataId a tilde.
fn applications(items: impl Iterator<Item = Item>) -> String {
    let named = items.filter(|item| !item.app_name.is_empty());
    named
        .map(|item| format!("{}.{}.app={}\r\n", item.group, tilded(&item.data_id), item.app_name))
        .collect()
}

fn tilded(data_id: &str) -> String {
    match data_id.rsplit_once('.') {
        Some((before, after)) => format!("{before}~{after}"),
        None => data_id.to_owned(),
    }
}

/// Reads a file. Without `may_be_old` only [`Form::New`] is taken.
///
/// # Errors
/// See [`Bad`].
pub fn unpack(bytes: &[u8], may_be_old: bool) -> Result<Unpacked, Bad> {
    let mut entries = entries(bytes, CONTENTS_BYTES_MAX)?;
    if let Some(metadata) = entries.remove(METADATA) {
        return matched(entries, listed(&metadata).ok_or(Bad::Metadata)?);
    }
    if !may_be_old {
        return Err(Bad::Metadata);
    }
    let applications = entries.remove(OLD_METADATA).unwrap_or_default();
    let named: HashMap<&str, &str> =
        applications.lines().filter_map(|line| line.split_once('=')).collect();
    let mut unpacked = Unpacked::default();
    for (name, content) in sorted(entries) {
        let Some((group, data_id)) = parts(&name) else {
            unpacked.unrecognized.push(name);
            continue;
        };
        let key = format!("{group}.{}.app", tilded(data_id));
        let app_name = named.get(&*key).copied().unwrap_or_default().trim().to_owned();
        let (group, data_id) = (group.to_owned(), data_id.to_owned());
        unpacked.items.push(Item { data_id, group, content, app_name, ..Item::default() });
    }
    Ok(unpacked)
}

/// Each description with its entry.
fn matched(mut entries: HashMap<String, String>, listed: Vec<Item>) -> Result<Unpacked, Bad> {
    let mut unpacked = Unpacked::default();
    for mut item in listed {
        if [&item.data_id, &item.group, &item.config_type].iter().any(|text| text.is_empty()) {
            return Err(Bad::Metadata);
        }
        let name = format!("{}/{}", item.group, item.data_id);
        match entries.remove(&name).filter(|_| parts(&name).is_some()) {
            Some(content) => {
                item.content = content;
                unpacked.items.push(item);
            }
            None => unpacked.unrecognized.push(name),
        }
    }
    unpacked.unrecognized.extend(sorted(entries).into_iter().map(|(name, _)| name));
    Ok(unpacked)
}

fn sorted(entries: HashMap<String, String>) -> Vec<(String, String)> {
    let mut entries: Vec<_> = entries.into_iter().collect();
    entries.sort_unstable();
    entries
}

/// Group and dataId of an entry's name: exactly one slash.
fn parts(name: &str) -> Option<(&str, &str)> {
    let (group, data_id) = name.split_once('/')?;
    (!group.is_empty() && !data_id.is_empty() && !data_id.contains('/')).then_some((group, data_id))
}

/// All files of the zip, as text, of so many bytes together.
fn entries(bytes: &[u8], bytes_max: u64) -> Result<HashMap<String, String>, Bad> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|_| Bad::Unreadable)?;
    if archive.len() > ENTRIES_MAX {
        return Err(Bad::Unreadable);
    }
    let (mut entries, mut left) = (HashMap::new(), bytes_max);
    for at in 0..archive.len() {
        let entry = archive.by_index(at).map_err(|_| Bad::Unreadable)?;
        if entry.is_dir() {
            continue;
        }
        let name = entry.name().map_err(|_| Bad::Unreadable)?.into_owned();
        // What is announced is not believed: what comes is counted.
        let mut content = Vec::new();
        entry.take(left + 1).read_to_end(&mut content).map_err(|_| Bad::Unreadable)?;
        left = left.checked_sub(content.len() as u64).ok_or(Bad::Unreadable)?;
        entries.insert(name, String::from_utf8(content).map_err(|_| Bad::Unreadable)?);
    }
    Ok(entries)
}

/// Reads `.metadata.yml`: the form that [`described`] and the reference write, a list of flat
/// maps of scalars. Anything else is `None`.
fn listed(text: &str) -> Option<Vec<Item>> {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty()).peekable();
    let head = lines.next()?.trim_end();
    if head == "metadata: []" {
        return Some(Vec::new());
    }
    (head == "metadata:").then_some(())?;
    let mut items: Vec<Item> = Vec::new();
    while let Some(line) = lines.next() {
        let body = line.trim_start();
        let line = match body.strip_prefix("- ") {
            Some(first) => {
                items.push(Item::default());
                first.to_owned()
            }
            None => body.to_owned(),
        };
        let (key, value) = line.split_once(':')?;
        let mut value = value.trim().to_owned();
        // Long texts go on in lines without a key of their own.
        while !is_whole(&value) || lines.peek().is_some_and(|next| !starts_key(next)) {
            value.push(' ');
            value.push_str(lines.next()?.trim());
        }
        let value = scalar(&value)?;
        let item = items.last_mut()?;
        match key.trim() {
            "appName" => item.app_name = value,
            "configTags" => item.tags = value,
            "dataId" => item.data_id = value,
            "desc" => item.description = value,
            "group" => item.group = value,
            "type" => item.config_type = value,
            _ => {}
        }
    }
    Some(items)
}

/// Whether a line begins an item or a member of one.
fn starts_key(line: &str) -> bool {
    const KEYS: [&str; 6] = ["appName", "configTags", "dataId", "desc", "group", "type"];
    let body = line.trim_start();
    body.starts_with("- ")
        || KEYS.iter().any(|key| body.strip_prefix(key).is_some_and(|rest| rest.starts_with(':')))
}

/// Whether a quoted scalar has its end.
fn is_whole(value: &str) -> bool {
    match value.chars().next() {
        Some('"') => {
            let inner = value[1..].strip_suffix('"');
            let escapes = |inner: &str| inner.len() - inner.trim_end_matches('\\').len();
            inner.is_some_and(|inner| escapes(inner).is_multiple_of(2))
        }
        Some('\'') => value.len() > 1 && value.ends_with('\''),
        _ => true,
    }
}

fn scalar(value: &str) -> Option<String> {
    if value.starts_with('"') {
        return serde_json::from_str(value).ok();
    }
    if let Some(quoted) = value.strip_prefix('\'') {
        return Some(quoted.strip_suffix('\'')?.replace("''", "'"));
    }
    Some(if matches!(value, "null" | "~") { String::new() } else { value.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(data_id: &str, content: &str) -> Item {
        Item {
            data_id: data_id.to_owned(),
            group: "G".to_owned(),
            content: content.to_owned(),
            config_type: "yaml".to_owned(),
            app_name: "shop".to_owned(),
            description: "it's \"quoted\": \u{e9}\nand: more \\".to_owned(),
            tags: "a,b".to_owned(),
        }
    }

    #[test]
    fn what_is_packed_comes_back() {
        let items = vec![item("a.yaml", "x: 1\n"), item("b", "\u{4f60}")];
        let packed = pack(items.iter().cloned(), Form::New).unwrap();
        let unpacked = unpack(&packed, false).unwrap();
        assert_eq!(unpacked, Unpacked { items: items.clone(), unrecognized: vec![] });
        let old = pack(items.iter().cloned(), Form::Old).unwrap();
        assert_eq!(unpack(&old, false), Err(Bad::Metadata));
        let unpacked = unpack(&old, true).unwrap();
        let names: Vec<_> =
            unpacked.items.iter().map(|item| (&*item.data_id, &*item.app_name)).collect();
        assert_eq!(names, [("a.yaml", "shop"), ("b", "shop")]);
        assert!(
            unpack(&pack(std::iter::empty(), Form::New).unwrap(), false).unwrap().items.is_empty()
        );
    }

    #[test]
    fn the_references_yaml_is_read() {
        let text = [
            "metadata:",
            "- appName: ''",
            "  configTags: null",
            "  dataId: d-1",
            "  desc: a long text that goes",
            "    on in the next line",
            "  group: G",
            "  type: text",
            "- appName: shop",
            "  dataId: 'it''s'",
            "  desc: 'x: y'",
            "  group: \"G\"",
            "  type: json",
        ];
        let items = listed(&text.join("\n")).unwrap();
        assert_eq!((&*items[0].data_id, &*items[0].app_name, &*items[0].tags), ("d-1", "", ""));
        assert_eq!(items[0].description, "a long text that goes on in the next line");
        assert_eq!((&*items[1].data_id, &*items[1].description), ("it's", "x: y"));
        for odd in
            ["", "metadata", "other:\n- a: b\n", "metadata:\n  a: b\n", "metadata:\n- a: \"x\n"]
        {
            assert_eq!(listed(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn strange_files_are_refused_or_named() {
        let options = SimpleFileOptions::default();
        let file = |entries: &[(&str, &[u8])]| {
            let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
            for (name, content) in entries {
                zip.start_file(*name, options).unwrap();
                zip.write_all(content).unwrap();
            }
            zip.finish().unwrap().into_inner()
        };
        assert_eq!(unpack(b"nonsense", true), Err(Bad::Unreadable));
        assert_eq!(unpack(&file(&[("G/a", b"\xff")]), true), Err(Bad::Unreadable));
        let strange = file(&[("G/a", b"x"), ("a", b"x"), ("G/b/c", b"x"), ("../../etc", b"x")]);
        let unpacked = unpack(&strange, true).unwrap();
        assert_eq!((unpacked.items.len(), unpacked.unrecognized.len()), (1, 3));
        let short = b"metadata:\n- dataId: a\n  group: G\n";
        assert_eq!(unpack(&file(&[(METADATA, short), ("G/a", b"x")]), true), Err(Bad::Metadata));
        let other = b"metadata:\n- dataId: a\n  group: G\n  type: text\n";
        let unpacked = unpack(&file(&[(METADATA, other), ("G/b", b"x")]), false).unwrap();
        assert_eq!(unpacked.unrecognized, ["G/a", "G/b"]);
        let two = file(&[("G/a", b"12"), ("G/b", b"34")]);
        assert_eq!(entries(&two, 4).map(|entries| entries.len()), Ok(2));
        assert_eq!(entries(&two, 3), Err(Bad::Unreadable), "counted as they are inflated");
    }
}
