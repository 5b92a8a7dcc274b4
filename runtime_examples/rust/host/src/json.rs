//! Strict JSON: errors name the file and the field, and no object has a name twice.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::error::{BundleError, Result};

/// An object whose names are free; one that comes twice is refused, where serde takes the last.
#[derive(Clone, Debug, PartialEq)]
pub struct Unique<T>(pub BTreeMap<String, T>);

impl<T> Default for Unique<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Unique<T> {
    fn deserialize<D: Deserializer<'de>>(given: D) -> std::result::Result<Self, D::Error> {
        struct Names<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Names<T> {
            type Value = Unique<T>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> std::result::Result<Self::Value, A::Error> {
                let mut made = BTreeMap::new();
                while let Some((name, value)) = members.next_entry::<String, T>()? {
                    if made.contains_key(&name) {
                        return Err(A::Error::custom(format!("the name {name:?} comes twice")));
                    }
                    made.insert(name, value);
                }
                Ok(Unique(made))
            }
        }
        given.deserialize_map(Names(PhantomData))
    }
}

/// Reads a whole file; `source` names it in errors.
pub fn read<T: DeserializeOwned>(bytes: &[u8], source: &str) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|error| BundleError::new(format!("{source} is damaged: {error}; export the bundle again")))
}

/// Reads a member of an object of `source`, whose name is told where it is not what it should be.
pub fn field<T: DeserializeOwned>(raw: &RawValue, source: &str, name: &str) -> Result<T> {
    serde_json::from_str(raw.get())
        .map_err(|error| BundleError::new(format!("{source} has a damaged {name:?}: {error}; export the bundle again")))
}
