import QQCore
import QQHTTP
import QQNetwork

/// The calls of elections, each one request, with its answer understood.
struct ConsulCalls: Sendable {
    let api: any ConsulCalling
    let clock: any LeaseClock

    /// An operation of a transaction.
    enum Operation: Sendable, Hashable {
        case checkIndex(key: String, UInt64)
        case checkNotExists(key: String)
        case checkSession(key: String, String)
        case lock(key: String, value: [UInt8], flags: UInt64, session: String)
        case unlock(key: String, flags: UInt64, session: String)
        case set(key: String, value: [UInt8])
        /// Sets a key with this modify index; 0 for one that must not exist.
        case compareAndSet(key: String, value: [UInt8], flags: UInt64, UInt64)
        case delete(key: String)
        /// Deletes a key with this modify index.
        case deleteVersion(key: String, UInt64)
        case get(key: String)
    }

    enum Outcome: Sendable, Hashable {
        /// The entry that each operation left or found, for those that answer with one.
        case done([KeyEntry])
        /// Nothing was carried out, because this operation failed.
        case failed(operation: Int, String)
    }

    private func failure(_ answer: ConsulAnswer) -> ConsulFailure {
        ConsulFailure(
            .broken, answer.text.isEmpty ? "the agent's answer is not understood" : answer.text, status: answer.status, at: answer.endpoint)
    }

    // MARK: Keys

    private static func path(_ key: String) -> String { "/v1/kv/" + Percent.encode(key, allowing: "/") }

    /// Reads a key, after the leader has asked its peers whether it still leads; nil if there is none.
    func entry(_ key: String, within limit: Duration) async throws(ConsulFailure) -> KeyEntry? {
        let request = ConsulRequest(
            method: .get, path: Self.path(key), query: [.init("consistent", "")], isRepeatable: true)
        let answer = try await api.call(request, until: clock.now() + limit)
        if answer.status == 404 { return nil }
        guard answer.status == 200, let items = answer.body.arrayValue else { throw failure(answer) }
        return items.lazy.compactMap { KeyEntry($0) }.first { $0.key == key }
    }

    /// Reads all keys that begin with `prefix`, as far as the token can see them, after the leader has asked its peers whether it still leads.
    func entries(below prefix: String, within limit: Duration) async throws(ConsulFailure) -> [KeyEntry] {
        let request = ConsulRequest(
            method: .get, path: Self.path(prefix), query: [.init("recurse", ""), .init("consistent", "")], isRepeatable: true)
        let answer = try await api.call(request, until: clock.now() + limit)
        if answer.status == 404 { return [] }
        guard answer.status == 200, let items = answer.body.arrayValue else { throw failure(answer) }
        return items.compactMap { KeyEntry($0) }
    }

    struct Sight: Sendable, Hashable {
        var entries: [KeyEntry]
        /// For the next query; nil if that should begin anew.
        var index: UInt64?
    }

    /// Waits until a key changes, or `wait` is over. Can return unchanged.
    /// - Parameters:
    ///   - isPrefix: whether all keys that begin with `key` are meant.
    ///   - index: that of the last sight; nil to return immediately.
    func sight(
        of key: String, isPrefix: Bool, after index: UInt64?, wait: Duration
    ) async throws(ConsulFailure) -> Sight {
        var query: [HTTPRequest.Field] = isPrefix ? [.init("recurse", "")] : []
        if let index { query += [.init("index", String(index)), .init("wait", ConsulRules.text(wait))] }
        let request = ConsulRequest(
            method: .get, path: Self.path(key), query: query, isRepeatable: true, isBlocking: index != nil)
        // Servers add up to a sixteenth, so that not all queries end together.
        let limit = index == nil ? Self.answerTime : wait + wait / 16 + Self.answerTime
        let answer = try await api.call(request, until: clock.now() + limit)
        guard answer.status == 404 || (answer.status == 200 && answer.body.arrayValue != nil) else { throw failure(answer) }
        let entries = (answer.body.arrayValue ?? []).compactMap { KeyEntry($0) }
        var next = answer.index
        // A restored snapshot sets the index back. 0 would not block.
        if let index, let found = next, found < index { next = nil }
        if next == 0 { next = 1 }
        return Sight(entries: entries, index: next)
    }

    private static let answerTime: Duration = .seconds(10)

    /// The names of the keys below a prefix, as far as the token can see them.
    func keys(below prefix: String, within limit: Duration) async throws(ConsulFailure) -> [String] {
        let request = ConsulRequest(method: .get, path: Self.path(prefix), query: [.init("keys", "")], isRepeatable: true)
        let answer = try await api.call(request, until: clock.now() + limit)
        if answer.status == 404 { return [] }
        guard answer.status == 200, let items = answer.body.arrayValue else { throw failure(answer) }
        return items.compactMap(\.stringValue)
    }

    /// The most operations of a transaction. Newer servers allow twice as many.
    static let mostOperations = 64

    /// Reads up to `mostOperations` keys together. Those that have gone are left out.
    func entries(_ keys: [String], within limit: Duration) async throws(ConsulFailure) -> [KeyEntry] {
        let deadline = clock.now() + limit
        if case .done(let entries) = try await transact(keys.map { .get(key: $0) }, isRead: true, within: limit) { return entries }
        // A key that is absent makes the transaction fail.
        var found: [KeyEntry] = []
        for key in keys {
            if let entry = try await entry(key, within: max(deadline.duration(since: clock.now()), .zero)) { found.append(entry) }
        }
        return found
    }

    // MARK: Transactions

