import CoreVideo
import Foundation

/// How far one tensor went from the recording, over all and, where it has any, at each step; no number fails.
public struct Line {
    public let name: String
    public let worst, tolerance: Double
    public var steps: [Double] = []
    public var ok: Bool { worst <= tolerance }

    /// What is said of it; of one that failed, at which step it was off first, and how far.
    public var verdict: String {
        if ok { return "ok" }
        guard let first = steps.firstIndex(where: { !($0 <= tolerance) }) else { return "FAILED" }
        return "FAILED: parts at step \(first) of 0 to \(steps.count - 1) by \(String(format: "%.1e", steps[first]))"
    }
}

/// The bundle's recorded run, and its replay on this device. Where an output would make the run too large, it has a few numbers
/// of it instead: OUTPUT.columns and the values there, the largest values, and the log-sum.
public struct Golden {
    private let bundle: ModelBundle
    private let recorded: Tensors
    private let step: Manifest.Graph
    public let steps: Int

    public init(_ bundle: ModelBundle) throws {
        self.bundle = bundle
        step = try bundle.graph("step")
        guard let path = bundle.manifest.golden else {
            throw BundleError("manifest.json names no golden run; expected one; export the bundle again")
        }
        recorded = try readSafetensors(bundle.read(path), source: path)
        steps = recorded[step.fresh.first?.name ?? ""]?.shape.first ?? 0
        for spec in step.inputs { try require(spec, perStep: spec.role == "input") }
        for spec in step.outputs { try isShort(spec) ? requireParts(spec) : require(spec, perStep: true) }
        if bundle.captions {
            let encode = try bundle.graph("encode")
            for spec in encode.inputs + encode.outputs { try require(spec, perStep: false) }
        }
    }

    /// The fresh inputs of a step and every context.
    public func inputs(_ index: Int) throws -> Tensors {
        var inputs = try Dictionary(uniqueKeysWithValues: step.contexts.map { ($0.name, try tensor($0.name)) })
        for spec in step.fresh {
            let (all, shape) = try (tensor(spec.name), bundle.shape(spec))
            switch all.values {
            case .integers(let values):
                let size = values.count / steps
                inputs[spec.name] = Tensor(shape: shape, values: .integers(Array(values[index * size..<(index + 1) * size])))
            default: // a tensor of bytes is refused
                inputs[spec.name] = Tensor.floats(try row(spec.name, index), shape: shape)
            }
        }
        return inputs
    }

    /// The recorded state before a step.
    public func stateBefore(_ index: Int) throws -> State {
        try Dictionary(uniqueKeysWithValues: step.states.map { spec -> (String, Tensor) in
            guard index > 0 else { return (spec.name, try tensor(spec.name)) }
            return (spec.name, Tensor.floats(try row(nextName(spec.name), index - 1), shape: try bundle.shape(spec)))
        })
    }

    /// Runs the whole recording: what encode gives where there is one, then every output and state of step.
    public func check(_ model: Model) throws -> [Line] {
        let (tolerance, forced) = try model.artifact.promise()
        var drifts: [String: Drift] = [:]
        var state = try stateBefore(0)
        for index in 0..<steps {
            let results = try model.step(inputs(index), forced ? stateBefore(index) : state)
            state = results.state
            for (name, made) in results.outputs {
                for (part, own) in try compared(name, made.floats(), index) {
                    try drifts[part, default: Drift()].add(row(part, index)[...], own[...])
                }
            }
            for spec in step.states {
                guard let made = state[spec.name] else { throw BundleError("the state \(spec.name) is missing") }
                try addState(spec, made, index, forced, &drifts)
            }
        }
        let lines = drifts.map { name, drift -> Line in
            let steps = drift.steps(forced)
            return Line(name: name, worst: steps.max() ?? .infinity, tolerance: tolerance, steps: steps)
        }
        return try encodeLines(model) + lines.sorted { $0.name < $1.name }
    }

    private func encodeLines(_ model: Model) throws -> [Line] {
        guard bundle.captions else { return [] }
        let made = try model.encode(pixelBuffer(tensor(model.pictureInput().name)))
        let (tolerance, forced) = try bundle.choose(formats: [Model.explicitFormat], graph: "encode").promise()
        return try made.map { name, found -> Line in
            var drift = Drift()
            try drift.add(tensor(name).floats()[...], found.floats()[...])
            return Line(name: name, worst: drift.steps(forced).max() ?? .infinity, tolerance: tolerance)
        }.sorted { $0.name < $1.name }
    }

    /// In a forced run each layer by itself: an error in one of three would be small in all of them together.
    private func addState(
        _ spec: Manifest.TensorSpec, _ made: Tensor, _ index: Int, _ forced: Bool, _ drifts: inout [String: Drift]
    ) throws {
        let name = nextName(spec.name)
        let (expected, found) = try (row(name, index), made.floats())
        guard forced, let axis = spec.axes.firstIndex(of: "layers"), axis < made.shape.count else {
            drifts[name, default: Drift()].add(expected[...], found[...])
            return
        }
        let (layers, inner) = (made.shape[axis], made.shape[(axis + 1)...].reduce(1, *))
        for layer in 0..<layers {
            let places = found.indices.filter { $0 / inner % layers == layer }
            drifts["\(name)[\(layer)]", default: Drift()].add(places.map { expected[$0] }[...], places.map { found[$0] }[...])
        }
    }

    private func isShort(_ spec: Manifest.TensorSpec) -> Bool {
        recorded[spec.name] == nil && recorded["\(spec.name).columns"] != nil
    }

