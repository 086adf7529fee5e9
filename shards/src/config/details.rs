//! What is kept of a config beside its content and its md5: texts that queries rarely need, packed
//! into one allocation.

use crate::durable::codec::{Reader, Unreadable, Writer};

/// The type of a config that names none, or none the reference knows.
pub const TEXT: &str = "text";

/// `ConfigType`s of the reference.
const TYPES: [&str; 8] = ["properties", "xml", "json", TEXT, "html", "yaml", "toml", "unset"];

/// The type as it is stored.
pub fn config_type(given: Option<&str>) -> &str {
    given.filter(|given| TYPES.contains(given)).unwrap_or(TEXT)
}

/// The texts (`config.md` 2, 3.1), borrowed. Absent ones are empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Details<'a> {
    /// `type`, one of the reference's.
    pub config_type: &'a str,
    pub encrypted_data_key: &'a str,
    pub app_name: &'a str,
    /// `config_tags`, comma separated.
    pub tags: &'a str,
    /// `desc`.
    pub description: &'a str,
    /// `use`.
    pub usage: &'a str,
    pub effect: &'a str,
    pub schema: &'a str,
    pub source_user: &'a str,
    pub source_ip: &'a str,
}

impl<'a> Details<'a> {
    fn texts(&self) -> [&'a str; 10] {
        [
            self.config_type,
            self.encrypted_data_key,
            self.app_name,
            self.tags,
            self.description,
            self.usage,
            self.effect,
            self.schema,
            self.source_user,
            self.source_ip,
        ]
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        self.texts().into_iter().for_each(|text| writer.text(text));
    }

    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, Unreadable> {
        let mut text = || reader.text();
        Ok(Self {
            config_type: text()?,
            encrypted_data_key: text()?,
            app_name: text()?,
            tags: text()?,
            description: text()?,
            usage: text()?,
            effect: text()?,
            schema: text()?,
            source_user: text()?,
            source_ip: text()?,
        })
    }
}

/// The texts, kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed(Box<[u8]>);

impl Packed {
    pub fn of(details: &Details<'_>) -> Self {
        let bytes: usize = details.texts().iter().map(|text| text.len() + 1).sum();
        let mut writer = Writer::with_capacity(bytes);
        details.write(&mut writer);
        Self(writer.finish().into_boxed_slice())
    }

    /// `config_type` and `encrypted_data_key`, which stand first: what every answer shows.
    pub fn answered(&self) -> (&str, &str) {
        let mut reader = Reader::new(&self.0);
        let mut text = || reader.text().expect("only what was written is kept");
        (text(), text())
    }

    /// The texts again.
    pub fn get(&self) -> Details<'_> {
        Details::read(&mut Reader::new(&self.0)).expect("only what was written is kept")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_types_are_text() {
        for (given, stored) in [
            (None, "text"),
            (Some(""), "text"),
            (Some("yaml"), "yaml"),
            (Some("YAML"), "text"),
            (Some("ini"), "text"),
            (Some("unset"), "unset"),
        ] {
            assert_eq!(config_type(given), stored);
        }
    }

    #[test]
    fn packing_loses_nothing() {
        let long = "x".repeat(300);
        let details = Details {
            config_type: "yaml",
            encrypted_data_key: "key",
            app_name: "shop",
            schema: &long,
            source_ip: "::1",
            ..Details::default()
        };
        assert_eq!(Packed::of(&details).get(), details);
        assert_eq!(Packed::of(&details).answered(), ("yaml", "key"));
    }
}
