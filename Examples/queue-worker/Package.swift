// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "queue-worker",
    dependencies: [
        // Only the system that this service uses is built, beside lease files.
        .package(name: "qq", path: "../..", traits: ["NATS"]),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
    ],
    targets: [
        .executableTarget(
            name: "queue-worker",
            dependencies: [
                .product(name: "LeaderElection", package: "qq"),
                .product(name: "LeaderElectionLifecycle", package: "qq"),
                .product(name: "LeaderElectionLogging", package: "qq"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: [.swiftLanguageMode(.v6)])
    ]
)
