//! Reads safetensors files: 8 bytes of little-endian header length, a JSON header, the tensors' bytes.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{refuse, Result};
use crate::json::{self, Unique};
use crate::tensor::{element_count, Dtype, Tensor, Tensors};

#[derive(Deserialize)]
struct Entry {
    dtype: Dtype,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

/// Returns the tensors of a file; `source` names it in errors.
pub fn read(file: &[u8], source: &str) -> Result<Tensors> {
    let length = file.first_chunk().map_or(u64::MAX, |bytes| u64::from_le_bytes(*bytes));
    let end = usize::try_from(length).ok().and_then(|length| length.checked_add(8)).filter(|&end| end <= file.len());
    let Some(end) = end else {
        refuse!("{source} is no safetensors file: its header does not fit into its {} bytes; export again", file.len());
    };
    let header: Unique<Box<RawValue>> = json::read(&file[8..end], source)?;
    let mut made = Tensors::new();
    for (name, raw) in header.0.iter().filter(|(name, _)| *name != "__metadata__") {
        let entry: Entry = json::field(raw, source, name)?;
        let (from, to) = entry.data_offsets;
        let fits = element_count(&entry.shape)?.checked_mul(entry.dtype.width()) == to.checked_sub(from);
        match file[end..].get(from..to).filter(|_| fits) {
            Some(bytes) => made.insert(name.clone(), Tensor::from_bytes(entry.dtype, &entry.shape, bytes)?),
            None => {
                refuse!("{source} has {name} elsewhere than its shape {:?} says; export the bundle again", entry.shape)
            }
        };
    }
    Ok(made)
}
