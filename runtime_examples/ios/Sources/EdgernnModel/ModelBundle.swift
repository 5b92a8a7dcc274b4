import CryptoKit
import Foundation

/// manifest.json, as far as an app needs it.
public struct Manifest: Decodable {
    public struct TensorSpec: Decodable {
        public let name, role, dtype: String
        public let axes: [String]
        public let below: String?
    }

    public struct Graph: Decodable {
        public let name: String
        public let inputs, outputs: [TensorSpec]

        public var states: [TensorSpec] { inputs.filter { $0.role == "state" } }
        public var contexts: [TensorSpec] { inputs.filter { $0.role == "context" } }
        public var fresh: [TensorSpec] { inputs.filter { $0.role == "input" } }
    }

    public struct Contract: Decodable {
        public let graphs: [Graph]
        public let sizes: [String: Int]
        public let initialState: FirstStates?
        private let frames: Int?

        /// How many frames along time one step takes.
        public var stepFrames: Int { frames ?? 1 }

        enum CodingKeys: String, CodingKey {
            case graphs, sizes
            case initialState = "initial_state"
            case frames = "step_frames"
        }
    }

    /// Where the first value of each state comes from. Version 1 has one word for all states.
    public enum FirstStates: Decodable {
        case all(String)
        case each([String: String])

        public init(from decoder: Decoder) throws {
            let value = try decoder.singleValueContainer()
            if let word = try? value.decode(String.self) {
                self = .all(word == "learned" ? "stored" : word)
            } else {
                self = .each(try value.decode([String: String].self))
            }
        }

        /// "zeros", "stored" or "encode".
        public func word(_ state: String) -> String {
            switch self {
            case .all(let word): return word
            case .each(let words): return words[state] ?? "zeros"
            }
        }
    }

    public struct Decoding: Decodable {
        public let start, stop, suppress: [Int]
        public let temperature, topP: Double
        public let topK, length: Int

        enum CodingKeys: String, CodingKey {
            case start, stop, suppress, temperature, length
            case topP = "top_p"
            case topK = "top_k"
        }
    }

    public struct Narrowing: Decodable {
        public let axes: [String: Int]
        public let dtypes: [String: String]
        public let runtimeState: Bool

        enum CodingKeys: String, CodingKey {
            case axes, dtypes
            case runtimeState = "runtime_state"
        }

        public init(from decoder: Decoder) throws {
            let values = try decoder.container(keyedBy: CodingKeys.self)
            axes = try values.decodeIfPresent([String: Int].self, forKey: .axes) ?? [:]
            dtypes = try values.decodeIfPresent([String: String].self, forKey: .dtypes) ?? [:]
            runtimeState = try values.decodeIfPresent(Bool.self, forKey: .runtimeState) ?? false
        }
    }

    public struct Artifact: Decodable {
        public let path, format, precision, graph, sha256: String
        public let bytes: Int
        public let narrowing: Narrowing
        private let tolerance: Double?
        private let forced: Bool?
        private let parity: Parity?

        /// How far the file may be from the recorded run; `forced`: each step from the recorded state, measured as a root mean
        /// square. Before schema version 2 an artifact has no tolerance of its own: then it is the one that it was packed with,
        /// and forced where its numbers are no floats.
        public func promise() throws -> (tolerance: Double, forced: Bool) {
            if let tolerance { return (tolerance, forced ?? false) }
            guard let parity else {
                throw BundleError(
                    "manifest.json does not say how far \(path) may be from the golden run; expected its tolerance; "
                        + "export the bundle again")
            }
            return (parity.tolerance, !precision.hasPrefix("float"))
        }
    }

    public struct Parity: Decodable {
        public let tolerance: Double
    }

    public struct Tokenizer: Decodable {
        public let path, kind, text: String
        public let ids: [Int]
    }

    public struct Digest: Decodable {
        public let bytes: Int
        public let sha256: String
    }

