import Glibc
import QQCore
import QQLoop
import Synchronization
import Testing

@testable import QQCLI

@Suite("Recordings of watch") struct RecordingTests {
    private func inFile(_ body: (String) throws -> Void) throws {
        var name = Array("/tmp/qq-recording-XXXXXX".utf8CString)
        let descriptor = mkstemp(&name)
        #expect(descriptor >= 0)
        close(descriptor)
        let path = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { unlink(path) }
        try body(path)
    }

    private func write(_ text: String, to path: String) throws {
        let file = try #require(fopen(path, "we"))
        defer { fclose(file) }
        #expect(fputs(text, file) >= 0)
    }

    private func problem(_ path: String) -> CoordinationError? {
        do {
            _ = try read(path)
            return nil
        } catch { return error as? CoordinationError }
    }

    private func read(_ path: String) throws -> Recording {
        let loop = try MainLoop()
        let result = loop.run { () async -> Result<Recording, any Error> in
            do { return .success(try await Recording(path: path, on: loop)) } catch { return .failure(error) }
        }
        return try #require(result).get()
    }

    private static let line =
        #"{"time":"2026-11-22T00:51:57.054Z","event":"elected","name":"web","server":"file:///x","state":"held","leader":"n1","token":18446744073709551615,"epoch":2,"expires_in":9.5,"last_leader":"n1","ttl":10}"#

    @Test("a recording is read back as it was written") func roundTrip() throws {
        try inFile { path in
            let server = try Systems.url("file:///x")
            var state = ElectionState(name: "web \"1\"\n", phase: .held)
            state.leader = "n1"
            state.token = FencingToken(.max)
            state.epoch = 2
            state.ttl = .seconds(10)
            state.remaining = .milliseconds(9500)
            var ended = ElectionState(name: "db", phase: .expired)
            ended.leader = "n2"
            let time = WallTime(seconds: 1_790_000_000, nanoseconds: 250_000_000)
            do {
                let recorder = try Recorder(path)
                try recorder.write(Change(.elected, state, at: time), server: server)
                try recorder.write(ConnectionEvent(.disconnected, "h1: reset"), at: time + .seconds(1), server: server)
                try recorder.write(Change(.expired, ended, at: time + .seconds(2)), server: server)
            }
            let recording = try read(path)
            #expect(!recording.isCutOff)
            #expect(recording.names == ["web \"1\"\n", "db"])
            #expect(recording.entries.map(\.time) == [time, time + .seconds(1), time + .seconds(2)])
            guard case .change(let first) = recording.entries[0].event, case .connection(let second) = recording.entries[1].event,
                case .change(let third) = recording.entries[2].event
            else {
                Issue.record("other events: \(recording.entries)")
                return
            }
            #expect(first.kind == .elected && first.state == state)
            #expect(second == ConnectionEvent(.disconnected, "h1: reset"))
            #expect(third.kind == .expired && third.state == ended)
            #expect(problem(path) == nil)
        }
    }

    @Test("a recording never overwrites a file") func kept() throws {
        try inFile { path in
            try write("mine\n", to: path)
            var found: CoordinationError?
            do throws(CoordinationError) { _ = try Recorder(path) } catch { found = error }
            #expect(found?.kind == .usage && found?.hint != nil)
            #expect(problem(path)?.kind == .brokenData)
        }
    }

    @Test("a truncated last line of a recording is left out") func cutOff() throws {
        try inFile { path in
            try write(Self.line + "\n" + Self.line.prefix(100), to: path)
            let recording = try read(path)
            #expect(recording.isCutOff && recording.entries.count == 1)
            try write(Self.line.prefix(100) + "\n" + Self.line, to: path)
            #expect(problem(path)?.reason.hasPrefix("line 1: not JSON") == true)
        }
    }

    @Test(
        "a file that is not a recording is refused, with the line",
        arguments: [
            ("", "nothing was recorded"), ("\n\n", "nothing was recorded"), ("[]\n", "line 1: no text under 'time'"),
            (#"{"time":"yesterday"}"# + "\n", "line 1: time is not an RFC 3339 time, as in 2026-03-01T12:00:00Z"),
            (line + "\n" + line.replacing("elected", with: "crowned") + "\n", "line 2: no such event: crowned"),
            (line.replacing(#""held""#, with: #""hot""#) + "\n", "line 1: no such state: hot"),
            (line.replacing(#""name""#, with: #""nome""#) + "\n", "line 1: no text under 'name'"),
            (line.replacing(#""server""#, with: #""sorver""#) + "\n", "line 1: no text under 'server'"),
        ])
    func refused(text: String, reason: String) throws {
        try inFile { path in
            try write(text, to: path)
            let found = problem(path)
            #expect(found?.kind == .brokenData && found?.reason == reason, "\(found as Any)")
            #expect(found?.location == path)
        }
    }

    @Test("a recording that cannot be read is an error") func unreadable() {
        #expect(problem("/nonexistent/file")?.kind == .configuration)
        #expect(problem("/")?.reason == "Is a directory")
    }
}

extension String {
    fileprivate func replacing(_ old: String, with new: String) -> String {
        var (rest, made) = (self[...], "")
        while !rest.isEmpty {
            if rest.hasPrefix(old) {
                made += new
                rest = rest.dropFirst(old.count)
            } else {
                made.append(rest.removeFirst())
            }
        }
        return made
    }
}
