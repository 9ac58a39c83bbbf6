// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "leader-web",
    dependencies: [
        // Lease files alone: no system that needs a server is built. For NATS, `traits: ["NATS"]`.
        .package(name: "qq", path: "../..", traits: []),
        .package(url: "https://github.com/hummingbird-project/hummingbird.git", from: "2.28.1"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
    ],
    targets: [
        .executableTarget(
            name: "leader-web",
            dependencies: [
                .product(name: "LeaderElection", package: "qq"),
                .product(name: "LeaderElectionLifecycle", package: "qq"),
                .product(name: "LeaderElectionLogging", package: "qq"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: [.swiftLanguageMode(.v6)])
    ]
)