    public let contract: Contract
    private let ownDecoding: Decoding?
    public let artifacts: [Artifact]
    public let tokenizer: Tokenizer?
    public let golden, initialState, sampler: String?
    public let files: [String: Digest]

    enum CodingKeys: String, CodingKey {
        case contract, artifacts, tokenizer, golden, sampler, files
        case ownDecoding = "decoding"
        case initialState = "initial_state"
    }
}

extension Manifest {
    /// How text is sampled where nothing else is asked for.
    public var decoding: Decoding {
        ownDecoding ?? Decoding(start: [], stop: [], suppress: [], temperature: 0.8, topP: 1, topK: 0, length: 0)
    }

    /// Refuses what would be read as another manifest than it is, or end the program.
    func check() throws {
        for (axis, size) in contract.sizes {
            guard (1...1 << 26).contains(size) else {
                throw BundleError("the axis \(axis) has the size \(size), expected 1 to 2^26; export the bundle again")
            }
        }
        for tensors in contract.graphs.flatMap({ [$0.inputs, $0.outputs] }) {
            guard Set(tensors.map { Array($0.name.utf8) }).count == tensors.count else {
                throw BundleError("a graph has two tensors of one name; export the bundle again")
            }
        }
        guard (decoding.start + decoding.stop + decoding.suppress + [decoding.topK, decoding.length]).allSatisfy({ $0 >= 0 }) else {
            throw BundleError("decoding in manifest.json has a negative number, expected 0 or more; export the bundle again")
        }
    }
}

/// The name under which a state comes out.
func nextName(_ state: String) -> String {
    state + "_next"
}

/// A bundle folder. Opening one verifies every file that the manifest lists; a model is verified when `model` returns it.
/// Whatever is read later is one of those files; each lies in the folder, links followed, and has the size and digest listed.
public struct ModelBundle {
    public let folder: URL
    public let manifest: Manifest

    public init(_ folder: URL) throws {
        self.folder = folder
        var isFolder: ObjCBool = false
        if FileManager.default.fileExists(atPath: folder.path, isDirectory: &isFolder), !isFolder.boolValue {
            throw BundleError(
                "\(folder.path) is a file, expected a bundle folder; unpack it: unzip -q \(folder.path) -d FOLDER")
        }
        let data = try Self.read(folder.appendingPathComponent("manifest.json"))
        try refuseNamesTwice(data, source: "manifest.json")
        try Self.checkVersion(data)
        do {
            manifest = try JSONDecoder().decode(Manifest.self, from: data)
        } catch let error as DecodingError {
            throw BundleError("manifest.json is damaged (\(error)); export the bundle again")
        }
        try manifest.check()
        for (name, digest) in manifest.files {
            let file = try Self.read(inside(name))
            guard file.count == digest.bytes, Self.sha256(file) == digest.sha256 else {
                throw BundleError(
                    "\(name) is not the file of the manifest (\(file.count) bytes, expected \(digest.bytes)); "
                        + "copy the bundle again")
            }
        }
    }

    public var captions: Bool { manifest.contract.graphs.contains { $0.name == "encode" } }

    public func graph(_ name: String) throws -> Manifest.Graph {
        guard let graph = manifest.contract.graphs.first(where: { $0.name == name }) else {
            throw BundleError("the bundle has no graph \(name); give the bundle of another model")
        }
        return graph
    }

    /// The step's only fresh input, the token ids.
    public func tokenInput() throws -> Manifest.TensorSpec {
        let fresh = try graph("step").fresh
        guard fresh.count == 1, fresh[0].dtype == "int64", fresh[0].below != nil else {
            throw BundleError(
                "the step takes something other than token ids; "
                    + "this example writes text, expected one int64 input")
        }
        return fresh[0]
    }

    /// The step's output of one number per token.
    public func logitsOutput() throws -> Manifest.TensorSpec {
        let below = try tokenInput().below
        guard let output = try graph("step").outputs.first(where: { $0.role == "output" && $0.axes.last == below }) else {
            throw BundleError("the step gives no output over the vocabulary; export the bundle again")
        }
        return output
    }

