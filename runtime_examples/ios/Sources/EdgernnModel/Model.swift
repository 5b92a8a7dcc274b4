import CoreML
import ImageIO
import Vision

/// A bundle's graphs as functions: state goes in and comes out, nothing is remembered between calls.
///
/// What they take and give is read from the contract; no tensor's name or shape stands in the code.
public final class Model {
    public static let explicitFormat = "coreml"
    public static let stateFormat = "coreml-mlstate"

    public let bundle: ModelBundle
    public let artifact: Manifest.Artifact
    private let stepper: MLModel
    private let encoder: MLModel?

    private init(bundle: ModelBundle, artifact: Manifest.Artifact, stepper: MLModel, encoder: MLModel?) {
        self.bundle = bundle
        self.artifact = artifact
        self.stepper = stepper
        self.encoder = encoder
    }

    /// Opens a bundle folder. Without `artifact` it is the first step whose state goes in and comes out, else one whose state
    /// Core ML keeps, which needs iOS 18 or macOS 15.
    public static func load(_ folder: URL, artifact: String? = nil) async throws -> Model {
        let bundle = try ModelBundle(folder)
        let chosen = try bundle.choose(formats: [explicitFormat, stateFormat], graph: "step", path: artifact)
        let encoder = try await bundle.captions ? open(bundle, bundle.choose(formats: [explicitFormat], graph: "encode")) : nil
        let stepper = try await open(bundle, chosen)
        return Model(bundle: bundle, artifact: chosen, stepper: stepper, encoder: encoder)
    }

    /// Begins a sequence. `image`: what encode looks at where the model has that graph, one row; else nothing, and
    /// there are `batch` rows. A state begins with what encode gives, with its stored value in every row, or with
    /// zeros, each as the contract says.
    public func begin(_ image: CVPixelBuffer? = nil, batch: Int = 1) throws -> (contexts: Tensors, state: State) {
        guard batch >= 1, bundle.captions == (image != nil), batch == 1 || image == nil else {
            throw BundleError(
                "a sequence begins with a picture where the model has encode, else without one; expected 1 row or more")
        }
        let made = try image.map(encode) ?? [:]
        let contexts = try bundle.graph("step").contexts.map { ($0.name, try Self.value(made, $0.name)) }
        let states = try bundle.graph("step").states.map { ($0.name, try first($0, made, batch)) }
        return (Dictionary(uniqueKeysWithValues: contexts), Dictionary(uniqueKeysWithValues: states))
    }

    private func first(_ state: Manifest.TensorSpec, _ made: Tensors, _ batch: Int) throws -> Tensor {
        let shape = try bundle.shape(state)
        switch bundle.manifest.contract.initialState?.word(state.name) ?? "zeros" {
        case "encode":
            return try Self.value(made, state.name)
        case "stored":
            let name = bundle.manifest.initialState ?? "initial_state.safetensors"
            let stored = try Self.value(readSafetensors(bundle.read(name), source: name), state.name)
            guard stored.shape == shape else {
                throw BundleError("the stored first value of \(state.name) has another shape; export the bundle again")
            }
            return try stored.repeated(state.axes.firstIndex(of: "batch"), count: batch)
        default:
            let zeros = Tensor.floats(Array(repeating: 0, count: try elementCount(shape)), shape: shape)
            return try zeros.repeated(state.axes.firstIndex(of: "batch"), count: batch)
        }
    }

    private static func value(_ tensors: Tensors, _ name: String) throws -> Tensor {
        guard let found = tensors[name] else { throw BundleError("there is no \(name); export the bundle again") }
        return found
    }

    /// Runs one step. `inputs`: the tokens [1, 1] and every context.
    ///
    /// Of a package whose state Core ML keeps, the state is written before and read after: two copies a step, and the same
    /// function everywhere. `generate` leaves both out.
    public func step(_ inputs: Tensors, _ state: State) throws -> (outputs: Tensors, state: State) {
        if artifact.narrowing.runtimeState {
            guard #available(iOS 18, macOS 15, *) else { throw Self.needsNewer }
            let kept = try keptState(state)
            return (try predict(inputs, kept), try read(kept))
        }
        var outputs = try run(stepper, inputs.merging(state) { _, new in new }, graph: "step")
        var after: State = [:]
        for spec in try bundle.graph("step").states {
            guard let tensor = outputs.removeValue(forKey: nextName(spec.name)) else {
                throw BundleError("the step does not return \(nextName(spec.name)); export the bundle again")
            }
            after[spec.name] = tensor
        }
        return (outputs, after)
    }

    /// `state` with row `otherRow` of another state in place of `row`, so that a row begins again, goes back or goes on in
    /// another place. A state without rows stays as it is.
    public func setRow(_ state: State, _ row: Int, _ other: State, _ otherRow: Int = 0) throws -> State {
        var made = state
        for spec in try bundle.graph("step").states {
            guard let axis = spec.axes.firstIndex(of: "batch") else { continue }
            made[spec.name] = try Self.value(state, spec.name).withPlace(axis, row, Self.value(other, spec.name), otherRow)
        }
        return made
    }

