import CoreML

/// How much to write and how. Without `sampling` it is the bundle's own.
public struct Options: Sendable {
    public var length: Int
    public var sampling: Sampling?
    public var seed: UInt64 // of the random numbers, one a token; any

    public init(length: Int = 200, sampling: Sampling? = nil, seed: UInt64 = 0) {
        self.length = length
        self.sampling = sampling
        self.seed = seed
    }
}

extension Model {
    /// Writes a text after `prompt`, piece by piece; an empty prompt begins with the bundle's start tokens.
    /// Ending the loop over the stream ends the writing.
    public func generate(_ prompt: String, _ options: Options = Options()) throws -> AsyncThrowingStream<String, Error> {
        let tokenizer = try Tokenizer(bundle)
        let writing = Tokenizer.Writing(tokenizer)
        return try stream(prompt, options, tokenizer) { token in token.map(writing.piece) ?? writing.end() }
    }

    /// Writes the token ids of `generate`, one by one.
    public func tokens(
        _ prompt: String, _ options: Options, _ tokenizer: Tokenizer
    ) throws -> AsyncThrowingStream<Int, Error> {
        try stream(prompt, options, tokenizer) { $0 }
    }

    /// What `element` makes of each token, and at the end of nil.
    private func stream<Element: Sendable>(
        _ prompt: String, _ options: Options, _ tokenizer: Tokenizer, _ element: @escaping @Sendable (Int?) -> Element?
    ) throws -> AsyncThrowingStream<Element, Error> {
        guard !bundle.captions else { throw BundleError("this bundle is a captioner and writes about pictures; call caption") }
        let ids = try tokenizer.encode(prompt)
        let pending = ids.isEmpty ? bundle.manifest.decoding.start : ids
        let writer = try Writer(self, pending: pending, begun: begin(), options)
        return AsyncThrowingStream { continuation in
            let task = Task.detached(priority: .userInitiated) {
                do {
                    while !Task.isCancelled, let token = try writer.next() {
                        if let made = element(token) { continuation.yield(made) }
                    }
                    if let last = element(nil) { continuation.yield(last) }
                    continuation.finish()
                } catch {
                    continuation.finish(throwing: error)
                }
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }

    /// Writes the caption of a picture.
    public func caption(_ image: CVPixelBuffer, _ options: Options = Options()) throws -> String {
        try Tokenizer(bundle).decode(captionTokens(image, options))
    }

    /// Writes the caption of a picture as token ids.
    public func captionTokens(_ image: CVPixelBuffer, _ options: Options) throws -> [Int] {
        let writer = try Writer(self, pending: bundle.manifest.decoding.start, begun: begin(image), options)
        var tokens: [Int] = []
        while let token = try writer.next(), !bundle.manifest.decoding.stop.contains(token) { tokens.append(token) }
        return tokens
    }
}

/// Feeds, samples, feeds back. Used by one task at a time.
final class Writer: @unchecked Sendable {
    private let model: Model
    private let contexts: Tensors
    private let sampling: Sampling
    private let tokens, logits: String
    private var pending: [Int]
    private var state: State
    private var kept: Any? // the MLState of a package that has one: a stored property cannot ask for iOS 18
    private var left: Int
    private var position: UInt64 = 0 // of the next token in the seed's random numbers
    private let seed: UInt64

    init(_ model: Model, pending: [Int], begun: (contexts: Tensors, state: State), _ options: Options) throws {
        guard !pending.isEmpty else { throw BundleError("there is no token to feed; give a prompt of at least one character") }
        let decoding = model.bundle.manifest.decoding
        self.model = model
        self.pending = pending
        contexts = begun.contexts
        state = begun.state
        sampling = options.sampling ?? Sampling(temperature: decoding.temperature, topK: decoding.topK, topP: decoding.topP)
        tokens = try model.bundle.tokenInput().name
        logits = try model.bundle.logitsOutput().name
        left = decoding.length > 0 ? min(options.length, decoding.length) : options.length
        seed = options.seed
        if model.artifact.narrowing.runtimeState {
            guard #available(iOS 18, macOS 15, *) else { throw Model.needsNewer }
            kept = try model.keptState(state)
        }
    }

    /// The next token, or nil after one that ends a text, or at the length.
    func next() throws -> Int? {
        guard left > 0 else { return nil }
        left -= 1
        var row = try prefill(pending)
        let decoding = model.bundle.manifest.decoding
        try suppress(&row, decoding.suppress)
        let token = try sample(row, sampling, uniformAt(seed: seed, position: position))
        position += 1
        if decoding.stop.contains(token) { left = 0 }
        pending = [token]
        return token
    }

    /// The logits after these ids, which go in one by one: a Core ML file takes one a call.
    private func prefill(_ ids: [Int]) throws -> [Float] {
        var row: [Float] = []
        for id in ids { row = try autoreleasepool { try feed(id) } } // Core ML's results would pile up in a long loop
        return row
    }

    private func feed(_ id: Int) throws -> [Float] {
        var inputs = contexts
        inputs[tokens] = Tensor.tokens([id])
        if #available(iOS 18, macOS 15, *), let kept = kept as? MLState {
            return try model.predict(inputs, kept)[logits]?.floats() ?? []
        }
        let results = try model.step(inputs, state)
        state = results.state
        return try results.outputs[logits]?.floats() ?? []
    }
}
