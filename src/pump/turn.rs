//! The loop of one core: take in what arrived, act, send, sleep when there is nothing.

use super::carrier::Carrier;
use super::limits::{
    DRAIN_MS, GAUGES_MS, IDLE_TURNS_BEFORE_SLEEP, MESH_PER_TURN_MAX, OUTSTANDING_BYTES_PAUSE,
    OUTSTANDING_PAUSE_MS,
};
