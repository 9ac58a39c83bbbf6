import Glibc
import Support
import Testing

@Suite("Extreme numbers from a peer")
struct NumberTests {
    private static var bootID: String { readText("/proc/sys/kernel/random/boot_id").filter { $0 != "\n" } }

    /// How a lease file is judged.
    private enum Verdict: String {
        case expired, held
        /// Cannot be judged, or cannot be read.
        case broken = "unknown"
    }

    /// Lease files with numbers at the limits of JSON, 64 bits and the calendar.
    private static let leases: [(name: String, text: String, verdict: Verdict)] = {
        let numbers = ["18446744073709551615", "9223372036854775807", "9223372036854775808", "0"]
        let times: [(String, Verdict)] = [
            ("0001-01-01T00:00:00Z", .expired), ("9999-12-31T23:59:59.999999999Z", .broken), ("2026-03-01T12:00:00Z", .expired),
        ]
        let ttls: [(String, Verdict)] = [
            ("1e-300", .broken), ("5e-324", .broken), ("315360000", .held), ("0.0000000001", .broken), ("1e300", .broken), ("-1", .broken),
        ]
        func lease(deadline: String = "18446744073709551615", renewed: String = "2026-03-01T12:00:00Z", ttl: String = "15") -> String {
            #"{"holder":"peer","renewTime":"\#(renewed)","acquireTime":"\#(renewed)","ttlSeconds":\#(ttl),"token":3,"bootId":"\#(bootID)","bootDeadline":\#(deadline)}"#
        }
        let boot = #""bootId":"\#(bootID)","#
        return numbers.enumerated().map { ("deadline-\($0)", lease(deadline: $1), .expired) }
            + times.enumerated().map { ("time-\($0)", lease(renewed: $1.0).replacing(boot, with: ""), $1.1) }
            + ttls.enumerated().map { ("ttl-\($0)", lease(ttl: $1.0).replacing(boot, with: ""), $1.1) }
    }()

    @Test("extreme numbers in a lease are judged by each command, and crash none") func leases() async throws {
        try await inSandbox { box in
            for (name, text, _) in Self.leases { try box.write(text, to: box.leaseFile(name)) }
            let list = try await box.run("status", "--all")
            #expect(list.code == 65, "\(list.ending) \(list.errors)")
            let shown = list.lines.map { $0.split(separator: "\t").prefix(2).joined(separator: " ") }
            #expect(shown == Self.leases.map { "\($0.name) \($0.verdict.rawValue)" }.sorted())
            let json = try await box.run("status", "--all", "--json")
            #expect(json.code == 65, "\(json.errors)")
            #expect(try object(json.text)["elections"]?.arrayValue?.count == Self.leases.count)
            let cluster = try await box.run("cluster-status", "--json")
            let endpoint = try object(cluster.text)["endpoints"]?.arrayValue?.first?.objectValue
            let broken = Self.leases.filter { $0.verdict == .broken }.count
            #expect(cluster.code == 0 && endpoint?["broken"]?.int64Value == Int64(broken), "\(cluster.text) \(cluster.errors)")
            let names = try await box.run("__complete", "elections")
            #expect(names.code == 0 && names.lines == Self.leases.map(\.name).sorted(), "\(names.errors)")
            for (name, _, verdict) in Self.leases { try await Self.judge(name, verdict, in: box) }
        }
    }

    private static func judge(_ name: String, _ verdict: Verdict, in box: Sandbox) async throws {
        // Each command with its exit codes for an expired and a held lease; for a lease that cannot be judged all of them exit with 65.
        for (words, expired, held) in [
            (["status", name], 1, 0), (["status", name, "--json"], 1, 0), (["watch", name, "--for", "50ms"], 0, 0),
            (["watch", name, "--for", "50ms", "--json"], 0, 0), (["step-down", name], 1, 77), (["acquire", name, "--", "true"], 0, 1),
        ] as [([String], Int32, Int32)] {
            let run = try await box.start([Sandbox.binary] + words).finish()
            let what = "\(words): \(run.ending) \(run.text) \(run.errors)"
            if verdict == .broken {
                #expect(run.code == 65 && run.output.isEmpty && run.errors.hasPrefix("qq: cannot "), "\(what)")
                continue
            }
            #expect(run.code == (verdict == .held ? held : expired), "\(what)")
            if words.last == "--json" {
                let state = try object(run.text)
                #expect(state["state"]?.stringValue == verdict.rawValue && state["token"]?.int64Value == 3, "\(what)")
                #expect(state["leader"]?.stringValue == (verdict == .held ? "peer" : nil), "\(what)")
            } else if words[0] == "status" {
                #expect(run.text.hasPrefix("\(name)\t\(verdict.rawValue)\tpeer\t3\t"), "\(what)")
            } else if words[0] == "watch" {
                #expect(run.text.hasSuffix("\t\(name)\tstate\t\(verdict == .held ? "peer" : "-")\t3\n"), "\(what)")
            }
        }
    }

    @Test("extreme numbers in a recording are replayed as well as possible") func recording() async throws {
        try await inSandbox { box in
            func line(_ time: String, _ number: String) -> String {
                #"{"time":"\#(time)","event":"elected","name":"x","server":"file:///x","state":"held","leader":"a","token":18446744073709551615,"epoch":null,"expires_in":\#(number),"last_leader":"a","ttl":\#(number)}"#
            }
            try box.write(
                [line("2026-03-01T12:00:00Z", "1e300"), line("2026-03-01T12:00:00Z", "-1e300"), line("0001-01-01T00:00:00Z", "1e-300")].map
                { $0 + "\n" }.joined(), to: "recording")
            for words in [
                ["watch", "--replay", "recording", "--speed", "1000000"],
                ["watch", "--replay", "recording", "--speed", "0.000001"],
            ] {
                let run = try await box.start([Sandbox.binary] + words).finish()
                #expect(run.ending == .exited(0) && run.lines.count == 3, "\(words): \(run.ending) \(run.text) \(run.errors)")
            }
        }
    }
}
