//! A bounded queue from many tasks to one, all of the same thread.

use super::Sleepers;
use openraft::async_runtime::{
    Mpsc, MpscReceiver, MpscSender, MpscWeakSender, SendError, TryRecvError,
};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::rc::{Rc, Weak};
use std::task::{Poll, Waker};

/// Makes bounded queues.
#[derive(Debug)]
pub struct Channel;

#[derive(Debug)]
struct Queue<T> {
    items: VecDeque<T>,
    items_max: usize,
    senders: usize,
    receiver_gone: bool,
    receiver: Option<Waker>,
    waiting: Sleepers,
}

impl<T> Queue<T> {
    fn take(&mut self) -> Option<T> {
        let item = self.items.pop_front()?;
        self.waiting.wake();
        Some(item)
    }

    fn wake_receiver(&mut self) {
        if let Some(waker) = self.receiver.take() {
            waker.wake();
        }
    }
}

type Shared<T> = RefCell<Queue<T>>;

/// One of the ends that give.
#[derive(Debug)]
pub struct ChannelSender<T>(Rc<Shared<T>>);

/// The end that takes.
#[derive(Debug)]
pub struct ChannelReceiver<T>(Rc<Shared<T>>);

/// A giving end that does not keep the queue open.
#[derive(Debug)]
pub struct ChannelWeak<T>(Weak<Shared<T>>);

impl Mpsc for Channel {
    type Sender<T> = ChannelSender<T>;
    type Receiver<T> = ChannelReceiver<T>;
    type WeakSender<T> = ChannelWeak<T>;

    fn channel<T>(items_max: usize) -> (Self::Sender<T>, Self::Receiver<T>) {
        let queue = Queue {
            items: VecDeque::new(),
            items_max,
            senders: 1,
            receiver_gone: false,
            receiver: None,
            waiting: Sleepers::default(),
        };
        let queue = Rc::new(RefCell::new(queue));
        (ChannelSender(queue.clone()), ChannelReceiver(queue))
    }
}

impl<T> Clone for ChannelSender<T> {
    fn clone(&self) -> Self {
        self.0.borrow_mut().senders += 1;
        Self(self.0.clone())
    }
}

impl<T> Drop for ChannelSender<T> {
    fn drop(&mut self) {
        let mut queue = self.0.borrow_mut();
        queue.senders -= 1;
        if queue.senders == 0 {
            queue.wake_receiver();
        }
    }
}

impl<T> MpscSender<Channel, T> for ChannelSender<T> {
    fn send(&self, item: T) -> impl Future<Output = Result<(), SendError<T>>> {
        let mut item = Some(item);
        poll_fn(move |cx| {
            let mut queue = self.0.borrow_mut();
            let taken = item.take().expect("not polled after its end");
            if queue.receiver_gone {
                return Poll::Ready(Err(SendError(taken)));
            }
            if queue.items.len() < queue.items_max {
                queue.items.push_back(taken);
                queue.wake_receiver();
                return Poll::Ready(Ok(()));
            }
            item = Some(taken);
            queue.waiting.add(cx);
            Poll::Pending
        })
    }

    fn downgrade(&self) -> ChannelWeak<T> {
        ChannelWeak(Rc::downgrade(&self.0))
    }
}

impl<T> MpscReceiver<T> for ChannelReceiver<T> {
    fn recv(&mut self) -> impl Future<Output = Option<T>> {
        poll_fn(|cx| {
            let mut queue = self.0.borrow_mut();
            if let Some(item) = queue.take() {
                return Poll::Ready(Some(item));
            }
            if queue.senders == 0 {
                return Poll::Ready(None);
            }
            queue.receiver = Some(cx.waker().clone());
            Poll::Pending
        })
    }

    fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let mut queue = self.0.borrow_mut();
        match queue.take() {
            Some(item) => Ok(item),
            None if queue.senders == 0 => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }
}

impl<T> Drop for ChannelReceiver<T> {
    fn drop(&mut self) {
        let mut queue = self.0.borrow_mut();
        queue.receiver_gone = true;
        queue.waiting.wake();
        // Dropped after the borrow: what waited here may hold an end of this very queue.
        let items = std::mem::take(&mut queue.items);
        drop(queue);
        drop(items);
    }
}

impl<T> Clone for ChannelWeak<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> MpscWeakSender<Channel, T> for ChannelWeak<T> {
    fn upgrade(&self) -> Option<ChannelSender<T>> {
        let queue = self.0.upgrade()?;
        {
            let mut inner = queue.borrow_mut();
            if inner.senders == 0 {
                return None;
            }
            inner.senders += 1;
        }
        Some(ChannelSender(queue))
    }
}
