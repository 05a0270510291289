//! Values of metadata, as they stand in files.

use super::read::Cursor;
use std::io::{self, Write};

type Result<T> = std::result::Result<T, String>;

/// The most elements of an array: many times a vocabulary.
const MOST_ELEMENTS: u64 = 1 << 24;

const STRING: u32 = 8;
const ARRAY: u32 = 9;

macro_rules! values {
    ($($code:literal $name:ident $type:ty),*) => {
        /// A value.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Value {
            $(#[doc = concat!("A `", stringify!($type), "`.")] $name($type),)*
            /// True or false.
            Bool(bool),
            /// A text.
            String(String),
            /// Values of one type.
            Array(Array),
        }

        /// Values of one type.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Array {
            $(#[doc = concat!("Of `", stringify!($type), "`.")] $name(Vec<$type>),)*
            /// True or false.
            Bool(Vec<bool>),
            /// Texts.
            String(Vec<String>),
        }

        impl Value {
            fn code(&self) -> u32 {
                match self {
                    $(Self::$name(_) => $code,)*
                    Self::Bool(_) => 7,
                    Self::String(_) => STRING,
                    Self::Array(_) => ARRAY,
                }
            }

            pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self> {
                Ok(match cursor.number()? {
                    $($code => Self::$name(cursor.take().map(<$type>::from_le_bytes)?),)*
                    7 => Self::Bool(boolean(cursor)?),
                    STRING => Self::String(cursor.string()?),
                    ARRAY => Self::Array(Array::read(cursor)?),
                    code => return Err(format!("a value is of type {code}, which there is not")),
                })
            }

            pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
                out.write_all(&self.code().to_le_bytes())?;
                match self {
                    $(Self::$name(value) => out.write_all(&value.to_le_bytes()),)*
                    Self::Bool(value) => out.write_all(&[u8::from(*value)]),
                    Self::String(text) => write_string(text, out),
                    Self::Array(array) => array.write(out),
                }
            }
        }

        impl Array {
            /// Number of elements.
            pub fn len(&self) -> usize {
                match self {
                    $(Self::$name(values) => values.len(),)*
                    Self::Bool(values) => values.len(),
                    Self::String(values) => values.len(),
                }
            }

            fn read(cursor: &mut Cursor<'_>) -> Result<Self> {
                let code: u32 = cursor.number()?;
                let len = u64::from_le_bytes(cursor.take()?);
                if len > MOST_ELEMENTS {
                    return Err(format!("an array claims to have {len} elements"));
                }
                Ok(match code {
                    $($code => Self::$name((0..len).map(|_| cursor.take().map(<$type>::from_le_bytes)).collect::<Result<_>>()?),)*
                    7 => Self::Bool((0..len).map(|_| boolean(cursor)).collect::<Result<_>>()?),
                    STRING => Self::String((0..len).map(|_| cursor.string()).collect::<Result<_>>()?),
                    ARRAY => return Err("an array is of arrays, which are not read".into()),
                    code => return Err(format!("an array is of type {code}, which there is not")),
                })
            }

            fn write(&self, out: &mut impl Write) -> io::Result<()> {
                let code = match self {
                    $(Self::$name(_) => $code,)*
                    Self::Bool(_) => 7,
                    Self::String(_) => STRING,
                };
                out.write_all(&code.to_le_bytes())?;
                out.write_all(&(self.len() as u64).to_le_bytes())?;
                match self {
                    $(Self::$name(values) => values.iter().try_for_each(|value| out.write_all(&value.to_le_bytes())),)*
                    Self::Bool(values) => values.iter().try_for_each(|value| out.write_all(&[u8::from(*value)])),
                    Self::String(values) => values.iter().try_for_each(|value| write_string(value, out)),
                }
            }
        }
    };
}

values!(0 U8 u8, 1 I8 i8, 2 U16 u16, 3 I16 i16, 4 U32 u32, 5 I32 i32, 6 F32 f32, 10 U64 u64, 11 I64 i64, 12 F64 f64);

impl Value {
    /// A whole number from 0 up, of whatever type.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::U8(value) => Some(value.into()),
            Self::U16(value) => Some(value.into()),
            Self::U32(value) => Some(value.into()),
            Self::U64(value) => Some(value),
            Self::I8(value) => value.try_into().ok(),
            Self::I16(value) => value.try_into().ok(),
            Self::I32(value) => value.try_into().ok(),
            Self::I64(value) => value.try_into().ok(),
            _ => None,
        }
    }

    /// A float. One of 32 bits is taken for the shortest decimal that rounds to it: what its writer had in mind.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::F32(value) => value.to_string().parse().ok(),
            Self::F64(value) => Some(*value),
            _ => None,
        }
    }

    /// True or false.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// A text.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// Texts.
    pub fn as_strings(&self) -> Option<&[String]> {
        if let Self::Array(Array::String(texts)) = self { Some(texts) } else { None }
    }

    /// Whole numbers of 32 bits.
    pub fn as_i32s(&self) -> Option<&[i32]> {
        if let Self::Array(Array::I32(values)) = self { Some(values) } else { None }
    }

    /// Floats of 32 bits.
    pub fn as_f32s(&self) -> Option<&[f32]> {
        if let Self::Array(Array::F32(values)) = self { Some(values) } else { None }
    }
}

impl Array {
    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What `inspect` and errors show.
impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Array(array) => write!(f, "an array of {}", array.len()),
            Self::String(text) => write!(f, "{:?}", text.chars().take(80).collect::<String>()),
            Self::Bool(value) => write!(f, "{value}"),
            Self::F32(value) => write!(f, "{value}"),
            Self::F64(value) => write!(f, "{value}"),
            Self::I8(value) => write!(f, "{value}"),
            Self::I16(value) => write!(f, "{value}"),
            Self::I32(value) => write!(f, "{value}"),
            Self::I64(value) => write!(f, "{value}"),
            other => write!(f, "{}", other.as_u64().unwrap_or_default()),
        }
    }
}

pub(super) fn write_string(text: &str, out: &mut impl Write) -> io::Result<()> {
    out.write_all(&(text.len() as u64).to_le_bytes())?;
    out.write_all(text.as_bytes())
}

fn boolean(cursor: &mut Cursor<'_>) -> Result<bool> {
    match cursor.take()? {
        [0] => Ok(false),
        [1] => Ok(true),
        [other] => Err(format!("a truth value is {other}")),
    }
}