    /// The shape of a tensor in a run of one row and one step.
    public func shape(_ tensor: Manifest.TensorSpec) throws -> [Int] {
        try tensor.axes.map { axis in
            if let size = manifest.contract.sizes[axis] { return size }
            if axis == "time" { return manifest.contract.stepFrames }
            guard axis == "batch" else { throw BundleError("the contract gives no size to the axis \(axis)") }
            return 1
        }
    }

    /// The artifact of one of the formats and of the graph at `path`, or the first one where no path is given.
    public func choose(formats: [String], graph: String, path: String? = nil) throws -> Manifest.Artifact {
        let fitting = formats.flatMap { format in manifest.artifacts.filter { $0.format == format && $0.graph == graph } }
        guard let found = fitting.first(where: { path == nil || $0.path == path }) else {
            let known = fitting.map(\.path).joined(separator: ", ")
            throw BundleError(
                "the bundle has no Core ML artifact of a \(graph) graph" + (path.map { " named \($0)" } ?? "")
                    + "; this example runs "
                    + (known.isEmpty ? "none of its artifacts: export the bundle with --to coreml" : known))
        }
        return found
    }

    /// Verifies a model package, a folder, and returns where it is.
    func model(_ artifact: Manifest.Artifact) throws -> URL {
        let package = try inside(artifact.path)
        let names = (FileManager.default.subpaths(atPath: package.path) ?? []).filter { name -> Bool in
            var isFolder: ObjCBool = false
            let path = package.appendingPathComponent(name).path
            return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && !isFolder.boolValue
        }
        let sorted = names.sorted { $0.unicodeScalars.lexicographicallyPrecedes($1.unicodeScalars) }
        var bytes = 0
        let listing = try sorted.map { name -> String in
            let file = try Self.read(inside("\(artifact.path)/\(name)"))
            bytes += file.count
            return Self.sha256(file) + "  \(name)\n"
        }.joined()
        guard bytes == artifact.bytes, Self.sha256(Data(listing.utf8)) == artifact.sha256 else {
            throw BundleError("\(artifact.path) is not the package of the manifest, or not there; copy the bundle again")
        }
        return package
    }

    func read(_ name: String) throws -> Data {
        guard manifest.files[name] != nil else {
            throw BundleError("\(name) is not among the files of the manifest; export the bundle again")
        }
        return try Self.read(inside(name))
    }

    private func inside(_ name: String) throws -> URL {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        let file = folder.appendingPathComponent(name)
        let root = folder.resolvingSymlinksInPath().path + "/"
        guard !parts.contains(where: { ["", ".", ".."].contains($0) }), !name.contains(where: { "\\:\0".contains($0) }),
              file.resolvingSymlinksInPath().path.hasPrefix(root)
        else {
            throw BundleError("the manifest names \(name), which is outside of the bundle; copy the bundle again")
        }
        return file
    }

    private static func read(_ url: URL) throws -> Data {
        let known = try? url.resolvingSymlinksInPath().resourceValues(forKeys: [.isRegularFileKey, .fileSizeKey])
        guard known?.isRegularFile == true, known?.fileSize ?? 0 <= 1 << 31, let data = try? Data(contentsOf: url) else {
            throw BundleError("\(url.path) is not there, or no plain file of at most 2 GB; check the path of the bundle")
        }
        return data
    }

    private static func sha256(_ data: Data) -> String {
        SHA256.hash(data: data).map { String(format: "%02x", $0) }.joined()
    }

    /// A later schema may not decode as this one, so its version is read by itself.
    private static func checkVersion(_ data: Data) throws {
        guard let object = try? JSONSerialization.jsonObject(with: data) as? [String: Any] else {
            throw BundleError("manifest.json is no JSON object; export the bundle again")
        }
        guard let version = object["schema_version"] as? Int, version == 1 || version == 2 else {
            throw BundleError(
                "manifest.json has schema_version \(object["schema_version"] ?? "none"), expected 1 or 2; "
                    + "use an example that reads it")
        }
    }
}
