import Foundation

/// Text to token ids and back, for bundles of characters and of captions.
public struct Tokenizer: Sendable {
    private let words: Bool
    private let ids: [[Unicode.Scalar]: Int] // by scalars: Swift's strings are equal where their code points are not
    private let tokens: [Int: String]

    public init(_ bundle: ModelBundle) throws {
        let entry = bundle.manifest.tokenizer
        words = entry.kind == "caption"
        guard words || entry.kind == "char" else {
            throw BundleError(
                "the tokenizer is of the kind \(entry.kind), expected char or caption; this example reads no other: "
                    + "use a library of the Hugging Face tokenizers format")
        }
        guard let vocabulary = try? Self.vocabulary(bundle.read(entry.path)) else {
            throw BundleError("\(entry.path) is no tokenizer; export the bundle again")
        }
        ids = vocabulary
        tokens = Dictionary(uniqueKeysWithValues: vocabulary.map { ($0.value, Self.text($0.key)) })
        let rows = bundle.manifest.contract.sizes[try bundle.tokenInput().below ?? ""] ?? 0
        guard Set(tokens.keys) == Set(0..<rows) else {
            throw BundleError("the tokenizer has \(tokens.count) tokens, the model has \(rows); export the bundle again")
        }
        guard known(entry.text) == entry.ids else {
            throw BundleError(
                "tokenizer.json does not encode the manifest's text to the manifest's ids; "
                    + "export the bundle again")
        }
    }

    /// Throws an error naming the first character that the model does not know.
    public func encode(_ text: String) throws -> [Int] {
        if let unknown = parts(text).first(where: { ids[$0] == nil }) {
            throw BundleError(
                "the prompt has '\(Self.text(unknown))', which is not among the \(ids.count) tokens of the model; "
                    + "leave it out")
        }
        return known(text)
    }

    /// What a token adds to a text; words are joined by a space.
    public func piece(_ id: Int, first: Bool) -> String {
        (words && !first ? " " : "") + (tokens[id] ?? "")
    }

    /// A Swift dictionary would merge keys such as "é" and "e" with an accent, so the keys are read as NSString.
    private static func vocabulary(_ data: Data) throws -> [[Unicode.Scalar]: Int] {
        let file = try JSONSerialization.jsonObject(with: data) as? NSDictionary
        let vocabulary = (file?["model"] as? NSDictionary)?["vocab"] as? NSDictionary
        var found: [[Unicode.Scalar]: Int] = [:]
        for (key, value) in vocabulary ?? [:] {
            guard let token = key as? String, let id = value as? Int,
                  found.updateValue(id, forKey: Array(token.unicodeScalars)) == nil
            else {
                throw BundleError("the vocabulary is damaged")
            }
        }
        guard Set(found.values).count == found.count else { throw BundleError("the vocabulary has an id twice") }
        return found
    }

    private func parts(_ text: String) -> [[Unicode.Scalar]] {
        words ? text.unicodeScalars.split(separator: " ").map(Array.init) : text.unicodeScalars.map { [$0] }
    }

    /// A caption's special tokens (<start> and its kin) are no words: a text never encodes to them.
    private func known(_ text: String) -> [Int] {
        parts(text).filter { !(words && $0.first == "<" && $0.last == ">") }.compactMap { ids[$0] }
    }

    private static func text(_ scalars: [Unicode.Scalar]) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        return String(view)
    }
}
