import QQCore
import QQNetwork
import Synchronization

@testable import QQConsul

/// The keys and sessions of a cluster as far as elections need them, by the rules of protocols/consul.md. It answers in the JSON of a real agent.
final class KeyStore: Sendable {
    struct Key: Sendable {
        var value: [UInt8]
        var flags: UInt64
        var session: String?
        var lockIndex: UInt64
        var createIndex: UInt64
        var modifyIndex: UInt64
    }

    struct Session: Sendable {
        var name: String
        var ttl: Duration
        var lockDelay: Duration
        /// The end unless it is renewed: twice the TTL after the last renewal.
        var endsAt: BootInstant
    }

    private struct State {
        var keys: [String: Key] = [:]
        var sessions: [String: Session] = [:]
        var delays: [String: BootInstant] = [:]
        var index: UInt64 = 10
        /// The index of the last change of a key, deleted ones included.
        var changes: [String: UInt64] = [:]
        var made = 0
    }

    struct Answer: Sendable {
        var status: Int
        var body: JSONValue = .null
        var text = ""
        var index: UInt64?
    }

    private let clock: any LeaseClock
    private let state = Mutex(State())

    init(clock: any LeaseClock) { self.clock = clock }

    // MARK: For tests

    func key(_ name: String) -> Key? { locked { $0.keys[name] } }

    var keys: [String: Key] { locked { $0.keys } }

    var sessions: [String: Session] { locked { $0.sessions } }

    /// Writes a key as `PUT /v1/kv` without parameters does.
    func put(_ name: String, _ text: String, flags: UInt64 = 0) {
        locked { state in
            let index = Self.changed(name, &state)
            var key = state.keys[name] ?? Key(value: [], flags: 0, session: nil, lockIndex: 0, createIndex: index, modifyIndex: index)
            (key.value, key.flags, key.lockIndex, key.modifyIndex) = (Array(text.utf8), flags, 0, index)
            state.keys[name] = key
        }
    }

    func delete(_ name: String) {
        locked { state in
            if state.keys.removeValue(forKey: name) != nil { _ = Self.changed(name, &state) }
        }
    }

    func renew(_ session: String) {
        locked { state in state.sessions[session].map { state.sessions[session]?.endsAt = clock.now() + $0.ttl * 2 } }
    }

    func destroy(_ session: String) { locked { Self.end(session, &$0, at: clock.now()) } }

    /// Locks a key as `consul lock` does.
    func lockAsConsul(_ name: String, lockDelay: Duration = .seconds(15)) -> String {
        locked { state in
            let id = Self.session("Consul lock for 'true' at 'x'", ttl: .seconds(15), lockDelay: lockDelay, &state, at: clock.now())
            _ = lock(name, value: [], flags: ConsulRules.lockFlags, session: id, &state)
            return id
        }
    }

    /// The sessions of a semaphore that live, by the rules of `consul lock -n`.
    func holders(_ prefix: String) -> Set<String> {
        locked { state in
            guard let value = state.keys[prefix + "/.lock"].flatMap({ try? JSONValue.parse($0.value) }) else { return [] }
            return Set(value["Holders"]?.objectValue?.members.map(\.name) ?? []).intersection(Self.alive(prefix, state))
        }
    }

    /// Contends for a semaphore as `consul lock -n` does.
    /// - Returns: its session, and whether that is a holder.
    func contendAsConsul(_ prefix: String, limit: Int) -> (session: String, isHolder: Bool) {
        locked { state in
            let id = Self.session(
                "Consul lock for 'true' at '\(prefix)'", ttl: .seconds(15), lockDelay: .seconds(15), &state, at: clock.now())
            _ = lock("\(prefix)/\(id)", value: [], flags: ConsulRules.semaphoreFlags, session: id, &state)
            let document = state.keys[prefix + "/.lock"].flatMap { try? JSONValue.parse($0.value) }
            var holders = Set(document?["Holders"]?.objectValue?.members.map(\.name) ?? []).intersection(Self.alive(prefix, state))
            guard holders.count < limit else { return (id, false) }
            holders.insert(id)
            let value = JSONWriter.bytes([
                "Limit": .integer(Int64(limit)), "Holders": .object(JSONObject(holders.sorted().map { .init(name: $0, value: true) })),
            ])
            let index = Self.changed(prefix + "/.lock", &state)
            state.keys[prefix + "/.lock"] = Key(
                value: value, flags: ConsulRules.semaphoreFlags, session: nil, lockIndex: 0, createIndex: index, modifyIndex: index)
            return (id, true)
        }
    }

    /// Releases a semaphore as `consul lock -n` does.
    func leaveAsConsul(_ prefix: String, _ session: String) {
        locked { state in
            let key = prefix + "/.lock"
            if let lock = state.keys[key], let document = try? JSONValue.parse(lock.value) {
                let holders = (document["Holders"]?.objectValue?.members.map(\.name) ?? []).filter { $0 != session }
                let index = Self.changed(key, &state)
                if Set(holders).isDisjoint(with: Self.alive(prefix, state)) {
                    state.keys[key] = nil
                } else {
                    state.keys[key]?.value = JSONWriter.bytes([
                        "Limit": document["Limit"] ?? .null, "Holders": .object(JSONObject(holders.map { .init(name: $0, value: true) })),
                    ])
                    state.keys[key]?.modifyIndex = index
                }
            }
            state.keys[prefix + "/" + session] = nil
            Self.end(session, &state, at: clock.now())
        }
    }

