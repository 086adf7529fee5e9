//! A value only one task of a thread may use at a time, also across its waits.

use super::Sleepers;
use openraft::async_runtime::Mutex;
use std::cell::{RefCell, RefMut};
use std::future::{Future, poll_fn};
use std::ops::{Deref, DerefMut};
use std::task::Poll;

/// The value and who waits for it.
#[derive(Debug)]
pub struct LocalMutex<T> {
    value: RefCell<T>,
    waiting: RefCell<Sleepers>,
}

/// The right to use the value, until dropped.
#[derive(Debug)]
pub struct LocalGuard<'a, T> {
    value: Option<RefMut<'a, T>>,
    waiting: &'a RefCell<Sleepers>,
}

impl<T: 'static> Mutex<T> for LocalMutex<T> {
    type Guard<'a> = LocalGuard<'a, T>;

    fn new(value: T) -> Self {
        Self { value: RefCell::new(value), waiting: RefCell::default() }
    }

    fn lock(&self) -> impl Future<Output = LocalGuard<'_, T>> {
        poll_fn(|cx| match self.value.try_borrow_mut() {
            Ok(value) => Poll::Ready(LocalGuard { value: Some(value), waiting: &self.waiting }),
            Err(_) => {
                self.waiting.borrow_mut().add(cx);
                Poll::Pending
            }
        })
    }
}

impl<T> Deref for LocalGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("held until dropped")
    }
}

impl<T> DerefMut for LocalGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("held until dropped")
    }
}

impl<T> Drop for LocalGuard<'_, T> {
    fn drop(&mut self) {
        // Free before the others look.
        self.value = None;
        self.waiting.borrow_mut().wake();
    }
}
