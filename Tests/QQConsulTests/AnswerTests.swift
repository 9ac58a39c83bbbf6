import QQCore
import QQHTTP
import Testing

@testable import QQConsul

/// Answers of agents of 1.8.7, as they were recorded.
@Suite("Answers of agents") struct AnswerTests {
    private struct Row {
        var status: Int
        var text: String
        var body: JSONValue?
        var method: String
        var path: String
    }

    private func rows() throws -> [Row] {
        let tests = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2).joined(separator: "/")
        let path = tests + "/EndToEndTests/Recordings/consul.jsonl"
        let bytes = try ReadableFile.contents(of: path, upTo: 16 << 20)
        return try bytes.split(separator: 10).compactMap { line -> Row? in
            let row = try JSONValue.parse(line)
            guard let status = row["status"]?.int64Value.flatMap({ Int(exactly: $0) }), let method = row["method"]?.stringValue,
                let path = row["path"]?.stringValue
            else { return nil }
            let text = row["response"]?.stringValue
            let body = text.map { try? JSONValue.parse($0.utf8) } ?? row["response"]
            return Row(status: status, text: text ?? "", body: body, method: method, path: path)
        }
    }

    /// Parts of the recorded errors, and their meanings.
    private let meanings: [(part: String, ConsulFailure.Meaning)] = [
        ("Permission denied", .denied), ("ACL not found", .denied), ("No cluster leader", .unavailable),
        ("leadership lost while committing log", .uncertain), ("failed to get conn", .unavailable), ("EOF", .uncertain),
        ("stream closed", .uncertain), ("Session TTL", .refused), ("invalid session", .refused), ("missing session", .refused),
        ("Invalid Behavior", .refused), ("Missing node registration", .unavailable), ("Missing check", .refused),
        ("failed session lookup", .refused), ("Request decode failed", .refused),
        ("Conflicting flags", .refused), ("too many operations", .refused), ("too large", .refused), ("Invalid index", .refused),
        ("Cannot specify", .refused), ("Client sent an HTTP request", .refused),
    ]

    @Test func `every recorded error has the meaning that the page gives it`() throws {
        var seen = 0
        for row in try rows() where row.status >= 400 && row.status != 404 && row.status != 409 && !row.text.isEmpty {
            let expected = try #require(meanings.first { row.text.contains($0.part) }, "\(row.status) \(row.text)")
            #expect(ConsulFailure.meaning(status: row.status, row.text) == expected.1, "\(row.status) \(row.text)")
            seen += 1
        }
        #expect(seen > 40)
    }

    @Test func `no recorded answer that says what became of the request is a failure`() throws {
        for row in try rows() where [200, 404, 409].contains(row.status) {
            #expect(ConsulFailure.meaning(status: row.status, row.text) == nil, "\(row.status) \(row.text)")
        }
    }

    @Test func `every recorded key is understood`() throws {
        var entries: [KeyEntry] = []
        for row in try rows() where row.status == 200 && row.method == "GET" && row.path.hasPrefix("/v1/kv/") && !row.path.contains("keys")
        {
            entries += (row.body?.arrayValue ?? []).compactMap { KeyEntry($0) }
        }
        #expect(entries.count > 50)
        #expect(entries.contains { $0.flags == ConsulRules.lockFlags && $0.session != nil && $0.value.isEmpty })
        #expect(entries.contains { $0.flags == ConsulRules.semaphoreFlags })
        #expect(entries.contains { $0.session != nil && $0.lockIndex == 0 && $0.flags == 0 && $0.text == "anyone" })
    }

    @Test func `every recorded session is understood, and a lock-delay is between 0 and 60 s`() throws {
        var sessions: [SessionEntry] = []
        for row in try rows() where row.status == 200 && row.method == "GET" && row.path.hasPrefix("/v1/session/") {
            sessions += (row.body?.arrayValue ?? []).compactMap { SessionEntry($0) }
        }
        #expect(sessions.contains { $0.ttl == .seconds(10) && $0.lockDelay == .seconds(60) })
        #expect(sessions.allSatisfy { $0.lockDelay >= .zero && $0.lockDelay <= .seconds(60) })
        #expect(sessions.contains { $0.ttl == nil && $0.lockDelay == .seconds(15) })
    }

    @Test func `every recorded semaphore is understood`() throws {
        let naming = KeyNaming(prefix: "", ending: nil)
        var counts: Set<Int> = []
        for row in try rows() where row.status == 200 && row.method == "GET" && row.path.hasPrefix("/v1/kv/sem?") {
            let semaphore = Semaphore("sem", naming, entries: (row.body?.arrayValue ?? []).compactMap { KeyEntry($0) })
            #expect(semaphore.damage == nil && semaphore.limit == (semaphore.lock == nil ? nil : 2))
            // The recording has other sessions in the keys than in the values.
            #expect(!semaphore.contenders.isEmpty && semaphore.stale.isEmpty && semaphore.alive.count == semaphore.contenders.count)
            counts.insert(semaphore.holders.count)
        }
        #expect(counts == [0, 1, 2])
    }

    // MARK: Without an answer

    @Test func `without an answer, only a request that was sent is uncertain`() {
        #expect(ConsulFailure(HTTPFailure(.timedOut, "no answer in time", at: "h:1", wasSent: true)).isUncertain)
        #expect(!ConsulFailure(HTTPFailure(.notConnected, "Connection refused", at: "h:1", wasSent: false)).isUncertain)
    }

    @Test func `an unknown failure of a server leaves open what became of the request`() {
        #expect(ConsulFailure.meaning(status: 500, "something new") == .uncertain)
        #expect(ConsulFailure.meaning(status: 502, "") == .uncertain)
        #expect(ConsulFailure.meaning(status: 429, "Your IP is issuing too many concurrent connections") == .unavailable)
        #expect(ConsulFailure.meaning(status: 301, "") == .broken)
    }

    // MARK: As told

    private func told(_ status: Int, _ text: String, isChange: Bool = true) throws -> CoordinationError {
        let answer = ConsulAnswer(status: status, index: nil, body: .null, text: text, endpoint: "h:8500")
        let failure = try #require(ConsulFailure(answer))
        return failure.told(
            "cannot acquire web", isChange: isChange, needing: "RULES", at: try ServerURL.parse("consul://h", as: [.consul]))
    }

    @Test func `a denied request names the rules that the token needs`() throws {
        let error = try told(403, "Permission denied")
        #expect(error.kind == .denied && error.hint?.contains("RULES") == true)
        #expect(try told(403, "ACL not found").reason == "the cluster does not know the token")
    }

    @Test func `an agent that speaks TLS is a matter of the configuration, and was asked for nothing`() throws {
        // As 1.8.7 answers.
        let error = try told(400, "Client sent an HTTP request to an HTTPS server.")
        #expect(error.kind == .configuration && error.reason.contains("speaks TLS") && !error.isUncertain)
        #expect(error.location == "h:8500" && error.hint?.contains("consuls://") == true)
        #expect(try told(400, "Conflicting flags").kind == .usage)
    }

    @Test func `only a change is uncertain`() throws {
        #expect(try told(500, "leadership lost while committing log").isUncertain)
        #expect(!(try told(500, "leadership lost while committing log", isChange: false).isUncertain))
        let leaderless = try told(500, "No cluster leader")
        #expect(!leaderless.isUncertain && leaderless.isTransient)
    }

    @Test(arguments: ["Missing node registration", "Missing check 'serfHealth' registration"])
    func `an agent that has just started, and is not registered yet, is waited for`(text: String) throws {
        let error = try told(500, text)
        #expect(error.kind == .unavailable && error.isTransient && !error.isUncertain)
        #expect(error.reason == "the agent has not registered its node with the cluster yet")
    }
}
