import QQCore
import QQNetwork

extension ConsulStore.State {
    func routeKey(_ key: String, _ request: Request, at agent: String) throws(Failure) -> ConsulStore.Action {
        switch request.method {
        case "GET":
            if request.has("keys") { return .read { state throws(Failure) in try state.readNames(key, request) } }
            if request.has("recurse") { return .read { state throws(Failure) in try state.readList(key, request) } }
            if key.isEmpty { throw .bad("Missing key name") }
            return .read { state throws(Failure) in try state.readKey(key, request) }
        case "PUT":
            try Self.refuseConflicts(["cas", "acquire", "release"], request)
            if key.isEmpty { throw .bad("Missing key name") }
            if request.body.count > ConsulStore.Limit.value {
                throw Failure(
                    status: 413,
                    text: "Request body(\(request.body.count) bytes) too large, max size: \(ConsulStore.Limit.value) bytes. "
                        + "See https://www.consul.io/docs/agent/options.html#kv_max_value_size.",
                    isLocal: true)
            }
            return .write { state, now throws(Failure) in try state.putKey(key, request, at: agent, now) }
        case "DELETE":
            try Self.refuseConflicts(["recurse", "cas"], request)
            if key.isEmpty, !request.has("recurse") { throw .bad("Missing key name") }
            return .write { state, _ throws(Failure) in try state.deleteKey(key, request, at: agent) }
        default: throw Self.notAllowed(request.method)
        }
    }

    private static func refuseConflicts(_ names: [String], _ request: Request) throws(Failure) {
        if names.filter(request.has).count > 1 { throw .bad("Conflicting flags: " + request.rawQuery) }
    }

    private static func number(_ name: String, _ request: Request) throws(Failure) -> UInt64? {
        guard let text = request.parameter(name) else { return nil }
        guard let number = UInt64(text) else {
            throw Failure(text: "strconv.ParseUint: parsing \(goQuoted(text)): invalid syntax", isLocal: true)
        }
        return number
    }

    // MARK: Reads

    private func readKey(_ key: String, _ request: Request) throws(Failure) -> ConsulStore.Read {
        guard try rights(request.token).canRead(key: key) else { throw .denied }
        guard let entry = contents.entries[key] else {
            return .init(answer: .missing(meta(contents.keysIndex, request)), index: contents.keysIndex, watched: .key(nil))
        }
        let meta = meta(entry.modified, request)
        var answer = Answer.json([entry.json()], meta)
        if request.has("raw") {
            answer = Answer(status: 200, headers: meta.headers + [("content-type", "text/plain")], body: entry.value)
        }
        return .init(answer: answer, index: entry.modified, watched: .key(entry.modified))
    }

    private func readList(_ prefix: String, _ request: Request) throws(Failure) -> ConsulStore.Read {
        let rights = try rights(request.token)
        let entries = contents.entries(prefix: prefix).filter { rights.canRead(key: $0.key) }
        let index = contents.listIndex(prefix: prefix)
        let meta = meta(index, request)
        let answer = entries.isEmpty ? Answer.missing(meta) : .json(.array(entries.map { $0.json() }), meta)
        return .init(answer: answer, index: index, watched: .list(index))
    }

    private func readNames(_ prefix: String, _ request: Request) throws(Failure) -> ConsulStore.Read {
        let rights = try rights(request.token)
        let separator = request.parameter("separator") ?? ""
        var names: [String] = []
        for key in contents.entries(prefix: prefix).map(\.key) where rights.canRead(key: key) {
            let rest = key.dropFirst(prefix.count)
            let name = separator.isEmpty ? nil : rest.firstRange(of: separator).map { prefix + rest[..<$0.upperBound] }
            if names.last != name ?? key { names.append(name ?? key) }
        }
        let index = contents.listIndex(prefix: prefix)
        let meta = meta(index, request)
        // An unknown prefix is an error, and an empty store is not.
        let answer = names.isEmpty && !prefix.isEmpty ? Answer.missing(meta) : .json(.array(names.map { .string($0) }), meta)
        return .init(answer: answer, index: index, watched: .list(index))
    }

    // MARK: Writes

    private mutating func putKey(_ key: String, _ request: Request, at agent: String, _ now: BootInstant) throws(Failure) -> Answer {
        let flags = try Self.number("flags", request) ?? 0
        let expected = try Self.number("cas", request)
        try reach(.write, from: agent)
        guard try rights(request.token).canWrite(key: key) else { throw .denied }
        var entry = ConsulContents.Entry(key: key, value: request.body, flags: flags)
        if let session = request.parameter("acquire") {
            // The leader refuses before it writes anything.
            if contents.isDelayed(key, at: now) { return .json(false) }
            entry.session = session
            _ = newIndex()
            return .json(.bool(try contents.lock(entry) != nil))
        }
        _ = newIndex()
        if let session = request.parameter("release") {
            entry.session = session
            return .json(.bool(try contents.unlock(entry) != nil))
        }
        if let expected { return .json(.bool(contents.compareAndSet(entry, expected: expected) != nil)) }
        _ = contents.put(entry)
        return .json(true)
    }

    private mutating func deleteKey(_ key: String, _ request: Request, at agent: String) throws(Failure) -> Answer {
        let expected = try Self.number("cas", request)
        try reach(.write, from: agent)
        guard try rights(request.token).canWrite(key: key) else { throw .denied }
        _ = newIndex()
        if let expected { return .json(.bool(contents.delete(key, expected: expected))) }
        if request.has("recurse") { contents.deleteAll(prefix: key) } else { contents.delete(key) }
        return .json(true)
    }
}
