//! Memory for weights, in pages as large as the system gives.
//!
//! Every token reads every weight once, and in pages of 4 KiB an address is looked up for each 64 cache lines. Linux gives
//! pages of 2 MiB to memory that asks for them and covers them whole, which the matrix of an expert does not. So weights
//! stand side by side in regions of many pages.

use crate::parallel::filled;
use memmap2::{MmapMut, MmapRaw};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a large page.
const PAGE: usize = 2 << 20;
/// Lines of a region that weights share. Those that nobody takes are never touched, and so cost no memory.
const SHARED: usize = 32 * PAGE / size_of::<Line>();
/// Lines of the largest weight that shares one.
const SMALL: usize = SHARED / 4;

/// A cache line, on which weights begin.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Line(pub [f32; 16]);

/// Where weights stand that come and go together: a region is given back when none of its weights is left. A weight for
/// which there is no region has memory of its own.
#[derive(Debug, Default)]
pub struct Shelf {
    /// The region that has room, and how many lines of it are taken.
    open: Mutex<Option<(Arc<Region>, usize)>>,
}

impl Shelf {
    /// With nothing on it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Some lines of zeros, if the system has such memory.
    fn take(&self, len: usize) -> Option<Part> {
        if len > SMALL {
            return Some(Part { region: Arc::new(Region::new(len)?), first: 0, len });
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (region, taken) = match &mut *open {
            Some(open) if SHARED - open.1 >= len => open,
            open => open.insert((Arc::new(Region::new(SHARED)?), 0)),
        };
        let first = *taken;
        *taken += len;
        Some(Part { region: Arc::clone(region), first, len })
    }
}

/// Memory from the system, all zeros at first.
#[derive(Debug)]
struct Region {
    map: MmapRaw,
    /// The byte of the map where the first line begins, and a large page.
    start: usize,
}

impl Region {
    /// Room for so many lines, if the system has it.
    fn new(len: usize) -> Option<Self> {
        let bytes = len.checked_mul(size_of::<Line>())?;
        // Large pages begin at their multiples, which a map need not.
        let map = MmapRaw::from(MmapMut::map_anon(bytes.checked_add(PAGE)?).ok()?);
        let start = map.as_mut_ptr().addr().wrapping_neg() % PAGE;
        // Not for a rest, which would take a whole page. Where the system does not do it, pages are small.
        #[cfg(target_os = "linux")]
        let _ = map.advise_range(memmap2::Advice::HugePage, start, bytes / PAGE * PAGE);
        Some(Self { map, start })
    }
}

/// Lines of a region, which no other part has.
#[derive(Debug)]
pub(crate) struct Part {
    region: Arc<Region>,
    first: usize,
    len: usize,
}

impl Part {
    fn start(&self) -> *mut Line {
        let Region { map, start } = &*self.region;
        map.as_mut_ptr().wrapping_add(start + self.first * size_of::<Line>()).cast()
    }
}

/// The lines of a weight.
#[derive(Debug)]
pub(crate) enum Lines {
    /// In memory of their own.
    Own(Vec<Line>),
    /// On a shelf.
    Part(Part),
}

impl Lines {
    /// Zeros, on `shelf` if there is one that has room.
    pub fn zeros(len: usize, shelf: Option<&Shelf>) -> Self {
        if let Some(part) = shelf.and_then(|shelf| shelf.take(len)) {
            return Self::Part(part);
        }
        Self::Own(filled(Line([0.0; 16]), len))
    }
}

impl Deref for Lines {
    type Target = [Line];

    fn deref(&self) -> &[Line] {
        match self {
            Self::Own(lines) => lines,
            // SAFETY: the lines are in the region, which begins on a line, and any bits are numbers. No other part has
            // them, so that whoever writes has borrowed this one exclusively.
            Self::Part(part) => unsafe { std::slice::from_raw_parts(part.start(), part.len) },
        }
    }
}

impl DerefMut for Lines {
    fn deref_mut(&mut self) -> &mut [Line] {
        match self {
            Self::Own(lines) => lines,
            // SAFETY: as in `deref`.
            Self::Part(part) => unsafe { std::slice::from_raw_parts_mut(part.start(), part.len) },
        }
    }
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;
    use std::thread;

