//! Changes of services and persistent instances as they are logged (`naming.md` 3.3, 11).

use crate::durable::codec::{Reader, Unreadable, Writer};
use crate::key::ServiceKey;
use crate::naming::host::Host;

/// One change. Texts and sizes were checked before it is proposed; who exists is decided by the
/// state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// Registers a persistent instance, or replaces the one of its address.
    Register { service: Named<'a>, instance: Form<'a> },
    /// Whatever its cluster.
    Deregister { service: Named<'a>, ip: &'a str, port: i32 },
    /// Health that flipped, of any services.
    SetHealth { flips: Flips<'a> },
    /// Makes a service by hand, if nobody else did since `seen` (0: there was none).
    Create { service: Named<'a>, seen: u64, ephemeral: bool, texts: Texts<'a> },
    /// Replaces what was set for a service.
    Update { service: Named<'a>, texts: Texts<'a> },
    /// What was set for a service goes, if that is what was seen and the service has no instance.
    Remove { service: Named<'a>, seen: u64 },
    /// Sets one cluster's checks and metadata.
    SetCluster { service: Named<'a>, cluster: ClusterDraft<'a> },
    /// Changes what administrators want of instances.
    Edit { service: Named<'a>, edit: EditDraft<'a>, places: Places<'a> },
    /// Forgets it again, where nothing changed since each was seen.
    Forget { service: Named<'a>, places: Places<'a> },
}

/// A service's name, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named<'a> {
    pub namespace: &'a str,
    pub group: &'a str,
    pub service: &'a str,
}

/// An instance, in the form of [`Host::write_form`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form<'a>(pub &'a [u8]);

/// What is set for a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Texts<'a> {
    /// Bits of a single float.
    pub protect_threshold_bits: u32,
    /// JSON object of text to text.
    pub metadata: &'a str,
    /// JSON object with its `type`.
    pub selector: &'a str,
}

/// What is set for a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClusterDraft<'a> {
    pub name: &'a str,
    pub check_port: i32,
    pub use_instance_port: bool,
    /// JSON object with its `type`.
    pub checker: &'a str,
    /// JSON object of text to text.
    pub metadata: &'a str,
}

/// How an edit treats what was wanted before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// Nothing of it stays.
    Replace = 1,
    /// What is given is changed; metadata as a whole.
    Patch = 2,
    /// Keys of metadata are added.
    Merge = 3,
    /// Keys of metadata are removed; their values are not looked at.
    Without = 4,
}

/// What is wanted of instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EditDraft<'a> {
    pub mode: Mode,
    /// Bits of a double.
    pub weight_bits: Option<u64>,
    pub enabled: Option<bool>,
    /// JSON object of text to text; `None`: not given.
    pub metadata: Option<&'a str>,
}

/// Some flips, as they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flips<'a>(&'a [u8]);

/// Some addresses in clusters, each with the revision it was seen at (0 where none counts).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places<'a>(&'a [u8]);

/// One flip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flip<'a> {
    pub service: Named<'a>,
    pub ip: &'a str,
    pub port: i32,
    pub healthy: bool,
    /// Of the registration that was checked.
    pub seen: u64,
}

/// One address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaceDraft<'a> {
    pub ip: &'a str,
    pub port: i32,
    pub cluster: &'a str,
    pub seen: u64,
}

/// A name's parts at most, bytes: those of a [`ServiceKey`].
const PART_BYTES_MAX: usize = u16::MAX as usize;

impl<'a> Named<'a> {
    pub fn of(key: &'a ServiceKey) -> Self {
        Self { namespace: key.namespace(), group: key.group(), service: key.service() }
    }

    pub fn key(self) -> ServiceKey {
        ServiceKey::new(self.namespace, self.group, self.service)
    }

    pub(crate) fn write(self, writer: &mut Writer) {
        writer.text(self.namespace);
        writer.text(self.group);
        writer.text(self.service);
    }

    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, Unreadable> {
        let named =
            Self { namespace: reader.text()?, group: reader.text()?, service: reader.text()? };
        let longest = named.namespace.len().max(named.group.len()).max(named.service.len());
        if longest > PART_BYTES_MAX {
            return Err("a service's name longer than 65,535 bytes");
        }
        Ok(named)
    }
}

impl Flip<'_> {
    fn write(&self, writer: &mut Writer) {
        self.service.write(writer);
        write_address(self.ip, self.port, writer);
        writer.u8(u8::from(self.healthy));
        writer.u64(self.seen);
    }

    fn read<'a>(reader: &mut Reader<'a>) -> Result<Flip<'a>, Unreadable> {
        let service = Named::read(reader)?;
        let (ip, port) = read_address(reader)?;
        Ok(Flip { service, ip, port, healthy: read_bool(reader)?, seen: reader.u64()? })
    }

    /// Writes many, to be read as [`Flips::of`].
    pub fn list<'a>(flips: impl ExactSizeIterator<Item = Flip<'a>>) -> Vec<u8> {
        let mut writer = Writer::with_capacity(flips.len() * FLIP_BYTES);
        writer.u64(flips.len() as u64);
        flips.for_each(|flip| flip.write(&mut writer));
        writer.finish()
    }
}

