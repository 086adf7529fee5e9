//! One value from one task to another of the same thread.

use openraft::async_runtime::{Oneshot, OneshotSender};
use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Makes pairs of [`OnceSender`] and [`OnceReceiver`].
#[derive(Debug)]
pub struct Once;

#[derive(Debug)]
struct Slot<T> {
    value: Option<T>,
    receiver: Option<Waker>,
    sender_gone: bool,
    receiver_gone: bool,
}

/// The end that gives.
#[derive(Debug)]
pub struct OnceSender<T>(Rc<RefCell<Slot<T>>>);

/// The end that waits.
#[derive(Debug)]
pub struct OnceReceiver<T>(Rc<RefCell<Slot<T>>>);

/// Who should have answered has gone without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unanswered;

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the task that should have answered has ended")
    }
}

impl std::error::Error for Unanswered {}

/// A pair for one value.
pub fn once<T>() -> (OnceSender<T>, OnceReceiver<T>) {
    let slot = Slot { value: None, receiver: None, sender_gone: false, receiver_gone: false };
    let slot = Rc::new(RefCell::new(slot));
    (OnceSender(slot.clone()), OnceReceiver(slot))
}

impl Oneshot for Once {
    type Sender<T> = OnceSender<T>;
    type Receiver<T> = OnceReceiver<T>;
    type ReceiverError = Unanswered;

    fn channel<T>() -> (Self::Sender<T>, Self::Receiver<T>) {
        once()
    }
}

impl<T> OnceSender<T> {
    /// Gives the value; hands it back when nobody waits for it.
    ///
    /// # Errors
    /// The receiver is gone.
    pub fn put(self, value: T) -> Result<(), T> {
        let mut slot = self.0.borrow_mut();
        if slot.receiver_gone {
            return Err(value);
        }
        slot.value = Some(value);
        // The drop of `self` wakes the receiver.
        Ok(())
    }
}

impl<T> OneshotSender<T> for OnceSender<T> {
    fn send(self, value: T) -> Result<(), T> {
        self.put(value)
    }
}

impl<T> Drop for OnceSender<T> {
    fn drop(&mut self) {
        let mut slot = self.0.borrow_mut();
        slot.sender_gone = true;
        let receiver = slot.receiver.take();
        drop(slot);
        if let Some(waker) = receiver {
            waker.wake();
        }
    }
}

impl<T> Future for OnceReceiver<T> {
    type Output = Result<T, Unanswered>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut slot = self.0.borrow_mut();
        if let Some(value) = slot.value.take() {
            return Poll::Ready(Ok(value));
        }
        if slot.sender_gone {
            return Poll::Ready(Err(Unanswered));
        }
        slot.receiver = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<T> Drop for OnceReceiver<T> {
    fn drop(&mut self) {
        self.0.borrow_mut().receiver_gone = true;
    }
}
