import Foundation

/// Text to token ids and back, for every kind of tokens that edgernn writes: char, byte, word, bpe, spaced and caption.
///
/// Tokens are compared as bytes of UTF-8: Swift's strings are equal where their code points are not.
public struct Tokenizer: @unchecked Sendable { // its regular expression is, by Apple's word, safe in every thread
    private let kind: String
    private let ids: [[UInt8]: Int]
    private let bytes: [[UInt8]] // what each token is in a text
    private let unknown: Int? // the id of an unknown word
    private let spaced: Bool // words, with a space between two but for line ends
    private let pairs: BytePairs?
    private let pattern: NSRegularExpression?

    public init(_ bundle: ModelBundle) throws {
        guard let entry = bundle.manifest.tokenizer else {
            throw BundleError(
                "the bundle has no tokenizer, so that there is no text to write; replay its recorded run with --check")
        }
        kind = entry.kind
        guard ["char", "byte", "word", "bpe", "spaced", "caption"].contains(kind) else {
            throw BundleError(
                "the tokenizer is of kind \(kind), expected char, byte, word, bpe, spaced or caption; "
                    + "use a library of the Hugging Face tokenizers format")
        }
        let file = try Self.document(bundle.read(entry.path), entry.path)
        guard let model = file["model"] as? NSDictionary, let found = try? Self.vocabulary(model) else {
            throw BundleError("\(entry.path) is no tokenizer; export the bundle again")
        }
        let rows = bundle.manifest.contract.sizes[try bundle.tokenInput().below ?? ""] ?? 0
        guard found.count == rows, Set(found.values) == Set(0..<rows) else {
            throw BundleError("the tokenizer has \(found.count) tokens, the model has \(rows); export the bundle again")
        }
        let spelled = kind == "byte" || kind == "bpe"
        ids = found
        bytes = found.keys.sorted { found[$0, default: 0] < found[$1, default: 0] }.map { spelled ? spelledBytes($0) : $0 }
        let merges = kind == "bpe" ? model["merges"] as? [Any] ?? [] : []
        pairs = spelled ? try BytePairs(found, merges) : nil
        spaced = kind == "spaced" || kind == "caption"
        let words = kind == "word" || spaced
        unknown = words ? (model["unk_token"] as? String).flatMap { found[Array($0.utf8)] } : nil
        var before = file["pre_tokenizer"] as? NSDictionary
        if kind == "bpe" { before = (before?["pretokenizers"] as? [NSDictionary])?.first }
        pattern = words || kind == "bpe" ? try Self.compiled(before) : nil
        guard try encode(entry.text, skip: true) == entry.ids else {
            throw BundleError(
                "tokenizer.json does not encode the manifest's text to the manifest's ids; "
                    + "export the bundle again")
        }
    }

    /// Throws an error naming the first character that the model does not know; an unknown word is its id for that.
    public func encode(_ text: String) throws -> [Int] {
        try encode(text, skip: false)
    }

    public func decode(_ ids: [Int]) -> String {
        let writing = Writing(self)
        return ids.map(writing.piece).joined() + writing.end()
    }

    /// A text that is written token by token: pieces of whole characters, which may span several tokens.
    /// Used by one task at a time.
    public final class Writing: @unchecked Sendable {
        private let tokenizer: Tokenizer
        private var stream = Utf8Stream()
        private var begun = false

        public init(_ tokenizer: Tokenizer) {
            self.tokenizer = tokenizer
        }

        /// What a token completes of the text.
        public func piece(_ id: Int) -> String {
            let apart = tokenizer.spaced && tokenizer.bytes[id] != [0x0A]
            var text = apart && begun ? " " : ""
            begun = apart
            for byte in tokenizer.bytes[id] { stream.add(byte, &text) }
            return text
        }

        /// What is left at the end.
        public func end() -> String {
            var text = ""
            stream.end(&text)
            return text
        }
    }

    private func encode(_ text: String, skip: Bool) throws -> [Int] {
        switch kind {
        case "char": return try text.unicodeScalars.compactMap { try known(Array(String($0).utf8), skip) }
        case "byte": return pairs?.encode(Array(text.utf8)) ?? []
        case "bpe": return cut(text).flatMap { pairs?.encode($0) ?? [] }
        case "word": return try cut(text).compactMap { try known($0, skip) }
        case "spaced": return try matches(text).map { $0.piece }.compactMap { try known($0, skip) }
        default: return try matches(Self.normal(text)).map { $0.piece }.compactMap { try known($0, skip) }
        }
    }

    /// The id of a token, that of an unknown word, or nil where what is unknown is left out.
    private func known(_ token: [UInt8], _ skip: Bool) throws -> Int? {
        if let id = ids[token], id != unknown { return id }
        if skip { return nil }
        if let unknown { return unknown }
        throw BundleError(
            "the prompt has '\(String(decoding: token, as: UTF8.self))', which is not among the \(ids.count) tokens "
                + "of the model; leave it out")
    }

    /// The matches of the pattern and what lies between them.
    private func cut(_ text: String) -> [[UInt8]] {
        let whole = text as NSString
        var pieces: [[UInt8]] = []
        var at = 0
        for (range, piece) in matches(text) {
            if range.location > at {
                pieces.append(Array(whole.substring(with: NSRange(location: at, length: range.location - at)).utf8))
            }
            pieces.append(piece)
            at = range.location + range.length
        }
        if at < whole.length { pieces.append(Array(whole.substring(from: at).utf8)) }
        return pieces
    }

    private func matches(_ text: String) -> [(range: NSRange, piece: [UInt8])] {
        let whole = text as NSString
        let found = pattern?.matches(in: text, range: NSRange(location: 0, length: whole.length)) ?? []
        return found.map(\.range).filter { $0.length > 0 }.map { ($0, Array(whole.substring(with: $0).utf8)) }
    }

    /// Spelled out, since \s has other members in each library of regular expressions.
    private static let spaces = "\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"

    private static func compiled(_ part: NSDictionary?) throws -> NSRegularExpression {
        let text = (part?["pattern"] as? NSDictionary)?["Regex"] as? String ?? ""
        let spelled = text.replacingOccurrences(of: "\\S", with: "[^\(spaces)]")
            .replacingOccurrences(of: "\\s", with: "[\(spaces)]")
        guard !text.isEmpty, let pattern = try? NSRegularExpression(pattern: spelled) else {
            throw BundleError("tokenizer.json has no pattern that cuts a text (\(text)); export the bundle again")
        }
        return pattern
    }

    /// NFKC and lower case; each character by itself, whatever stands beside it.
    private static func normal(_ text: String) -> String {
        text.precomposedStringWithCompatibilityMapping.unicodeScalars.map { $0.properties.lowercaseMapping }.joined()
    }

    private static func document(_ data: Data, _ source: String) throws -> NSDictionary {
        try refuseNamesTwice(data, source: source)
        guard let file = try? JSONSerialization.jsonObject(with: data) as? NSDictionary else {
            throw BundleError("\(source) is no JSON object; export the bundle again")
        }
        return file
    }

    private static func vocabulary(_ model: NSDictionary) throws -> [[UInt8]: Int] {
        var found: [[UInt8]: Int] = [:]
        for (key, value) in model["vocab"] as? NSDictionary ?? [:] {
            guard let token = key as? String, let id = value as? Int,
                  found.updateValue(id, forKey: Array(token.utf8)) == nil
            else {
                throw BundleError("the vocabulary is damaged")
            }
        }
        return found
    }
}
