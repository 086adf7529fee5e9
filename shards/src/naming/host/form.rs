//! An instance as commands and records hold it. Reading never panics; what it gives is what
//! registering it would have given.

use super::{FIELD_BYTES_MAX, Host, IdForm, metadata_json, special_tail};
use crate::durable::codec::{Reader, Unreadable, Writer};
use nacre_proto::open_api::json_object;
use nacre_proto::text::Pairs;

const HAS_IP: u8 = 1;
const HEALTHY: u8 = 2;
const ENABLED: u8 = 4;

impl IdForm {
    const fn number(self) -> u8 {
        match self {
            IdForm::Text => 0,
            IdForm::Null => 1,
            IdForm::Empty => 2,
            IdForm::Cluster => 3,
        }
    }

    const fn of(number: u8) -> Result<Self, Unreadable> {
        match number {
            0 => Ok(IdForm::Text),
            1 => Ok(IdForm::Null),
            2 => Ok(IdForm::Empty),
            3 => Ok(IdForm::Cluster),
            _ => Err("an instance id of a form this build does not know"),
        }
    }
}

impl Host {
    /// Writes it, but for who keeps it.
    pub fn write_form(&self, writer: &mut Writer) {
        let flag = |on: bool, bit: u8| if on { bit } else { 0 };
        writer.u8(flag(self.has_ip, HAS_IP)
            | flag(self.healthy, HEALTHY)
            | flag(self.enabled, ENABLED));
        writer.text(self.ip());
        writer.u64(u64::from(self.port as u32));
        let start = usize::from(self.ip_bytes);
        writer.text(&self.text[start..start + usize::from(self.cluster_bytes)]);
        writer.u8(self.id.number());
        writer.text(self.id_text());
        writer.raw(&self.weight_bits.to_le_bytes());
        writer.text(self.metadata());
    }

    /// Reads [`Host::write_form`]: a persistent instance.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn read_form(reader: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let flags = reader.u8()?;
        let ip = reader.text()?;
        let port = reader.u32()? as i32;
        let cluster = reader.text()?;
        if ip.len() > FIELD_BYTES_MAX || cluster.len() > FIELD_BYTES_MAX {
            return Err("an ip or a cluster longer than 65,535 bytes");
        }
        let id = IdForm::of(reader.u8()?)?;
        let id_text = reader.text()?;
        let weight_bits = u64::from_le_bytes(reader.array()?);
        let metadata = match reader.text()? {
            "" => Pairs::default(),
            json => json_object(json).ok_or("metadata that is no JSON object of text")?,
        };
        let mut text = Vec::with_capacity(ip.len() + cluster.len() + id_text.len() + 64);
        for part in [ip, cluster, id_text] {
            text.extend_from_slice(part.as_bytes());
        }
        let plain = text.iter().all(|byte| *byte >= 0x20 && !matches!(byte, b'"' | b'\\'));
        let before_metadata = text.len();
        metadata_json(&mut text, &metadata);
        let metadata_bytes = text.len() - before_metadata;
        special_tail(&mut text, &metadata);
        let text = String::from_utf8(text).map_err(|_| "text that is not UTF-8")?;
        let long = |bytes: usize| u32::try_from(bytes).map_err(|_| "a text beyond 4 GiB");
        Ok(Self {
            port,
            ip_bytes: ip.len() as u16,
            cluster_bytes: cluster.len() as u16,
            id_bytes: long(id_text.len())?,
            metadata_bytes: long(metadata_bytes)?,
            weight_bits,
            text: text.into_boxed_str(),
            healthy: flags & HEALTHY != 0,
            enabled: flags & ENABLED != 0,
            has_ip: flags & HAS_IP != 0,
            plain,
            usual: false,
            ephemeral: false,
            id,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Core, ServiceKey};
    use crate::message::Now;
    use crate::naming::host::Ids;
    use nacre_proto::naming::Instance;
    use proptest::prelude::*;

    fn host(instance: &Instance<'_>) -> Host {
        let (key, now) = (ServiceKey::new("n", "g", "s"), Now { tick_ms: 0, unix_ms: 0 });
        Host::new(instance, &key, &mut Ids::new(Core(0)), now).persistent()
    }

    fn written(host: &Host) -> Vec<u8> {
        let mut writer = Writer::default();
        host.write_form(&mut writer);
        writer.finish()
    }

    #[test]
    fn what_was_registered_reads_back() {
        let pairs = |pairs: &[(&'static str, &'static str)]| pairs.iter().copied().collect();
        let plain = Instance { ip: Some("10.0.0.1".into()), port: 80, ..Instance::default() };
        let table = [
            plain.clone(),
            Instance { ip: None, port: -1, ..plain.clone() },
            Instance { cluster_name: Some("".into()), weight: 0.01, ..plain.clone() },
            Instance { cluster_name: Some("c_1".into()), enabled: false, ..plain.clone() },
            Instance { instance_id: Some("own \"id\"".into()), healthy: false, ..plain.clone() },
            Instance {
                metadata: pairs(&[
                    ("a", "é\"\u{1}"),
                    ("customInstanceId", "gone"),
                    ("preserved.heart.beat.interval", "7000"),
                    ("preserved.instance.id.generator", "snowflake"),
                ]),
                ..plain
            },
        ];
        for instance in table {
            let host = host(&instance);
            let bytes = written(&host);
            let mut reader = Reader::new(&bytes);
            assert_eq!(Host::read_form(&mut reader), Ok(host.clone()), "{instance:?}");
            assert_eq!(reader.finish(), Ok(()));
            for end in 0..bytes.len() {
                assert!(Host::read_form(&mut Reader::new(&bytes[..end])).is_err());
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = Host::read_form(&mut Reader::new(&bytes));
        }

        #[test]
        fn one_changed_byte_is_read_without_panic(at in any::<usize>(), byte: u8) {
            let metadata = [("a", "b")].into_iter().collect();
            let ip = Some("10.0.0.1".into());
            let instance = Instance { ip, port: 80, metadata, ..Instance::default() };
            let mut bytes = written(&host(&instance));
            let at = at % bytes.len();
            bytes[at] = byte;
            if let Ok(host) = Host::read_form(&mut Reader::new(&bytes)) {
                let mut out = Vec::new();
                host.write(&super::super::Grouped::of(&ServiceKey::new("n", "g", "s")), &mut out);
            }
        }
    }
}
