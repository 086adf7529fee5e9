//! The latest value of something, for tasks of the same thread that want to see it change.

use super::Sleepers;
use openraft::async_runtime::watch::{RecvError, SendError, Watch, WatchReceiver, WatchSender};
use std::cell::{Cell, Ref, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

/// Makes watched values.
#[derive(Debug)]
pub struct Watched;

#[derive(Debug)]
struct Shared<T> {
    value: RefCell<T>,
    version: Cell<u64>,
    senders: Cell<usize>,
    receivers: Cell<usize>,
    waiting: RefCell<Sleepers>,
}

impl<T> Shared<T> {
    fn changed(&self) {
        self.version.set(self.version.get() + 1);
        self.waiting.borrow_mut().wake();
    }
}

/// An end that sets the value.
#[derive(Debug)]
pub struct WatchedSender<T>(Rc<Shared<T>>);

/// An end that sees it.
#[derive(Debug)]
pub struct WatchedReceiver<T> {
    shared: Rc<Shared<T>>,
    seen: u64,
}

impl Watch for Watched {
    type Sender<T> = WatchedSender<T>;
    type Receiver<T> = WatchedReceiver<T>;
    type Ref<'a, T: 'a> = Ref<'a, T>;

    fn channel<T>(value: T) -> (Self::Sender<T>, Self::Receiver<T>) {
        let shared = Rc::new(Shared {
            value: RefCell::new(value),
            version: Cell::new(0),
            senders: Cell::new(1),
            receivers: Cell::new(1),
            waiting: RefCell::default(),
        });
        (WatchedSender(shared.clone()), WatchedReceiver { shared, seen: 0 })
    }
}

impl<T> WatchSender<Watched, T> for WatchedSender<T> {
    fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.0.receivers.get() == 0 {
            return Err(SendError(value));
        }
        let old = self.0.value.replace(value);
        self.0.changed();
        drop(old);
        Ok(())
    }

    fn send_if_modified<F>(&self, modify: F) -> bool
    where
        F: FnOnce(&mut T) -> bool,
    {
        let modified = modify(&mut self.0.value.borrow_mut());
        if modified {
            self.0.changed();
        }
        modified
    }

    fn borrow_watched(&self) -> Ref<'_, T> {
        self.0.value.borrow()
    }

    fn subscribe(&self) -> WatchedReceiver<T> {
        self.0.receivers.set(self.0.receivers.get() + 1);
        WatchedReceiver { shared: self.0.clone(), seen: self.0.version.get() }
    }
}

impl<T> Clone for WatchedSender<T> {
    fn clone(&self) -> Self {
        self.0.senders.set(self.0.senders.get() + 1);
        Self(self.0.clone())
    }
}

impl<T> Drop for WatchedSender<T> {
    fn drop(&mut self) {
        self.0.senders.set(self.0.senders.get() - 1);
        if self.0.senders.get() == 0 {
            self.0.waiting.borrow_mut().wake();
        }
    }
}

impl<T> WatchReceiver<Watched, T> for WatchedReceiver<T> {
    async fn changed(&mut self) -> Result<(), RecvError> {
        poll_fn(|cx| {
            let version = self.shared.version.get();
            if version != self.seen {
                self.seen = version;
                return Poll::Ready(Ok(()));
            }
            if self.shared.senders.get() == 0 {
                return Poll::Ready(Err(RecvError(())));
            }
            self.shared.waiting.borrow_mut().add(cx);
            Poll::Pending
        })
        .await
    }

    fn borrow_watched(&self) -> Ref<'_, T> {
        self.shared.value.borrow()
    }

    fn borrow_and_update(&mut self) -> Ref<'_, T> {
        self.seen = self.shared.version.get();
        self.shared.value.borrow()
    }
}

impl<T> Clone for WatchedReceiver<T> {
    fn clone(&self) -> Self {
        self.shared.receivers.set(self.shared.receivers.get() + 1);
        Self { shared: self.shared.clone(), seen: self.seen }
    }
}

impl<T> Drop for WatchedReceiver<T> {
    fn drop(&mut self) {
        self.shared.receivers.set(self.shared.receivers.get() - 1);
    }
}
