//! A pool of threads for short parallel regions.
//!
//! A region is a number of tasks that its caller and any idle workers claim one by one. The caller needs nobody: it takes
//! tasks until there are none, and then waits only for those that others have begun. So a thread that the system takes off
//! its core delays a region by the task it is in, and no number of callers can block each other. Workers look out for the
//! next region for some microseconds and then sleep; a caller that waits does the same, which frees its core for a worker
//! that lacks one.

use std::any::Any;
use std::cell::Cell;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How long workers look out for work before they sleep: longer than the pauses between the regions of one token.
const LOOKOUT: Duration = Duration::from_micros(50);

/// How long a caller waits for the last tasks of others before it sleeps.
const PATIENCE: Duration = Duration::from_micros(20);

/// Threads that a process uses at most, whatever it asks for.
const MOST: usize = 1024;

/// What was asked for with [`set_threads`]; 0 for nothing.
static ASKED: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The limit of [`with_threads`]; 0 for none.
    static LIMIT: Cell<usize> = const { Cell::new(0) };
    /// Whether this thread is in a task, whose own regions run on it alone.
    static IN_TASK: Cell<bool> = const { Cell::new(false) };
}

/// Lets all kernels of the process use `threads` threads together, the callers' included; 0 for as many as the system grants
/// the process, which is the default. Results do not depend on it.
pub fn set_threads(threads: usize) {
    ASKED.store(threads.min(MOST), Ordering::Relaxed);
}

/// Threads that a kernel called here may use.
pub fn threads() -> usize {
    static GRANTED: OnceLock<usize> = OnceLock::new();
    if IN_TASK.get() {
        return 1;
    }
    match (LIMIT.get(), ASKED.load(Ordering::Relaxed)) {
        (0, 0) => *GRANTED.get_or_init(|| thread::available_parallelism().map_or(1, NonZeroUsize::get).min(MOST)),
        (0, asked) => asked,
        (limit, _) => limit,
    }
}

/// Runs `body`, whose kernels use `threads` threads, at least one, whatever [`set_threads`] says.
pub fn with_threads<T>(threads: usize, body: impl FnOnce() -> T) -> T {
    struct Restore(usize);
    impl Drop for Restore {
        fn drop(&mut self) {
            LIMIT.set(self.0);
        }
    }
    let _restore = Restore(LIMIT.replace(threads.clamp(1, MOST)));
    body()
}

/// Calls `task` for each number below `tasks`, on at most `threads` threads, this one among them. A panic of a task goes
/// on here, once no task is running; some of the others may then never have run.
pub(crate) fn run(tasks: usize, threads: usize, task: &(dyn Fn(usize) + Sync)) {
    if tasks < 2 || threads < 2 || IN_TASK.get() {
        return (0..tasks).for_each(task);
    }
    // SAFETY: only the lifetime changes. The region is used in this function alone, and by workers that have entered it,
    // for all of whom `Open` waits before it lets this function go.
    let task = unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(task) };
    let region = Region {
        task,
        tasks,
        next: AtomicUsize::new(0),
        helpers: threads - 1,
        inside: AtomicUsize::new(0),
        panic: Mutex::new(None),
        caller: thread::current(),
    };
    let open = Open::new(&region);
    region.work();
    drop(open);
    if let Some(panic) = lock(&region.panic).take() {
        resume_unwind(panic);
    }
}

/// One call of [`run`].
struct Region {
    task: &'static (dyn Fn(usize) + Sync),
    tasks: usize,
    /// The next task that nobody has claimed.
    next: AtomicUsize,
    /// Workers that may be inside at a time.
    helpers: usize,
    /// Workers that are.
    inside: AtomicUsize,
    /// The first panic of a task.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    caller: Thread,
}

impl Region {
    /// Runs tasks until all are claimed.
    fn work(&self) {
        let outer = IN_TASK.replace(true);
        loop {
            let task = self.next.fetch_add(1, Ordering::Relaxed);
            if task >= self.tasks {
                break;
            }
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (self.task)(task))) {
                // No more tasks. Threads that come later add to it, but never so much that it wraps around.
                self.next.store(self.tasks, Ordering::Relaxed);
                lock(&self.panic).get_or_insert(panic);
            }
        }
        IN_TASK.set(outer);
    }

    /// Whether there is work in it for one more worker.
    fn wants_help(&self) -> bool {
        self.next.load(Ordering::Relaxed) < self.tasks && self.inside.load(Ordering::Relaxed) < self.helpers
    }
}

