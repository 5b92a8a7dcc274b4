/// Bytes that come one by one, as whole characters: each piece of a character that stays one becomes U+FFFD, as in the tokenizers
/// library.
struct Utf8Stream {
    private var held: [UInt8] = []

    /// Takes a byte and adds what it completes to `text`.
    mutating func add(_ byte: UInt8, _ text: inout String) {
        if !held.isEmpty, !follows(byte) { end(&text) }
        held.append(byte)
        let whole: Int
        switch held[0] {
        case 0x00...0x7F: whole = 1
        case 0xC2...0xDF: whole = 2
        case 0xE0...0xEF: whole = 3
        case 0xF0...0xF4: whole = 4
        default: whole = 0
        }
        if whole == 0 {
            end(&text)
        } else if held.count == whole {
            text += String(decoding: held, as: UTF8.self)
            held = []
        }
    }

    /// Ends the text: a character that stayed incomplete is U+FFFD.
    mutating func end(_ text: inout String) {
        if !held.isEmpty { text += "\u{FFFD}" }
        held = []
    }

    /// Whether a byte may follow what is held: the bounds are those of Unicode's table 3-7.
    private func follows(_ byte: UInt8) -> Bool {
        let first = held[0]
        let least: UInt8 = held.count > 1 ? 0x80 : first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80
        let most: UInt8 = held.count > 1 ? 0xBF : first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF
        return (least...most).contains(byte)
    }
}
