//! A bundle as one `.edgernn` file: a zip that is read in memory, so that nothing is ever unpacked to the disk. The digests in
//! the manifest say whether it is whole.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::DeflateDecoder;

use crate::error::{refuse, Result};

const END: &[u8] = b"PK\x05\x06";
const ENTRY: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";
const END_BYTES: usize = 22;
const ENTRY_BYTES: usize = 46;
const LOCAL_BYTES: usize = 30;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// A zip's bytes, and its table: the place of each file.
pub struct Zip {
    bytes: Vec<u8>,
    entries: BTreeMap<String, Entry>,
    place: String,
}

struct Entry {
    method: u16,
    packed: usize,
    size: u64,
    at: usize,
}

impl Zip {
    /// Reads the table at the end; `place` names the file in errors.
    pub fn open(bytes: Vec<u8>, place: String) -> Result<Self> {
        let Some(listed) = directory(&bytes) else {
            refuse!("{place} is no zip, expected a .edgernn file as edgernn export writes it; copy it again");
        };
        let mut entries = BTreeMap::new();
        for (name, entry) in listed {
            if entries.contains_key(&name) {
                refuse!("{place} holds {name} twice, expected each file once; do not use this bundle");
            }
            entries.insert(name, entry);
        }
        Ok(Self { bytes, entries, place })
    }

    /// Unpacks a file of at most `most` bytes; None where there is none of that name.
    pub fn read(&self, name: &str, most: u64) -> Result<Option<Vec<u8>>> {
        let (Some(entry), place) = (self.entries.get(name), &self.place) else {
            return Ok(None);
        };
        if entry.size > most {
            refuse!("{name} in {place} has {} bytes, expected {most}; copy or export the bundle again", entry.size);
        }
        let mut made = Vec::new();
        let unpacked = match (self.body(entry), entry.method) {
            (Some(body), STORED) => body.take(most + 1).read_to_end(&mut made).is_ok(),
            (Some(body), DEFLATED) => DeflateDecoder::new(body).take(most + 1).read_to_end(&mut made).is_ok(),
            (Some(_), method) => refuse!(
                "{name} in {place} is packed with method {method}, expected {STORED} or {DEFLATED}; \
                 pack it with edgernn export"
            ),
            (None, _) => false,
        };
        if !unpacked {
            refuse!("{name} in {place} is damaged: it cannot be unpacked; copy or export the bundle again");
        }
        Ok(Some(made))
    }

    fn body(&self, entry: &Entry) -> Option<&[u8]> {
        let local = self.bytes.get(entry.at..)?;
        let names = usize::from(short(local, 26)?) + usize::from(short(local, 28)?);
        local.starts_with(LOCAL).then_some(())?;
        let start = LOCAL_BYTES + names;
        local.get(start..start.checked_add(entry.packed)?)
    }
}

fn directory(bytes: &[u8]) -> Option<Vec<(String, Entry)>> {
    let last = bytes.len().checked_sub(END_BYTES)?;
    let first = last.saturating_sub(usize::from(u16::MAX)); // of the comment that may follow
    let end = (first..=last).rev().find(|&at| bytes[at..].starts_with(END))?;
    let mut at = usize::try_from(word(bytes, end + 16)?).ok()?;
    let mut listed = Vec::new();
    for _ in 0..short(bytes, end + 10)? {
        let entry = bytes.get(at..).filter(|entry| entry.starts_with(ENTRY))?;
        let named = usize::from(short(entry, 28)?);
        let name = std::str::from_utf8(entry.get(ENTRY_BYTES..ENTRY_BYTES + named)?).ok()?;
        let found = Entry {
            method: short(entry, 10)?,
            packed: usize::try_from(word(entry, 20)?).ok()?,
            size: word(entry, 24)?.into(),
            at: usize::try_from(word(entry, 42)?).ok()?,
        };
        listed.push((name.to_owned(), found));
        at += ENTRY_BYTES + named + usize::from(short(entry, 30)?) + usize::from(short(entry, 32)?);
    }
    Some(listed)
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