/// What callers and workers share.
struct Pool {
    state: Mutex<State>,
    /// Counts regions, so that workers can look out for them without the lock.
    regions: AtomicUsize,
    wake: Condvar,
}

static POOL: Pool = Pool {
    state: Mutex::new(State { open: Vec::new(), workers: 0, working: 0, asleep: 0 }),
    regions: AtomicUsize::new(0),
    wake: Condvar::new(),
};

struct State {
    /// Regions that workers may enter.
    open: Vec<Pointer>,
    /// Workers there are, in regions, and asleep.
    workers: usize,
    working: usize,
    asleep: usize,
}

/// Of a region in [`State::open`], or in which the worker that holds it is counted as inside: it exists.
#[derive(Clone, Copy, PartialEq)]
struct Pointer(NonNull<Region>);

// SAFETY: regions are made to be shared, and exist while there is a pointer.
unsafe impl Send for Pointer {}

/// No code that can panic runs under these locks, so nothing is ever left half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps a region open to workers; when dropped, closes it and waits for those inside.
struct Open<'a>(&'a Region);

impl<'a> Open<'a> {
    fn new(region: &'a Region) -> Self {
        let mut state = lock(&POOL.state);
        while state.workers < region.helpers && spawn(state.workers) {
            state.workers += 1;
        }
        state.open.push(Pointer(NonNull::from(region)));
        POOL.regions.fetch_add(1, Ordering::Release);
        let asleep = state.asleep.min(region.helpers);
        drop(state);
        (0..asleep).for_each(|_| POOL.wake.notify_one());
        Self(region)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut state = lock(&POOL.state);
        state.open.retain(|open| *open != Pointer(NonNull::from(self.0)));
        // This caller's share of the processor is free for those that are left.
        let others = !state.open.is_empty();
        if others {
            POOL.regions.fetch_add(1, Ordering::Release);
        }
        let wake = others && state.asleep > 0;
        drop(state);
        if wake {
            POOL.wake.notify_one();
        }
        let begin = Instant::now();
        // Acquire: what the workers wrote is seen from here on.
        while self.0.inside.load(Ordering::Acquire) > 0 {
            if begin.elapsed() < PATIENCE {
                std::hint::spin_loop();
            } else {
                thread::park();
            }
        }
    }
}

/// Starts a worker; false where the system has none to give.
fn spawn(index: usize) -> bool {
    thread::Builder::new().name(format!("seekvl-{}", index + 1)).spawn(work_forever).is_ok()
}

fn work_forever() {
    loop {
        let seen = POOL.regions.load(Ordering::Acquire);
        while let Some(Pointer(region)) = enter() {
            // SAFETY: `enter` has counted this worker as inside, for which the region's `Open` waits.
            let region = unsafe { region.as_ref() };
            region.work();
            leave(region);
        }
        let begin = Instant::now();
        while POOL.regions.load(Ordering::Acquire) == seen && begin.elapsed() < LOOKOUT {
            (0..8).for_each(|_| std::hint::spin_loop());
        }
        let mut state = lock(&POOL.state);
        state.asleep += 1;
        while POOL.regions.load(Ordering::Acquire) == seen {
            state = POOL.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.asleep -= 1;
    }
}

/// Counts the worker into a region that wants help, unless all threads that the process may use are busy.
fn enter() -> Option<Pointer> {
    let mut state = lock(&POOL.state);
    // SAFETY: regions that are open exist.
    let (wanted, region) =
        state.open.iter().map(|open| (unsafe { open.0.as_ref() }, *open)).find(|(r, _)| r.wants_help())?;
    if state.open.len() + state.working > wanted.helpers {
        return None;
    }
    wanted.inside.fetch_add(1, Ordering::Relaxed);
    state.working += 1;
    Some(region)
}

fn leave(region: &Region) {
    lock(&POOL.state).working -= 1;
    // The region may be gone as soon as nobody is inside.
    let caller = region.caller.clone();
    if region.inside.fetch_sub(1, Ordering::Release) == 1 {
        caller.unpark();
    }
}

#[cfg(test)]
mod tests;
