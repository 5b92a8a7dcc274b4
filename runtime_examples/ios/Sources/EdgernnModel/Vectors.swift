import Foundation

/// `sampler.json`; a Double is read exactly from iOS 17 and macOS 14 on.
private struct Vectors: Decodable {
    struct Numbers: Decodable {
        let seed, position: UInt64
        let values: [Double]
    }

    struct Choice: Decodable {
        let logits: [Float]
        let uniform, temperature, topP: Double
        let topK, token: Int
        let suppress: [Int]

        enum CodingKeys: String, CodingKey {
            case logits, uniform, temperature, suppress, token
            case topK = "top_k"
            case topP = "top_p"
        }
    }

    let version: Int
    let generator: String
    let uniforms: [Numbers]
    let tokens: [Choice]
}

/// Replays random numbers and choices of tokens that every device must make alike. Each line says how many are not the recorded
/// ones, without end where the file records none; there is no line where the bundle has no vectors.
public func replayVectors(_ bundle: ModelBundle) throws -> [Line] {
    guard let path = bundle.manifest.sampler else { return [] }
    let data = try bundle.read(path)
    try refuseNamesTwice(data, source: path)
    guard let file = try? JSONDecoder().decode(Vectors.self, from: data), file.version == 1, file.generator == "splitmix64" else {
        throw BundleError("\(path) is damaged, or not of version 1 and splitmix64; use an example that reads it")
    }
    var numbers = 0, tokens = 0
    for group in file.uniforms {
        for (index, value) in group.values.enumerated() {
            if value != uniformAt(seed: group.seed, position: group.position &+ UInt64(index)) { numbers += 1 }
        }
    }
    for choice in file.tokens {
        var logits = choice.logits
        try suppress(&logits, choice.suppress)
        let options = Sampling(temperature: choice.temperature, topK: choice.topK, topP: choice.topP)
        if try sample(logits, options, choice.uniform) != choice.token { tokens += 1 }
    }
    return [
        Line(name: "uniforms", worst: file.uniforms.allSatisfy(\.values.isEmpty) ? .infinity : Double(numbers), tolerance: 0),
        Line(name: "sampler", worst: file.tokens.isEmpty ? .infinity : Double(tokens), tolerance: 0),
    ]
}
