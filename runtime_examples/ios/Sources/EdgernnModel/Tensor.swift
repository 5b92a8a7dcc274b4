import CoreML

/// Bad input. The message is one line: what was wrong, the value seen, what was expected, what to do.
public struct BundleError: Error, CustomStringConvertible {
    public let description: String

    public init(_ description: String) {
        self.description = description
    }
}

/// A dense row-major tensor.
public struct Tensor: Sendable {
    public enum Values: Sendable {
        case floats([Float])
        case integers([Int64])
        case bytes([UInt8])
    }

    public let shape: [Int]
    public let values: Values

    public init(shape: [Int], values: Values) {
        self.shape = shape
        self.values = values
    }

    public static func floats(_ values: [Float], shape: [Int]) -> Tensor {
        Tensor(shape: shape, values: .floats(values))
    }

    /// What a row of ids is as the tokens [1, T] of a step.
    public static func tokens(_ ids: [Int]) -> Tensor {
        Tensor(shape: [1, ids.count], values: .integers(ids.map(Int64.init)))
    }

    /// Every place along `axis` `count` times; without an axis it stays as it is.
    func repeated(_ axis: Int?, count: Int) throws -> Tensor {
        guard let axis, count > 1 else { return self }
        let inner = shape[axis...].reduce(1, *)
        let all = try floats()
        let parts = stride(from: 0, to: all.count, by: inner).map { Array(all[$0..<$0 + inner]) }
        var own = shape
        own[axis] *= count
        return .floats(parts.flatMap { part in (0..<count).flatMap { _ in part } }, shape: own)
    }

    /// A copy with place `otherAt` of another tensor along `axis` in place of `at`; else both are alike.
    func withPlace(_ axis: Int, _ at: Int, _ other: Tensor, _ otherAt: Int) throws -> Tensor {
        let (count, others) = (shape[axis], other.shape[axis])
        guard (0..<count).contains(at), (0..<others).contains(otherAt) else {
            throw BundleError(
                "row \(otherAt) of \(others) is to become row \(at) of \(count), expected rows that there are; "
                    + "they count from 0")
        }
        let inner = shape[(axis + 1)...].reduce(1, *)
        var made = try floats()
        let from = try other.floats()
        for block in 0..<shape[..<axis].reduce(1, *) {
            let begin = (block * others + otherAt) * inner
            made.replaceSubrange((block * count + at) * inner..<(block * count + at + 1) * inner, with: from[begin..<begin + inner])
        }
        return .floats(made, shape: shape)
    }

    func floats() throws -> [Float] {
        guard case .floats(let scalars) = values else {
            throw BundleError("a tensor of another dtype where float32 was expected")
        }
        return scalars
    }

    func integers() throws -> [Int64] {
        guard case .integers(let scalars) = values else {
            throw BundleError("a tensor of another dtype where int64 was expected")
        }
        return scalars
    }
}

/// The number of elements of a shape; throws where an axis is negative or there are too many.
func elementCount(_ shape: [Int]) throws -> Int {
    let count = shape.reduce(1.0) { $0 * Double($1) } // a double does not overflow
    guard shape.allSatisfy({ $0 >= 0 }), count <= Double(1 << 26) else {
        throw BundleError("a tensor of \(shape), expected at most 2^26 elements; export the bundle again")
    }
    return Int(count)
}

public typealias Tensors = [String: Tensor]

/// States by the names that the contract gives them, each [L, 1, H].
public typealias State = [String: Tensor]

extension Tensor {
    /// Reads what Core ML returned, whatever its float dtype and strides are.
    init(_ array: MLMultiArray) {
        self = .floats(MLShapedArray<Float>(converting: array).scalars, shape: array.shape.map(\.intValue))
    }

    /// Makes what Core ML takes: float32, and int32 for token ids because it has no int64.
    func featureValue() throws -> MLFeatureValue {
        switch values {
        case .floats(let scalars):
            return MLFeatureValue(shapedArray: MLShapedArray<Float>(scalars: scalars, shape: shape))
        case .integers(let scalars):
            let narrow = scalars.compactMap { Int32(exactly: $0) }
            guard narrow.count == scalars.count else {
                throw BundleError("a token id beyond 2^31 - 1; expected an id of the model; export the bundle again")
            }
            return MLFeatureValue(shapedArray: MLShapedArray<Int32>(scalars: narrow, shape: shape))
        case .bytes:
            throw BundleError("Core ML takes a picture as a pixel buffer; use encode")
        }
    }
}
