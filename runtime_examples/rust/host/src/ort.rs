//! The part of onnxruntime's C interface that a step needs, over its shared library, without its headers.
//!
//! onnxruntime promises binary stability: `OrtGetApiBase()->GetApi(17)` returns a table of function pointers whose order never
//! changes; later versions only append. So a function is known by its place in the table and its signature, which
//! onnxruntime_c_api.h documents. Version 17 is that of onnxruntime 1.17, and every later library has it too.

use std::ffi::{c_char, c_int, c_void, CStr, CString, OsString};
use std::path::Path;
use std::ptr::{null, null_mut};
use std::sync::Arc;

use libloading::Library;

use crate::contract::Graph;
use crate::error::{refuse, BundleError, Result};
use crate::model::Session;
use crate::tensor::{Dtype, Tensor};

const API_VERSION: u32 = 17;
const LOGGING_FATAL: c_int = 4;
const ARENA_ALLOCATOR: c_int = 1;
const MEMORY_DEFAULT: c_int = 0;
const MOST_RANK: usize = 16;
const USUAL: [&str; 3] = ["libonnxruntime.so.1", "libonnxruntime.so", "libonnxruntime.dylib"];

type Object = *mut c_void; // of onnxruntime
type Status = Object; // null where a call succeeded

#[repr(C)]
struct ApiBase {
    get_api: unsafe extern "C" fn(u32) -> *const *const c_void,
    get_version: unsafe extern "C" fn() -> *const c_char,
}

/// The function at a place of the table.
macro_rules! slot {
    ($table:expr, $place:literal, fn($($given:ty),*) $(-> $made:ty)?) => {
        // SAFETY: the place and the signature are those of onnxruntime_c_api.h.
        unsafe { std::mem::transmute::<*const c_void, unsafe extern "C" fn($($given),*) $(-> $made)?>(*$table.add($place)) }
    };
}

/// The library, opened once and for good: it does not stand being closed.
pub struct Ort {
    table: *const *const c_void,
    env: Object,
    memory: Object,
    /// Such as 1.23.2.
    pub version: String,
}

// SAFETY: the table is constant, and onnxruntime lets every thread use an environment and a session.
unsafe impl Send for Ort {}
unsafe impl Sync for Ort {}

impl Ort {
    /// Opens the library at `path`, else that of ONNXRUNTIME_LIBRARY, else one of the usual name. Opening a library runs it.
    pub fn open(path: Option<&Path>) -> Result<Arc<Self>> {
        let named = path.map(|path| path.as_os_str().to_owned()).or_else(|| std::env::var_os("ONNXRUNTIME_LIBRARY"));
        let names = named.map_or_else(|| USUAL.map(OsString::from).to_vec(), |name| vec![name]);
        // SAFETY: the library's own initialisers run, which is what is asked for.
        let tried = names.iter().map(|name| unsafe { Library::new(name) });
        let library = match tried.reduce(|one, other| one.or(other)).expect("there is a name") {
            Ok(library) => library,
            Err(error) => refuse!(
                "cannot open onnxruntime ({error}), expected a shared library of 1.17 or newer; give its path by --library \
                 or ONNXRUNTIME_LIBRARY"
            ),
        };
        // SAFETY: the signature is that of onnxruntime_c_api.h; the library stays open, see below.
        let base = match unsafe { library.get::<unsafe extern "C" fn() -> *const ApiBase>(b"OrtGetApiBase\0") } {
            Ok(get_base) => unsafe { &*get_base() },
            Err(error) => refuse!("the library is not onnxruntime ({error}); give another by --library"),
        };
        // SAFETY: both functions are there in every version, and the version is a text that stays.
        let (table, version) = unsafe { ((base.get_api)(API_VERSION), CStr::from_ptr((base.get_version)())) };
        let version = version.to_string_lossy().into_owned();
        if table.is_null() {
            refuse!("the library is onnxruntime {version}, expected 1.17 or newer; update it");
        }
        std::mem::forget(library);
        let mut made = Self { table, env: null_mut(), memory: null_mut(), version };
        let (create, memory) = (
            slot!(table, 3, fn(c_int, *const c_char, *mut Object) -> Status),
            slot!(table, 69, fn(c_int, c_int, *mut Object) -> Status),
        );
        // SAFETY: the name is a text that ends with a zero, and the objects are kept until the end.
        let status = unsafe { create(LOGGING_FATAL, c"edgernn".as_ptr(), &mut made.env) };
        made.done(status)?;
        let status = unsafe { memory(ARENA_ALLOCATOR, MEMORY_DEFAULT, &mut made.memory) };
        made.done(status)?;
        Ok(Arc::new(made))
    }

