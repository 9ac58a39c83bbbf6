import QQCore
import Support
import Synchronization

/// Repeats recorded calls at a `ConsulStore`, with the steps that the recording leaves out.
final class ConsulReplay {
    /// Time that advances only by `pass`.
    final class Clock: LeaseClock {
        private let time = Mutex(BootInstant(nanoseconds: 1_000_000_000_000))

        func now() -> BootInstant { time.withLock { $0 } }
        func pass(_ length: Duration) { time.withLock { $0 = $0 + length } }
        func sleep(until deadline: BootInstant) async throws { throw CancellationError() }
    }

    /// A difference between the recording and the store.
    struct Difference: Error, CustomStringConvertible {
        var description: String
    }

    let clock = Clock()
    private(set) var store: ConsulStore
    /// Roles of the recording, as agents of the store.
    private(set) var agents: [String: String] = [:]
    private var indexes = IndexMap()
    /// Outcomes of the blocking queries of `consul lock`, by call.
    private var waiting: [String: ConsulStore.Outcome] = [:]

    /// Blocking queries whose answers are recorded before the write that woke them.
    private var owed: [(line: ConsulRecording.Line, query: ConsulStore.BlockedQuery)] = []
    /// A blocking query that waits while the leader is killed.
    var deadLeaderQuery: ConsulStore.BlockedQuery?

    init() { store = ConsulStore(clock: clock) }

    /// Continues at another cluster.
    func begin(_ store: ConsulStore, agents: [String: String]) {
        (self.store, self.agents, indexes, waiting) = (store, agents, IndexMap(), [:])
    }

    // MARK: Steps that the recording leaves out

    /// Calls the store and requires success.
    @discardableResult
    func hidden(_ method: String, _ target: String, _ body: String = "", at agent: String? = nil) throws -> ConsulStore.Answer {
        let outcome = store.handle(.init(method, target, body: Array(body.utf8)), at: agent ?? store.leader)
        guard case .answer(let answer) = outcome, answer.status == 200, answer.text != "false" else {
            throw Difference(description: "a step before this line failed: \(method) \(target): \(outcome)")
        }
        wake()
        return answer
    }

    func createSession(_ id: String, _ document: String, at agent: String? = nil) throws {
        store.useIDs([id])
        try hidden("PUT", "/v1/session/create", document, at: agent)
    }

    // MARK: Calls

    /// Repeats the call of a line, and compares the answer.
    func replay(_ line: ConsulRecording.Line) throws {
        if let call = line.call, line.status == nil {
            waiting[call] = start(line)
            return
        }
        if let call = line.call, let outcome = waiting.removeValue(forKey: call) {
            // Lines are in the order of answers: the write that woke a query can come after it.
            if case .blocked(let query) = outcome, query.deadline.duration(since: clock.now()) > .seconds(1) {
                owed.append((line, query))
            } else {
                try compare(line, try settled(outcome, line))
            }
        } else {
            try compare(line, try settled(start(line), line))
        }
        wake()
        try payOwed()
    }

    private func payOwed() throws {
        let all = owed
        owed = []
        for (line, query) in all {
            guard let outcome = store.poll(query) else {
                owed.append((line, query))
                continue
            }
            do { try compare(line, try settled(outcome, line)) } catch { throw Difference(description: "\(line) was woken: \(error)") }
        }
        // Calls that ran at a time are recorded within a few lines.
        if owed.count > 3 { throw Difference(description: "still blocked: \(owed.map(\.line))") }
    }

    /// Requires that all blocking queries whose answers are recorded have been answered.
    func finish() throws {
        if !owed.isEmpty { throw Difference(description: "never woken: \(owed.map(\.line))") }
    }

    /// Starts a call without waiting for an answer.
    func start(_ line: ConsulRecording.Line) -> ConsulStore.Outcome {
        let response = (line.response ?? "").replacing("'", with: "\"")
        if line.path == "/v1/session/create", let id = try? JSONValue.parse(response.utf8)["ID"]?.stringValue {
            store.useIDs([id])
        }
        return store.handle(request(line), at: agent(line))
    }

