// swift-tools-version:5.9
import Foundation
import PackageDescription

// The C of a bundle, where ../compiled/prepare.py has written it into Sources/CNet.
let isCompiled = FileManager.default.fileExists(atPath: Context.packageDirectory + "/Sources/CNet/step.c")

let package = Package(
    name: "EdgernnModel",
    platforms: [.iOS(.v17), .macOS(.v14)],
    products: [.library(name: "EdgernnModel", targets: ["EdgernnModel"])],
    targets: [
        .target(name: "EdgernnModel"),
        .executableTarget(name: "edgernn-run", dependencies: ["EdgernnModel"]),
        .testTarget(name: "EdgernnModelTests", dependencies: ["EdgernnModel"]),
    ]
)

if isCompiled {
    package.products += [.library(name: "CompiledNetwork", targets: ["CompiledNetwork"])]
    package.targets += [
        .target(name: "CNet", exclude: ["golden.safetensors", "step.weights.bin"], publicHeadersPath: ".", cSettings: [
            .headerSearchPath("."), // where the assembler finds the weights, too
            .unsafeFlags(["-O3", "-ffp-contract=off"]), // with contraction off every device gives the same bits
        ]),
        .target(name: "CompiledNetwork", dependencies: ["CNet", "EdgernnModel"]),
        .testTarget(name: "CompiledNetworkTests", dependencies: ["CNet", "CompiledNetwork", "EdgernnModel"]),
    ]
}
