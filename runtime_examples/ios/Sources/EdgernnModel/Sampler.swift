import Foundation

/// How a token is chosen: temperature 0 is greedy; topK 0 and topP 1 keep the whole vocabulary.
public struct Sampling: Sendable {
    public var temperature: Double
    public var topK: Int
    public var topP: Double

    public init(temperature: Double = 0.8, topK: Int = 0, topP: Double = 1) {
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
    }

    func check() throws {
        guard temperature >= 0, temperature.isFinite else {
            throw BundleError("temperature is \(temperature), expected 0 (greedy) or more; change it")
        }
        guard topK >= 0 else { throw BundleError("top-k is \(topK), expected 0 (all tokens) or more; change it") }
        guard topP > 0, topP <= 1 else {
            throw BundleError("top-p is \(topP), expected above 0 and at most 1; 1 keeps all")
        }
    }
}

/// Chooses a token id from `logits` [V], minus infinity where a token must not come. `uniform` in [0, 1) decides, so that the
/// same numbers give the same text everywhere. Ties go to the lower id.
public func sample(_ logits: [Float], _ options: Sampling, _ uniform: Double) throws -> Int {
    try options.check()
    guard !logits.isEmpty, !logits.contains(where: { $0.isNaN || $0 == .infinity }) else {
        throw BundleError("the logits are empty or not finite; replay the golden run")
    }
    var order = logits.indices.sorted { logits[$0] != logits[$1] ? logits[$0] > logits[$1] : $0 < $1 }
    let best = logits[order[0]]
    guard best.isFinite else { throw BundleError("every token is suppressed; expected at least one that may be written") }
    if options.temperature == 0 { return order[0] }
    if options.topK > 0 { order = Array(order.prefix(options.topK)) }
    var total = 0.0
    var cumulative = order.map { id in
        total += exp((Double(logits[id]) - Double(best)) / options.temperature)
        return total
    }
    cumulative = cumulative.map { $0 / total } // ends in exactly 1
    if options.topP < 1, let last = cumulative.firstIndex(where: { $0 >= options.topP }) {
        cumulative = cumulative[...last].map { $0 / cumulative[last] }
    }
    return order[cumulative.firstIndex { $0 > uniform } ?? cumulative.count - 1]
}

/// The number in [0, 1) of a seed that decides the token at `position`: SplitMix64 (Steele et al. 2014), as in every example.
public func uniformAt(seed: UInt64, position: UInt64) -> Double {
    var z = seed &+ (position &+ 1) &* 0x9E37_79B9_7F4A_7C15
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return Double((z ^ (z >> 31)) >> 11) * 0x1p-53
}

/// Makes ids impossible.
func suppress(_ logits: inout [Float], _ ids: [Int]) throws {
    for id in ids {
        guard logits.indices.contains(id) else {
            throw BundleError("the id \(id) is suppressed, the model has \(logits.count) tokens; export the bundle again")
        }
        logits[id] = -.infinity
    }
}