    /// Opens a model file that lies in memory.
    pub fn session(self: &Arc<Self>, model: &[u8], graph: &Graph, path: &str) -> Result<Box<dyn Session>> {
        let mut options = Owned(self, null_mut(), 100);
        let mut session = null_mut();
        let new = slot!(self.table, 10, fn(*mut Object) -> Status);
        let severity = slot!(self.table, 22, fn(Object, c_int) -> Status);
        let threads = slot!(self.table, 24, fn(Object, c_int) -> Status);
        let open = slot!(self.table, 8, fn(Object, *const c_void, usize, Object, *mut Object) -> Status);
        // SAFETY: every object is of this library; the model is copied by the call.
        let opened = unsafe {
            self.done(new(&mut options.1))
                .and_then(|()| self.done(severity(options.1, LOGGING_FATAL)))
                .and_then(|()| self.done(threads(options.1, 1))) // a step is too small to be shared
                .and_then(|()| self.done(open(self.env, model.as_ptr().cast(), model.len(), options.1, &mut session)))
        };
        opened.map_err(|error| BundleError::new(format!("{path} cannot be opened: {error}")))?;
        let names = |specs: &[crate::manifest::TensorSpec]| {
            specs.iter().map(|spec| CString::new(spec.name.as_str())).collect::<std::result::Result<Vec<_>, _>>()
        };
        let (Ok(inputs), Ok(outputs)) = (names(&graph.inputs), names(&graph.outputs)) else {
            refuse!("manifest.json has a name with a zero in it; export the bundle again");
        };
        Ok(Box::new(OrtSession { ort: self.clone(), session, inputs, outputs }))
    }

    /// Turns what a call of onnxruntime returns into a result.
    fn done(&self, status: Status) -> Result<()> {
        if status.is_null() {
            return Ok(());
        }
        let message = slot!(self.table, 2, fn(Status) -> *const c_char);
        // SAFETY: the message belongs to the status, and is copied before that is released.
        let told = unsafe { CStr::from_ptr(message(status)) }.to_string_lossy().into_owned();
        self.release(93, status);
        refuse!("onnxruntime refuses: {told}; replay the golden run with --check")
    }

    /// Releases an object that nobody uses any more by the function of its kind.
    fn release(&self, place: usize, object: Object) {
        if !object.is_null() {
            // SAFETY: every function that releases takes the object alone, and each place here is that of its kind.
            unsafe {
                std::mem::transmute::<*const c_void, unsafe extern "C" fn(Object)>(*self.table.add(place))(object)
            }
        }
    }

    /// A tensor of onnxruntime over the bytes of one of ours, which it reads and does not keep.
    fn value<'a>(&'a self, tensor: &'a Tensor) -> Result<Owned<'a>> {
        let create =
            slot!(self.table, 49, fn(Object, *mut c_void, usize, *const i64, usize, c_int, *mut Object) -> Status);
        let shape: Vec<i64> = tensor.shape().iter().map(|&size| size as i64).collect();
        let (bytes, mut made) = (tensor.bytes(), Owned(self, null_mut(), 96));
        let (data, rank, kind) = (bytes.as_ptr().cast_mut().cast(), shape.len(), element_type(tensor.dtype()));
        // SAFETY: the bytes are aligned, outlive the value, and an input is only read.
        self.done(unsafe { create(self.memory, data, bytes.len(), shape.as_ptr(), rank, kind, &mut made.1) })?;
        Ok(made)
    }

