//! Flow control (RFC 9113, 5.2 and 6.9): how much we may send, how much we let come.

use super::limits::WINDOW_BYTES_MAX;

/// What we may still send. May be negative after the peer has lowered its initial window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendWindow(i32);

impl SendWindow {
    /// A window of `bytes`, which is at most 2^31-1.
    pub fn new(bytes: u32) -> Self {
        Self(bytes as i32)
    }

    /// Bytes that may be sent now.
    pub fn available(self) -> usize {
        self.0.max(0) as usize
    }

    /// Credit of the peer, or a change of its initial window; `false` beyond 2^31-1.
    #[must_use]
    pub fn add(&mut self, bytes: i64) -> bool {
        let sum = i64::from(self.0) + bytes;
        if !(-WINDOW_BYTES_MAX..=WINDOW_BYTES_MAX).contains(&sum) {
            return false;
        }
        self.0 = sum as i32;
        true
    }

    /// Takes what was sent; at most [`SendWindow::available`].
    pub fn take(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.available());
        self.0 -= bytes as i32;
    }
}

/// What came since we last gave credit. Everything received is consumed at once, so this is all
/// there is to know: bodies are bounded by the layer above, not by withheld credit.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct ReceiveWindow(u32);

impl ReceiveWindow {
    /// Takes what came; `false` when it is more than we allowed.
    #[must_use]
    pub fn take(&mut self, bytes: usize, window: u32) -> bool {
        if bytes > (window - self.0) as usize {
            return false;
        }
        self.0 += bytes as u32;
        true
    }

    /// The credit to give now: all that came, once that is half of the window.
    pub fn credit(&mut self, window: u32) -> Option<u32> {
        (self.0 >= window / 2).then(|| std::mem::take(&mut self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_comes_at_half_and_is_all_of_it() {
        let mut window = ReceiveWindow::default();
        assert!(window.take(49, 100));
        assert_eq!(window.credit(100), None);
        assert!(window.take(51, 100), "the window to its last byte");
        assert!(!window.take(1, 100), "and not one more");
        assert_eq!(window.credit(100), Some(100));
        assert!(window.take(100, 100));
    }

    #[test]
    fn a_send_window_may_sink_below_zero_but_not_rise_above_the_maximum() {
        let mut window = SendWindow::new(10);
        assert!(window.add(-15));
        assert_eq!(window.available(), 0);
        assert!(window.add(6));
        assert_eq!(window.available(), 1);
        assert!(!window.add(WINDOW_BYTES_MAX));
        assert!(window.add(WINDOW_BYTES_MAX - 1));
    }
}
