//! Text to token ids and back, for every kind of tokens that edgernn writes: char, byte, word, bpe, spaced and caption.

use std::collections::HashMap;

use fancy_regex::Regex;
use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;

use crate::bundle::Bundle;
use crate::byte_pairs::{spelled_bytes, BytePairs, Merge};
use crate::error::{refuse, BundleError, Result};
use crate::json::{self, Unique};

const FILE: &str = "tokenizer.json";

#[derive(Deserialize)]
struct File {
    model: Vocabulary,
    #[serde(default)]
    pre_tokenizer: Option<PreTokenizer>,
}

#[derive(Deserialize)]
struct Vocabulary {
    vocab: Unique<i64>,
    #[serde(default)]
    merges: Vec<Merge>,
    #[serde(default)]
    unk_token: Option<String>,
}

#[derive(Deserialize)]
struct PreTokenizer {
    #[serde(default)]
    pattern: Option<Pattern>,
    #[serde(default)]
    pretokenizers: Vec<PreTokenizer>,
}

#[derive(Deserialize)]
struct Pattern {
    #[serde(rename = "Regex")]
    regex: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Char,
    Byte,
    Word,
    Bpe,
    Spaced,
    Caption,
}

pub struct Tokenizer {
    kind: Kind,
    ids: HashMap<String, i64>,
    bytes: Vec<Vec<u8>>,  // what each token is in a text
    unknown: Option<i64>, // the id of an unknown word
    pairs: Option<BytePairs>,
    pattern: Option<Regex>,
}

impl Tokenizer {
    /// That of a bundle; refuses one that does not encode the manifest's text as it says.
    pub fn of(bundle: &Bundle) -> Result<Self> {
        let (entry, content) = bundle.tokenizer()?;
        let kind = match entry.kind.as_str() {
            "char" => Kind::Char,
            "byte" => Kind::Byte,
            "word" => Kind::Word,
            "bpe" => Kind::Bpe,
            "spaced" => Kind::Spaced,
            "caption" => Kind::Caption,
            other => refuse!(
                "the tokenizer is of the kind {other}, expected char, byte, word, bpe, spaced or caption; \
                 use a library of the Hugging Face tokenizers format"
            ),
        };
        let file: File = json::read(&content, FILE)?;
        let tokens = in_order(&file.model.vocab, bundle.contract.vocabulary())?;
        let ids: HashMap<_, _> = file.model.vocab.0.into_iter().collect();
        let spelled = matches!(kind, Kind::Byte | Kind::Bpe);
        let merges: &[Merge] = if kind == Kind::Bpe { &file.model.merges } else { &[] };
        let words = matches!(kind, Kind::Word | Kind::Spaced | Kind::Caption);
        let made = Self {
            kind,
            pairs: if spelled { Some(BytePairs::new(&ids, merges)?) } else { None },
            bytes: if spelled { spelled_bytes(&tokens) } else { tokens.into_iter().map(String::into_bytes).collect() },
            unknown: file.model.unk_token.filter(|_| words).and_then(|token| ids.get(&token).copied()),
            pattern: if words || kind == Kind::Bpe { Some(compiled(file.pre_tokenizer.as_ref())?) } else { None },
            ids,
        };
        if made.encoded(&entry.text, true)? != entry.ids {
            refuse!("{FILE} does not encode the manifest's text to the manifest's ids; export the bundle again");
        }
        Ok(made)
    }

    /// The ids of a text; refuses the first character that the model does not know. An unknown word is its id for that.
    pub fn encode(&self, text: &str) -> Result<Vec<i64>> {
        self.encoded(text, false)
    }

    pub fn decode(&self, ids: &[i64]) -> Result<String> {
        let mut stream = TextStream::new(self);
        let pieces = ids.iter().map(|&id| stream.push(id)).collect::<Result<String>>()?;
        Ok(pieces + stream.flush())
    }

    fn encoded(&self, text: &str, skip: bool) -> Result<Vec<i64>> {
        let merged = |piece: &str| self.pairs.as_ref().expect("tokens are bytes").encode(piece.as_bytes());
        let known = |piece: &str| self.known(piece, skip).transpose();
        match self.kind {
            Kind::Char => text.chars().filter_map(|c| known(c.encode_utf8(&mut [0; 4]))).collect(),
            Kind::Byte => Ok(merged(text)),
            Kind::Bpe => Ok(self.cut(text, true)?.into_iter().flat_map(merged).collect()),
            Kind::Word => self.cut(text, true)?.into_iter().filter_map(known).collect(),
            Kind::Spaced => self.cut(text, false)?.into_iter().filter_map(known).collect(),
            Kind::Caption => {
                // NFKC and lower case, each character by itself: Σ at the end of a word too.
                let normal: String = text.nfkc().flat_map(char::to_lowercase).collect();
                self.cut(&normal, false)?.into_iter().filter_map(known).collect()
            }
        }
    }

