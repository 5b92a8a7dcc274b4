//! Tensors of every dtype: their bytes, row-major, and a shape.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::error::{refuse, Result};

const MOST_ELEMENTS: usize = 1 << 26; // far more than a step has: memory stays bounded

/// Tensors by the names that the contract gives them. A state is one of these: a clone of it is a fork.
pub type Tensors = BTreeMap<String, Tensor>;

/// The dtypes of a contract, as it spells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    #[serde(alias = "BOOL")]
    Bool,
    #[serde(alias = "U8")]
    Uint8,
    #[serde(alias = "I8")]
    Int8,
    #[serde(alias = "I16")]
    Int16,
    #[serde(alias = "I32")]
    Int32,
    #[serde(alias = "I64")]
    Int64,
    #[serde(alias = "F16")]
    Float16,
    #[serde(alias = "F32")]
    Float32,
    #[serde(alias = "F64")]
    Float64,
}

impl Dtype {
    /// Bytes of a value.
    pub fn width(self) -> usize {
        match self {
            Self::Bool | Self::Uint8 | Self::Int8 => 1,
            Self::Int16 | Self::Float16 => 2,
            Self::Int32 | Self::Float32 => 4,
            Self::Int64 | Self::Float64 => 8,
        }
    }

    /// Whether values of it can be ids.
    pub fn is_integer(self) -> bool {
        matches!(self, Self::Uint8 | Self::Int8 | Self::Int16 | Self::Int32 | Self::Int64)
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", format!("{self:?}").to_lowercase())
    }
}

/// A dense row-major tensor.
#[derive(Clone, PartialEq)]
pub struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    words: Vec<u64>, // so that the bytes are aligned for every dtype
    length: usize,   // in bytes
}

impl fmt::Debug for Tensor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {:?}", self.dtype, self.shape)
    }
}

/// The number of elements of a shape; refuses more than 2^26.
pub fn element_count(shape: &[usize]) -> Result<usize> {
    let count = shape.iter().try_fold(1, |count: usize, &size| count.checked_mul(size));
    match count.filter(|&count| count <= MOST_ELEMENTS) {
        Some(count) => Ok(count),
        None => refuse!("a tensor has the shape {shape:?}, expected at most 2^26 elements; export the bundle again"),
    }
}

impl Tensor {
    pub fn zeros(dtype: Dtype, shape: &[usize]) -> Result<Self> {
        let length = element_count(shape)? * dtype.width();
        Ok(Self { dtype, shape: shape.to_vec(), words: vec![0; length.div_ceil(8)], length })
    }

    /// A tensor of little-endian bytes.
    pub fn from_bytes(dtype: Dtype, shape: &[usize], bytes: &[u8]) -> Result<Self> {
        let mut made = Self::zeros(dtype, shape)?;
        if bytes.len() != made.length {
            refuse!("{} bytes do not fill a tensor of {dtype} {shape:?}; export the bundle again", bytes.len());
        }
        made.bytes_mut().copy_from_slice(bytes);
        Ok(made)
    }

