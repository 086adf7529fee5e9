//! SETTINGS: what we allow, and what the peer does (RFC 9113, 6.5).

use super::error::Reason;
use super::frame::{self, Kind};
use super::limits;

const HEADER_TABLE_SIZE: u16 = 0x1;
const ENABLE_PUSH: u16 = 0x2;
const MAX_CONCURRENT_STREAMS: u16 = 0x3;
const INITIAL_WINDOW_SIZE: u16 = 0x4;
const MAX_FRAME_SIZE: u16 = 0x5;
const MAX_HEADER_LIST_SIZE: u16 = 0x6;

/// Bytes of one parameter.
const PARAMETER_BYTES: usize = 6;
/// Range of SETTINGS_MAX_FRAME_SIZE.
const FRAME_SIZES: std::ops::RangeInclusive<u32> = 16_384..=16_777_215;

/// What a SETTINGS frame of the peer changes for us. Nothing else it says concerns a server that
/// pushes no promises, sends small heads and never more than the initial frame size.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct PeerSettings {
    /// The least value given: the decoder may have shrunk in between.
    pub header_table_bytes: Option<u32>,
    /// Window of every stream.
    pub initial_window: Option<u32>,
}

/// Reads the parameters; later ones win. Unknown ones are ignored.
pub fn parse(payload: &[u8]) -> Result<PeerSettings, Reason> {
    if !payload.len().is_multiple_of(PARAMETER_BYTES) {
        return Err(Reason::FrameSize);
    }
    let mut settings = PeerSettings::default();
    for parameter in payload.chunks_exact(PARAMETER_BYTES) {
        let id = u16::from_be_bytes([parameter[0], parameter[1]]);
        let bytes = [parameter[2], parameter[3], parameter[4], parameter[5]];
        let value = u32::from_be_bytes(bytes);
        match id {
            HEADER_TABLE_SIZE => {
                let least = settings.header_table_bytes.map_or(value, |before| before.min(value));
                settings.header_table_bytes = Some(least);
            }
            ENABLE_PUSH if value > 1 => return Err(Reason::Protocol),
            INITIAL_WINDOW_SIZE if i64::from(value) > limits::WINDOW_BYTES_MAX => {
                return Err(Reason::FlowControl);
            }
            INITIAL_WINDOW_SIZE => settings.initial_window = Some(value),
            MAX_FRAME_SIZE if !FRAME_SIZES.contains(&value) => return Err(Reason::Protocol),
            _ => {}
        }
    }
    Ok(settings)
}

/// Appends our SETTINGS: the reference's three. A smaller header table would save little, since
/// entries cost four bytes, and some peers do not obey it.
pub fn write_ours(out: &mut Vec<u8>, streams_max: u32) {
    let ours = [
        (MAX_CONCURRENT_STREAMS, streams_max),
        (INITIAL_WINDOW_SIZE, limits::STREAM_WINDOW_BYTES),
        (MAX_HEADER_LIST_SIZE, limits::HEADER_LIST_BYTES),
    ];
    frame::write_head(out, ours.len() * PARAMETER_BYTES, Kind::Settings, 0, 0);
    for (id, value) in ours {
        out.extend_from_slice(&id.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(id: u16, value: u32) -> Vec<u8> {
        [&id.to_be_bytes()[..], &value.to_be_bytes()[..]].concat()
    }

    #[test]
    fn values_out_of_range_are_refused() {
        let cases = [
            (2, 2, Reason::Protocol),
            (4, 1 << 31, Reason::FlowControl),
            (5, 16_383, Reason::Protocol),
            (5, 16_777_216, Reason::Protocol),
        ];
        for (id, value, reason) in cases {
            assert_eq!(parse(&parameter(id, value)), Err(reason), "{id} {value}");
        }
        assert_eq!(parse(&[0; 5]), Err(Reason::FrameSize));
    }

    #[test]
    fn the_last_window_and_the_least_table_win() {
        let payload =
            [parameter(1, 100), parameter(4, 1), parameter(1, 5_000), parameter(4, 2)].concat();
        let expected = PeerSettings { header_table_bytes: Some(100), initial_window: Some(2) };
        assert_eq!(parse(&payload), Ok(expected));
        assert_eq!(parse(&parameter(0x99, 7)), Ok(PeerSettings::default()));
    }
}
