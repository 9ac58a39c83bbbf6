import Foundation
import QQCore
import Testing

@testable import QQCLI

@Suite("Version") struct VersionTests {
    private static let top = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    private static func text(_ path: String) throws -> String { try String(contentsOf: top.appendingPathComponent(path), encoding: .utf8) }

    @Test(
        "the commit follows the version if it is known, shortened",
        arguments: [
            (nil, "qq \(version)"),
            ("4ce87f7f0a1b2c3d4e5f60718293a4b5c6d7e8f9", "qq \(version) (4ce87f7f0a1b)"),
            ("4ce87f7f0a1b2c3d4e5f60718293a4b5c6d7e8f9-dirty", "qq \(version) (4ce87f7f0a1b-dirty)"),
        ] as [(String?, String)])
    func line(commit: String?, text: String) {
        #expect(Build.text(commit: commit) == text)
    }

    @Test("the JSON names every system that qq includes, with its protocol and what it was tested against") func systems() throws {
        let object = try #require(Schemas.version(commit: nil).objectValue)
        #expect(object["version"]?.stringValue == version && object["commit"] == .null)
        let systems = (object["systems"]?.arrayValue ?? []).compactMap(\.objectValue)
        #expect(systems.map { $0["system"]?.stringValue } == Systems.spoken.map(\.url.name))
        for system in systems {
            #expect(system["protocol"]?.stringValue?.isEmpty == false, "\(system)")
            #expect(system["tested_against"]?.arrayValue?.isEmpty == false, "\(system)")
        }
        #expect(object.members.map(\.name) == Schemas.version.fields.map(\.key))
        #expect(systems.allSatisfy { $0.members.map(\.name) == Schemas.testedSystem.fields.map(\.key) })
    }

    @Test("the commit is in the JSON as it is known") func commit() {
        let commit = "4ce87f7f0a1b2c3d4e5f60718293a4b5c6d7e8f9-dirty"
        #expect(Schemas.version(commit: commit).objectValue?["commit"]?.stringValue == commit)
    }

    /// A recording was made with one server; every version in it has to be declared.
    @Test(
        "servers of which there are recordings are among those that qq was tested against",
        arguments: [
            ("etcd", "etcd.jsonl", "server", "etcd "), ("consul", "consul.jsonl", "server", "Consul "),
            ("kubernetes", "kubernetes-lease.jsonl", "gitVersion", "kube-apiserver "),
            ("nats", "nats-go-cluster-v1.jsonl", "version", "nats-server "),
            ("nats", "nats-go-cluster-v2.jsonl", "version", "nats-server "),
        ])
    func recordings(system: String, file: String, key: String, program: String) throws {
        let documentation = try #require(Systems.all.first { $0.url.name == system }?.documentation?())
        let pattern = try Regex("\\\\?\"\(key)\\\\?\": ?\\\\?\"v?([0-9]+\\.[0-9]+\\.[0-9]+)\\\\?\"", as: (Substring, Substring).self)
        let lines = try Self.text("Tests/EndToEndTests/Recordings/" + file).split(separator: "\n")
        // Of NATS, only INFO has the server's version.
        let ofServers = lines.filter { system != "nats" || $0.contains("\"line\": \"INFO\"") }
        let versions = Set(ofServers.flatMap { $0.matches(of: pattern).map { String($0.output.1) } })
        #expect(!versions.isEmpty)
        for version in versions { #expect(documentation.testedAgainst.contains(program + version)) }
    }

    @Test("one source states the version, and CHANGELOG has a section for it") func onePlace() throws {
        let sources = FileManager.default.enumerator(at: Self.top.appendingPathComponent("Sources"), includingPropertiesForKeys: nil)
        let files = (sources?.compactMap { $0 as? URL } ?? []).filter { ["swift", "c", "h"].contains($0.pathExtension) }
        let stating = files.filter { (try? String(contentsOf: $0, encoding: .utf8))?.contains("\"\(version)\"") == true }
        #expect(stating.map(\.lastPathComponent) == ["Version.swift"])

        let headings = try Self.text("CHANGELOG.md").split(separator: "\n").filter { $0.hasPrefix("## ") }
        #expect(headings.first == "## [Unreleased]")
        let release = /## \[([0-9]+\.[0-9]+\.[0-9]+)\] - [0-9]{4}-[0-9]{2}-[0-9]{2}/
        let released = headings.dropFirst().compactMap { $0.wholeMatch(of: release)?.1 }
        #expect(released.count == headings.count - 1 && released.first.map(String.init) == version)
    }
}
