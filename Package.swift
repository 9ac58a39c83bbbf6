// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)]

// A trait includes systems in the library LeaderElection, with the packages that they need. All are on by default, and the command line needs them all.
// Without any, LeaderElection has lease files and elections in memory, and nothing of a network is fetched or built.
let traits: Set<Trait> = [
    .trait(name: "NATS", description: "Elections on NATS"),
    .trait(name: "GRPC", description: "Elections on etcd, RaftLock and Quorum Quest"),
    .trait(name: "Kubernetes", description: "Elections on Kubernetes"),
    .trait(name: "Consul", description: "Elections on Consul"),
    .default(enabledTraits: ["NATS", "GRPC", "Kubernetes", "Consul"]),
]
let networked: Set = ["NATS", "GRPC", "Kubernetes", "Consul"]

/// Makes dependencies on products of a package that only systems of these traits need.
func products(of package: String, for traits: Set<String>) -> (_ name: String) -> Target.Dependency {
    { .product(name: $0, package: package, condition: .when(traits: traits)) }
}
let nio = products(of: "swift-nio", for: networked)
let ssl = products(of: "swift-nio-ssl", for: networked)
let http2 = products(of: "swift-nio-http2", for: ["Kubernetes", "Consul"])
let crypto = products(of: "swift-crypto", for: ["NATS"])
let grpc = products(of: "grpc-swift-2", for: ["GRPC"])
let grpcTransport = products(of: "grpc-swift-nio-transport", for: ["GRPC"])
let grpcProtobuf = products(of: "grpc-swift-protobuf", for: ["GRPC"])
let protobuf = products(of: "swift-protobuf", for: ["GRPC"])
let yams = products(of: "Yams", for: ["Kubernetes"])

/// Modules of systems, for the library that has them only with these traits.
func systems(_ names: String..., for traits: Set<String>) -> [Target.Dependency] {
    names.map { .target(name: $0, condition: .when(traits: traits)) }
}