    /// Carries out all operations, or none of them.
    /// - Parameter isRead: whether they only read.
    func transact(
        _ operations: [Operation], isRead: Bool = false, within limit: Duration
    ) async throws(ConsulFailure) -> Outcome {
        let body = JSONValue.array(operations.map { .object(["KV": .object(Self.object($0))]) })
        let answer = try await api.call(
            .init(method: .put, path: "/v1/txn", body: body, isRepeatable: isRead), until: clock.now() + limit)
        switch answer.status {
        case 200:
            guard let results = answer.body["Results"]?.arrayValue else { throw lost(answer) }
            return .done(results.compactMap { $0["KV"].flatMap { KeyEntry($0) } })
        case 409:
            let error = answer.body["Errors"]?.arrayValue?.first
            return .failed(
                operation: error?["OpIndex"]?.int64Value.flatMap { Int(exactly: $0) } ?? 0,
                Printable.text(error?["What"]?.stringValue ?? answer.text))
        default: throw failure(answer)
        }
    }

    /// A write that was carried out, and whose answer is not understood.
    private func lost(_ answer: ConsulAnswer) -> ConsulFailure {
        ConsulFailure(.uncertain, "the agent's answer is not understood", status: answer.status, at: answer.endpoint)
    }

    private static func object(_ operation: Operation) -> JSONObject {
        func object(_ verb: String, _ key: String) -> JSONObject { ["Verb": .string(verb), "Key": .string(key)] }
        switch operation {
        case .checkIndex(let key, let index):
            var made = object("check-index", key)
            made["Index"] = .number(index)
            return made
        case .checkNotExists(let key): return object("check-not-exists", key)
        case .checkSession(let key, let session):
            var made = object("check-session", key)
            made["Session"] = .string(session)
            return made
        case .lock(let key, let value, let flags, let session):
            var made = object("lock", key)
            made["Value"] = .string(Base64.encode(value))
            made["Flags"] = .number(flags)
            made["Session"] = .string(session)
            return made
        case .unlock(let key, let flags, let session):
            var made = object("unlock", key)
            made["Value"] = ""
            made["Flags"] = .number(flags)
            made["Session"] = .string(session)
            return made
        case .set(let key, let value):
            var made = object("set", key)
            made["Value"] = .string(Base64.encode(value))
            return made
        case .compareAndSet(let key, let value, let flags, let index):
            var made = object("cas", key)
            made["Value"] = .string(Base64.encode(value))
            made["Flags"] = .number(flags)
            made["Index"] = .number(index)
            return made
        case .delete(let key): return object("delete", key)
        case .deleteVersion(let key, let index):
            var made = object("delete-cas", key)
            made["Index"] = .number(index)
            return made
        case .get(let key): return object("get", key)
        }
    }

    // MARK: Sessions

    /// Creates a session that ends only by its TTL, or if it is destroyed.
    /// - Returns: its id.
    func createSession(_ name: String, ttl: Duration, lockDelay: Duration, within limit: Duration) async throws(ConsulFailure) -> String {
        let body: JSONValue = [
            "Name": .string(name), "TTL": .string(ConsulRules.text(ttl)), "LockDelay": .string(ConsulRules.text(lockDelay)),
            "Behavior": "release", "Checks": [],
        ]
        let answer = try await api.call(.init(method: .put, path: "/v1/session/create", body: body), until: clock.now() + limit)
        guard answer.status == 200, let id = answer.body["ID"]?.stringValue, !id.isEmpty else {
            throw answer.status == 200 ? lost(answer) : failure(answer)
        }
        return id
    }

    /// All sessions, as far as the token can see them.
    func sessions(within limit: Duration) async throws(ConsulFailure) -> [SessionEntry] {
        let request = ConsulRequest(
            method: .get, path: "/v1/session/list", query: [.init("consistent", "")], isRepeatable: true)
        let answer = try await api.call(request, until: clock.now() + limit)
        guard answer.status == 200, let items = answer.body.arrayValue else { throw failure(answer) }
        return items.compactMap { SessionEntry($0) }
    }

    /// A session; nil if there is none, or the token must not see it.
    func session(_ id: String, within limit: Duration) async throws(ConsulFailure) -> SessionEntry? {
        let request = ConsulRequest(method: .get, path: "/v1/session/info/" + Percent.encode(id), isRepeatable: true)
        let answer = try await api.call(request, until: clock.now() + limit)
        guard answer.status == 200, let items = answer.body.arrayValue else { throw failure(answer) }
        return items.lazy.compactMap { SessionEntry($0) }.first
    }

    /// Renews a session.
    /// - Returns: the session; nil if it has ended.
    func renewSession(_ id: String, within limit: Duration) async throws(ConsulFailure) -> SessionEntry? {
        let request = ConsulRequest(method: .put, path: "/v1/session/renew/" + Percent.encode(id), isRepeatable: true)
        let answer = try await api.call(request, until: clock.now() + limit)
        // A proxy's 404 is a page, and shows nothing of the session.
        if answer.status == 404, answer.text.contains("not found") { return nil }
        guard answer.status == 200,
            let session = answer.body.arrayValue?.lazy.compactMap({ SessionEntry($0) }).first(where: { $0.id == id })
        else { throw failure(answer) }
        return session
    }

    /// Ends a session, which need not exist.
    func destroySession(_ id: String, within limit: Duration) async throws(ConsulFailure) {
        let request = ConsulRequest(method: .put, path: "/v1/session/destroy/" + Percent.encode(id), isRepeatable: true)
        let answer = try await api.call(request, until: clock.now() + limit)
        guard answer.status == 200 else { throw failure(answer) }
    }
}