    /// Looks at a picture once; everything that encode gives, by name.
    public func encode(_ image: CVPixelBuffer) throws -> Tensors {
        guard let encoder else {
            throw BundleError("this bundle writes text and has no encode graph; give a captioner's bundle")
        }
        let provider = try MLDictionaryFeatureProvider(dictionary: [pictureInput().name: MLFeatureValue(pixelBuffer: image)])
        return try tensors(encoder.prediction(from: provider), names: bundle.graph("encode").outputs.map(\.name))
    }

    /// The whole upright picture as the square that `encode` looks at.
    public func pixelBuffer(_ image: CGImage, orientation: CGImagePropertyOrientation = .up) throws -> CVPixelBuffer {
        let name = try pictureInput().name
        guard let constraint = encoder?.modelDescription.inputDescriptionsByName[name]?.imageConstraint else {
            throw BundleError("the encode graph takes no picture; export the bundle again")
        }
        let options: [MLFeatureValue.ImageOption: Any] = [.cropAndScale: VNImageCropAndScaleOption.scaleFill.rawValue]
        let value = try MLFeatureValue(cgImage: image, orientation: orientation, constraint: constraint, options: options)
        guard let buffer = value.imageBufferValue else { throw BundleError("the picture cannot be resized; give another one") }
        return buffer
    }

    func pictureInput() throws -> Manifest.TensorSpec {
        guard let fresh = try bundle.graph("encode").fresh.first else {
            throw BundleError("encode takes no picture; export the bundle again")
        }
        return fresh
    }

    private static func open(_ bundle: ModelBundle, _ artifact: Manifest.Artifact) async throws -> MLModel {
        for (axis, size) in artifact.narrowing.axes where axis == "time" || axis == "batch" {
            let wanted = axis == "time" ? bundle.manifest.contract.stepFrames : 1
            guard size == wanted else {
                throw BundleError("\(artifact.path) takes \(size) along \(axis), expected \(wanted); choose another artifact")
            }
        }
        let known = artifact.narrowing.runtimeState ? ["int32", "float16"] : ["int32", "picture"]
        for (name, dtype) in artifact.narrowing.dtypes where !known.contains(dtype) {
            throw BundleError(
                "\(artifact.path) takes \(name) as \(dtype), expected \(known.joined(separator: " or ")); "
                    + "choose another artifact")
        }
        let package = try bundle.model(artifact)
        do {
            // An app that ships one model lets Xcode compile it; one that downloads bundles keeps this result.
            return try await MLModel.load(contentsOf: MLModel.compileModel(at: package), configuration: MLModelConfiguration())
        } catch {
            throw BundleError("Core ML cannot open \(artifact.path): \(error.localizedDescription); export the bundle again")
        }
    }

    private func run(_ session: MLModel, _ inputs: Tensors, graph: String) throws -> Tensors {
        let provider = try MLDictionaryFeatureProvider(dictionary: inputs.mapValues { try $0.featureValue() })
        return try tensors(session.prediction(from: provider), names: bundle.graph(graph).outputs.map(\.name))
    }

    private func tensors(_ provider: MLFeatureProvider, names: [String]) throws -> Tensors {
        var found: Tensors = [:]
        for name in names {
            guard let array = provider.featureValue(for: name)?.multiArrayValue else {
                throw BundleError("the model does not return \(name); export the bundle again")
            }
            found[name] = Tensor(array)
        }
        return found
    }
}

// The state kept by Core ML.
extension Model {
    static let needsNewer = BundleError("a package whose state Core ML keeps needs iOS 18 or macOS 15; choose another artifact")

    /// A state of Core ML's own that holds these values.
    @available(iOS 18, macOS 15, *)
    func keptState(_ state: State) throws -> MLState {
        let kept = stepper.makeState()
        for spec in try bundle.graph("step").states {
            guard let values = try state[spec.name]?.floats() else { throw BundleError("the state \(spec.name) is missing") }
            kept.withMultiArray(for: spec.name) { array in
                for (at, index) in Self.indices(array).enumerated() { array[index] = NSNumber(value: values[at]) }
            }
        }
        return kept
    }

    /// Runs one step on a state that Core ML keeps, which it changes.
    @available(iOS 18, macOS 15, *)
    func predict(_ inputs: Tensors, _ kept: MLState) throws -> Tensors {
        let provider = try MLDictionaryFeatureProvider(dictionary: inputs.mapValues { try $0.featureValue() })
        let names = try bundle.graph("step").outputs.filter { $0.role == "output" }.map(\.name)
        return try tensors(stepper.prediction(from: provider, using: kept), names: names)
    }

    @available(iOS 18, macOS 15, *)
    func read(_ kept: MLState) throws -> State {
        var state: State = [:]
        for spec in try bundle.graph("step").states {
            kept.withMultiArray(for: spec.name) { state[spec.name] = Tensor($0) }
        }
        return state
    }

    /// Every index of an array in row-major order; through indices its strides do not matter.
    private static func indices(_ array: MLMultiArray) -> [[NSNumber]] {
        array.shape.reduce([[]]) { heads, size in
            heads.flatMap { head in (0..<size.intValue).map { head + [NSNumber(value: $0)] } }
        }
    }
}
