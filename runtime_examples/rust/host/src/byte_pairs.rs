//! Tokens that spell bytes, and the merges of byte pairs (Sennrich et al. 2016).

use std::collections::HashMap;

use serde::Deserialize;

use crate::error::{refuse, Result};

/// The two tokens of a merge, parted by a space, or each by itself.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum Merge {
    Line(String),
    Two(String, String),
}

/// The character by which a vocabulary spells a byte. This is GPT-2's table: a printable byte of Latin-1 is itself, the n-th
/// other one is the character 256 + n.
fn character_of(byte: u8) -> char {
    let printable = |byte: u8| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..);
    let others = (0..byte).filter(|&before| !printable(before)).count() as u32;
    char::from_u32(if printable(byte) { byte.into() } else { 256 + others }).expect("there are no surrogates there")
}

/// The bytes that a token spells; a token that does not spell bytes is its own.
pub fn spelled_bytes(tokens: &[String]) -> Vec<Vec<u8>> {
    let bytes: HashMap<char, u8> = (0..=255).map(|byte| (character_of(byte), byte)).collect();
    let spelled = |token: &String| token.chars().map(|c| bytes.get(&c).copied()).collect::<Option<Vec<u8>>>();
    tokens.iter().map(|token| spelled(token).unwrap_or_else(|| token.clone().into_bytes())).collect()
}

pub struct BytePairs {
    of_byte: Vec<i64>,
    merges: HashMap<(i64, i64), (usize, i64)>, // pair → rank, and the token that it makes
}

impl BytePairs {
    pub fn new(ids: &HashMap<String, i64>, merges: &[Merge]) -> Result<Self> {
        let of_byte: Option<Vec<i64>> =
            (0..=255).map(|byte| ids.get(character_of(byte).encode_utf8(&mut [0; 4])).copied()).collect();
        let Some(of_byte) = of_byte else {
            refuse!("tokenizer.json has no token for every byte, expected all 256; export the bundle again");
        };
        let mut table = HashMap::new();
        for (rank, merge) in merges.iter().enumerate() {
            let (left, right) = match merge {
                Merge::Line(line) => line.split_once(' ').unwrap_or((line, "")),
                Merge::Two(left, right) => (left.as_str(), right.as_str()),
            };
            let (Some(&one), Some(&other), Some(&both)) =
                (ids.get(left), ids.get(right), ids.get(&format!("{left}{right}")))
            else {
                refuse!(
                    "tokenizer.json merges {left:?} and {right:?}, expected two tokens that make a token; export again"
                );
            };
            table.insert((one, other), (rank, both));
        }
        Ok(Self { of_byte, merges: table })
    }

    /// Merges all pairs of the lowest rank, from left to right, until there is none left.
    pub fn encode(&self, piece: &[u8]) -> Vec<i64> {
        let mut found: Vec<i64> = piece.iter().map(|&byte| self.of_byte[usize::from(byte)]).collect();
        loop {
            let pairs =
                found.windows(2).filter_map(|pair| Some((self.merges.get(&(pair[0], pair[1]))?, pair[0], pair[1])));
            let Some((&(_, both), left, right)) = pairs.min_by_key(|((rank, _), ..)| *rank) else { return found };
            let mut kept = Vec::with_capacity(found.len());
            let mut at = 0;
            while at < found.len() {
                let here = found[at] == left && found.get(at + 1) == Some(&right);
                kept.push(if here { both } else { found[at] });
                at += if here { 2 } else { 1 };
            }
            found = kept;
        }
    }
}
