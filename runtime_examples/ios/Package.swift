// swift-tools-version:5.9
import PackageDescription

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
