//! Work that several threads share, and memory for it.

use crate::pool;
pub(crate) use crate::pool::threads;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Work below which waking other threads costs more than it saves, in multiply-adds (some 20 µs on one core).
const WORTHWHILE: usize = 1 << 20;

/// Calls `task` for each number below `tasks`, on several threads if `work` (roughly, in multiply-adds) is worth it.
/// Kernels are written so that their results do not depend on it.
pub(crate) fn for_each(tasks: usize, work: usize, task: impl Fn(usize) + Send + Sync) {
    pool::run(tasks, if work < WORTHWHILE { 1 } else { threads() }, &task);
}

/// Calls `task` for each `size` elements of `data` (the last may be fewer) with their number, on several threads if `work` (roughly,
/// in multiply-adds) is worth it.
///
/// # Panics
/// If `size` is 0.
pub fn for_each_part<T: Send>(data: &mut [T], size: usize, work: usize, task: impl Fn(usize, &mut [T]) + Send + Sync) {
    let parts: Vec<_> = data.chunks_mut(size).map(Mutex::new).collect();
    for_each(parts.len(), work, |part| task(part, &mut parts[part].lock().unwrap_or_else(PoisonError::into_inner)));
}

/// Room for results: as many zeros, which threads share to write where they are many.
pub fn zeros(len: usize) -> Vec<f32> {
    match len * size_of::<f32>() < 4 * PART {
        true => vec![0.0; len],
        false => filled(0.0, len),
    }
}

/// Bytes that a task fills.
const PART: usize = 256 << 10;

/// `len` times `value`, which several threads write, since the system takes time to give the pages.
pub(crate) fn filled<T: Copy + Send + Sync>(value: T, len: usize) -> Vec<T> {
    let mut filled = Vec::with_capacity(len);
    let room = &mut filled.spare_capacity_mut()[..len];
    let work = len * size_of::<T>() / size_of::<f32>();
    for_each_part(room, PART / size_of::<T>(), work, |_, part| part.fill(MaybeUninit::new(value)));
    // SAFETY: each part of the first `len` elements has had its task.
    unsafe { filled.set_len(len) };
    filled
}

/// A slice of which several tasks write distinct parts.
pub(crate) struct Shared<'a> {
    start: *mut f32,
    len: usize,
    slice: PhantomData<&'a mut [f32]>,
}

// SAFETY: only `Shared::part` gives access, and its callers keep the parts apart.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    pub(crate) fn new(slice: &'a mut [f32]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), slice: PhantomData }
    }

    /// One part. Panics outside of the slice.
    ///
    /// # Safety
    /// No two parts that are in use at the same time overlap.
    #[allow(clippy::mut_from_ref, reason = "the caller keeps the parts apart")]
    #[inline(always)]
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &mut [f32] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: inside of the slice that `self` borrows exclusively, and overlapping no other part.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.end - range.start) }
    }
}

/// Numbers in a cache line, on which scratch begins.
const LINE: usize = 16;

/// Numbers that a thread keeps for the next call: 16 MiB. Larger buffers are freed after use.
const KEPT: usize = 4 << 20;

/// Runs `body` with a buffer of `len` numbers of no particular value that begins on a cache line. Calls may nest.
pub(crate) fn with_scratch<T>(len: usize, body: impl FnOnce(&mut [f32]) -> T) -> T {
    thread_local!(static FREE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) });
    let mut buffer = FREE.with_borrow_mut(Vec::pop).unwrap_or_default();
    if buffer.len() < len + LINE {
        buffer.resize(len + LINE, 0.0);
    }
    let start = buffer.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
    let result = body(&mut buffer[start..start + len]);
    if buffer.capacity() <= KEPT {
        FREE.with_borrow_mut(|free| free.push(buffer));
    }
    result
}
