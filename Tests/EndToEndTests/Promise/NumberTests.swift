import Glibc
import Support
import Testing

@Suite("A number from a peer")
struct NumberTests {
    private static var bootID: String { readText("/proc/sys/kernel/random/boot_id").filter { $0 != "\n" } }

    /// Lease files with numbers at the ends of what JSON, 64 bits and the calendar hold.
    private static let leases: [(name: String, text: String)] = {
        let numbers = ["18446744073709551615", "9223372036854775807", "9223372036854775808", "0"]
        let times = ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "2026-03-01T12:00:00Z"]
        let ttls = ["1e-300", "5e-324", "315360000", "0.0000000001", "1e300", "-1"]
        func lease(deadline: String = "18446744073709551615", renewed: String = "2026-03-01T12:00:00Z", ttl: String = "15") -> String {
            #"{"holder":"peer","renewTime":"\#(renewed)","acquireTime":"\#(renewed)","ttlSeconds":\#(ttl),"token":3,"bootId":"\#(bootID)","bootDeadline":\#(deadline)}"#
        }
        return numbers.enumerated().map { ("deadline-\($0)", lease(deadline: $1)) }
            + times.enumerated().map { ("time-\($0)", lease(renewed: $1).replacing(#""bootId":"\#(bootID)","#, with: "")) }
            + ttls.enumerated().map { ("ttl-\($0)", lease(ttl: $1).replacing(#""bootId":"\#(bootID)","#, with: "")) }
    }()

    @Test("never ends qq with a signal, whatever is asked of the election that it is in") func leases() async throws {
        try await inSandbox { box in
            for (name, text) in Self.leases { try box.write(text, to: box.leaseFile(name)) }
            for words in [
                ["status", "--all"], ["status", "--all", "--json"], ["cluster-status", "--json"], ["__complete", "elections"],
            ] {
                let run = try await box.start([Sandbox.binary] + words).finish()
                #expect(run.code != nil, "\(words): \(run.ending) \(run.errors)")
            }
            var runs: [(words: [String], run: Started)] = []
            for (name, _) in Self.leases {
                for words in [
                    ["status", name], ["status", name, "--json"], ["watch", name, "--for", "300ms"],
                    ["watch", name, "--for", "300ms", "--json"],
                    ["step-down", name], ["acquire", name, "--", "true"],
                ] { runs.append((words, try box.start([Sandbox.binary] + words))) }
                for (words, run) in runs {
                    let end = try await run.finish()
                    #expect(end.code != nil, "\(words): \(end.ending) \(end.errors)")
                }
                runs = []
            }
        }
    }

    @Test("in a recording is replayed as well as it can be") func recording() async throws {
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
