//! What a run's world is like: drawn once from the seed, so that runs differ in kind and not only
//! in luck.

use crate::limits::LaneLimits;
use crate::settings::{PlantedBug, Settings};
use crate::sim::random::Random;

/// The habits of one world. Times in milliseconds, chances in percent.
#[derive(Debug, Clone)]
pub struct Faults {
    pub cores: u16,
    pub clients: u64,
    pub services: u64,
    /// How long clients act before everything heals.
    pub unrest_ms: u64,
    /// Longest pause of one client between two acts.
    pub pause_ms_max: u64,
    /// Longest way between two cores.
    pub lane_ms_max: u64,
    /// Longest way between client and server.
    pub wire_ms_max: u64,
    /// Messages a core takes in one turn, at most.
    pub turn_inputs_max: u64,
    /// Pushes wanted in one turn.
    pub turn_pushes: usize,
    /// Chance of a core to stall after a turn, in ten thousand, and for how long at most.
    pub stall_per_myriad: u64,
    pub stall_ms_max: u64,
    /// Chances that a push is not acknowledged, or negatively, and the longest time to an ack.
    pub mute: u64,
    pub nack: u64,
    pub ack_ms_max: u64,
    /// Share of calls that are about configs.
    pub configs: u64,
    /// Longest time from a proposal to its batch; chance that it is refused.
    pub log_ms_max: u64,
    pub log_refuses: u64,
    /// Chance that the store is opened anew after a batch.
    pub log_reopens: u64,
    /// Unread messages that make a connection congested.
    pub unread_max: usize,
    pub settings: Settings,
}

impl Faults {
    /// The habits this seed's world has.
    pub fn draw(random: &mut Random) -> Self {
        let cores = random.pick(&[1, 2, 2, 3, 4, 8]);
        let mut settings = Settings::default();
        settings.naming.empty_scan_ms = 1_000;
        settings.naming.empty_expired_ms = 2_000;
        if random.percent(50) {
            settings.idle_ms = 2_000;
            settings.detection_ms = 500;
            settings.setup_ms = 2_000;
            settings.congested_ms = 3_000;
        }
        if random.percent(20) {
            settings.push_delay_ms = Some(random.pick(&[1, 100, 500]));
        } else if random.percent(20) {
            settings.storm_arrivals = 0;
        }
        if random.percent(60) {
            let asks_max = random.between(4, 12) as usize;
            let changes_max = random.between(1, 3) as usize;
            settings.lanes = Some(LaneLimits { asks_max, asks_reserved: 2, changes_max });
        }
        let mut faults = Self {
            cores,
            clients: random.between(2, 16),
            services: random.between(1, 10),
            unrest_ms: random.between(2_000, 12_000),
            pause_ms_max: random.pick(&[100, 400, 1_500]),
            lane_ms_max: random.pick(&[0, 1, 20, 300]),
            wire_ms_max: random.pick(&[0, 5, 100]),
            turn_inputs_max: random.pick(&[1, 4, 64]),
            turn_pushes: random.pick(&[1, 2, 7, 1_024]),
            stall_per_myriad: random.pick(&[0, 5, 50]),
            stall_ms_max: random.pick(&[20, 900, 4_000]),
            mute: random.pick(&[0, 5, 40]),
            nack: random.pick(&[0, 5, 20]),
            ack_ms_max: random.pick(&[0, 30, 700]),
            unread_max: random.between(1, 8) as usize,
            configs: random.pick(&[0, 0, 30, 80]),
            log_ms_max: random.pick(&[0, 5, 300]),
            log_refuses: random.pick(&[0, 0, 10]),
            log_reopens: random.pick(&[0, 0, 5]),
            settings,
        };
        faults.settings.config.push_tries_max = random.pick(&[50, 50, 1]);
        faults.settings.config.fuzzy_batch = random.pick(&[1, 20]);
        if random.percent(15) {
            faults.crowd(random);
        }
        faults
    }

    /// Many clients of few services on few cores that hand out few pushes at a time.
    fn crowd(&mut self, random: &mut Random) {
        self.cores = random.between(1, 2) as u16;
        self.clients = random.between(16, 30);
        self.services = random.between(1, 2);
        self.turn_pushes = random.pick(&[1, 2]);
    }

    /// Has the world make a mistake. One shows only where many leave a service in the middle of a
    /// broadcast: its worlds are all like that, or thousands of them would be tried.
    pub fn plant(&mut self, bug: Option<PlantedBug>) {
        self.settings.planted = bug;
        if bug == Some(PlantedBug::LeavingMovesCursor) {
            self.cores = 1;
            self.clients = 30;
            self.services = 1;
            self.turn_pushes = 1;
            self.configs = 0;
        }
    }

    /// What is left when everything has healed: the same lanes and delays, but nobody misbehaves.
    pub fn heal(&mut self) {
        self.stall_per_myriad = 0;
        self.mute = 0;
        self.nack = 0;
        self.ack_ms_max = self.ack_ms_max.min(30);
        self.log_refuses = 0;
    }
}
