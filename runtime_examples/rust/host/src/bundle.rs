//! A bundle, a folder or a `.edgernn` file: the manifest, and files that are what the manifest says.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::contract::{Contract, Start};
use crate::error::{refuse, Result};
use crate::manifest::{Artifact, Digest, Manifest, TokenizerEntry, MANIFEST};
use crate::onnx_guard::refuse_foreign;
use crate::safetensors;
use crate::tensor::Tensors;
use crate::zip::Zip;

const MOST_MANIFEST: u64 = 1 << 26;
const MOST_BYTES: u64 = 1 << 31; // of one file: it is read whole

/// Every file that the manifest lists was of its size and digest when it was opened; what is read later is judged again.
pub struct Bundle {
    files: Files,
    pub manifest: Manifest,
    pub contract: Contract,
    /// The stored first values of states, of one row.
    pub stored: Tensors,
}

enum Files {
    Folder(PathBuf),
    Zip(Zip),
}

impl Bundle {
    pub fn open(place: &Path) -> Result<Self> {
        let shown = place.display();
        let files = match fs::metadata(place) {
            Ok(found) if found.is_dir() => Files::Folder(place.to_owned()),
            Ok(_) => Files::Zip(Zip::open(read_plain(place, MOST_BYTES)?, shown.to_string())?),
            Err(error) => refuse!("there is no bundle {shown} ({error}); give a bundle's folder or its .edgernn file"),
        };
        let Some(text) = files.read(MANIFEST, MOST_MANIFEST)? else {
            refuse!("there is no {MANIFEST} in {shown}; give a bundle: edgernn export makes one");
        };
        let (manifest, contract) = Manifest::parse(&text)?;
        let mut made = Self { files, manifest, contract, stored: Tensors::new() };
        for (name, digest) in &made.manifest.files {
            made.verified(name, digest)?;
        }
        made.stored = made.read_stored()?;
        Ok(made)
    }

    /// The model file of an artifact that a runtime opens.
    pub fn model(&self, artifact: &Artifact) -> Result<Vec<u8>> {
        let content = self.verified(&artifact.path, &artifact.digest)?;
        if artifact.format == "onnx" {
            refuse_foreign(&content, &artifact.path)?;
        }
        Ok(content)
    }

    /// The entry of the tokenizer, and its file.
    pub fn tokenizer(&self) -> Result<(&TokenizerEntry, Vec<u8>)> {
        match &self.manifest.tokenizer {
            Some(entry) => Ok((entry, self.listed(&entry.path)?)),
            None => refuse!("the bundle has no tokenizer, so it writes no text; replay its recorded run with --check"),
        }
    }

    /// The recorded run.
    pub fn golden(&self) -> Result<Tensors> {
        match &self.manifest.golden {
            Some(path) => safetensors::read(&self.listed(path)?, path),
            None => refuse!("the bundle has no recorded run, expected one; export the bundle again"),
        }
    }

    /// The sampler's vectors, where the bundle has them.
    pub fn vectors(&self) -> Result<Option<Vec<u8>>> {
        self.manifest.sampler.as_ref().map(|path| self.listed(path)).transpose()
    }

    /// Reads one of the manifest's `files`.
    fn listed(&self, name: &str) -> Result<Vec<u8>> {
        match self.manifest.files.get(name) {
            Some(digest) => self.verified(name, digest),
            None => refuse!("{name} is not among the files of {MANIFEST}; export the bundle again"),
        }
    }

    fn verified(&self, name: &str, digest: &Digest) -> Result<Vec<u8>> {
        let Some(content) = self.files.read(name, digest.bytes.min(MOST_BYTES))? else {
            refuse!("there is no {name}, which {MANIFEST} lists; copy or export the bundle again");
        };
        if content.len() as u64 != digest.bytes {
            refuse!("{name} has {} bytes, expected {}; copy or export the bundle again", content.len(), digest.bytes);
        }
        let own: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
        if own != digest.sha256 {
            let wanted: String = digest.sha256.chars().take(12).collect();
            refuse!("{name} has the SHA-256 {}…, expected {wanted}…; copy or export the bundle again", &own[..12]);
        }
        Ok(content)
    }

    fn read_stored(&self) -> Result<Tensors> {
        let stored = |name: &str| self.contract.first.get(name) == Some(&Start::Stored);
        let mut made = Tensors::new();
        let wanted: Vec<_> = self.contract.step.states().filter(|spec| stored(&spec.name)).collect();
        if wanted.is_empty() {
            return Ok(made);
        }
        let Some(path) = &self.manifest.initial_state else {
            refuse!("{MANIFEST} names no file of stored first values, expected initial_state; export the bundle again");
        };
        let mut found = safetensors::read(&self.listed(path)?, path)?;
        for spec in wanted {
            let shape = self.contract.shape(spec, &Default::default())?;
            match found.remove(&spec.name).filter(|own| own.shape() == shape && own.dtype() == spec.dtype) {
                Some(tensor) => made.insert(spec.name.clone(), tensor),
                None => {
                    refuse!("{path} has no first value of {} as the contract says; export the bundle again", spec.name)
                }
            };
        }
        Ok(made)
    }
}

impl Files {
    /// Reads a file of at most `most` bytes inside of the bundle; None where there is none.
    fn read(&self, name: &str, most: u64) -> Result<Option<Vec<u8>>> {
        let plain = |c: char| c != '\\' && c != ':' && !c.is_control();
        if !name.chars().all(plain) || name.split('/').any(|part| matches!(part, "" | "." | "..")) {
            refuse!("{MANIFEST} names {name:?}, expected a path inside the bundle; do not use this bundle");
        }
        let folder = match self {
            Self::Zip(zip) => return zip.read(name, most),
            Self::Folder(folder) => folder,
        };
        let file = folder.join(name);
        let (Ok(root), Ok(real)) = (folder.canonicalize(), file.canonicalize()) else {
            return Ok(None);
        };
        if !real.starts_with(&root) {
            refuse!("{} leads out of the bundle; do not use this bundle", file.display());
        }
        read_plain(&file, most).map(Some)
    }
}

/// Reads a plain file of at most `most` bytes.
fn read_plain(file: &Path, most: u64) -> Result<Vec<u8>> {
    let shown = file.display();
    let found = match fs::metadata(file) {
        Ok(found) if found.is_file() => found, // of a pipe the reader would wait
        Ok(_) => refuse!("{shown} is no plain file; copy or export the bundle again"),
        Err(error) => refuse!("{shown} cannot be read ({error}); check its rights"),
    };
    if found.len() > most {
        refuse!("{shown} has {} bytes, expected {most}; copy or export the bundle again", found.len());
    }
    let mut content = Vec::new();
    match File::open(file).and_then(|open| open.take(most + 1).read_to_end(&mut content)) {
        Ok(_) => Ok(content),
        Err(error) => refuse!("{shown} cannot be read ({error}); check its rights"),
    }
}
