//! Configs in a zip file (`http-api.md` 2.2): `group/dataId` entries, and what else is known of
//! them in `.metadata.yml`, or in the older `.meta.yml`.
//!
//! Files come from strangers: entries, their sizes and all they hold together are bounded, names
//! are never paths. Runs beside the core, since inflating takes long.

use nacre_proto::json;
use std::collections::HashMap;
use std::io::{self, BufWriter, Cursor, Read, Write};
use std::sync::mpsc;
use zip::result::ZipError;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Entries of a file that is read.
const ENTRIES_MAX: usize = 10_000;

/// Bytes of a file that is written, of which one piece is.
const PIECE_BYTES: usize = 256 * 1024;

/// Pieces made at once, of one config or of the list of entries at the end, some 100 bytes each:
/// 1 GiB. More ends the file, and the connection with it.
const PIECES_MAX: usize = 4_096;

/// Bytes of all entries, inflated: as much as a request may bring of contents, and room for text
/// that was well compressed.
const CONTENTS_BYTES_MAX: u64 = 64 * 1024 * 1024;

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

/// Where the library that writes a file leaves its pieces.
#[derive(Debug)]
struct Pieces(mpsc::SyncSender<Vec<u8>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let too_much = |_| io::Error::other("more of the file at once than it may have");
        self.0.try_send(bytes.to_vec()).map_err(too_much)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes a file of items piece by piece. Items are made twice, for what they hold and for what is
/// known of them: never are all there at once. What grows with their number is what a zip file says
/// of its entries at its end.
pub struct Packing<I> {
    pieces: mpsc::Receiver<Vec<u8>>,
    /// `None`: all is written.
    zip: Option<ZipWriter<StreamWriter<BufWriter<Pieces>>>>,
    contents: I,
    known: I,
    form: Form,
    /// Whether the entry of what is known of them was begun.
    describes: bool,
}

impl<I: Iterator<Item = Item> + Clone> Packing<I> {
    pub fn new(items: I, form: Form) -> Self {
        let (made, pieces) = mpsc::sync_channel(PIECES_MAX);
        let zip = ZipWriter::new_stream(BufWriter::with_capacity(PIECE_BYTES, Pieces(made)));
        let contents = items.clone();
        Self { pieces, zip: Some(zip), contents, known: items, form, describes: false }
    }

    /// The next piece, of [`PIECE_BYTES`] at most; empty after the last.
    ///
    /// # Errors
    /// What the zip format cannot hold.
    pub fn next_piece(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Ok(piece) = self.pieces.try_recv() {
                return Ok(piece);
            }
            if self.zip.is_none() {
                return Ok(Vec::new());
            }
            self.step().map_err(io::Error::other)?;
        }
    }

    fn step(&mut self) -> Result<(), ZipError> {
        let Some(zip) = &mut self.zip else { return Ok(()) };
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        if let Some(item) = self.contents.next() {
            zip.start_file(format!("{}/{}", item.group, item.data_id), options)?;
            zip.write_all(item.content.as_bytes())?;
            return Ok(());
        }
        let (name, head) = match self.form {
            Form::New => (METADATA, "metadata:\n"),
            Form::Old => (OLD_METADATA, ""),
        };
        let known = self.known.next();
        let text = known.as_ref().map_or(String::new(), |item| match self.form {
            Form::New => described(item),
            Form::Old => application(item),
        });
        // The older file is left out when nothing is known.
        let says_something = !head.is_empty() || !text.is_empty();
        if says_something && !self.describes {
            self.describes = true;
            zip.start_file(name, options)?;
            zip.write_all(head.as_bytes())?;
        }
        zip.write_all(text.as_bytes())?;
        if known.is_none()
            && let Some(zip) = self.zip.take()
        {
            zip.finish()?.into_inner().flush()?;
        }
        Ok(())
    }
}

/// Texts are quoted as JSON quotes them, which YAML reads.
fn described(item: &Item) -> String {
    let mut out = Vec::new();
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
    String::from_utf8(out).expect("written from text")
}

/// `group.dataId.app=name`, the last dot of the dataId a tilde; nothing without a name.
fn application(item: &Item) -> String {
    match &*item.app_name {
        "" => String::new(),
        name => format!("{}.{}.app={name}\r\n", item.group, tilded(&item.data_id)),
    }
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

    fn pack(items: impl Iterator<Item = Item> + Clone, form: Form) -> io::Result<Vec<u8>> {
        let (mut packing, mut packed) = (Packing::new(items, form), Vec::new());
        loop {
            match packing.next_piece()? {
                piece if piece.is_empty() => return Ok(packed),
                piece => packed.extend(piece),
            }
        }
    }

    #[test]
    fn a_long_file_is_made_in_pieces_of_one_size() {
        // Text that deflates to about its half.
        let mut state = 7_u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            format!("{:08x}", state >> 32)
        };
        let content: String = (0..8_192).map(|_| noise()).collect();
        let items: Vec<_> = (0..64).map(|n| item(&format!("{n}.yaml"), &content)).collect();
        let mut packing = Packing::new(items.iter().cloned(), Form::New);
        let (mut packed, mut pieces) = (Vec::new(), 0);
        loop {
            let piece = packing.next_piece().unwrap();
            assert!(piece.len() <= PIECE_BYTES, "{}", piece.len());
            if piece.is_empty() {
                break;
            }
            packed.extend(piece);
            pieces += 1;
        }
        assert!(pieces > 4, "{pieces}");
        assert_eq!(unpack(&packed, false).unwrap().items, items);
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