    /// The id of a token, that of an unknown word, or None where what is unknown is left out.
    fn known(&self, token: &str, skip: bool) -> Result<Option<i64>> {
        match (self.ids.get(token).copied(), self.unknown) {
            (Some(id), unknown) if Some(id) != unknown => Ok(Some(id)),
            _ if skip => Ok(None),
            (_, Some(unknown)) => Ok(Some(unknown)),
            _ => refuse!(
                "the prompt has {token:?}, which is not among the {} tokens of the model; leave it out",
                self.ids.len()
            ),
        }
    }

    /// The matches of the pattern, and what lies `between` them.
    fn cut<'t>(&self, text: &'t str, between: bool) -> Result<Vec<&'t str>> {
        let (mut pieces, mut at) = (Vec::new(), 0);
        for found in self.pattern.as_ref().expect("words have a pattern").find_iter(text) {
            let found = found
                .map_err(|error| BundleError::new(format!("a text cannot be cut into words ({error}); give less")))?;
            if found.start() < found.end() {
                pieces.push((&text[at..found.start()], between));
                pieces.push((found.as_str(), true));
                at = found.end();
            }
        }
        pieces.push((&text[at..], between));
        Ok(pieces.into_iter().filter(|(piece, kept)| *kept && !piece.is_empty()).map(|(piece, _)| piece).collect())
    }
}

/// The tokens by their ids, which are 0, 1, … below the size of the vocabulary.
fn in_order(vocabulary: &Unique<i64>, size: usize) -> Result<Vec<String>> {
    let mut tokens = vec![None; size];
    for (token, &id) in &vocabulary.0 {
        if let Some(place) = usize::try_from(id).ok().and_then(|at| tokens.get_mut(at)) {
            *place = Some(token.clone());
        }
    }
    match tokens.into_iter().collect::<Option<Vec<_>>>() {
        Some(tokens) if tokens.len() == vocabulary.0.len() => Ok(tokens),
        _ => refuse!(
            "{FILE} has {} tokens, manifest.json has ids below {size}; export the bundle again",
            vocabulary.0.len()
        ),
    }
}

fn compiled(part: Option<&PreTokenizer>) -> Result<Regex> {
    let own = part.map(|part| part.pretokenizers.first().unwrap_or(part));
    let Some(pattern) = own.and_then(|own| own.pattern.as_ref()) else {
        refuse!("{FILE} has no pattern that cuts a text into words; export the bundle again");
    };
    Regex::new(&pattern.regex).map_err(|error| {
        BundleError::new(format!("{FILE} has the pattern {}, which is none ({error}); export again", pattern.regex))
    })
}

/// A text that is written token by token, in pieces of whole characters, which may span several tokens. Each piece of a
/// character that stays one becomes U+FFFD, as in the tokenizers library.
pub struct TextStream<'a> {
    tokenizer: &'a Tokenizer,
    begun: bool,
    held: Vec<u8>, // of a character that is not whole yet
}

impl<'a> TextStream<'a> {
    pub fn new(tokenizer: &'a Tokenizer) -> Self {
        Self { tokenizer, begun: false, held: Vec::new() }
    }

    /// What a token completes of the text.
    pub fn push(&mut self, id: i64) -> Result<String> {
        let Some(bytes) = usize::try_from(id).ok().and_then(|at| self.tokenizer.bytes.get(at)) else {
            refuse!("the token {id} is outside the vocabulary, expected 0 to {}", self.tokenizer.bytes.len() - 1);
        };
        let apart = matches!(self.tokenizer.kind, Kind::Spaced | Kind::Caption) && bytes != b"\n";
        let mut text = String::from(if apart && self.begun { " " } else { "" });
        self.begun = apart;
        for &byte in bytes {
            self.add(byte, &mut text);
        }
        Ok(text)
    }

    /// What is left at the end.
    pub fn flush(&mut self) -> &'static str {
        let left = if self.held.is_empty() { "" } else { "\u{fffd}" };
        self.held.clear();
        left
    }

    fn add(&mut self, byte: u8, text: &mut String) {
        if !self.held.is_empty() && !self.follows(byte) {
            text.push_str(self.flush());
        }
        self.held.push(byte);
        let whole = match self.held[0] {
            0..=0x7f => 1,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 0,
        };
        if whole == 0 {
            text.push_str(self.flush());
        } else if self.held.len() == whole {
            text.push_str(&String::from_utf8_lossy(&self.held));
            self.held.clear();
        }
    }

    /// Whether a byte may follow what is held: the bounds are those of Unicode's table 3-7.
    fn follows(&self, byte: u8) -> bool {
        let bounds = match (self.held.len(), self.held[0]) {
            (1, 0xe0) => 0xa0..=0xbf,
            (1, 0xed) => 0x80..=0x9f,
            (1, 0xf0) => 0x90..=0xbf,
            (1, 0xf4) => 0x80..=0x8f,
            _ => 0x80..=0xbf,
        };
        bounds.contains(&byte)
    }
}
