import Foundation
import QQCore
import Support
import Testing

@testable import QQCLI

/// A cluster of Consul and some of its agents, for one test. Elections are below `locks/`.
struct ConsulPlace: Sendable {
    let box: Sandbox
    let store: ConsulStore
    let agents: [ConsulServer]
    /// Of the test's own requests.
    let token: String

    /// Flags of the key of `consul lock`.
    static let lockFlags: UInt64 = 0x2ddc_cbc0_58a5_0c18
    /// Flags of the keys of `consul lock -n`.
    static let semaphoreFlags: UInt64 = 0xe0f6_9a2b_aa41_4de0

    /// The agents, each by its port.
    func url(_ ports: [UInt16]? = nil, _ rest: String = "/locks") -> String {
        "consul://" + (ports ?? agents.map(\.port)).map { "127.0.0.1:\($0)" }.joined(separator: ",") + rest
    }

    /// For `qq` and everything that it starts.
    func environment(at url: String? = nil, _ more: [String: String] = [:]) -> [String: String] {
        ["QQ_SERVER": url ?? self.url()].merging(more) { $1 }
    }

    func qq(_ words: [String], at url: String? = nil, environment more: [String: String] = [:]) throws -> Started {
        try box.start([Sandbox.binary] + words, environment: environment(at: url, more))
    }

    func qq(_ words: String...) throws -> Started { try qq(words) }

    func run(
        _ words: [String], at url: String? = nil, environment more: [String: String] = [:],
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Run {
        try await qq(words, at: url, environment: more).finish(sourceLocation)
    }

    func run(_ words: String..., sourceLocation: SourceLocation = #_sourceLocation) async throws -> Run {
        try await run(words, sourceLocation: sourceLocation)
    }

    /// The words of `qq acquire` with a command that leaves stamps.
    func stamping(_ name: String = "x", id: String, _ options: [String] = ["--wait"], work: [String] = []) -> [String] {
        ["acquire", name, "--verbose", "--id", id] + options + ["--", Sandbox.stamp, box.path("stamps")] + work
    }

    /// Holds an election with a command that does nothing until it is ended.
    func hold(_ name: String, _ options: String..., at url: String? = nil, environment more: [String: String] = [:]) async throws -> Started
    {
        let holder = try qq(["acquire", name] + options + ["--", "sh", "-c", "echo held; exec sleep 600"], at: url, environment: more)
        try await waitUntil("\(name) is held: \(holder.errors)") {
            guard holder.child.isRunning else { throw TimedOut("the holder ended: \(holder.errors)") }
            return holder.output.contains("held")
        }
        return holder
    }

    // MARK: Keys

    func key(_ name: String = "x") -> String { "locks/\(name)/.lock" }

    /// The session that holds an election; nil for none.
    func session(_ name: String = "x") -> String? { store.holder(key(name)) }

    /// The text in an election's key while a session holds it; nil for none.
    func leader(_ name: String = "x") -> String? {
        guard session(name) != nil, let value = store.key(key(name))?["Value"]?.stringValue, let data = Data(base64Encoded: value) else {
            return nil
        }
        return String(decoding: data, as: UTF8.self)
    }

    /// Waits until a blocking query waits for a change, after those that the test has seen.
    func waitForQuery(_ qq: Started, after seen: Int = 0) async throws {
        try await waitUntil("a blocking query: \(qq.errors)") {
            guard qq.child.isRunning else { throw TimedOut("qq ended instead of waiting: \(qq.child.ending as Any) \(qq.errors)") }
            return store.count(.blockingRead) > seen
        }
    }

    /// All that requests that only read leave as it is.
    var changes: [UInt64] {
        [store.index] + [.create, .renew, .destroy, .acquire, .release, .put, .delete].map { UInt64(store.count($0)) }
    }

    // MARK: Another program

    /// Sends a request as another program, by way of the leader.
    @discardableResult
    func request(_ method: String, _ target: String, _ body: String = "") throws -> ConsulStore.Answer {
        let request = ConsulStore.Request(method, target, headers: [("X-Consul-Token", token)], body: Array(body.utf8))
        guard case .answer(let answer) = store.handle(request, at: store.leader) else { throw TimedOut("no answer to \(method) \(target)") }
        return answer
    }

    /// Has another program lead: with a session like that of `consul lock`.
    /// - Returns: the session.
    @discardableResult
    func lead(
        key: String, value: String = "", flags: UInt64 = lockFlags, lockDelay: String = "15s", name: String = "Consul API Lock"
    ) throws -> String {
        let body = #"{"Name":"\#(name)","TTL":"3600s","LockDelay":"\#(lockDelay)","Checks":[]}"#
        let session = try #require(try request("PUT", "/v1/session/create", body).json?["ID"]?.stringValue)
        let acquired = try request("PUT", "/v1/kv/\(key)?acquire=\(session)&flags=\(flags)", value)
        #expect(acquired.text == "true", "\(acquired.text)")
        return session
    }

    @discardableResult
    func lead(_ name: String, value: String = "", lockDelay: String = "15s") throws -> String {
        try lead(key: key(name), value: value, lockDelay: lockDelay)
    }

    /// Has another program release its key and end its session.
    func leave(_ name: String, _ session: String) throws {
        #expect(try request("PUT", "/v1/kv/\(key(name))?release=\(session)&flags=\(Self.lockFlags)").text == "true")
        try request("PUT", "/v1/session/destroy/\(session)")
    }
}

/// Runs a test on a cluster of three servers and a client agent of its own.
/// - Parameters:
///   - agents: those that listen, in the order of the server URL.
///   - token: of the test's own requests.
func onConsul(
    _ load: Gate.Load = .light, agents names: [String] = ["client"], access: ConsulStore.Access? = nil, token: String = "",
    sourceLocation: SourceLocation = #_sourceLocation, _ body: (ConsulPlace) async throws -> Void
) async throws {
    try await inSandbox(load, sourceLocation: sourceLocation) { box in
        let store = ConsulStore(access: access)
        var agents: [ConsulServer] = []
        for name in names { agents.append(try await ConsulServer.start(store, agent: name, in: box)) }
        try await body(ConsulPlace(box: box, store: store, agents: agents, token: token))
    }
}