/// Bytes a flip takes, guessed.
const FLIP_BYTES: usize = 64;

impl PlaceDraft<'_> {
    fn write(&self, writer: &mut Writer) {
        write_address(self.ip, self.port, writer);
        writer.text(self.cluster);
        writer.u64(self.seen);
    }

    fn read<'a>(reader: &mut Reader<'a>) -> Result<PlaceDraft<'a>, Unreadable> {
        let (ip, port) = read_address(reader)?;
        Ok(PlaceDraft { ip, port, cluster: reader.text()?, seen: reader.u64()? })
    }

    /// Writes many, to be read as [`Places::of`].
    pub fn list<'a>(places: impl ExactSizeIterator<Item = PlaceDraft<'a>>) -> Vec<u8> {
        let mut writer = Writer::with_capacity(places.len() * FLIP_BYTES);
        writer.u64(places.len() as u64);
        places.for_each(|place| place.write(&mut writer));
        writer.finish()
    }
}

impl<'a> Flips<'a> {
    /// What [`Flip::list`] wrote.
    pub fn of(list: &'a [u8]) -> Self {
        Self(list)
    }

    /// All of them; what is unreadable ends it, which [`Change::read`] did not let through.
    pub fn iter(self) -> impl Iterator<Item = Flip<'a>> {
        items(self.0, Flip::read)
    }
}

impl<'a> Places<'a> {
    /// What [`PlaceDraft::list`] wrote.
    pub fn of(list: &'a [u8]) -> Self {
        Self(list)
    }

    /// All of them; what is unreadable ends it, which [`Change::read`] did not let through.
    pub fn iter(self) -> impl Iterator<Item = PlaceDraft<'a>> {
        items(self.0, PlaceDraft::read)
    }
}

fn items<'a, T>(
    list: &'a [u8],
    read: fn(&mut Reader<'a>) -> Result<T, Unreadable>,
) -> impl Iterator<Item = T> {
    let mut reader = Reader::new(list);
    let mut left = reader.u64().unwrap_or(0);
    std::iter::from_fn(move || {
        left = left.checked_sub(1)?;
        read(&mut reader).ok()
    })
}

/// The bytes of a list whose every item reads.
fn read_list<'a, T>(
    reader: &mut Reader<'a>,
    read: fn(&mut Reader<'a>) -> Result<T, Unreadable>,
) -> Result<&'a [u8], Unreadable> {
    let list = reader.bytes()?;
    let mut items = Reader::new(list);
    for _ in 0..items.u64()? {
        read(&mut items)?;
    }
    items.finish()?;
    Ok(list)
}

fn write_address(ip: &str, port: i32, writer: &mut Writer) {
    writer.text(ip);
    writer.u64(u64::from(port as u32));
}

fn read_address<'a>(reader: &mut Reader<'a>) -> Result<(&'a str, i32), Unreadable> {
    Ok((reader.text()?, reader.u32()? as i32))
}

pub(crate) fn read_bool(reader: &mut Reader<'_>) -> Result<bool, Unreadable> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err("neither yes nor no"),
    }
}

impl<'a> Texts<'a> {
    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.raw(&self.protect_threshold_bits.to_le_bytes());
        writer.text(self.metadata);
        writer.text(self.selector);
    }

    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, Unreadable> {
        Ok(Self {
            protect_threshold_bits: u32::from_le_bytes(reader.array()?),
            metadata: reader.text()?,
            selector: reader.text()?,
        })
    }
}

impl<'a> ClusterDraft<'a> {
    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.text(self.name);
        writer.u64(u64::from(self.check_port as u32));
        writer.u8(u8::from(self.use_instance_port));
        writer.text(self.checker);
        writer.text(self.metadata);
    }

    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, Unreadable> {
        Ok(Self {
            name: reader.text()?,
            check_port: reader.u32()? as i32,
            use_instance_port: read_bool(reader)?,
            checker: reader.text()?,
            metadata: reader.text()?,
        })
    }
}

impl Mode {
    const fn of(number: u8) -> Result<Self, Unreadable> {
        match number {
            1 => Ok(Mode::Replace),
            2 => Ok(Mode::Patch),
            3 => Ok(Mode::Merge),
            4 => Ok(Mode::Without),
            _ => Err("an edit of a kind this build does not know"),
        }
    }
}

/// What of an edit or override is given.
const WEIGHT: u8 = 1;
const IS_ENABLED: u8 = 2;
const ENABLED: u8 = 4;
const METADATA: u8 = 8;