    /// A copy of a tensor of onnxruntime.
    fn tensor(&self, value: &Owned) -> Result<Tensor> {
        let (mut info, mut data, mut kind, mut rank) = (Owned(self, null_mut(), 99), null_mut(), 0, 0);
        let about = slot!(self.table, 65, fn(Object, *mut Object) -> Status);
        let kind_of = slot!(self.table, 60, fn(Object, *mut c_int) -> Status);
        let rank_of = slot!(self.table, 61, fn(Object, *mut usize) -> Status);
        let shape_of = slot!(self.table, 62, fn(Object, *mut i64, usize) -> Status);
        let data_of = slot!(self.table, 51, fn(Object, *mut *mut c_void) -> Status);
        let mut sizes = [0i64; MOST_RANK];
        // SAFETY: the value is a tensor that a run made, or null, which the library refuses; the sizes have room.
        unsafe {
            self.done(about(value.1, &mut info.1))?;
            self.done(kind_of(info.1, &mut kind))?;
            self.done(rank_of(info.1, &mut rank))?;
            if rank <= MOST_RANK {
                self.done(shape_of(info.1, sizes.as_mut_ptr(), rank))?;
            }
            self.done(data_of(value.1, &mut data))?;
        }
        let Some(dtype) = DTYPES.into_iter().find(|&dtype| element_type(dtype) == kind).filter(|_| rank <= MOST_RANK)
        else {
            refuse!("the model gives a tensor of rank {rank} and element type {kind}; use a host that reads it");
        };
        let shape: Vec<usize> = sizes[..rank].iter().map(|&size| size.max(0) as usize).collect();
        let mut made = Tensor::zeros(dtype, &shape)?;
        let into = made.bytes_mut();
        if !into.is_empty() {
            // SAFETY: the tensor has as many elements as its shape says, in this machine's own memory.
            into.copy_from_slice(unsafe { std::slice::from_raw_parts(data.cast(), into.len()) });
        }
        Ok(made)
    }
}

/// An object of onnxruntime, released by the function at its place in the table.
struct Owned<'a>(&'a Ort, Object, usize);

impl Drop for Owned<'_> {
    fn drop(&mut self) {
        self.0.release(self.2, self.1);
    }
}

/// One model file; every call may come from another thread.
struct OrtSession {
    ort: Arc<Ort>,
    session: Object,
    inputs: Vec<CString>,
    outputs: Vec<CString>,
}

// SAFETY: onnxruntime lets every thread run a session.
unsafe impl Send for OrtSession {}
unsafe impl Sync for OrtSession {}

impl Session for OrtSession {
    fn run(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        type Run = unsafe extern "C" fn(
            Object,
            *const c_void,
            *const *const c_char,
            *const Object,
            usize,
            *const *const c_char,
            usize,
            *mut Object,
        ) -> Status;
        let ort = &*self.ort;
        // SAFETY: place 9 is Run.
        let run: Run = unsafe { std::mem::transmute(*ort.table.add(9)) };
        let given = inputs.iter().map(|tensor| ort.value(tensor)).collect::<Result<Vec<_>>>()?;
        let values: Vec<Object> = given.iter().map(|value| value.1).collect();
        let names = |of: &[CString]| of.iter().map(|name| name.as_ptr()).collect::<Vec<_>>();
        let (taken, wanted) = (names(&self.inputs), names(&self.outputs));
        let mut made = vec![null_mut(); wanted.len()];
        // SAFETY: names and values are as many as is said, and made has room for the outputs.
        let status = unsafe {
            run(
                self.session,
                null(),
                taken.as_ptr(),
                values.as_ptr(),
                values.len(),
                wanted.as_ptr(),
                wanted.len(),
                made.as_mut_ptr(),
            )
        };
        let made: Vec<_> = made.into_iter().map(|value| Owned(ort, value, 96)).collect();
        ort.done(status)?;
        made.iter().map(|value| ort.tensor(value)).collect()
    }
}

impl Drop for OrtSession {
    fn drop(&mut self) {
        self.ort.release(95, self.session);
    }
}

impl Drop for Ort {
    fn drop(&mut self) {
        self.release(94, self.memory);
        self.release(92, self.env);
    }
}

const DTYPES: [Dtype; 9] = [
    Dtype::Bool,
    Dtype::Uint8,
    Dtype::Int8,
    Dtype::Int16,
    Dtype::Int32,
    Dtype::Int64,
    Dtype::Float16,
    Dtype::Float32,
    Dtype::Float64,
];

/// ONNXTensorElementDataType.
fn element_type(dtype: Dtype) -> c_int {
    match dtype {
        Dtype::Float32 => 1,
        Dtype::Uint8 => 2,
        Dtype::Int8 => 3,
        Dtype::Int16 => 5,
        Dtype::Int32 => 6,
        Dtype::Int64 => 7,
        Dtype::Bool => 9,
        Dtype::Float16 => 10,
        Dtype::Float64 => 11,
    }
}