    pub fn of_i64(shape: &[usize], values: &[i64]) -> Result<Self> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self::from_bytes(Dtype::Int64, shape, &bytes)
    }

    pub fn of_f32(shape: &[usize], values: &[f32]) -> Result<Self> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self::from_bytes(Dtype::Float32, shape, &bytes)
    }

    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// How many values there are.
    pub fn size(&self) -> usize {
        self.length / self.dtype.width()
    }

    /// Little-endian, aligned for 8 bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: every bit pattern is a u8, and the words have `length` bytes or more.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), self.length) }
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and every u8 is a bit pattern of a word.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), self.length) }
    }

    /// The values as numbers; true is 1.
    pub fn numbers(&self) -> Vec<f64> {
        macro_rules! read {
            ($kind:ty) => {
                self.bytes()
                    .chunks_exact(size_of::<$kind>())
                    .map(|part| <$kind>::from_le_bytes(part.try_into().unwrap()) as f64)
                    .collect()
            };
        }
        match self.dtype {
            Dtype::Bool => self.bytes().iter().map(|&byte| f64::from(byte != 0)).collect(),
            Dtype::Uint8 => read!(u8),
            Dtype::Int8 => read!(i8),
            Dtype::Int16 => read!(i16),
            Dtype::Int32 => read!(i32),
            Dtype::Int64 => read!(i64),
            Dtype::Float16 => self.bytes().chunks_exact(2).map(|part| half(part[0], part[1])).collect(),
            Dtype::Float32 => read!(f32),
            Dtype::Float64 => read!(f64),
        }
    }

    /// The values as ids; refuses what is no int64.
    pub fn ids(&self) -> Result<Vec<i64>> {
        if self.dtype != Dtype::Int64 {
            refuse!("a tensor is {}, expected int64; export the bundle again", self.dtype);
        }
        Ok(self.bytes().chunks_exact(8).map(|part| i64::from_le_bytes(part.try_into().unwrap())).collect())
    }

    /// The `count`-th part of a tensor of `parts` equal parts along its first axis, in a shape of its own.
    pub fn part(&self, shape: &[usize], index: usize) -> Result<Self> {
        let bytes = element_count(shape)? * self.dtype.width();
        match self.bytes().get(index * bytes..(index + 1) * bytes) {
            Some(part) => Self::from_bytes(self.dtype, shape, part),
            None => refuse!("{self:?} has no part {index} of the shape {shape:?}; export the bundle again"),
        }
    }

    /// One place along `axis` of size 1 as `count` alike.
    pub fn repeated(&self, axis: usize, count: usize) -> Result<Self> {
        let mut shape = self.shape.clone();
        shape[axis] *= count;
        let mut made = Self::zeros(self.dtype, &shape)?;
        let inner = element_count(&self.shape[axis..])? * self.dtype.width();
        if inner > 0 {
            for (into, from) in made.bytes_mut().chunks_exact_mut(inner * count).zip(self.bytes().chunks_exact(inner)) {
                into.chunks_exact_mut(inner).for_each(|place| place.copy_from_slice(from));
            }
        }
        Ok(made)
    }

    /// A copy with place `other_at` of another tensor along `axis` in place of `at`; else both are alike.
    pub fn with_place(&self, axis: usize, at: usize, other: &Self, other_at: usize) -> Result<Self> {
        let (count, others) = (self.shape[axis], other.shape.get(axis).copied().unwrap_or(0));
        if at >= count || other_at >= others {
            refuse!("row {other_at} of {others} is to become row {at} of {count}, expected rows that there are; they count from 0");
        }
        let mut alike = other.shape.clone();
        alike[axis] = count;
        if alike != self.shape || other.dtype != self.dtype {
            refuse!("a row of {other:?} is to become one of {self:?}, expected two states of one network");
        }
        let inner = element_count(&self.shape[axis + 1..])? * self.dtype.width();
        let mut made = self.clone();
        for block in 0..element_count(&self.shape[..axis])? {
            let (into, from) = ((block * count + at) * inner, (block * others + other_at) * inner);
            made.bytes_mut()[into..into + inner].copy_from_slice(&other.bytes()[from..from + inner]);
        }
        Ok(made)
    }
}

/// IEEE 754 binary16.
fn half(low: u8, high: u8) -> f64 {
    let bits = u16::from_le_bytes([low, high]);
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    let sign = if bits & 0x8000 != 0 { -1.0 } else { 1.0 };
    match exponent {
        0x1f if fraction > 0.0 => f64::NAN,
        0x1f => sign * f64::INFINITY,
        0 => sign * fraction * 2f64.powi(-24),
        _ => sign * (1024.0 + fraction) * 2f64.powi(exponent - 25),
    }
}