let package = Package(
    name: "qq",
    products: [
        .executable(name: "qq", targets: ["qq"]),
        .library(name: "LeaderElection", targets: ["LeaderElection"]),
        .library(name: "LeaderElectionLifecycle", targets: ["LeaderElectionLifecycle"]),
        .library(name: "LeaderElectionLogging", targets: ["LeaderElectionLogging"]),
        .library(name: "LeaderElectionMetrics", targets: ["LeaderElectionMetrics"]),
    ],
    traits: traits,
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl.git", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-nio-http2.git", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-crypto.git", from: "4.5.2"),
        .package(url: "https://github.com/grpc/grpc-swift-2.git", from: "2.4.3"),
        .package(url: "https://github.com/grpc/grpc-swift-nio-transport.git", from: "2.9.2"),
        .package(url: "https://github.com/grpc/grpc-swift-protobuf.git", from: "2.4.1"),
        .package(url: "https://github.com/apple/swift-protobuf.git", from: "1.39.0"),
        .package(url: "https://github.com/jpsim/Yams.git", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics.git", from: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-docc-plugin.git", from: "1.5.0"),
    ],
    targets: [
        .executableTarget(name: "qq", dependencies: ["QQCLI"], swiftSettings: strict),
        .target(
            name: "QQCLI",
            dependencies: [
                "LeaderElection", "QQGuard", "QQFile", "QQNATS", "QQQuorumQuest", "QQRaftLock", "QQKubernetes", "QQEtcd", "QQConsul",
                "QQVIP", "QQListen", "QQNetwork", "QQLoop", "QQCore", "CKernel", "CVersion", "QQREPL", "QQYAML", yams("Yams"),
            ], swiftSettings: strict),
        .target(
            name: "LeaderElection",
            dependencies: ["QQFile", "QQCore"]
                + systems("QQNATS", for: ["NATS"])
                + systems("QQGRPC", "QQQuorumQuest", "QQRaftLock", "QQEtcd", for: ["GRPC"])
                + systems("QQKubernetes", for: ["Kubernetes"])
                + systems("QQConsul", for: ["Consul"])
                + systems("QQNetwork", for: networked),
            swiftSettings: strict),
        .target(
            name: "LeaderElectionLifecycle",
            dependencies: ["LeaderElection", .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")],
            swiftSettings: strict),
        .target(
            name: "LeaderElectionLogging", dependencies: ["LeaderElection", .product(name: "Logging", package: "swift-log")],
            swiftSettings: strict),
        .target(
            name: "LeaderElectionMetrics", dependencies: ["LeaderElection", .product(name: "CoreMetrics", package: "swift-metrics")],
            swiftSettings: strict),
        .target(name: "QQREPL", dependencies: ["QQLoop", "QQCore", "CLineEditor"], swiftSettings: strict),
        .target(
            name: "CLineEditor", dependencies: ["CReadline"],
            linkerSettings: [.linkedLibrary("readline"), .linkedLibrary("tinfo")]),
        // GNU readline is licensed under GPL-3.0-or-later, and so is a binary that links it: see packaging/copyright.
        .systemLibrary(name: "CReadline", providers: [.apt(["libreadline-dev"])]),
        .target(name: "QQGuard", dependencies: ["QQLoop", "QQCore", "CGuardian", "CKernel"], swiftSettings: strict),
        .target(name: "QQFile", dependencies: ["QQLoop", "QQCore", "CKernel"], swiftSettings: strict),
        .target(
            name: "QQNATS",
            dependencies: [
                "QQNetwork", "QQCore", "CKernel",
                nio("NIOCore"), nio("NIOPosix"), nio("NIOTLS"), ssl("NIOSSL"), crypto("Crypto"),
            ],
            swiftSettings: strict),
        .target(
            name: "QQQuorumQuest",
            dependencies: [
                "QQGRPC", "QQCore",
                grpc("GRPCCore"), protobuf("SwiftProtobuf"),
            ],
            exclude: ["Protos"],
            swiftSettings: strict),
        .target(
            name: "QQRaftLock",
            dependencies: [
                "QQGRPC", "QQCore",
                grpc("GRPCCore"), protobuf("SwiftProtobuf"),
            ],
            exclude: ["Protos"],
            swiftSettings: strict),
        .target(
            name: "QQEtcd",
            dependencies: [
                "QQGRPC", "QQNetwork", "QQCore",
                grpc("GRPCCore"), protobuf("SwiftProtobuf"),
            ],
            exclude: ["Protos"],
            swiftSettings: strict),
        .target(name: "QQConsul", dependencies: ["QQHTTP", "QQNetwork", "QQCore"], swiftSettings: strict),
        .target(
            name: "QQKubernetes",
            dependencies: ["QQHTTP", "QQNetwork", "QQYAML", "QQLoop", "QQCore", "CKernel", yams("Yams")],
            swiftSettings: strict),
        .target(name: "QQYAML", dependencies: [yams("Yams")], swiftSettings: strict),
        .target(
            name: "QQHTTP",
            dependencies: [
                "QQNetwork", "QQCore",
                nio("NIOCore"), nio("NIOPosix"), nio("NIOHTTP1"), http2("NIOHTTP2"), http2("NIOHPACK"), ssl("NIOSSL"),
            ],
            swiftSettings: strict),
        .target(
            name: "QQListen",
            dependencies: [
                "QQNetwork", "QQCore",
                nio("NIOCore"), nio("NIOPosix"), nio("NIOHTTP1"),
            ],
            swiftSettings: strict),
        .target(
            name: "QQGRPC",
            dependencies: [
                "QQNetwork", "QQCore",
                nio("NIOCore"), nio("NIOPosix"), nio("NIOTLS"), ssl("NIOSSL"), grpc("GRPCCore"),
                grpcTransport("GRPCNIOTransportHTTP2Posix"), protobuf("SwiftProtobuf"),
            ],
            exclude: ["Protos"],
            swiftSettings: strict),
        .target(
            name: "QQNetwork",
            dependencies: [
                "QQCore",
                nio("NIOCore"), nio("NIOPosix"), nio("NIOTLS"), ssl("NIOSSL"),
            ],
            swiftSettings: strict),
        .target(name: "QQVIP", dependencies: ["QQCore"], swiftSettings: strict),
        .target(name: "QQLoop", dependencies: ["QQCore", "CKernel"], swiftSettings: strict),
        .target(name: "QQCore", swiftSettings: strict),
        .target(name: "CGuardian", dependencies: ["CKernel"]),
        .target(name: "CKernel"),
        .target(name: "CVersion"),
        .testTarget(name: "QQCoreTests", dependencies: ["QQCore", "Traits"], swiftSettings: strict),
        .testTarget(name: "QQFileTests", dependencies: ["QQFile", "Traits"], swiftSettings: strict),
        .testTarget(name: "QQLoopTests", dependencies: ["QQLoop", "Traits"], swiftSettings: strict),
        .testTarget(name: "QQNATSTests", dependencies: ["QQNATS", "Traits"], swiftSettings: strict),
        .testTarget(
            name: "QQNetworkTests",
            dependencies: [
                "QQNetwork", "QQCore", "Support",
                nio("NIOCore"), nio("NIOPosix"), ssl("NIOSSL"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "QQGRPCTests",
            dependencies: [
                "QQGRPC", "QQCore", "QQNetwork", "Support",
                grpc("GRPCCore"), grpcProtobuf("GRPCProtobuf"), protobuf("SwiftProtobuf"),
            ],
            swiftSettings: strict),
        .testTarget(name: "QQQuorumQuestTests", dependencies: ["QQQuorumQuest", "QQGRPC", "QQCore", "Support"], swiftSettings: strict),
        .testTarget(name: "QQRaftLockTests", dependencies: ["QQRaftLock", "Support"], swiftSettings: strict),
        .testTarget(
            name: "QQEtcdTests",
            dependencies: [
                "QQEtcd", "QQGRPC", "QQNetwork", "QQCore", "Support",
                grpc("GRPCCore"), grpcProtobuf("GRPCProtobuf"), protobuf("SwiftProtobuf"),
            ],
            swiftSettings: strict),
        .testTarget(name: "QQConsulTests", dependencies: ["QQConsul", "QQHTTP", "QQNetwork", "QQCore", "Support"], swiftSettings: strict),
        .testTarget(
            name: "QQHTTPTests",
            dependencies: [
                "QQHTTP", "QQNetwork", "QQCore", "Support",
                nio("NIOCore"), nio("NIOPosix"), nio("NIOHTTP1"), nio("NIOTLS"), ssl("NIOSSL"), http2("NIOHTTP2"), http2("NIOHPACK"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "QQListenTests",
            dependencies: ["QQListen", "QQCore", "Support", "Traits", nio("NIOCore")],
            swiftSettings: strict),
        .testTarget(
            name: "QQKubernetesTests",
            dependencies: [
                "QQKubernetes", "QQHTTP", "QQNetwork", "QQCore", "CKernel", "Support", "Traits",
                nio("NIOCore"), nio("NIOPosix"), nio("NIOHTTP1"),
            ],
            swiftSettings: strict),
        .testTarget(name: "QQYAMLTests", dependencies: ["QQYAML"], swiftSettings: strict),
        .testTarget(name: "QQVIPTests", dependencies: ["QQVIP", "Traits"], swiftSettings: strict),
        .testTarget(name: "QQGuardTests", dependencies: ["QQGuard", "Traits"], swiftSettings: strict),
        .testTarget(name: "QQREPLTests", dependencies: ["QQREPL", "Traits"], swiftSettings: strict),
        .testTarget(
            name: "QQCLITests",
            dependencies: ["QQCLI", "LeaderElection", "QQNATS", "QQEtcd", "QQConsul", "QQCore", "Support", "Traits"],
            swiftSettings: strict),
        .testTarget(
            name: "LeaderElectionTests",
            dependencies: ["LeaderElection", "QQFile", "QQNATS", "QQEtcd", "QQConsul", "QQNetwork", "QQCore", "Support"],
            swiftSettings: strict),
        .testTarget(
            name: "LeaderElectionModulesTests",
            dependencies: [
                "LeaderElection", "LeaderElectionLifecycle", "LeaderElectionLogging", "LeaderElectionMetrics", "Support",
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"), .product(name: "Logging", package: "swift-log"),
                .product(name: "CoreMetrics", package: "swift-metrics"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "SupportTests",
            dependencies: [
                "Support", "Traits", "QQCore", "QQGRPC", "QQQuorumQuest", "QQRaftLock", "QQEtcd",
                protobuf("SwiftProtobuf"),
                // Programs that no test runs: building the tests shows that they still compile.
                "lease-api", "torture", "bench-grpc",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "EndToEndTests",
            dependencies: ["Support", "QQCLI", "QQKubernetes", "QQVIP", "qq", "stamp", "example-worker", yams("Yams")],
            exclude: ["Recordings"], swiftSettings: strict),
        .target(name: "Traits", dependencies: ["Support"], path: "Tests/Traits", swiftSettings: strict),
        .target(
            name: "Support",
            dependencies: [
                "CSupport", "QQCore", "QQNetwork", "QQGRPC", "QQQuorumQuest", "QQRaftLock", "QQEtcd",
                crypto("Crypto"), nio("NIOCore"), nio("NIOPosix"), nio("NIOHTTP1"), nio("NIOTLS"), ssl("NIOSSL"), http2("NIOHTTP2"),
                grpc("GRPCCore"), grpcTransport("GRPCNIOTransportHTTP2Posix"), grpcProtobuf("GRPCProtobuf"), protobuf("SwiftProtobuf"),
            ],
            path: "Tests/Support",
            swiftSettings: strict),
        .target(name: "CSupport", path: "Tests/CSupport"),
        .executableTarget(name: "stamp", path: "Tests/StampTool"),
        // A service with the library, for the tests. Examples/queue-worker is a package of its own, whose names must differ from those here.
        .executableTarget(
            name: "example-worker",
            dependencies: [
                "LeaderElection", "LeaderElectionLifecycle", "LeaderElectionLogging",
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"), .product(name: "Logging", package: "swift-log"),
            ],
            path: "Examples/queue-worker/Sources/queue-worker", swiftSettings: strict),
        // An API server for leases, to try qq by hand.
        .executableTarget(name: "lease-api", dependencies: ["Support", "QQCore"], path: "Tests/LeaseAPITool", swiftSettings: strict),
        .executableTarget(name: "torture", dependencies: ["Support", "QQCore"], path: "Tests/TortureTool", swiftSettings: strict),
        // Worlds of virtual time in which the real sessions contend: see docs/simulation.md.
        .target(
            name: "Simulation",
            dependencies: [
                "QQFile", "QQNATS", "QQQuorumQuest", "QQRaftLock", "QQKubernetes", "QQEtcd", "QQConsul", "QQGRPC", "QQHTTP", "QQNetwork",
                "QQGuard", "QQLoop", "QQCore", "CKernel", "Support", grpc("GRPCCore"),
            ],
            path: "Tests/Simulation", swiftSettings: strict),
        .executableTarget(name: "simulate", dependencies: ["Simulation"], path: "Tests/SimulateTool", swiftSettings: strict),
        .testTarget(name: "SimulationTests", dependencies: ["Simulation", "QQCore", "simulate"], swiftSettings: strict),
        // A system that only its own tests have, to show what a system costs.
        .executableTarget(
            name: "qq-in-memory", dependencies: ["QQCLI", "LeaderElection", "QQCore"], path: "Tests/InMemorySystem/Tool",
            swiftSettings: strict),
        .testTarget(
            name: "InMemorySystemTests", dependencies: ["Support", "qq-in-memory", "stamp"], path: "Tests/InMemorySystem/Tests",
            swiftSettings: strict),
        .executableTarget(
            name: "bench-grpc",
            dependencies: [
                "Support", "QQCore", "QQLoop", "QQGRPC", "QQQuorumQuest", "QQRaftLock",
                nio("NIOPosix"), grpc("GRPCCore"), grpcTransport("GRPCNIOTransportHTTP2Posix"), grpcProtobuf("GRPCProtobuf"),
                protobuf("SwiftProtobuf"),
            ],
            path: "Benchmarks/GRPCTool",
            swiftSettings: strict),
    ]
)

// Modules that the targets of Fuzz/Targets test. `make fuzz` links the targets with libFuzzer; otherwise they are part of the tests.
let fuzzed: [Target.Dependency] = [
    "QQCLI", "QQREPL", "QQFile", "QQNATS", "QQRaftLock", "QQQuorumQuest", "QQKubernetes", "QQEtcd", "QQConsul", "QQHTTP", "QQGRPC",
    "QQCore",
    grpc("GRPCCore"), protobuf("SwiftProtobuf"),
]
if Context.environment["QQ_FUZZ"] != nil {
    package.products.append(.library(name: "FuzzTargets", type: .static, targets: ["FuzzTargets"]))
    package.targets.append(
        .target(name: "FuzzTargets", dependencies: fuzzed, path: "Fuzz", exclude: ["Seeds", "Tests"], swiftSettings: strict))
} else if Context.environment["QQ_UNIT_TESTS_ONLY"] != nil {
    // For `make test-sanitize`: the programs and their tests take as long to build as everything else.
    let programs: Set = [
        "qq", "EndToEndTests", "stamp", "example-worker", "lease-api", "torture", "simulate", "qq-in-memory", "InMemorySystemTests",
        "bench-grpc",
    ]
    package.products.removeAll { $0.name == "qq" }
    package.targets.removeAll { programs.contains($0.name) }
    for target in package.targets {
        target.dependencies.removeAll { if case .byNameItem(let name, _) = $0 { programs.contains(name) } else { false } }
    }
} else {
    package.targets.append(
        .testTarget(name: "FuzzTests", dependencies: fuzzed, path: "Fuzz", exclude: ["Seeds", "LibFuzzer"], swiftSettings: strict))
}

// For CI, where the tests run a hundred thousand terms of the simulator: debug builds whose modules are optimized, for one release build of all packages takes
// longer than all tests. Only in a package that no other one depends on are such flags allowed.
if Context.environment["QQ_OPTIMIZED"] != nil {
    for target in package.targets where target.type != .test && target.swiftSettings != nil {
        target.swiftSettings?.append(.unsafeFlags(["-O", "-whole-module-optimization", "-num-threads", "2"]))
    }
}
