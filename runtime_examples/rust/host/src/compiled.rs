//! The C of a bundle, which was compiled in where EDGERNN_BUNDLE was set: no runtime, and no file to open. It is the step alone,
//! and it is used for the bundle that it was made of, which is told by the digest in the manifest.

use crate::bundle::Bundle;
use crate::contract::Graph;
use crate::error::{refuse, Result};
use crate::manifest::Artifact;
use crate::model::Session;

/// The artifact of a bundle that was compiled in: the one at `path`, or the first. None where it is left to onnxruntime.
pub fn choose<'a>(bundle: &'a Bundle, path: Option<&str>) -> Result<Option<&'a Artifact>> {
    let own = |artifact: &&Artifact| artifact.format == "c" && artifact.graph == "step";
    let mut found = bundle.manifest.artifacts.iter().filter(own).filter(|own| path.is_none_or(|path| own.path == path));
    let Some(made_of) = network::made_of() else {
        return match found.next() {
            Some(own) if path.is_some() => refuse!(
                "{} is C, which is compiled in and not opened; build this host with EDGERNN_BUNDLE, or choose another artifact",
                own.path
            ),
            _ => Ok(None),
        };
    };
    let other = bundle.manifest.artifacts.iter().any(|own| own.format == "onnx" && own.graph == "step");
    match (found.clone().find(|own| own.digest.sha256 == made_of.sha256), found.next()) {
        (Some(own), _) => crate::model::require_fitting(bundle, own).map(|()| Some(own)),
        (None, Some(own)) if path.is_some() || !other => refuse!(
            "this host was compiled with a {} of the SHA-256 {:.12}…, expected {:.12}… of {}; compile it with this bundle",
            made_of.artifact,
            made_of.sha256,
            own.digest.sha256,
            own.path
        ),
        _ => Ok(None),
    }
}

/// What was compiled in, as a session.
pub fn session(step: &Graph) -> Result<Box<dyn Session>> {
    network::session(step)
}

struct MadeOf {
    artifact: &'static str,
    sha256: &'static str,
}

#[cfg(not(has_network))]
mod network {
    use super::{Graph, MadeOf, Result, Session};
    use crate::error::refuse;

    pub fn made_of() -> Option<MadeOf> {
        None
    }

    pub fn session(_: &Graph) -> Result<Box<dyn Session>> {
        refuse!("nothing was compiled in; build this host with EDGERNN_BUNDLE")
    }
}

#[cfg(has_network)]
mod network {
    use std::ffi::{c_char, c_int, c_void, CStr};
    use std::sync::{Mutex, PoisonError};

    use super::{Graph, MadeOf, Result, Session};
    use crate::contract::next_name;
    use crate::error::refuse;
    use crate::manifest::TensorSpec;
    use crate::tensor::Tensor;

    const STATE: c_int = 0;
    const OUT_OF_RANGE: c_int = 2;
    const MOST_RANK: usize = 8;

    /// `network_tensor` of ../compiled/network.h.
    #[repr(C)]
    struct Place {
        name: *const c_char,
        dtype: *const c_char,
        role: c_int,
        count: u32,
        width: u32,
        offset: u32,
        rank: u32,
        shape: [u32; MOST_RANK],
    }

    /// `network` of the same header.
    #[repr(C)]
    struct Network {
        artifact: *const c_char,
        sha256: *const c_char,
        bytes: u32,
        state_bytes: u32,
        tensors: u32,
        table: *const Place,
        first: *const c_void,
        step: unsafe extern "C" fn(*mut c_void) -> c_int,
    }

    extern "C" {
        fn edgernn_network() -> *const Network;
    }

    fn network() -> &'static Network {
        // SAFETY: the C returns a constant of that layout.
        unsafe { &*edgernn_network() }
    }

    fn text(of: *const c_char) -> &'static str {
        // SAFETY: the names of the table are constants that end with a zero.
        unsafe { CStr::from_ptr(of) }.to_str().unwrap_or_default()
    }

    pub fn made_of() -> Option<MadeOf> {
        Some(MadeOf { artifact: text(network().artifact), sha256: text(network().sha256) })
    }

    /// The place of each input and output of step in a block of memory.
    struct Compiled {
        inputs: Vec<&'static Place>,
        outputs: Vec<(&'static Place, TensorSpec)>,
        block: Mutex<Vec<u64>>, // aligned for 8 bytes
    }

    pub fn session(step: &Graph) -> Result<Box<dyn Session>> {
        let own = network();
        // SAFETY: the table has that many rows.
        let table = unsafe { std::slice::from_raw_parts(own.table, own.tensors as usize) };
        let named = |spec: &TensorSpec| {
            let fits = |place: &&Place| {
                let name = text(place.name);
                name == spec.name || place.role == STATE && next_name(name) == spec.name
            };
            match table.iter().find(fits).filter(|place| text(place.dtype) == spec.dtype.to_string()) {
                Some(place) => Ok(place),
                None => {
                    refuse!("what was compiled in has no {} of {}; compile it with this bundle", spec.name, spec.dtype)
                }
            }
        };
        let inputs = step.inputs.iter().map(named).collect::<Result<_>>()?;
        let outputs = step.outputs.iter().map(|spec| Ok((named(spec)?, spec.clone()))).collect::<Result<_>>()?;
        let block = Mutex::new(vec![0; (own.bytes as usize).div_ceil(8)]);
        Ok(Box::new(Compiled { inputs, outputs, block }))
    }

    impl Session for Compiled {
        fn run(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
            let mut words = self.block.lock().unwrap_or_else(PoisonError::into_inner);
            // SAFETY: every u8 is a part of a word, and the words have the bytes of a block.
            let block = unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast::<u8>(), words.len() * 8) };
            for (place, tensor) in self.inputs.iter().zip(inputs) {
                if !tensor.shape().iter().eq(place.sizes().iter()) {
                    refuse!(
                        "{} is {tensor:?}, expected the shape {:?}, which was compiled",
                        text(place.name),
                        place.sizes()
                    );
                }
                block[place.bytes()].copy_from_slice(tensor.bytes());
            }
            // SAFETY: the block is aligned for 8 bytes and as long as the network says, and nobody else has it.
            match unsafe { (network().step)(block.as_mut_ptr().cast()) } {
                0 => self
                    .outputs
                    .iter()
                    .map(|(at, spec)| Tensor::from_bytes(spec.dtype, &at.sizes(), &block[at.bytes()]))
                    .collect(),
                OUT_OF_RANGE => refuse!("the step refuses an id that is out of its range; give one of the model's own"),
                code => refuse!("the step refuses its inputs with {code}; see its header"),
            }
        }
    }

    impl Place {
        fn sizes(&self) -> Vec<usize> {
            self.shape[..self.rank as usize].iter().map(|&size| size as usize).collect()
        }

        fn bytes(&self) -> std::ops::Range<usize> {
            let offset = self.offset as usize;
            offset..offset + self.count as usize * self.width as usize
        }
    }

    // SAFETY: the places are constants of the C.
    unsafe impl Send for Compiled {}
    unsafe impl Sync for Compiled {}
}
