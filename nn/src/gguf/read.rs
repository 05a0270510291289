//! The header of a GGUF file. All that it claims is checked against the bytes that there are before anything is allocated
//! for it.

use super::{GgufTensor, KINDS, Value};
use crate::StoredDtype;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

type Result<T> = std::result::Result<T, String>;

pub(super) const MAGIC: &[u8; 4] = b"GGUF";
pub(super) const ALIGNMENT: &str = "general.alignment";
pub(super) const DEFAULT_ALIGNMENT: usize = 32;
/// Bytes before the tensors' data: tens of times those of the largest vocabulary.
const LONGEST_HEADER: usize = 512 << 20;
/// Tensors of a file: some hundred times those of the largest model, whose experts are stacked.
const MOST_TENSORS: u64 = 1 << 18;
const MOST_DIMENSIONS: u32 = 4;

/// What the header says.
pub(super) struct Header {
    pub metadata: BTreeMap<String, Value>,
    pub tensors: Vec<GgufTensor>,
}

/// A place in the header's bytes.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn slice(&mut self, len: u64) -> Result<&'a [u8]> {
        let end = usize::try_from(len).ok().and_then(|len| self.at.checked_add(len));
        let end = end.filter(|end| *end <= LONGEST_HEADER);
        let Some(end) = end else { return Err(format!("its header claims to be over {LONGEST_HEADER} bytes")) };
        let slice = self.bytes.get(self.at..end).ok_or("its header is cut short")?;
        self.at = end;
        Ok(slice)
    }

    pub(super) fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let slice = self.slice(N as u64)?;
        slice.try_into().map_err(|_| "its header is cut short".into())
    }

    pub(super) fn number(&mut self) -> Result<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn long(&mut self) -> Result<u64> {
        self.take().map(u64::from_le_bytes)
    }

    pub(super) fn string(&mut self) -> Result<String> {
        let len = self.long()?;
        let text = std::str::from_utf8(self.slice(len)?);
        text.map(str::to_owned).map_err(|_| format!("a text before byte {} is not UTF-8", self.at))
    }
}

impl Header {
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let mut cursor = Cursor { bytes, at: 0 };
        if cursor.take()? != *MAGIC {
            return Err("it does not begin with GGUF".into());
        }
        match cursor.number()? {
            2 | 3 => {}
            version if matches!(version.swap_bytes(), 2 | 3) => return Err("its numbers are big-endian".into()),
            version => return Err(format!("it is of version {version}; 2 and 3 are read")),
        }
        let (tensors, keys) = (cursor.long()?, cursor.long()?);
        if tensors > MOST_TENSORS {
            return Err(format!("it claims to have {tensors} tensors"));
        }
        let mut metadata = BTreeMap::new();
        for _ in 0..keys {
            let key = cursor.string()?;
            let value = Value::read(&mut cursor).map_err(|reason| format!("{key}: {reason}"))?;
            if metadata.contains_key(&key) {
                return Err(format!("it has the key {key} twice"));
            }
            metadata.insert(key, value);
        }
        let places = (0..tensors).map(|_| Place::read(&mut cursor)).collect::<Result<Vec<_>>>()?;
        let data = data_start(cursor.at, &metadata)?;
        let tensors = places.into_iter().map(|place| place.tensor(data, bytes.len())).collect::<Result<Vec<_>>>()?;
        check_apart(&tensors)?;
        Ok(Self { metadata, tensors })
    }
}

struct Alignment(usize);

impl Alignment {
    fn of(metadata: &BTreeMap<String, Value>) -> Result<Self> {
        let Some(value) = metadata.get(ALIGNMENT) else { return Ok(Self(DEFAULT_ALIGNMENT)) };
        match value {
            Value::U32(bytes) if bytes.is_power_of_two() => Ok(Self(*bytes as usize)),
            other => Err(format!("{ALIGNMENT} is {other}, no power of two")),
        }
    }
}

/// Where data begin, and what their offsets are multiples of.
fn data_start(header: usize, metadata: &BTreeMap<String, Value>) -> Result<(usize, usize)> {
    let Alignment(alignment) = Alignment::of(metadata)?;
    let start = header.checked_next_multiple_of(alignment).ok_or("its alignment is too large")?;
    Ok((start, alignment))
}

/// What the header says of a tensor.
struct Place {
    name: String,
    dtype: StoredDtype,
    shape: Vec<usize>,
    offset: u64,
}

impl Place {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self> {
        let name = cursor.string()?;
        let dimensions = cursor.number()?;
        if !(1..=MOST_DIMENSIONS).contains(&dimensions) {
            return Err(format!("tensor {name} has {dimensions} dimensions"));
        }
        let sides = (0..dimensions).map(|_| cursor.long()).collect::<Result<Vec<_>>>()?;
        // Files have the innermost first.
        let shape: Option<Vec<_>> = sides.iter().rev().map(|&side| usize::try_from(side).ok()).collect();
        let shape = shape.filter(|shape| !shape.contains(&0));
        let shape = shape.ok_or_else(|| format!("tensor {name} has the shape {sides:?}"))?;
        let code = cursor.number()?;
        let dtype = KINDS.iter().find(|(known, _)| *known == code).map(|(_, dtype)| *dtype);
        let dtype = dtype.ok_or_else(|| {
            let known: Vec<String> = KINDS.iter().map(|(_, dtype)| dtype.to_string()).collect();
            format!("tensor {name} is of type {code}; {} are read", known.join(", "))
        })?;
        Ok(Self { name, dtype, shape, offset: cursor.long()? })
    }

    fn tensor(self, (start, alignment): (usize, usize), end: usize) -> Result<GgufTensor> {
        let Self { name, dtype, shape, offset } = self;
        let cols = shape.last().copied().unwrap_or(1);
        let rows = shape[..shape.len() - 1].iter().try_fold(1usize, |rows, side| rows.checked_mul(*side));
        // No number of elements overflows, whatever is done with it later.
        let elements = rows.and_then(|rows| rows.checked_mul(cols));
        let row = dtype.row_bytes(cols).ok_or_else(|| format!("tensor {name} has rows of {cols}, no {dtype}"))?;
        let bytes = elements.and(rows).and_then(|rows| rows.checked_mul(row));
        let offset = usize::try_from(offset).ok().filter(|offset| offset.is_multiple_of(alignment));
        let Some(offset) = offset else {
            return Err(format!("tensor {name} is at an offset that is no multiple of {alignment}"));
        };
        let first = start.checked_add(offset);
        let range = first.zip(bytes).and_then(|(first, bytes)| Some(first..first.checked_add(bytes)?));
        match range.filter(|range| range.end <= end) {
            Some(range) => Ok(GgufTensor { name, dtype, shape, range }),
            None => Err(format!(
                "tensor {name} of shape {shape:?} ends after the file; it is cut short, or its header lies"
            )),
        }
    }
}

/// No two tensors have one name or a byte in common.
fn check_apart(tensors: &[GgufTensor]) -> Result<()> {
    let mut names = BTreeSet::new();
    if let Some(twice) = tensors.iter().find(|tensor| !names.insert(&tensor.name)) {
        return Err(format!("it has the tensor {} twice", twice.name));
    }
    let mut ranges: Vec<(&Range<usize>, &str)> = tensors.iter().map(|tensor| (&tensor.range, &*tensor.name)).collect();
    ranges.sort_unstable_by_key(|(range, _)| range.start);
    match ranges.windows(2).find(|pair| pair[0].0.end > pair[1].0.start) {
        Some(pair) => Err(format!("the tensors {} and {} overlap", pair[0].1, pair[1].1)),
        None => Ok(()),
    }
}
