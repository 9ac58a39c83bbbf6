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
            state.note = "build 417"
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

    @Test("a recording of a name with slots is read back with all its holders") func slots() throws {
        try inFile { path in
            let server = try Systems.url("file:///x")
            var slots = Slot.all(3, of: "web").map { ElectionState(name: $0.name, phase: .free) }
            let time = WallTime(seconds: 1_790_000_000, nanoseconds: 0)
            func hold(_ slot: Int, by leader: String) {
                slots[slot - 1].phase = .held
                (slots[slot - 1].leader, slots[slot - 1].token) = (leader, FencingToken(7))
                (slots[slot - 1].ttl, slots[slot - 1].remaining) = (.seconds(10), .seconds(9))
                slots[slot - 1].note = "note of \(leader)"
            }
            hold(1, by: "a")
            let before = ElectionState(name: "web", slots: slots)
            hold(3, by: "b")
            let after = ElectionState(name: "web", slots: slots)
            (slots[0].phase, slots[0].leader, slots[0].token, slots[0].remaining) = (.expired, "a", nil, nil)
            slots[0].note = nil
            let ended = ElectionState(name: "web", slots: slots)
            do {
                let recorder = try Recorder(path)
                try recorder.write(Change(.state, before, at: time), server: server)
                try recorder.write(Change(.elected, after, slot: 3, at: time), server: server)
                try recorder.write(Change(.expired, ended, slot: 1, at: time), server: server)
            }
            let recording = try read(path)
            #expect(recording.names == ["web"])
            let changes = recording.entries.compactMap { entry in if case .change(let change) = entry.event { change } else { nil } }
            #expect(changes.map(\.state) == [before, after, ended])
            #expect(changes.map(\.slot) == [nil, 3, 1])
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

    private static let refusals: [(text: String, reason: String)] = {
        let ttl = #""ttl":10"#
        return [
            ("", "nothing was recorded"), ("\n\n", "nothing was recorded"), ("[]\n", "line 1: no text under 'time'"),
            (#"{"time":"yesterday"}"# + "\n", "line 1: time is not an RFC 3339 time, as in 2026-03-01T12:00:00Z"),
            (line + "\n" + line.replacing("elected", with: "crowned") + "\n", "line 2: no such event: crowned"),
            (line.replacing(#""held""#, with: #""hot""#) + "\n", "line 1: no such state: hot"),
            (line.replacing(#""name""#, with: #""nome""#) + "\n", "line 1: no text under 'name'"),
            (line.replacing(ttl, with: #""slots":101"#) + "\n", "line 1: no such number of slots: 101"),
            (line.replacing(ttl, with: #""slots":2,"slot":3"#) + "\n", "line 1: no such slot"),
            (line.replacing(#""server""#, with: #""sorver""#) + "\n", "line 1: no text under 'server'"),
        ]
    }()

    @Test("a file that is not a recording is refused, with the line", arguments: refusals)
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
