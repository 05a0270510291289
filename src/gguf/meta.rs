//! Looking up a file's metadata.

use crate::{Error, Result};
use seekvl_nn::{Gguf, Value};

/// The metadata of a file, with the prefix of its architecture.
pub(super) struct Meta<'a> {
    pub file: &'a Gguf,
    pub arch: &'a str,
}

impl<'a> Meta<'a> {
    pub fn of(file: &'a Gguf) -> Result<Self> {
        let meta = Self { file, arch: "general" };
        let arch = meta.typed("general.architecture", Value::as_str)?;
        Ok(Self { arch: arch.ok_or_else(|| meta.missing("general.architecture"))?, ..meta })
    }

    /// The full name of an architecture's key.
    pub fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.arch)
    }

    /// A value by its full name.
    pub fn typed<T: ?Sized>(&self, key: &str, as_type: impl Fn(&'a Value) -> Option<&'a T>) -> Result<Option<&'a T>> {
        self.value(key, as_type)
    }

    pub fn value<T>(&self, key: &str, as_type: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>> {
        let Some(value) = self.file.get(key) else { return Ok(None) };
        match as_type(value) {
            Some(value) => Ok(Some(value)),
            None => Err(self.error(key, &value.to_string(), "not a value of its type")),
        }
    }

    pub fn number(&self, key: &str) -> Result<Option<u64>> {
        self.value(&self.key(key), Value::as_u64)
    }

    pub fn needed(&self, key: &str) -> Result<u64> {
        self.number(key)?.ok_or_else(|| self.missing(&self.key(key)))
    }

    pub fn float(&self, key: &str) -> Result<Option<f64>> {
        self.value(&self.key(key), |value| value.as_f64().filter(|value| value.is_finite()))
    }

    pub fn missing(&self, key: &str) -> Error {
        self.error(key, "missing", "the model cannot be told without it")
    }

    pub fn error(&self, key: &str, value: &str, reason: &str) -> Error {
        let path = self.file.path().into();
        Error::Config { path, key: key.into(), value: value.into(), reason: reason.into() }
    }

    /// The shape of a tensor, if there is one of this name.
    pub fn shape(&self, name: &str) -> Option<&'a [usize]> {
        self.file.tensors().iter().find(|tensor| tensor.name == name).map(|tensor| &*tensor.shape)
    }
}
