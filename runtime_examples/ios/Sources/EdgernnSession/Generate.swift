import CoreML

/// How much to write and how. Without `sampling` it is the bundle's own.
public struct Options: Sendable {
    public var length: Int
    public var sampling: Sampling?
    public var seed: UInt64

    public init(length: Int = 200, sampling: Sampling? = nil, seed: UInt64 = 0) {
        self.length = length
        self.sampling = sampling
        self.seed = seed
    }
}

extension Session {
    /// Writes a text after `prompt`, piece by piece; an empty prompt begins with the bundle's start tokens.
    /// Ending the loop over the stream ends the writing.
    public func generate(_ prompt: String, _ options: Options = Options()) throws -> AsyncThrowingStream<String, Error> {
        guard !bundle.captions else { throw BundleError("this bundle is a captioner and writes about pictures; call caption") }
        let tokenizer = try Tokenizer(bundle)
        let ids = try tokenizer.encode(prompt)
        let pending = ids.isEmpty ? bundle.manifest.decoding.start : ids
        let writer = try Writer(self, pending: pending, state: initialState(), contexts: [:], options)
        return AsyncThrowingStream { continuation in
            let task = Task.detached(priority: .userInitiated) {
                do {
                    var first = true
                    while !Task.isCancelled, let token = try writer.next() {
                        continuation.yield(tokenizer.piece(token, first: first))
                        first = false
                    }
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
        let tokenizer = try Tokenizer(bundle)
        let looked = try encode(image)
        let start = bundle.manifest.decoding.start
        let writer = try Writer(self, pending: start, state: looked.state, contexts: looked.contexts, options)
        var text = ""
        while let token = try writer.next() { text += tokenizer.piece(token, first: text.isEmpty) }
        return text
    }
}

/// Feeds, samples, feeds back. Used by one task at a time.
final class Writer: @unchecked Sendable {
    private let session: Session
    private let contexts: Tensors
    private let sampling: Sampling
    private let tokens, logits: String
    private var pending: [Int]
    private var state: State
    private var kept: Any? // the MLState of a package that has one: a stored property cannot ask for iOS 18
    private var left: Int
    private var uniform: Uniform

    init(_ session: Session, pending: [Int], state: State, contexts: Tensors, _ options: Options) throws {
        guard !pending.isEmpty else { throw BundleError("there is no token to feed; give a prompt of at least one character") }
        let decoding = session.bundle.manifest.decoding
        self.session = session
        self.contexts = contexts
        self.pending = pending
        self.state = state
        sampling = options.sampling ?? Sampling(temperature: decoding.temperature, topK: decoding.topK, topP: decoding.topP)
        tokens = try session.bundle.tokenInput().name
        logits = try session.bundle.logitsOutput().name
        left = decoding.length > 0 ? min(options.length, decoding.length) : options.length
        uniform = Uniform(seed: options.seed)
        if session.artifact.narrowing.runtimeState {
            guard #available(iOS 18, macOS 15, *) else { throw Session.needsNewer }
            kept = try session.keptState(state)
        }
    }

    /// The next token, or nil at the end.
    func next() throws -> Int? {
        guard left > 0 else { return nil }
        left -= 1
        var row: [Float] = []
        for id in pending { row = try autoreleasepool { try feed(id) } } // Core ML's results would pile up in a long loop
        let decoding = session.bundle.manifest.decoding
        for id in decoding.suppress { row[id] = -.infinity }
        let token = try sample(row, sampling, uniform.next())
        guard !decoding.stop.contains(token) else { // it ends the text and is no part of it
            left = 0
            return nil
        }
        pending = [token]
        return token
    }

    private func feed(_ id: Int) throws -> [Float] {
        var inputs = contexts
        inputs[tokens] = Tensor.tokens([id])
        if #available(iOS 18, macOS 15, *), let kept = kept as? MLState {
            return try session.predict(inputs, kept)[logits]?.floats() ?? []
        }
        let results = try session.step(inputs, state)
        state = results.state
        return try results.outputs[logits]?.floats() ?? []
    }
}
