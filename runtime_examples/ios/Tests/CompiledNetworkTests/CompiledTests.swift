import CNet
import CompiledNetwork
import EdgernnModel
import Foundation
import XCTest

/// This device computes what the bundle recorded, by the C that was compiled in. EDGERNN_BUNDLE names the bundle's folder.
final class CompiledTests: XCTestCase {
    func testTheRecordedRunHolds() throws {
        guard let path = ProcessInfo.processInfo.environment["EDGERNN_BUNDLE"] else {
            throw XCTSkip("EDGERNN_BUNDLE names no bundle folder")
        }
        let golden = try Data(contentsOf: URL(fileURLWithPath: path).appendingPathComponent("golden.safetensors"))
        let (net, run) = (the_network()!, the_recording()!)
        XCTAssertEqual(golden.count, Int(run.pointee.bytes), "the recorded run of another bundle")
        let block = UnsafeMutableRawPointer.allocate(byteCount: Int(net.pointee.bytes), alignment: 8)
        defer { block.deallocate() }
        let failed = golden.withUnsafeBytes { replay(net, run, $0.bindMemory(to: UInt8.self).baseAddress, block) }
        XCTAssertEqual(failed, 0, "the rows that were printed say which tensor is off")
    }

    func testAStateThatIsKeptIsAFork() throws {
        guard let path = ProcessInfo.processInfo.environment["EDGERNN_BUNDLE"] else {
            throw XCTSkip("EDGERNN_BUNDLE names no bundle folder")
        }
        let bundle = try ModelBundle(URL(fileURLWithPath: path))
        XCTAssertTrue(bundle.manifest.artifacts.contains { $0.sha256 == CompiledNetwork().sha256 }, "compiled of another bundle")
        let network = CompiledNetwork()
        let first = try network.first()
        XCTAssertEqual(Set(first.keys), Set(try bundle.graph("step").states.map(\.name)))
    }
}
