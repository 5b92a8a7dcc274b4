//! Reads the protocol-buffer fields of an `.onnx` file before the runtime sees it, and refuses one that needs more than itself
//! and the runtime: another file that holds weights, operators of somebody else's, functions; in every sub-graph and attribute.

use crate::error::{refuse, BundleError, Result};

const MOST_DEPTH: usize = 100; // of messages, as in the protocol-buffer library
const SPARSE: &str = "has a sparse constant; expected none";
const OWN: [&str; 2] = ["MatMulNBits", "GatherBlockQuantized"]; // of com.microsoft, in files that edgernn writes

#[derive(Clone, Copy, PartialEq)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
}

/// What a file must not do, by message and field; the numbers are those of onnx.proto.
fn refused(of: Message, field: u64) -> Option<&'static str> {
    match (of, field) {
        (Message::Model, 20) => Some("brings graphs for training; expected a graph to run"),
        (Message::Model, 25) => Some("brings functions of its own; expected ONNX's operators alone"),
        (Message::Graph, 15) | (Message::Attribute, 22 | 23) => Some(SPARSE),
        _ => None,
    }
}

/// The message in a field of a message.
fn inner(of: Message, field: u64) -> Option<Message> {
    match (of, field) {
        (Message::Model, 7) | (Message::Attribute, 6 | 11) => Some(Message::Graph),
        (Message::Graph, 1) => Some(Message::Node),
        (Message::Graph, 5) | (Message::Attribute, 5 | 10) => Some(Message::Tensor),
        (Message::Node, 5) => Some(Message::Attribute),
        _ => None,
    }
}

/// Refuses a model that asks for more; `path` names it.
pub fn refuse_foreign(model: &[u8], path: &str) -> Result<()> {
    if model.get(4..8) == Some(b"ORTM") {
        return Err(damaged(path)); // the runtime would read it as a format of its own
    }
    walk(Message::Model, model, 0, path)
}

/// A field: its number, and its value or, of a text, message or packed list, its bytes.
struct Field<'a> {
    number: u64,
    value: u64,
    body: Option<&'a [u8]>,
}

fn walk(of: Message, mut rest: &[u8], depth: usize, path: &str) -> Result<()> {
    if depth > MOST_DEPTH {
        return Err(damaged(path));
    }
    let (mut operator, mut domain, mut name, mut external) = (String::new(), String::new(), String::new(), false);
    while !rest.is_empty() {
        let field = next(&mut rest).ok_or_else(|| damaged(path))?;
        if let Some(what) = refused(of, field.number) {
            refuse!("{path} {what}; do not use this bundle");
        }
        external |= field.number == 13 || field.number == 14 && (field.body.is_some() || field.value != 0);
        let Some(body) = field.body else { continue };
        match field.number {
            4 => operator = text(body),
            7 => domain = text(body),
            8 => name = text(body),
            _ => (),
        }
        if let Some(message) = inner(of, field.number) {
            walk(message, body, depth + 1, path)?;
        }
    }
    if of == Message::Tensor && external {
        refuse!(
            "{path} keeps the constant {name} in another file; expected all of it in this one; do not use this bundle"
        );
    }
    let own =
        matches!(domain.as_str(), "" | "ai.onnx") || domain == "com.microsoft" && OWN.contains(&operator.as_str());
    if of == Message::Node && !own {
        refuse!(
            "{path} uses the operator {operator} of the domain {domain}; expected ONNX's own, or {} of com.microsoft; \
             do not use this bundle",
            OWN.join(" or ")
        );
    }
    Ok(())
}

/// The first characters of a text: more is no name that is known or fit to be shown.
fn text(body: &[u8]) -> String {
    body.iter().take(100).map(|&byte| char::from(byte)).collect()
}

fn next<'a>(rest: &mut &'a [u8]) -> Option<Field<'a>> {
    let key = number(rest)?;
    if key >> 32 != 0 {
        return None; // the runtime would read another field
    }
    let value = if key & 7 == 0 { number(rest)? } else { 0 };
    let length = match key & 7 {
        0 => 0,
        1 => 8,
        2 => usize::try_from(number(rest)?).ok()?,
        5 => 4,
        _ => return None,
    };
    let body = rest.get(..length)?;
    *rest = &rest[length..];
    Some(Field { number: key >> 3, value, body: (key & 7 == 2).then_some(body) })
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 127).checked_shl(shift).unwrap_or(0);
        if byte < 128 {
            return Some(value);
        }
    }
    None
}

fn damaged(path: &str) -> BundleError {
    BundleError::new(format!("{path} is no ONNX model; expected one; export the bundle again"))
}
