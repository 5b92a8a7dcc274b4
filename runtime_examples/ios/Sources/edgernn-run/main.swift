// edgernn-run BUNDLE, on a Mac: writes text or a caption, checks this machine against the golden run, or times a step.
import EdgernnModel
import Foundation
import ImageIO

struct Arguments {
    var bundle: String?
    var flags: [String: String] = [:]

    init(_ words: [String]) throws {
        var rest = words[...]
        while let word = rest.popFirst() {
            if ["--check", "--json"].contains(word) {
                flags[word] = ""
            } else if word.hasPrefix("--") {
                guard let value = rest.popFirst() else { throw Misuse("\(word) has no value") }
                flags[word] = value
            } else {
                bundle = word
            }
        }
    }

    /// Any whole number of 64 bits.
    func seed() throws -> UInt64 {
        guard let text = flags["--seed"] else { return 0 }
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let seed = UInt64(text) else {
            throw Misuse("--seed is \(text), expected a whole number of 0 to 18446744073709551615")
        }
        return seed
    }

    func number<T: LosslessStringConvertible>(_ flag: String, _ otherwise: T) throws -> T {
        guard let text = flags[flag] else { return otherwise }
        guard let value = T(text) else { throw Misuse("\(flag) is \(text), expected a number") }
        return value
    }
}

struct Misuse: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description + "; usage: edgernn-run BUNDLE [--prompt TEXT | --image FILE] [--length N] "
            + "[--temperature T] [--top-k K] [--top-p P] [--seed S] [--json] | --check | --time N, each with [--artifact PATH]"
    }
}

func check(_ model: Model) throws -> Int32 {
    var lines = try replayVectors(model.bundle)
    if model.bundle.manifest.golden == nil {
        print("golden - 0 not run; the bundle has no recorded run")
    } else {
        lines = try Golden(model.bundle).check(model) + lines
    }
    for line in lines {
        let name = line.name.padding(toLength: max(16, line.name.count), withPad: " ", startingAt: 0)
        print(name, String(format: "%.1e %g", line.worst, line.tolerance), line.verdict)
    }
    return lines.allSatisfy(\.ok) ? 0 : 1
}

func time(_ model: Model, steps: Int) throws {
    let golden = try Golden(model.bundle)
    var state = try golden.stateBefore(0)
    let times = try (0..<max(1, steps)).map { index -> Double in
        let inputs = try golden.inputs(index % golden.steps)
        let start = ContinuousClock.now
        state = try model.step(inputs, state).state
        return (ContinuousClock.now - start) / .microseconds(1)
    }
    try printJSON(["artifact": model.artifact.path, "steps": steps, "median_us": times.sorted()[times.count / 2]])
}

func caption(_ model: Model, _ path: String, _ options: Options) throws -> [Int] {
    guard let source = CGImageSourceCreateWithURL(URL(fileURLWithPath: path) as CFURL, nil),
          let image = CGImageSourceCreateImageAtIndex(source, 0, nil)
    else { throw Misuse("\(path) is no picture") }
    let properties = CGImageSourceCopyPropertiesAtIndex(source, 0, nil) as? [CFString: Any]
    let noted = properties?[kCGImagePropertyOrientation] as? UInt32
    let orientation = noted.flatMap { CGImagePropertyOrientation(rawValue: $0) } ?? .up
    return try model.captionTokens(model.pixelBuffer(image, orientation: orientation), options)
}

func write(_ model: Model, _ arguments: Arguments) async throws {
    let decoding = model.bundle.manifest.decoding
    let sampling = Sampling(
        temperature: try arguments.number("--temperature", decoding.temperature),
        topK: try arguments.number("--top-k", decoding.topK),
        topP: try arguments.number("--top-p", decoding.topP))
    let options = Options(
        length: try arguments.number("--length", 200), sampling: sampling, seed: try arguments.seed())
    let streaming = arguments.flags["--json"] == nil
    let tokenizer = try Tokenizer(model.bundle)
    let writing = Tokenizer.Writing(tokenizer)
    var tokens: [Int] = []
    func show(_ piece: String) {
        if streaming { FileHandle.standardOutput.write(Data(piece.utf8)) }
    }
    if let path = arguments.flags["--image"] {
        tokens = try caption(model, path, options)
        show(tokenizer.decode(tokens))
    } else {
        let prompt = arguments.flags["--prompt"] ?? ""
        let stream = try model.tokens(prompt, options, tokenizer)
        for token in try tokenizer.encode(prompt) { show(writing.piece(token)) }  // as the model reads it
        for try await token in stream {
            show(writing.piece(token))
            tokens.append(token)
        }
        show(writing.end())
    }
    show("\n")
    if streaming { return }
    try printJSON(["artifact": model.artifact.path, "tokens": tokens, "text": tokenizer.decode(tokens)])
}

func printJSON(_ object: [String: Any]) throws {
    print(String(decoding: try JSONSerialization.data(withJSONObject: object, options: [.sortedKeys]), as: UTF8.self))
}

do {
    let arguments = try Arguments(Array(CommandLine.arguments.dropFirst()))
    guard let folder = arguments.bundle else { throw Misuse("no bundle given") }
    let model = try await Model.load(URL(fileURLWithPath: folder), artifact: arguments.flags["--artifact"])
    if arguments.flags["--check"] != nil { exit(try check(model)) }
    if arguments.flags["--time"] != nil {
        try time(model, steps: try arguments.number("--time", 1000))
    } else {
        try await write(model, arguments)
    }
} catch {
    FileHandle.standardError.write(Data("error: \(error)\n".utf8))
    exit(2)
}
