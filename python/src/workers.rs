//! Threads that take one job after another: a short call need not wait until a thread has started, and finds the
//! buffers that the kernels keep for each thread.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

/// How long a thread waits for more before it ends.
const PATIENCE: Duration = Duration::from_secs(1);

type Work = Box<dyn FnOnce() + Send>;

/// A thread that waits for work, and where it listens.
struct Idle {
    thread: ThreadId,
    listener: SyncSender<Work>,
}

/// The threads that wait, the last to finish at the end.
fn idle() -> MutexGuard<'static, Vec<Idle>> {
    static IDLE: Mutex<Vec<Idle>> = Mutex::new(Vec::new());
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does `work` at once, on a thread that waits or on a new one; an error if none can be started.
pub fn run(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mut work: Work = Box::new(work);
    // A thread listens until it has taken itself off the list, so the first takes it.
    while let Some(Idle { listener, .. }) = pop() {
        match listener.send(work) {
            Ok(()) => return Ok(()),
            Err(unheard) => work = unheard.0,
        }
    }
    thread::Builder::new().name("seekvl".into()).spawn(move || serve(work)).map(drop)
}

/// Not inline, so that the list is not locked while a thread is told.
fn pop() -> Option<Idle> {
    idle().pop()
}

/// Works until nothing has come for a while.
fn serve(first: Work) {
    let (listener, receiver) = sync_channel(1);
    let mut next = Some(first);
    while let Some(work) = next {
        work();
        idle().push(Idle { thread: thread::current().id(), listener: listener.clone() });
        next = wait(&receiver);
    }
}

/// The next work, or nothing when this thread waits no more.
fn wait(receiver: &Receiver<Work>) -> Option<Work> {
    if let Ok(work) = receiver.recv_timeout(PATIENCE) {
        return Some(work);
    }
    let listed = {
        let mut idle = idle();
        let place = idle.iter().position(|one| one.thread == thread::current().id());
        place.map(|place| idle.remove(place)).is_some()
    };
    // Whoever took it off the list is about to send.
    if listed { None } else { receiver.recv().ok() }
}
