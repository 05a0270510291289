//! Bytes of a file: mapped, or read into memory of its own.

use crate::{Error, Result};
use memmap2::Mmap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// A file in the address space, of which pages come into memory as they are touched.
pub(crate) struct Mapped {
    map: Mmap,
    file: Mutex<File>,
}

impl Mapped {
    /// # Errors
    /// [`Error::Open`].
    #[expect(unsafe_code, reason = "mapping a file cannot be safe")]
    pub fn open(path: &Path) -> Result<Self> {
        let open = |source| Error::Open { path: path.into(), source };
        let file = File::open(path).map_err(open)?;
        // SAFETY: the map is read-only and private to this process. Should another process change or cut the file while it
        // is mapped, reads see the change or raise a bus error; a checkpoint is not written to while a model runs from it,
        // which the documentation of `Model` asks of the user.
        let map = unsafe { Mmap::map(&file) }.map_err(open)?;
        Ok(Self { map, file: Mutex::new(file) })
    }

    /// Gives back the pages of `range`. Should they be touched again, they come again.
    #[cfg(unix)]
    #[expect(unsafe_code, reason = "what happens to pages that are given back depends on the kind of map")]
    pub fn release(&self, range: &Range<usize>) {
        // SAFETY: the map is of a file and never written to, so what its pages hold is read from the file again.
        // That the advice is not taken does no harm.
        let _ =
            unsafe { self.map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, range.start, range.len()) };
    }

    #[cfg(not(unix))]
    pub fn release(&self, _: &Range<usize>) {}

    /// Reads from byte `start` of the file on, past the map.
    pub fn read(&self, start: usize, into: &mut [u8]) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(start as u64))?;
        file.read_exact(into)
    }
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.map
    }
}

/// Bytes in memory, aligned for all types that files hold.
pub(crate) struct Aligned {
    words: Vec<u64>,
    len: usize,
}

impl Aligned {
    pub fn zeros(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(size_of::<u64>())], len }
    }

    pub fn bytes(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.words)[..self.len]
    }
}

impl AsRef<[u8]> for Aligned {
    fn as_ref(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.len]
    }
}
