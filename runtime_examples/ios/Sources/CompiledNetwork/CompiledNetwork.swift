import CNet
import EdgernnModel

/// The step of a bundle as its C, which is compiled into the app: no runtime, and no file to open.
///
/// It makes one step at a time. A state is a value: keep it to fork, or to go back.
public final class CompiledNetwork {
    private struct Place {
        let name: String
        let role: Int
        let dtype: String
        let offset: Int
        let shape: [Int]
        let count: Int
        let bytes: Int
    }

    /// The path and the digest in the manifest of what was compiled.
    public let artifact, sha256: String
    private let net: network
    private let places: [Place]
    private let block: UnsafeMutableRawPointer

    public init() {
        net = the_network().pointee
        artifact = String(cString: net.artifact)
        sha256 = String(cString: net.sha256)
        places = UnsafeBufferPointer(start: net.table, count: Int(net.tensors)).map(CompiledNetwork.place)
        block = .allocate(byteCount: Int(net.bytes), alignment: 8)
        block.initializeMemory(as: UInt8.self, repeating: 0, count: Int(net.bytes))
    }

    deinit {
        block.deallocate()
    }

    /// The state before the first step: the stored one, else zeros. What encode gives is zeros, too.
    public func first() throws -> State {
        var state: State = [:]
        for place in places where place.role == NETWORK_STATE {
            state[place.name] = try Self.tensor(place, in: net.first!)
        }
        return state
    }

    /// Runs one step. `inputs`: every fresh input and every context.
    public func step(_ inputs: Tensors, _ state: State) throws -> (outputs: Tensors, state: State) {
        for place in places where place.role != NETWORK_OUTPUT {
            guard let tensor = place.role == NETWORK_STATE ? state[place.name] : inputs[place.name] else {
                throw BundleError("\(place.name) is missing; give every input, context and state")
            }
            try put(tensor, place)
        }
        let code = net.step(block)
        guard code == 0 else {
            throw BundleError("the step returns \(code), expected 0; 2 is an id out of range: give one of the model's own")
        }
        var outputs: Tensors = [:]
        var after: State = [:]
        for place in places {
            if place.role == NETWORK_OUTPUT { outputs[place.name] = try Self.tensor(place, in: UnsafeRawPointer(block)) }
            if place.role == NETWORK_STATE { after[place.name] = try Self.tensor(place, in: UnsafeRawPointer(block)) }
        }
        return (outputs, after)
    }

    private static func place(_ own: network_tensor) -> Place {
        let sizes = withUnsafeBytes(of: own.shape) { Array($0.bindMemory(to: UInt32.self)) }
        return Place(
            name: String(cString: own.name), role: Int(own.role), dtype: String(cString: own.dtype), offset: Int(own.offset),
            shape: sizes.prefix(Int(own.rank)).map { Int($0) }, count: Int(own.count), bytes: Int(own.count) * Int(own.width))
    }

    private func put(_ tensor: Tensor, _ place: Place) throws {
        switch (tensor.values, place.dtype) {
        case (.floats(let values), "float32") where values.count == place.count: copy(values, place)
        case (.integers(let values), "int64") where values.count == place.count: copy(values, place)
        case (.bytes(let values), "uint8"), (.bytes(let values), "bool"):
            guard values.count == place.count else { throw Self.other(place) }
            copy(values, place)
        default: throw Self.other(place)
        }
    }

    private func copy<Element>(_ values: [Element], _ place: Place) {
        values.withUnsafeBytes { (block + place.offset).copyMemory(from: $0.baseAddress!, byteCount: place.bytes) }
    }

    private static func tensor(_ place: Place, in memory: UnsafeRawPointer) throws -> Tensor {
        let bytes = UnsafeRawBufferPointer(start: memory + place.offset, count: place.bytes)
        switch place.dtype {
        case "float32": return .floats(Array(bytes.bindMemory(to: Float.self)), shape: place.shape)
        case "int64": return Tensor(shape: place.shape, values: .integers(Array(bytes.bindMemory(to: Int64.self))))
        case "uint8", "bool": return Tensor(shape: place.shape, values: .bytes(Array(bytes)))
        default: throw other(place)
        }
    }

    private static func other(_ place: Place) -> BundleError {
        BundleError("\(place.name) is \(place.dtype) of \(place.count) elements there; give a tensor like that, or read it in C")
    }
}
