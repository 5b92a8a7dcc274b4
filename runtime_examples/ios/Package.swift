// swift-tools-version:5.9
import PackageDescription

let package = Package(
    name: "EdgernnSession",
    platforms: [.iOS(.v17), .macOS(.v14)],
    products: [.library(name: "EdgernnSession", targets: ["EdgernnSession"])],
    targets: [
        .target(name: "EdgernnSession"),
        .executableTarget(name: "edgernn-run", dependencies: ["EdgernnSession"]),
        .testTarget(name: "EdgernnSessionTests", dependencies: ["EdgernnSession"]),
    ]
)
