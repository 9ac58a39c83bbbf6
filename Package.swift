// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)]

let package = Package(
    name: "qq",
    products: [
        .executable(name: "qq", targets: ["qq"]),
        .library(name: "QQCore", targets: ["QQCore"]),
    ],
    targets: [
        .executableTarget(name: "qq", dependencies: ["QQCLI"], swiftSettings: strict),
        .target(name: "QQCLI", dependencies: ["QQGuard", "QQFile", "QQLoop", "QQCore", "CSystem"], swiftSettings: strict),
        .target(name: "QQGuard", dependencies: ["QQLoop", "QQCore", "CGuardian", "CSystem"], swiftSettings: strict),
        .target(name: "QQFile", dependencies: ["QQCore", "CSystem"], swiftSettings: strict),
        .target(name: "QQLoop", dependencies: ["QQCore", "CSystem"], swiftSettings: strict),
        .target(name: "QQCore", swiftSettings: strict),
        .target(name: "CGuardian", dependencies: ["CSystem"]),
        .target(name: "CSystem"),
        .testTarget(name: "QQCoreTests", dependencies: ["QQCore"], swiftSettings: strict),
        .testTarget(name: "QQFileTests", dependencies: ["QQFile"], swiftSettings: strict),
        .testTarget(name: "QQLoopTests", dependencies: ["QQLoop"], swiftSettings: strict),
        .testTarget(name: "QQGuardTests", dependencies: ["QQGuard"], swiftSettings: strict),
        .testTarget(name: "QQCLITests", dependencies: ["QQCLI"], swiftSettings: strict),
        .testTarget(name: "EndToEndTests", dependencies: ["Support", "QQCLI", "qq"], swiftSettings: strict),
        .target(name: "Support", dependencies: ["CSupport"], path: "Tests/Support", swiftSettings: strict),
        .target(name: "CSupport", path: "Tests/CSupport"),
        .executableTarget(name: "stamp", path: "Tests/StampTool"),
    ]
)

// `make fuzz` links these with libFuzzer; nothing else needs them.
if Context.environment["QQ_FUZZ"] != nil {
    for (name, module) in [("FuzzCommandLine", "QQCLI"), ("FuzzLeaseFile", "QQFile")] {
        package.products.append(.library(name: name, type: .static, targets: [name]))
        package.targets.append(.target(name: name, dependencies: [.byName(name: module)], path: "Fuzz/\(name)", swiftSettings: strict))
    }
}
