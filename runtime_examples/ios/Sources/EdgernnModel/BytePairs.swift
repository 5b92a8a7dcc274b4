/// The byte for which each character of a vocabulary stands. This is GPT-2's table: a printable byte of Latin-1 is itself, the
/// n-th other one is the character 256 + n.
private let byteOfCharacter: [Unicode.Scalar: UInt8] = {
    var table: [Unicode.Scalar: UInt8] = [:]
    var others: UInt32 = 256
    for byte in UInt8.min...UInt8.max {
        let printable = (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || byte >= 0xAE
        if printable {
            table[Unicode.Scalar(byte)] = byte
        } else if let character = Unicode.Scalar(others) {
            table[character] = byte
            others += 1
        }
    }
    return table
}()

/// The bytes that a token spells; a token that does not spell bytes is its own.
func spelledBytes(_ token: [UInt8]) -> [UInt8] {
    let characters = String(decoding: token, as: UTF8.self).unicodeScalars
    let bytes = characters.compactMap { byteOfCharacter[$0] }
    return bytes.count == characters.count ? bytes : token
}

/// The tokens of single bytes, and the merges of byte pairs (Sennrich et al. 2016).
struct BytePairs {
    private struct Pair: Hashable {
        let first, second: Int
    }

    private var ofByte = [Int](repeating: 0, count: 256)
    private var table: [Pair: (rank: Int, into: Int)] = [:]

    init(_ ids: [[UInt8]: Int], _ merges: [Any]) throws {
        for (character, byte) in byteOfCharacter {
            guard let id = ids[Array(String(character).utf8)] else {
                throw BundleError("tokenizer.json has no token for every byte; export the bundle again")
            }
            ofByte[Int(byte)] = id
        }
        for (rank, entry) in merges.enumerated() {
            let parts = Self.parts(entry)
            guard parts.count == 2, let first = ids[parts[0]], let second = ids[parts[1]],
                  let both = ids[parts[0] + parts[1]]
            else {
                throw BundleError(
                    "tokenizer.json has a merge that is no pair of tokens that makes a token; export the bundle again")
            }
            table[Pair(first: first, second: second)] = (rank, both)
        }
    }

    /// Merges all pairs of the lowest rank, from left to right, until there is none left.
    func encode(_ piece: [UInt8]) -> [Int] {
        var found = piece.map { ofByte[Int($0)] }
        while true {
            let pairs = zip(found, found.dropFirst()).map { Pair(first: $0, second: $1) }
            var best: (pair: Pair, rank: Int, into: Int)?
            for pair in pairs {
                if let merge = table[pair], merge.rank < best?.rank ?? Int.max { best = (pair, merge.rank, merge.into) }
            }
            guard let best else { return found }
            var kept: [Int] = []
            var at = 0
            while at < found.count {
                let here = at + 1 < found.count && found[at] == best.pair.first && found[at + 1] == best.pair.second
                kept.append(here ? best.into : found[at])
                at += here ? 2 : 1
            }
            found = kept
        }
    }

    /// The two tokens of a merge, an array or parted by a space.
    private static func parts(_ entry: Any) -> [[UInt8]] {
        if let text = entry as? String {
            return text.utf8.split(separator: 0x20, maxSplits: 1, omittingEmptySubsequences: false).map(Array.init)
        }
        return (entry as? [String] ?? []).map { Array($0.utf8) }
    }
}
