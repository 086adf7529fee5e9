//! What operators switch by publishing a config (`config.md` 15): `com.alibaba.nacos.meta.switch`
//! in the default group and namespace. It is a config like any other, by either wire; here is what
//! it does. (The other such name, `metadata.clientIpWhitelist`, is read by the reference and asked
//! by nobody there, so it does nothing here.)

use crate::config::table::Tables;
use crate::key::ConfigName;
use crate::naming::accept::{DEFAULT_GROUP, PUBLIC};

/// Where the switches are.
pub const SWITCHES: ConfigName<'static> = ConfigName {
    data_id: "com.alibaba.nacos.meta.switch",
    group: DEFAULT_GROUP,
    namespace: PUBLIC,
};

/// Bytes of what is looked at, there being half a dozen switches: every poll reads it.
const BYTES_MAX: usize = 4_096;

/// What the switches say about long polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switches {
    /// `fixedDelayTime`: how much earlier than its client says a poll is answered, ms.
    pub early_ms: i64,
    /// `MIN_LONG_POOLING_TIMEOUT`: no poll is held shorter, ms.
    pub hold_ms_min: i64,
    /// `fixedPolling` with `fixedPollingInertval`: all are held for this long, ms.
    pub fixed_ms: Option<i64>,
}

impl Default for Switches {
    fn default() -> Self {
        Self { early_ms: 500, hold_ms_min: 10_000, fixed_ms: None }
    }
}

impl Switches {
    /// As they are now, on any core. One look into a table where nothing is switched.
    pub fn of(tables: &Tables) -> Self {
        let slot = tables.slot(SWITCHES.slot());
        let formal = slot.get(SWITCHES).and_then(|entry| entry.formal.as_ref());
        let formal = formal.filter(|formal| formal.escaped.len() <= BYTES_MAX);
        formal.map(|formal| Self::parse(&formal.content())).unwrap_or_default()
    }

    /// `name=value` lines; what is malformed is passed over.
    fn parse(text: &str) -> Self {
        let (mut switches, mut is_fixed, mut interval_ms) = (Self::default(), false, 10_000);
        for line in text.lines() {
            let Some((name, value)) = line.split_once('=') else { continue };
            let value = value.trim();
            let number = value.parse::<i32>().map(i64::from);
            match (name.trim(), number) {
                ("fixedDelayTime" | "FIXED_DELAY_TIME", Ok(number)) => switches.early_ms = number,
                ("MIN_LONG_POOLING_TIMEOUT", Ok(number)) => switches.hold_ms_min = number,
                ("fixedPollingInertval", Ok(number)) => interval_ms = number,
                ("fixedPolling", _) => is_fixed = value.eq_ignore_ascii_case("true"),
                _ => {}
            }
        }
        switches.fixed_ms = is_fixed.then_some(interval_ms);
        switches
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::poll::hold_ms;

    #[test]
    fn lines_switch_and_nonsense_does_not() {
        let of = |text: &str| hold_ms(30_000, Switches::parse(text));
        for (text, held) in [
            ("", 29_500),
            ("fixedDelayTime=1000", 29_000),
            ("# a note\n FIXED_DELAY_TIME = 0 \nMIN_LONG_POOLING_TIMEOUT=5", 30_000),
            ("MIN_LONG_POOLING_TIMEOUT=40000", 40_000),
            ("fixedPolling=true", 10_000),
            ("fixedPolling=true\nfixedPollingInertval=12000", 12_000),
            ("fixedDelayTime=soon\nMIN_LONG_POOLING_TIMEOUT\nother=1", 29_500),
            ("fixedDelayTime=99999999999", 29_500),
            ("MIN_LONG_POOLING_TIMEOUT=-5\nfixedDelayTime=40000", 0),
        ] {
            assert_eq!(of(text), held, "{text:?}");
        }
        assert_eq!(Switches::of(&Tables::default()), Switches::default());
    }
}
