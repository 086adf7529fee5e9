//! Budgets for frames that cost us work and the sender nothing.
//!
//! One token bucket per class, refilled by time and by useful work: honest clients send such frames
//! in proportion to calls, attackers instead of calls. Sixteen bytes a connection.

use super::error::Reason;

/// A class of cheap frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// PING and SETTINGS: each wants an answer.
    Control,
    /// WINDOW_UPDATE, PRIORITY, GOAWAY, unknown frames and frames for streams that are gone.
    Idle,
    /// RST_STREAM of the peer.
    Reset,
    /// Streams we had to reset or refuse.
    Provoked,
    /// DATA without data that ends nothing.
    EmptyData,
}

struct Budget {
    burst: u16,
    per_second: u16,
    /// Tokens given back with each message we send.
    per_message: u16,
    reason: Reason,
}

/// Budgets, by [`Class`]. A BDP estimator pings once a round trip while data flows; a client may
/// credit every frame twice; a client that gives up cancels what it had open, which is at most the
/// stream limit.
const BUDGETS: [Budget; 5] = [
    Budget { burst: 1_000, per_second: 100, per_message: 2, reason: Reason::ControlFlood },
    Budget { burst: 10_000, per_second: 1_000, per_message: 8, reason: Reason::IdleFrameFlood },
    Budget { burst: 1_000, per_second: 100, per_message: 1, reason: Reason::ResetFlood },
    Budget { burst: 1_000, per_second: 10, per_message: 0, reason: Reason::ProvokedResets },
    Budget { burst: 1_000, per_second: 10, per_message: 1, reason: Reason::EmptyDataFlood },
];

/// Refills happen in steps of this, so that a busy connection seldom divides.
const REFILL_STEP_MS: u32 = 100;

/// The budgets of one connection.
#[derive(Debug, Clone, Copy)]
pub struct Meter {
    /// Tokens spent, by class: a fresh connection is all zeros.
    spent: [u16; BUDGETS.len()],
    refilled_ms: u32,
}

impl Meter {
    /// Full budgets at `now_ms`.
    pub fn new(now_ms: u32) -> Self {
        Self { spent: [0; BUDGETS.len()], refilled_ms: now_ms }
    }

    /// Takes one token; the reason to end the connection when there is none.
    pub fn spend(&mut self, class: Class, now_ms: u32) -> Result<(), Reason> {
        let elapsed = now_ms.wrapping_sub(self.refilled_ms);
        if elapsed >= REFILL_STEP_MS {
            self.refill(elapsed);
            self.refilled_ms = now_ms;
        }
        let budget = &BUDGETS[class as usize];
        let spent = &mut self.spent[class as usize];
        if *spent >= budget.burst {
            return Err(budget.reason);
        }
        *spent += 1;
        Ok(())
    }

    fn refill(&mut self, elapsed_ms: u32) {
        for (spent, budget) in self.spent.iter_mut().zip(&BUDGETS) {
            let tokens = u64::from(budget.per_second) * u64::from(elapsed_ms) / 1_000;
            *spent = spent.saturating_sub(u16::try_from(tokens).unwrap_or(u16::MAX));
        }
    }

    /// A message, or a frame of one that had to wait, went out.
    pub fn sent(&mut self) {
        for (spent, budget) in self.spent.iter_mut().zip(&BUDGETS) {
            *spent = spent.saturating_sub(budget.per_message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_borne_and_time_gives_tokens_back() {
        let mut meter = Meter::new(7);
        let spend = |meter: &mut Meter, now| meter.spend(Class::Control, now);
        for _ in 0..1_000 {
            assert_eq!(spend(&mut meter, 7), Ok(()));
        }
        assert_eq!(spend(&mut meter, 7), Err(Reason::ControlFlood));
        assert_eq!(meter.spend(Class::Reset, 7), Ok(()), "classes do not share");
        assert_eq!(spend(&mut meter, 106), Err(Reason::ControlFlood));
        for _ in 0..10 {
            assert_eq!(spend(&mut meter, 107), Ok(()));
        }
        assert_eq!(spend(&mut meter, 107), Err(Reason::ControlFlood));
        assert_eq!(spend(&mut meter, u32::MAX), Ok(()), "a long silence refills all");
    }

    #[test]
    fn messages_pay_for_pings_but_not_for_provoked_resets() {
        let mut meter = Meter::new(0);
        for _ in 0..100_000 {
            assert_eq!(meter.spend(Class::Control, 0), Ok(()));
            meter.sent();
        }
        let mut meter = Meter::new(0);
        let borne = (0..100_000)
            .take_while(|_| {
                meter.sent();
                meter.spend(Class::Provoked, 0).is_ok()
            })
            .count();
        assert_eq!(borne, 1_000);
    }
}
