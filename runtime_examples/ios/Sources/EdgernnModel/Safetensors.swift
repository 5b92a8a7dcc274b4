import Foundation

private struct Entry: Decodable {
    let dtype: String
    let shape: [Int]
    let offsets: [Int]

    enum CodingKeys: String, CodingKey {
        case dtype, shape
        case offsets = "data_offsets"
    }
}

/// Reads a safetensors file: 8 bytes little-endian header length, a JSON header, the tensors' bytes.
/// `source` names it in errors.
func readSafetensors(_ file: Data, source: String) throws -> Tensors {
    let bytes = [UInt8](file)
    let length = bytes.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard bytes.count >= 8, length <= UInt64(bytes.count - 8) else {
        throw BundleError(
            "\(source) is no safetensors file: its header does not fit into its \(bytes.count) bytes; "
                + "export the bundle again")
    }
    let start = 8 + Int(length)
    try refuseNamesTwice(Data(bytes[8..<start]), source: source)
    do {
        var header = try JSONSerialization.jsonObject(with: Data(bytes[8..<start])) as? [String: Any] ?? [:]
        header["__metadata__"] = nil
        let entries = try JSONDecoder().decode([String: Entry].self, from: JSONSerialization.data(withJSONObject: header))
        return try entries.mapValues { try readTensor($0, bytes[start...], source: source) }
    } catch let error as BundleError {
        throw error
    } catch {
        throw BundleError("\(source) has a damaged header (\(error.localizedDescription)); export the bundle again")
    }
}

private func readTensor(_ entry: Entry, _ data: ArraySlice<UInt8>, source: String) throws -> Tensor {
    guard let width = ["F32": 4, "I64": 8, "U8": 1][entry.dtype] else {
        throw BundleError("\(source) holds \(entry.dtype), expected F32, I64 or U8; this example reads no other dtype")
    }
    let size = try elementCount(entry.shape) * width
    guard entry.offsets.count == 2, 0 <= entry.offsets[0], entry.offsets[0] <= entry.offsets[1],
          entry.offsets[1] <= data.count, entry.offsets[1] - entry.offsets[0] == size
    else {
        throw BundleError("\(source) has a tensor \(entry.shape) that does not lie within it; export the bundle again")
    }
    let own = Array(data[(data.startIndex + entry.offsets[0])..<(data.startIndex + entry.offsets[1])])
    let count = own.count / width
    return own.withUnsafeBytes { raw -> Tensor in // the format is little-endian, as every Apple device is
        switch width {
        case 4:
            let values = (0..<count).map { raw.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
            return Tensor.floats(values, shape: entry.shape)
        case 8:
            let values = (0..<count).map { raw.loadUnaligned(fromByteOffset: 8 * $0, as: Int64.self) }
            return Tensor(shape: entry.shape, values: .integers(values))
        default:
            return Tensor(shape: entry.shape, values: .bytes(own))
        }
    }
}