/// Writes what of an edit or override is given.
pub(crate) fn write_wishes(
    weight_bits: Option<u64>,
    enabled: Option<bool>,
    metadata: Option<&str>,
    writer: &mut Writer,
) {
    let flag = |on: bool, bit: u8| if on { bit } else { 0 };
    writer.u8(flag(weight_bits.is_some(), WEIGHT)
        | flag(enabled.is_some(), IS_ENABLED)
        | flag(enabled == Some(true), ENABLED)
        | flag(metadata.is_some(), METADATA));
    if let Some(bits) = weight_bits {
        writer.raw(&bits.to_le_bytes());
    }
    if let Some(metadata) = metadata {
        writer.text(metadata);
    }
}

/// Weight, enabled, metadata of [`write_wishes`].
type Wishes<'a> = (Option<u64>, Option<bool>, Option<&'a str>);

/// Reads [`write_wishes`].
pub(crate) fn read_wishes<'a>(reader: &mut Reader<'a>) -> Result<Wishes<'a>, Unreadable> {
    let flags = reader.u8()?;
    if flags & !(WEIGHT | IS_ENABLED | ENABLED | METADATA) != 0 {
        return Err("an edit of something this build does not know");
    }
    let has = |bit: u8| flags & bit != 0;
    let weight = if has(WEIGHT) { Some(u64::from_le_bytes(reader.array()?)) } else { None };
    let enabled = has(IS_ENABLED).then_some(has(ENABLED));
    let metadata = if has(METADATA) { Some(reader.text()?) } else { None };
    Ok((weight, enabled, metadata))
}

impl<'a> EditDraft<'a> {
    fn write(&self, writer: &mut Writer) {
        writer.u8(self.mode as u8);
        write_wishes(self.weight_bits, self.enabled, self.metadata, writer);
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, Unreadable> {
        let mode = Mode::of(reader.u8()?)?;
        let (weight_bits, enabled, metadata) = read_wishes(reader)?;
        Ok(Self { mode, weight_bits, enabled, metadata })
    }
}

impl<'a> Change<'a> {
    const fn kind(&self) -> u8 {
        match self {
            Change::Register { .. } => 1,
            Change::Deregister { .. } => 2,
            Change::SetHealth { .. } => 3,
            Change::Create { .. } => 4,
            Change::Update { .. } => 5,
            Change::Remove { .. } => 6,
            Change::SetCluster { .. } => 7,
            Change::Edit { .. } => 8,
            Change::Forget { .. } => 9,
        }
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.u8(self.kind());
        match self {
            Change::Register { service, instance } => {
                service.write(writer);
                writer.bytes(instance.0);
            }
            Change::Deregister { service, ip, port } => {
                service.write(writer);
                write_address(ip, *port, writer);
            }
            Change::SetHealth { flips } => writer.bytes(flips.0),
            Change::Create { service, seen, ephemeral, texts } => {
                service.write(writer);
                writer.u64(*seen);
                writer.u8(u8::from(*ephemeral));
                texts.write(writer);
            }
            Change::Update { service, texts } => {
                service.write(writer);
                texts.write(writer);
            }
            Change::Remove { service, seen } => {
                service.write(writer);
                writer.u64(*seen);
            }
            Change::SetCluster { service, cluster } => {
                service.write(writer);
                cluster.write(writer);
            }
            Change::Edit { service, edit, places } => {
                service.write(writer);
                edit.write(writer);
                writer.bytes(places.0);
            }
            Change::Forget { service, places } => {
                service.write(writer);
                writer.bytes(places.0);
            }
        }
    }

    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, Unreadable> {
        let kind = reader.u8()?;
        if kind == 3 {
            return Ok(Change::SetHealth { flips: Flips(read_list(reader, Flip::read)?) });
        }
        let service = Named::read(reader)?;
        Ok(match kind {
            1 => {
                let form = reader.bytes()?;
                let mut instance = Reader::new(form);
                Host::read_form(&mut instance)?;
                instance.finish()?;
                Change::Register { service, instance: Form(form) }
            }
            2 => {
                let (ip, port) = read_address(reader)?;
                Change::Deregister { service, ip, port }
            }
            4 => Change::Create {
                service,
                seen: reader.u64()?,
                ephemeral: read_bool(reader)?,
                texts: Texts::read(reader)?,
            },
            5 => Change::Update { service, texts: Texts::read(reader)? },
            6 => Change::Remove { service, seen: reader.u64()? },
            7 => Change::SetCluster { service, cluster: ClusterDraft::read(reader)? },
            8 => {
                let edit = EditDraft::read(reader)?;
                let places = Places(read_list(reader, PlaceDraft::read)?);
                Change::Edit { service, edit, places }
            }
            9 => Change::Forget { service, places: Places(read_list(reader, PlaceDraft::read)?) },
            _ => return Err("a change of services this build does not know"),
        })
    }
}