    func agent(_ line: ConsulRecording.Line) -> String {
        // `consul lock` names the agent that it asked in one of its answers only.
        if line.response?.contains(#""NodeName":"server1""#) == true { return "server1" }
        return agents[line.node ?? "client"] ?? line.node ?? "client"
    }

    private func request(_ line: ConsulRecording.Line) -> ConsulStore.Request {
        var target = line.path
        // A refused request is quoted in the answer.
        for name in ["index", "cas"] where line.status != 400 {
            guard let range = target.firstRange(of: name + "="), let number = UInt64(target[range.upperBound...].prefix { $0.isNumber })
            else { continue }
            let end = target[range.upperBound...].firstIndex { !$0.isNumber } ?? target.endIndex
            target.replaceSubrange(range.upperBound..<end, with: "\(indexes.translated(number))")
        }
        var body = line.body
        // Two bodies are recorded by their size alone.
        if body == "(2525 bytes)" {
            body = "[" + Array(repeating: #"{"KV":{"Verb":"get","Key":"x"}}"#, count: 65).joined(separator: ",") + "]"
        } else if body == "(524289 bytes)" {
            body = String(repeating: "x", count: 524_289)
        }
        return .init(line.method ?? "", target, headers: line.token.map { [("X-Consul-Token", $0)] } ?? [], body: Array(body.utf8))
    }

    func finish(_ outcome: ConsulStore.Outcome, _ line: ConsulRecording.Line) throws { try compare(line, try settled(outcome, line)) }

    private func settled(_ outcome: ConsulStore.Outcome, _ line: ConsulRecording.Line) throws -> ConsulStore.Answer {
        switch outcome {
        case .answer(let answer):
            // Delays are given to a quarter of a second: 7 s and 0.45 s are at most a little longer in reality.
            guard answer.after == .zero || abs((line.elapsed - answer.after).seconds) < 0.25 else {
                throw Difference(description: "answered after \(answer.after), recorded after \(line.elapsed)")
            }
            clock.pass(answer.after)
            return answer
        case .blocked(let query):
            clock.pass(line.elapsed)
            if let next = store.poll(query) { return try settled(next, line) }
            // The added wait is random: at most a sixteenth.
            let rest = query.deadline.duration(since: clock.now())
            clock.pass(max(rest, .zero))
            guard rest < .milliseconds(60), let next = store.poll(query) else { throw Difference(description: "still blocked") }
            return try settled(next, line)
        default: throw Difference(description: "\(outcome)")
        }
    }

    /// Keeps the answers of blocking queries that a change has woken.
    private func wake() {
        for (call, outcome) in waiting {
            if case .blocked(let query) = outcome, let next = store.poll(query) { waiting[call] = next }
        }
    }

    // MARK: Comparison

    private func compare(_ line: ConsulRecording.Line, _ answer: ConsulStore.Answer) throws {
        func require(_ what: String, _ ours: some Equatable, _ recorded: some Equatable, _ isSame: Bool) throws {
            if !isSame { throw Difference(description: "\(what): \(ours), recorded: \(recorded)") }
        }
        try require(
            "status", "\(answer.status) \(answer.text.prefix(200))", "\(line.status ?? 0) \(line.response ?? "")",
            answer.status == line.status)
        if let headers = line.headers { try compare(headers, answer, isStale: line.path.contains("stale")) }
        guard let recorded = line.response else { return }
        if line.path == "/v1/agent/self", line.status == 200 { return try compareConfiguration(recorded, answer) }
        // Some answers are recorded as Python shows them.
        let text =
            line.headers == nil && line.status == 200 && line.node != "tls"
            ? recorded.replacing("'", with: "\"").replacing("True", with: "true") : recorded
        guard let expected = try? JSONValue.parse(text.utf8), expected.arrayValue != nil || expected.objectValue != nil else {
            return try require("body", answer.text, text, normalized(answer.text) == normalized(text))
        }
        guard let document = answer.json else { throw Difference(description: "no JSON: \(answer.text)") }
        var (numbers, recordedNumbers): ([UInt64], [UInt64]) = ([], [])
        let semaphore = line.texts.first { $0.hasPrefix(#"{"Limit""#) }
        let one = try canonical(document, semaphore: nil, &numbers)
        let other = try canonical(expected, semaphore: semaphore, &recordedNumbers)
        try require("body", JSONWriter.string(one), JSONWriter.string(other), one == other)
        for (number, recorded) in zip(numbers, recordedNumbers) { try indexes.match(recorded, number) }
    }

    private func compare(_ headers: JSONObject, _ answer: ConsulStore.Answer, isStale: Bool) throws {
        let names = Set(headers.members.map(\.name))
        guard names == Set(answer.headers.map(\.name)) else {
            throw Difference(description: "headers \(answer.headers.map(\.name)), recorded \(names)")
        }
        for (name, value) in answer.headers {
            let recorded = headers[name]?.stringValue ?? ""
            switch name {
            case "x-consul-index": try indexes.match(UInt64(recorded) ?? 0, UInt64(value) ?? 0)
            // How old a stale answer is depends on the moment.
            case "x-consul-lastcontact" where isStale: break
            default: if recorded != value { throw Difference(description: "\(name): \(value), recorded: \(recorded)") }
            }
        }
    }

    /// The recorded document is cut after 400 characters.
    private func compareConfiguration(_ recorded: String, _ answer: ConsulStore.Answer) throws {
        guard let end = recorded.firstRange(of: #","DebugConfig""#) else { throw Difference(description: "not recorded: Config") }
        let expected = try JSONValue.parse((recorded[..<end.lowerBound] + "}").utf8)
        for member in expected["Config"]?.objectValue?.members ?? [] where member.name != "NodeID" {
            guard answer.json?["Config"]?[member.name] == member.value else {
                throw Difference(description: "\(member.name): \(answer.text), recorded: \(member.value)")
            }
        }
    }

    /// Texts of Raft addresses have a port of the moment.
    private func normalized(_ text: String) -> String {
        text.replacing("127.0.0.1:0->", with: "HOST:PORT->")
    }

    /// A document without what differs from run to run: lists are sorted, and indexes are moved to `numbers`.
    /// - Parameter semaphore: the recorded value of a semaphore's key as text, with the ids that all else of the line has.
    private func canonical(_ value: JSONValue, semaphore: String?, _ numbers: inout [UInt64]) throws -> JSONValue {
        switch value {
        case .array(let elements):
            return .array(
                try elements.sorted { Self.name($0) < Self.name($1) }.map { try canonical($0, semaphore: semaphore, &numbers) })
        case .object(let object):
            var members: [JSONObject.Member] = []
            for member in object.members {
                var value = try canonical(member.value, semaphore: semaphore, &numbers)
                if member.name == "CreateIndex" || member.name == "ModifyIndex" {
                    numbers.append(member.value.uint64Value ?? 0)
                    value = .null
                }
                if member.name == "Value", let plain = value.stringValue.flatMap(ConsulRecording.decodeValue) {
                    value = .string(plain.hasPrefix(#"{"Limit""#) ? semaphore ?? plain : plain)
                }
                members.append(.init(name: member.name, value: value))
            }
            return .object(JSONObject(members))
        default: return value
        }
    }

    private static func name(_ value: JSONValue) -> String {
        value["ID"]?.stringValue ?? value["Key"]?.stringValue ?? value.stringValue ?? ""
    }
}

/// Raft indexes of the recording and of the store. Their distances differ, since the recording leaves steps out; their order does not.
struct IndexMap {
    private var pairs: [UInt64: UInt64] = [:]

    /// Requires that these two are the same moment.
    mutating func match(_ recorded: UInt64, _ ours: UInt64) throws {
        if let known = pairs[recorded] {
            guard known == ours else {
                throw ConsulReplay.Difference(description: "index \(ours), recorded \(recorded), which was \(known) before")
            }
            return
        }
        for (other, own) in pairs where (other < recorded) != (own < ours) || own == ours {
            throw ConsulReplay.Difference(description: "index \(ours) is recorded as \(recorded), and \(own) as \(other)")
        }
        pairs[recorded] = ours
    }

    /// The index for a request.
    func translated(_ recorded: UInt64) -> UInt64 {
        if let known = pairs[recorded] { return known }
        guard recorded > 0, let last = pairs.filter({ $0.key < recorded }).max(by: { $0.key < $1.key }) else { return recorded }
        return last.value + (recorded - last.key)
    }
}
