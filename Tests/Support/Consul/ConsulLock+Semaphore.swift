import QQCore
import QQNetwork

extension ConsulLock {
    /// The value of a semaphore's key: `{"Limit": 2, "Holders": {"SESSION": true}}`.
    struct Semaphore {
        var limit: Int
        var holders: [String]
        var modified: UInt64

        /// - Parameter entry: the key; nil if it does not exist.
        init(_ entry: JSONValue?, limit: Int) throws(Stop) {
            (self.limit, holders, modified) = (limit, [], 0)
            guard let entry else { return }
            guard entry["Flags"]?.uint64Value == ConsulLock.semaphoreFlags else {
                throw Stop(text: "Lock acquisition failed: Existing key does not match semaphore use")
            }
            modified = entry["ModifyIndex"]?.uint64Value ?? 0
            guard let bytes = entry["Value"]?.stringValue.flatMap({ Base64.decode($0) }), let value = try? JSONValue.parse(bytes) else {
                throw Stop(text: "Lock acquisition failed: failed to decode the semaphore")
            }
            self.limit = Int(value["Limit"]?.int64Value ?? 0)
            holders = value["Holders"]?.objectValue?.members.map(\.name) ?? []
        }

        /// Forgets holders whose contender keys have no session.
        mutating func prune(_ entries: [JSONValue]) {
            let alive = Set(entries.compactMap { $0["Session"]?.stringValue })
            holders.removeAll { !alive.contains($0) }
        }

        var text: String {
            JSONWriter.string([
                "Limit": .integer(Int64(limit)), "Holders": .object(JSONObject(holders.map { .init(name: $0, value: true) })),
            ])
        }
    }

    func holdSemaphore(_ session: String) async throws -> Int32 {
        guard try await acquireSemaphore(session) else { return 1 }
        let code = try await runCommand { index in
            let answer = try await self.calls.call("GET", "/v1/kv/\(self.prefix)?consistent=\(index.map { "&index=\($0)" } ?? "")&recurse=")
            if answer.status == 500 { throw ConsulCalls.Broken() }
            var semaphore = try Semaphore(self.key(answer), limit: self.settings.limit)
            semaphore.prune(answer.entries)
            return (semaphore.holders.contains(session), answer.index)
        }
        try await leave(session)
        _ = try await calls.call("DELETE", "/v1/kv/\(prefix)/\(session)")
        let left = try await calls.call("GET", "/v1/kv/\(prefix)?recurse=")
        _ = try await calls.call("PUT", "/v1/session/destroy/" + session)
        guard let entry = key(left) else { return cleanedUp(code) }
        var semaphore = try Semaphore(entry, limit: settings.limit)
        semaphore.prune(left.entries)
        guard semaphore.holders.isEmpty else { return inUse(code) }
        let removed = try await calls.call("DELETE", "/v1/kv/\(prefix)/.lock?cas=\(semaphore.modified)")
        return removed.text == "true" ? cleanedUp(code) : inUse(code)
    }

    private func key(_ answer: ConsulCalls.Answer) -> JSONValue? { answer.entries.first { $0["Key"]?.stringValue == prefix + "/.lock" } }

    private func put(_ semaphore: Semaphore) async throws -> Bool {
        try await calls.call("PUT", "/v1/kv/\(prefix)/.lock?cas=\(semaphore.modified)&flags=\(Self.semaphoreFlags)", semaphore.text).text
            == "true"
    }

    private func acquireSemaphore(_ session: String) async throws -> Bool {
        let contender = "/v1/kv/\(prefix)/\(session)?acquire=\(session)&flags=\(Self.semaphoreFlags)"
        guard try await calls.call("PUT", contender).text == "true" else {
            throw Stop(text: "Lock acquisition failed: failed to make contender entry")
        }
        var index: UInt64?
        while !isInterrupted {
            let answer = try await calls.call("GET", "/v1/kv/\(prefix)?\(index.map { "index=\($0)&" } ?? "")recurse=&wait=15000ms")
            var semaphore = try Semaphore(key(answer), limit: settings.limit)
            guard semaphore.limit == settings.limit else {
                throw Stop(
                    text: "Lock acquisition failed: semaphore limit conflict (lock: \(semaphore.limit), local: \(settings.limit))")
            }
            semaphore.prune(answer.entries)
            if semaphore.holders.contains(session) { return true }
            index = answer.index
            guard semaphore.holders.count < semaphore.limit else { continue }
            semaphore.holders.append(session)
            // Another one was faster: read again without waiting.
            if try await !put(semaphore) { index = nil }
        }
        say("Shutdown triggered or timeout during lock acquisition")
        return false
    }

    /// Takes this holder out of the semaphore, as often as others are faster.
    private func leave(_ session: String) async throws {
        for _ in 0..<1000 {
            let answer = try await calls.call("GET", "/v1/kv/\(prefix)/.lock")
            var semaphore = try Semaphore(key(answer), limit: settings.limit)
            guard semaphore.holders.contains(session) else { return }
            semaphore.holders.removeAll { $0 == session }
            if try await put(semaphore) { return }
        }
    }
}