    /// What is recorded of an output at a step, by name, as this device has it.
    private func compared(_ output: String, _ values: [Float], _ index: Int) throws -> [String: [Float]] {
        guard recorded[output] == nil else { return [output: values] }
        let columns = try tensor("\(output).columns").integers()
        let all = try tensor("\(output).largest_ids").integers()
        let count = all.count / steps
        let top = Double(values.max() ?? 0)
        let sum = values.reduce(0.0) { $0 + exp(Double($1) - top) } // no number where one of the values is none
        return [
            "\(output).at_columns": columns.map { values[Int($0)] },
            "\(output).largest": all[index * count..<(index + 1) * count].map { values[Int($0)] },
            "\(output).log_sum": [Float(top + log(sum))],
        ]
    }

    /// Makes sure that the parts of an output are of the shapes that belong together, and their ids below its size.
    private func requireParts(_ spec: Manifest.TensorSpec) throws {
        let whole = try bundle.shape(spec)
        let before = [steps] + whole.dropLast()
        let (columns, ids) = try (tensor("\(spec.name).columns"), tensor("\(spec.name).largest_ids"))
        let (width, most) = try (columns.integers().count, ids.shape.last ?? 0)
        let wanted = ["at_columns": before + [width], "largest_ids": before + [most], "largest": before + [most], "log_sum": before]
        var fits = steps > 0 && width > 0 && most > 0
        for (part, shape) in wanted { fits = try fits && tensor("\(spec.name).\(part)").shape == shape }
        let below = try (columns.integers() + ids.integers()).allSatisfy { (0..<Int64(whole.last ?? 0)).contains($0) }
        guard fits, below, try elementCount(before) == steps else {
            throw BundleError("the golden run has parts of \(spec.name) that do not fit it; export the bundle again")
        }
    }

    private func tensor(_ name: String) throws -> Tensor {
        guard let tensor = recorded[name] else {
            throw BundleError("the golden run has no tensor \(name); export the bundle again")
        }
        return tensor
    }

    private func row(_ name: String, _ index: Int) throws -> [Float] {
        let all = try tensor(name).floats()
        let size = all.count / steps
        return Array(all[index * size..<(index + 1) * size])
    }

    private func require(_ spec: Manifest.TensorSpec, perStep: Bool) throws {
        let expected = try (perStep ? [steps] : []) + bundle.shape(spec)
        let found = try tensor(spec.name).shape
        guard steps > 0, found == expected else {
            throw BundleError("the golden run has \(spec.name) as \(found), expected \(expected); export the bundle again")
        }
    }
}

/// The differences of one tensor over a run.
private struct Drift {
    private var largest = 0.0
    /// Of each step the largest difference, infinite where a value is not finite, and root mean squares: of the recording, of
    /// the difference.
    private var rows: [(difference: Double, size: Double, apart: Double)] = []

    mutating func add(_ recorded: ArraySlice<Float>, _ found: ArraySlice<Float>) {
        let apart = zip(recorded, found).map { Double($0) - Double($1) }
        let expected = recorded.map { $0.isFinite ? Double($0) : 0 }
        let finite = recorded.count == found.count && apart.allSatisfy(\.isFinite)
        largest = expected.reduce(largest) { max($0, abs($1)) }
        let size = (expected.reduce(0.0) { $0 + $1 * $1 } / Double(expected.count)).squareRoot()
        let off = (apart.reduce(0.0) { $0 + $1 * $1 } / Double(apart.count)).squareRoot()
        rows.append((finite ? apart.reduce(0.0) { max($0, abs($1)) } : .infinity, size, off))
    }

    /// How far it is off at each step.
    func steps(_ forced: Bool) -> [Double] {
        let least = 1e-3 // a tensor smaller than this in every value is as good as zero
        let overRun = max(least, (rows.reduce(0.0) { $0 + $1.size * $1.size } / Double(rows.count)).squareRoot())
        return rows.map { row in
            forced && row.difference.isFinite ? row.apart / max(row.size, overRun) : row.difference / max(1, largest)
        }
    }
}

/// A recorded picture, uint8 [1, height, width, 3], or of one channel where it is grey, as Core ML takes pictures.
private func pixelBuffer(_ image: Tensor) throws -> CVPixelBuffer {
    guard case .bytes(let pixels) = image.values, image.shape.count == 4, [1, 3].contains(image.shape[3]) else {
        throw BundleError(
            "the recorded picture is \(image.shape), expected bytes [1, height, width, 1 or 3]; "
                + "export the bundle again")
    }
    let (height, width, grey) = (image.shape[1], image.shape[2], image.shape[3] == 1)
    let format = grey ? kCVPixelFormatType_OneComponent8 : kCVPixelFormatType_32BGRA
    var made: CVPixelBuffer?
    CVPixelBufferCreate(kCFAllocatorDefault, width, height, format, nil, &made)
    guard let buffer = made, CVPixelBufferLockBaseAddress(buffer, []) == kCVReturnSuccess else {
        throw BundleError("no pixel buffer of \(width)x\(height); free some memory")
    }
    defer { CVPixelBufferUnlockBaseAddress(buffer, []) }
    guard let base = CVPixelBufferGetBaseAddress(buffer) else { throw BundleError("the pixel buffer has no memory") }
    for row in 0..<height {
        let line = base.advanced(by: row * CVPixelBufferGetBytesPerRow(buffer)).assumingMemoryBound(to: UInt8.self)
        for column in 0..<width {
            if grey {
                line[column] = pixels[row * width + column]
                continue
            }
            let from = 3 * (row * width + column)
            for channel in 0..<3 { line[4 * column + channel] = pixels[from + 2 - channel] } // blue, green, red
            line[4 * column + 3] = 255
        }
    }
    return buffer
}
