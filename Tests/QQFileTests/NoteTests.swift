import QQCore
import Testing

@testable import QQFile

@Suite("Notes in lease files") struct LeaseFileNoteTests {
    private let folder = TemporaryFolder()

    private func noted(_ identity: String, _ note: String?, livenessLock: Bool = false, continuing: FencingToken? = nil) -> AcquireRequest {
        var request = ask(identity, livenessLock: livenessLock, continuing: continuing)
        request.note = note
        return request
    }

    private var text: String { folder.text("backup.json") ?? "" }

    /// Changes the holder and keeps all other fields, as a script with jq does.
    private func put(_ holder: String) throws {
        guard case .object(let object) = try JSONValue.parse(Array(text.utf8)) else { throw CancellationError() }
        let edited = JSONObject(object.members.map { .init(name: $0.name, value: $0.name == "holder" ? .string(holder) : $0.value) })
        try folder.write(JSONWriter.string(.object(edited), style: .indented) + "\n", to: "backup.json")
    }

    @Test("a note is shown while the term lasts, kept by renewals, and removed by the release") func life() async throws {
        let (holder, reader) = (try folder.coordinator(), try folder.coordinator())
        let grant = try await holder.get(noted("a", "build 417")).grant
        #expect(try await reader.read("backup").note == "build 417")
        #expect(try await reader.read("backup").leader == "a")
        #expect(try await reader.blocker(of: noted("b", "mine")).note == "build 417")
        guard case .renewed = try await holder.renew(grant) else { throw CancellationError() }
        #expect(try await reader.read("backup").note == "build 417")
        #expect(try await holder.release(grant) == .released)
        #expect(!text.contains("note") && !text.contains("build 417"))
        #expect(try await reader.read("backup").note == nil)
    }

    @Test("the next holder does not inherit a note") func nextHolder() async throws {
        let clock = TestClock()
        let holder = try folder.coordinator(clock)
        _ = try await holder.get(noted("a", "build 417"))
        clock.putForward(.seconds(601))
        _ = try await holder.get(noted("b", nil))
        #expect(try await holder.read("backup").leader == "b")
        #expect(!text.contains("note"))
    }

    @Test("another program that writes its own holder and keeps the note does not get it") func foreignTakeOver() async throws {
        let coordinator = try folder.coordinator()
        let grant = try await coordinator.get(noted("a", "build 417")).grant
        try put("script")
        #expect(text.contains("build 417"))
        let state = try await coordinator.read("backup")
        #expect(state.leader == "script" && state.note == nil)
        guard case .lost = try await coordinator.renew(grant) else { throw CancellationError() }
    }

    @Test("a term that is resumed keeps the note that it began with") func resumed() async throws {
        let coordinator = try folder.coordinator()
        let grant = try await coordinator.get(noted("a", "build 417")).grant
        for note in [nil, "another"] {
            #expect(try await coordinator.get(noted("a", note, continuing: grant.token)).grant.token == grant.token)
            #expect(try await coordinator.read("backup").note == "build 417")
        }
    }

    @Test("a request to step down keeps the note of the holder that it asks") func steppingDown() async throws {
        let holder = try folder.coordinator()
        let held = try await holder.get(noted("a", "build 417", livenessLock: true))
        let other = try folder.coordinator()
        #expect(try await other.askToStepDown(other.read("backup"), by: "b", byForce: false) == .asked)
        let state = try await other.read("backup")
        #expect(state.note == "build 417" && state.stepDownAskedBy == "b")
        held.livenessLock?.close()
    }

    @Test("without a note, the file has no key for one") func none() async throws {
        _ = try await folder.coordinator().get(noted("a", nil))
        #expect(!text.contains("note"))
    }

    @Test("a note that is no text never makes a lease unreadable", arguments: ["7", "null", "{}", "[\"x\"]", "true", "\"\""])
    func foreignKind(value: String) throws {
        let record = try LeaseRecord(parsing: Array("{\"holder\": \"a\", \"note\": \(value)}".utf8))
        #expect(record.holder == "a" && record.note == nil)
    }

    @Test("a note in a file is made printable") func printable() throws {
        #expect(try LeaseRecord(parsing: Array(#"{"holder": "a", "note": "x\u001b[2J"}"#.utf8)).note == "x\\x1b[2J")
    }
}