    fn address(lines: &Lines) -> usize {
        lines.as_ptr().addr()
    }

    fn region(lines: &Lines) -> &Arc<Region> {
        match lines {
            Lines::Part(part) => &part.region,
            Lines::Own(_) => panic!("not on the shelf"),
        }
    }

    fn line(value: usize) -> Line {
        Line([value as f32; 16])
    }

    fn is_all(lines: &Lines, value: usize) -> bool {
        lines.iter().all(|line| line.0 == [value as f32; 16])
    }

    #[test]
    fn lines_are_zero_aligned_and_apart() {
        let shelf = Shelf::new();
        let lengths = [0, 1, 7, SMALL, SMALL, SMALL, SMALL, 3, SMALL + 1, SHARED + 1, 5, 0];
        let shelves = [Some(&shelf), None];
        let pairs = shelves.into_iter().flat_map(|shelf| lengths.map(|len| (len, shelf)));
        let mut taken: Vec<_> = pairs.clone().map(|(len, shelf)| Lines::zeros(len, shelf)).collect();
        for (lines, (len, _)) in taken.iter().zip(pairs) {
            assert_eq!(lines.len(), len);
            assert!(is_all(lines, 0) && address(lines).is_multiple_of(64));
        }
        for (value, lines) in (1..).zip(&mut taken) {
            lines.fill(line(value));
        }
        for (value, lines) in (1..).zip(&taken) {
            assert!(is_all(lines, value), "number {value} of {lengths:?}, twice");
        }
    }

    #[test]
    fn small_ones_stand_side_by_side() {
        let shelf = Shelf::new();
        let all: Vec<_> = (0..1000).map(|len| Lines::zeros(len, Some(&shelf))).collect();
        assert!(address(&all[0]).is_multiple_of(PAGE));
        for pair in all.windows(2) {
            assert_eq!(address(&pair[0]) + size_of_val(&*pair[0]), address(&pair[1]));
        }
        let large = Lines::zeros(SMALL + 1, Some(&shelf));
        assert!(address(&large).is_multiple_of(PAGE) && !Arc::ptr_eq(region(&large), region(&all[0])));
        assert!(Arc::ptr_eq(region(&Lines::zeros(30, Some(&shelf))), region(&all[0])), "a large one closes nothing");
    }

    #[test]
    fn a_region_goes_with_its_last_weight() {
        let shelf = Shelf::new();
        let mut full: Vec<_> = (0..4).map(|_| Lines::zeros(SMALL, Some(&shelf))).collect();
        let mut next = Lines::zeros(1, Some(&shelf));
        let (one, two) = (Arc::downgrade(region(&full[0])), Arc::downgrade(region(&next)));
        assert!(Arc::ptr_eq(region(&full[0]), region(&full[3])) && !one.ptr_eq(&two), "four fill one");
        full.truncate(1);
        assert!(one.upgrade().is_some());
        drop(full);
        assert!(one.upgrade().is_none());
        drop(shelf);
        next[0] = line(1);
        assert!(is_all(&next, 1));
        drop(next);
        assert!(two.upgrade().is_none());
    }

    #[test]
    fn threads_take_from_one_shelf() {
        let shelf = Shelf::new();
        let take = |value: usize| {
            let mut taken: Vec<_> = (0..100).map(|i| Lines::zeros(1 + i * 997 % 4096, Some(&shelf))).collect();
            taken.iter_mut().for_each(|lines| lines.fill(line(value)));
            (value, taken)
        };
        thread::scope(|scope| {
            let threads = [1, 2, 3, 4].map(|value| scope.spawn(move || take(value)));
            let all = threads.map(|thread| thread.join().expect("no panic"));
            assert!(all.iter().all(|(value, taken)| taken.iter().all(|lines| is_all(lines, *value))));
        });
    }

    #[test]
    fn what_the_system_does_not_have_is_not_on_the_shelf() {
        let shelf = Shelf::new();
        for len in [usize::MAX, usize::MAX / size_of::<Line>(), usize::MAX / size_of::<Line>() / 2] {
            assert!(shelf.take(len).is_none());
        }
    }
}