    private static func alive(_ prefix: String, _ state: State) -> Set<String> {
        Set(state.keys.filter { $0.key.hasPrefix(prefix) }.compactMap(\.value.session))
    }

    // MARK: State

    /// Gives access to the state as it is now.
    private func locked<Value: Sendable>(_ body: (inout State) -> Value) -> Value {
        let now = clock.now()
        return state.withLock { state in
            for (id, session) in state.sessions.sorted(by: { $0.value.endsAt < $1.value.endsAt }) where session.endsAt <= now {
                Self.end(id, &state, at: session.endsAt)
            }
            return body(&state)
        }
    }

    private static func changed(_ key: String, _ state: inout State) -> UInt64 {
        state.index += 1
        state.changes[key] = state.index
        return state.index
    }

    private static func end(_ id: String, _ state: inout State, at now: BootInstant) {
        guard let session = state.sessions.removeValue(forKey: id) else { return }
        for name in state.keys.keys.sorted() where state.keys[name]?.session == id {
            let index = changed(name, &state)
            state.keys[name]?.session = nil
            state.keys[name]?.modifyIndex = index
            state.delays[name] = now + session.lockDelay
        }
    }

    private static func session(
        _ name: String, ttl: Duration, lockDelay: Duration, _ state: inout State, at now: BootInstant
    ) -> String {
        state.made += 1
        state.index += 1
        let id = "00000000-0000-0000-0000-" + String(repeating: "0", count: 12 - "\(state.made)".count) + "\(state.made)"
        state.sessions[id] = Session(name: name, ttl: ttl, lockDelay: lockDelay, endsAt: now + ttl * 2)
        return id
    }

    /// - Returns: why the key cannot be locked; nil if it is.
    private func lock(_ name: String, value: [UInt8], flags: UInt64, session: String, _ state: inout State) -> String? {
        guard state.sessions[session] != nil else { return "invalid session \"\(session)\"" }
        let before = state.keys[name]
        if let holder = before?.session, holder != session { return "failed to lock key \"\(name)\", lock is already held" }
        let isHeld = before?.session == session
        if !isHeld, let end = state.delays[name], clock.now() < end { return "failed to lock key \"\(name)\" due to lock delay" }
        let index = Self.changed(name, &state)
        state.keys[name] = Key(
            value: value, flags: flags, session: session, lockIndex: (before?.lockIndex ?? 0) + (isHeld ? 0 : 1),
            createIndex: before?.createIndex ?? index, modifyIndex: index)
        return nil
    }

    // MARK: Requests

    /// The answer to a request; nil for a blocking query that has nothing new.
    func answer(_ request: ConsulRequest) -> Answer? {
        let path = Percent.decode(request.path.utf8) ?? ""
        func rest(_ prefix: String) -> String? { path.hasPrefix(prefix) ? String(path.dropFirst(prefix.count)) : nil }
        if let key = rest("/v1/kv/") { return read(key, request) }
        return locked { state in
            if path == "/v1/txn" { return transact(request.body, &state) }
            if path == "/v1/session/create" {
                func time(_ name: String) -> Duration {
                    (request.body?[name]?.stringValue).flatMap { try? DurationText.parse($0) } ?? .zero
                }
                let id = Self.session(
                    request.body?["Name"]?.stringValue ?? "", ttl: time("TTL"), lockDelay: time("LockDelay"), &state, at: clock.now())
                return Answer(status: 200, body: ["ID": .string(id)])
            }
            if let id = rest("/v1/session/renew/") {
                guard let session = state.sessions[id] else { return Answer(status: 404, text: "Session id '\(id)' not found") }
                state.sessions[id]?.endsAt = clock.now() + session.ttl * 2
                return Answer(status: 200, body: .array([Self.json(id, session)]))
            }
            if let id = rest("/v1/session/destroy/") {
                Self.end(id, &state, at: clock.now())
                return Answer(status: 200, body: true)
            }
            if let id = rest("/v1/session/info/") {
                return Answer(status: 200, body: .array(state.sessions[id].map { [Self.json(id, $0)] } ?? []), index: state.index)
            }
            if path == "/v1/session/list" {
                return Answer(
                    status: 200, body: .array(state.sessions.sorted { $0.key < $1.key }.map { Self.json($0.key, $0.value) }),
                    index: state.index)
            }
            return Answer(status: 404)
        }
    }

