import Foundation

/// Refuses JSON in which an object has a name twice: Foundation's readers keep one of the two and say nothing. `source` names
/// the file in the error.
func refuseNamesTwice(_ data: Data, source: String) throws {
    let bytes = [UInt8](data)
    var objects: [Set<[UInt8]>] = [] // the names of every object and array that is open
    var at = 0
    while at < bytes.count {
        switch bytes[at] {
        case UInt8(ascii: "{"), UInt8(ascii: "["): objects.append([])
        case UInt8(ascii: "}"), UInt8(ascii: "]"): _ = objects.popLast()
        case UInt8(ascii: "\""):
            let start = at
            at += 1
            while at < bytes.count, bytes[at] != UInt8(ascii: "\"") { at += bytes[at] == UInt8(ascii: "\\") ? 2 : 1 }
            guard at < bytes.count else { return } // it does not end, which the reader says
            if isName(bytes, after: at), !objects.isEmpty {
                let name = text(bytes[start...at])
                guard objects[objects.count - 1].insert(Array(name.utf8)).inserted else {
                    throw BundleError("\(source) has the name \(name) twice in one object; export the bundle again")
                }
            }
        default: break
        }
        at += 1
    }
}

/// Whether the string that ends at `close` is a name: a colon follows.
private func isName(_ bytes: [UInt8], after close: Int) -> Bool {
    bytes[(close + 1)...].first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) } == UInt8(ascii: ":")
}

/// The text of a quoted string, its escapes read.
private func text(_ quoted: ArraySlice<UInt8>) -> String {
    let value = try? JSONSerialization.jsonObject(with: Data(quoted), options: .fragmentsAllowed)
    return value as? String ?? String(decoding: quoted, as: UTF8.self)
}
