import EdgernnModel
import Foundation
import XCTest

/// This device computes what the bundle recorded. EDGERNN_BUNDLE names the bundle's folder; on a device put it into the test's
/// resources instead.
final class GoldenTests: XCTestCase {
    func testEveryStepArtifactPassesTheGoldenRun() async throws {
        guard let path = ProcessInfo.processInfo.environment["EDGERNN_BUNDLE"] else {
            throw XCTSkip("EDGERNN_BUNDLE names no bundle folder")
        }
        let folder = URL(fileURLWithPath: path)
        let formats = [Model.explicitFormat, Model.stateFormat]
        let steps = try ModelBundle(folder).manifest.artifacts.filter { formats.contains($0.format) && $0.graph == "step" }
        XCTAssertFalse(steps.isEmpty, "the bundle has no Core ML step")
        for artifact in steps {
            let model = try await Model.load(folder, artifact: artifact.path)
            for line in try Golden(model.bundle).check(model) {
                XCTAssertTrue(line.ok, "\(artifact.path): \(line.name) \(line.worst) of \(line.tolerance)")
            }
        }
    }

    func testTheVectorsOfTheSamplerAreReplayed() throws {
        guard let path = ProcessInfo.processInfo.environment["EDGERNN_BUNDLE"] else {
            throw XCTSkip("EDGERNN_BUNDLE names no bundle folder")
        }
        for line in try replayVectors(ModelBundle(URL(fileURLWithPath: path))) { XCTAssertTrue(line.ok, line.name) }
    }

    func testRandomNumbersAreThoseOfEveryExample() {
        let known: [UInt64] = [
            6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821,
        ]
        for (position, bits) in known.enumerated() {
            XCTAssertEqual(uniformAt(seed: 1_234_567, position: UInt64(position)), Double(bits >> 11) * 0x1p-53)
        }
    }

    func testSamplingTakesWhatTheNumberSays() throws {
        let logits: [Float] = [0, 2, 2, -.infinity]
        XCTAssertEqual(try sample(logits, Sampling(temperature: 0), 0.99), 1)
        XCTAssertEqual(try sample(logits, Sampling(temperature: 1), 0.0), 1)
        XCTAssertEqual(try sample(logits, Sampling(temperature: 1), 0.6), 2)
        XCTAssertEqual(try sample(logits, Sampling(temperature: 1), 0.999), 0)
        XCTAssertEqual(try sample(logits, Sampling(temperature: 1, topK: 1), 0.999), 1)
        XCTAssertEqual(try sample(logits, Sampling(temperature: 1, topP: 0.5), 0.999), 2)
        XCTAssertThrowsError(try sample([.nan], Sampling(temperature: 1), 0.5))
    }
}