    private func read(_ path: String, _ request: ConsulRequest) -> Answer? {
        func parameter(_ name: String) -> String? { request.query.first { $0.name == name }?.value }
        return locked { state in
            let isPrefix = parameter("recurse") != nil || parameter("keys") != nil
            func isWanted(_ key: String) -> Bool { isPrefix ? key.hasPrefix(path) : key == path }
            let index = max(state.changes.filter { isWanted($0.key) }.values.max() ?? 1, 1)
            if let known = parameter("index").flatMap({ UInt64($0) }), known == index { return nil }
            let found = state.keys.filter { isWanted($0.key) }.sorted { $0.key < $1.key }
            guard !found.isEmpty else { return Answer(status: 404, index: index) }
            let body: [JSONValue] =
                parameter("keys") != nil ? found.map { .string($0.key) } : found.map { Self.json($0.key, $0.value, withValue: true) }
            return Answer(status: 200, body: .array(body), index: index)
        }
    }

    private func transact(_ body: JSONValue?, _ state: inout State) -> Answer {
        let before = state
        var results: [JSONValue] = []
        for (place, item) in (body?.arrayValue ?? []).enumerated() {
            let operation = item["KV"]
            let name = operation?["Key"]?.stringValue ?? ""
            let problem = carryOut(operation?["Verb"]?.stringValue ?? "", name, operation ?? .null, &state)
            if let problem {
                state = before
                let error: JSONValue = ["OpIndex": .integer(Int64(place)), "What": .string(problem)]
                return Answer(status: 409, body: ["Results": .null, "Errors": [error]])
            }
            let isRead = operation?["Verb"] == "get"
            if let key = state.keys[name] { results.append(["KV": Self.json(name, key, withValue: isRead)]) }
        }
        return Answer(status: 200, body: ["Results": .array(results), "Errors": .null])
    }

    private func carryOut(_ verb: String, _ name: String, _ operation: JSONValue, _ state: inout State) -> String? {
        let key = state.keys[name]
        let session = operation["Session"]?.stringValue ?? ""
        let value = operation["Value"]?.stringValue.flatMap { Base64.decode($0) } ?? []
        let flags = operation["Flags"]?.uint64Value ?? 0
        switch verb {
        case "check-index":
            guard let key else { return "failed index check for key \"\(name)\", it doesn't exist" }
            let wanted = operation["Index"]?.uint64Value ?? 0
            return key.modifyIndex == wanted
                ? nil : "failed index check for key \"\(name)\", current modify index \(key.modifyIndex) != \(wanted)"
        case "check-not-exists": return key == nil ? nil : "failed not exists check for key \"\(name)\", it exists"
        case "check-session":
            let present = key?.session ?? ""
            return present == session ? nil : "failed session check for key \"\(name)\", current session \"\(present)\" != \"\(session)\""
        case "get": return key == nil ? "key \"\(name)\" doesn't exist" : nil
        case "lock": return lock(name, value: value, flags: flags, session: session, &state)
        case "unlock":
            guard let key, key.session == session else {
                return "failed to unlock key \"\(name)\", lock isn't held, or is held by another session"
            }
            let index = Self.changed(name, &state)
            state.keys[name] = Key(
                value: value, flags: flags, session: nil, lockIndex: key.lockIndex, createIndex: key.createIndex, modifyIndex: index)
            return nil
        case "set":
            let index = Self.changed(name, &state)
            state.keys[name] = Key(
                value: value, flags: flags, session: key?.session, lockIndex: 0, createIndex: key?.createIndex ?? index, modifyIndex: index)
            return nil
        case "cas":
            let wanted = operation["Index"]?.uint64Value ?? 0
            guard (key?.modifyIndex ?? 0) == wanted else { return "failed to set key \"\(name)\", index is stale" }
            let index = Self.changed(name, &state)
            state.keys[name] = Key(
                value: value, flags: flags, session: key?.session, lockIndex: 0, createIndex: key?.createIndex ?? index, modifyIndex: index)
            return nil
        case "delete":
            if state.keys.removeValue(forKey: name) != nil { _ = Self.changed(name, &state) }
            return nil
        case "delete-cas":
            let wanted = operation["Index"]?.uint64Value ?? 0
            guard let key else { return nil }
            guard key.modifyIndex == wanted else { return "failed to delete key \"\(name)\", index is stale" }
            state.keys[name] = nil
            _ = Self.changed(name, &state)
            return nil
        default: return "unknown KV verb \"\(verb)\""
        }
    }

    private static func json(_ name: String, _ key: Key, withValue: Bool) -> JSONValue {
        var object: JSONObject = ["LockIndex": .number(key.lockIndex), "Key": .string(name), "Flags": .number(key.flags)]
        object["Value"] = withValue && !key.value.isEmpty ? .string(Base64.encode(key.value)) : .null
        if let session = key.session { object["Session"] = .string(session) }
        object["CreateIndex"] = .number(key.createIndex)
        object["ModifyIndex"] = .number(key.modifyIndex)
        return .object(object)
    }

    private static func json(_ id: String, _ session: Session) -> JSONValue {
        [
            "ID": .string(id), "Name": .string(session.name), "Node": "server1", "LockDelay": .integer(session.lockDelay.nanoseconds),
            "Behavior": "release", "TTL": .string(ConsulRules.text(session.ttl)), "NodeChecks": [],
        ]
    }
}
