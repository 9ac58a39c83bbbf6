import Foundation
import QQCore
import Support
import Testing

@testable import QQCLI

/// The template units in packaging/systemd.
@Suite("Units of systemd") struct UnitTests {
    private static let folder: URL = Page.top.appendingPathComponent("packaging/systemd")
    private static let files: [String] = ["qq-keepalive@.service", "qq-run@.service", "qq-run@.timer"]

    private func text(_ file: String) throws -> String { try String(contentsOf: Self.folder.appendingPathComponent(file), encoding: .utf8) }

    private func values(_ key: String, in file: String) throws -> [String] {
        try text(file).split(separator: "\n").filter { $0.hasPrefix(key + "=") }.map { String($0.dropFirst(key.count + 1)) }
    }

    @Test("every unit is tested here, and named in docs/systemd.md") func files() throws {
        let found = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path).sorted()
        #expect(found == Self.files)
        let page = try #require(Page.all.first { $0.path == "docs/systemd.md" })
        for file in found { #expect(page.lines.contains { $0.contains("](../packaging/systemd/\(file))") }, "\(file)") }
    }

    @Test("systemd-analyze has no complaint") func verify() async throws {
        try await inSandbox { box in
            mkdir(box.path("units"), 0o755)
            for file in Self.files {
                // verify wants the program of ExecStart= to exist.
                try box.write(try text(file).replacing("/usr/bin/qq", with: "/bin/true"), to: "units/\(file)")
            }
            let run = try await box.start(
                ["systemd-analyze", "verify", "--man=no"] + Self.files.map { box.path("units/\($0)") },
                environment: ["SYSTEMD_UNIT_PATH": box.path("units") + ":"]
            ).finish()
            // Unknown keys are only warnings.
            #expect(run.code == 0 && run.errors.isEmpty, "\(run.errors)")
        }
    }

    /// The words of `ExecStart=` as systemd passes them on.
    private func words(_ file: String, name: String, _ variables: [String: String]) throws -> [String] {
        let start = try #require(execStarts(in: try text(file)).first)
        return start.replacing("%i", with: name).split(separator: " ").flatMap { word -> [String] in
            guard word.hasPrefix("$") else { return [String(word)] }
            return (variables[String(word.dropFirst())] ?? "").split(separator: " ").map(String.init)
        }
    }

    @Test("the units call qq as it is to be called, with and without flags") func calls() throws {
        for flags in ["", "--min-hold=1m", "--ttl 30s --max-run=2h"] {
            let words = try words("qq-run@.service", name: "backup", ["QQ_COMMAND": "/bin/backup --all", "QQ_FLAGS": flags])
            #expect(words.first == "/usr/bin/qq")
            let line = try invocation(Array(words.dropFirst()))
            #expect(line.command.id == .acquire && line.positionals == ["backup"] && line.trailing == ["/bin/backup", "--all"])
            #expect(line[Flags.skipOK])
        }
        for flags in ["", "--ttl 30s --on-elected /etc/qq/up"] {
            let line = try invocation(Array(try words("qq-keepalive@.service", name: "web", ["QQ_FLAGS": flags]).dropFirst()))
            #expect(line.command.id == .keepalive && line.positionals == ["web"] && line.reportsToServiceManager)
        }
        #expect(throws: UsageError.self) {
            _ = try Parser.parse(Array(try words("qq-run@.service", name: "backup", [:]).dropFirst()))
        }
    }

    private func invocation(_ words: [String]) throws -> Invocation {
        guard case .run(let invocation) = try Parser.parse(words) else { throw CannotStart("not a command: \(words)") }
        return invocation
    }

    @Test("what a restart does not mend is not restarted") func restarts() throws {
        let codes = [ExitCode.usage, ExitCode.denied, ExitCode.configuration, ExitCode.unsupported].map { "\($0)" }
        #expect(try values("RestartPreventExitStatus", in: "qq-keepalive@.service") == [codes.joined(separator: " ")])
    }

    @Test(
        "a stop goes to qq first, and has time for the longest default between SIGTERM and SIGKILL",
        arguments: ["qq-keepalive@.service", "qq-run@.service"])
    func stop(file: String) throws {
        #expect(try values("KillMode", in: file) == ["mixed"])
        let time = try DurationText.parse(try #require(try values("TimeoutStopSec", in: file).first))
        #expect(time > Defaults.killAfterAtMost && time > Defaults.hookTimeout)
    }

    @Test("the guard can look for processes", arguments: ["qq-keepalive@.service", "qq-run@.service"]) func noHiding(file: String) throws {
        for key in ["ProtectProc", "ProcSubset", "PrivatePIDs"] { #expect(try values(key, in: file).isEmpty) }
    }

    @Test("lease files below /tmp are those of other programs", arguments: ["qq-keepalive@.service", "qq-run@.service"])
    func sharedTmp(file: String) throws {
        #expect(try values("PrivateTmp", in: file).isEmpty)
    }

    @Test("qq-run@ starts its command under qq, and only with one") func run() async throws {
        try await inSandbox { box in
            let words = try words("qq-run@.service", name: "backup", ["QQ_COMMAND": "echo done"])
            let call = { (words: [String]) in try await box.start([Sandbox.binary] + words.dropFirst()).finish() }
            let run = try await call(words)
            #expect(run.code == 0 && run.text == "done\n", "\(run.errors)")
            let holder = try await box.hold("backup")
            let skipped = try await call(words)
            #expect(skipped.code == 0 && skipped.output.isEmpty && skipped.errors.isEmpty, "\(skipped.errors)")
            try await holder.terminate()
            #expect(try await call(try self.words("qq-run@.service", name: "backup", [:])).code == 64)
        }
    }
}
