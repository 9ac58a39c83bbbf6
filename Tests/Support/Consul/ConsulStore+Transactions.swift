import QQCore
import QQNetwork

extension ConsulStore.State {
    /// An operation of a transaction (source: `api.KVTxnOp`).
    struct TransactionStep {
        var verb: String
        var entry: ConsulContents.Entry
        var index: UInt64

        private static let writes = Set(["set", "cas", "lock", "unlock", "delete", "delete-cas", "delete-tree"])
        /// Also for an unknown verb.
        var isRead: Bool { !Self.writes.contains(verb) }

        init(_ value: JSONValue) throws(Failure) {
            guard let step = value["KV"], let verb = step["Verb"]?.stringValue, let key = step["Key"]?.stringValue else {
                throw .bad("Failed to parse body: not a KV operation")
            }
            self.verb = verb
            entry = .init(key: key)
            index = step["Index"]?.uint64Value ?? 0
            entry.flags = step["Flags"]?.uint64Value ?? 0
            entry.session = step["Session"]?.stringValue ?? ""
            if let text = step["Value"]?.stringValue {
                guard let bytes = Base64.decode(text) else { throw .bad("Failed to parse body: illegal base64 data at input byte 0") }
                entry.value = bytes
            }
        }
    }

    func routeTransaction(_ request: Request, at agent: String) throws(Failure) -> ConsulStore.Action {
        guard let document = try? JSONValue.parse(request.body), let values = document.arrayValue else {
            throw .bad("Failed to parse body: " + GoJSONError.text(request.body))
        }
        let limit = ConsulStore.Limit.operations
        if values.count > limit {
            throw Failure(status: 413, text: "Transaction contains too many operations (\(values.count) > \(limit))", isLocal: true)
        }
        var steps: [TransactionStep] = []
        for value in values { steps.append(try TransactionStep(value)) }
        if let step = steps.first(where: { $0.entry.value.count > ConsulStore.Limit.value }) {
            throw Failure(
                status: 413, text: "Value for key \(goQuoted(step.entry.key)) is too large (\(step.entry.value.count) > \(limit) bytes)",
                isLocal: true)
        }
        let all = steps
        return .write { state, now throws(Failure) in try state.transact(all, request, at: agent, now) }
    }

    /// All steps take effect, or none.
    private mutating func transact(
        _ steps: [TransactionStep], _ request: Request, at agent: String, _ now: BootInstant
    ) throws(Failure) -> Answer {
        let isRead = steps.allSatisfy(\.isRead)
        try reach(isRead ? (request.has("consistent") ? .consistentRead : .read) : .write, from: agent)
        let rights = try rights(request.token)
        var errors: [(place: Int, text: String)] = []
        // The leader looks at rights and lock-delays before it writes anything.
        for (place, step) in steps.enumerated() {
            let isAllowed =
                step.isRead ? rights.canRead(key: step.entry.key) : rights.canWrite(key: step.entry.key)
            if !isAllowed {
                errors.append((place, "Permission denied"))
            } else if step.verb == "lock", contents.isDelayed(step.entry.key, at: now) {
                errors.append((place, "failed to lock key \(goQuoted(step.entry.key)) due to lock delay"))
            }
        }
        var results: [JSONValue] = []
        if errors.isEmpty {
            if !isRead { _ = newIndex() }
            var changed = contents
            for (place, step) in steps.enumerated() {
                do {
                    results += try Self.apply(step, to: &changed).map { ["KV": $0] }
                } catch { errors.append((place, error.text)) }
            }
            if errors.isEmpty { contents = changed }
        }
        return Self.answer(errors.isEmpty ? results : nil, errors, isRead: isRead)
    }

    private static func answer(_ results: [JSONValue]?, _ errors: [(place: Int, text: String)], isRead: Bool) -> Answer {
        let texts = errors.map { error -> JSONValue in ["OpIndex": .integer(Int64(error.place)), "What": .string(error.text)] }
        var members: [JSONObject.Member] = [
            .init(name: "Results", value: results.map { .array($0) } ?? .null),
            .init(name: "Errors", value: errors.isEmpty ? .null : .array(texts)),
        ]
        if isRead {
            members += [
                .init(name: "Index", value: 0), .init(name: "LastContact", value: 0), .init(name: "KnownLeader", value: true),
                .init(name: "ConsistencyLevel", value: ""),
            ]
        }
        let meta = isRead ? ConsulStore.Meta(index: nil) : nil
        return .json(.object(JSONObject(members)), status: errors.isEmpty ? 200 : 409, meta)
    }

    /// The entries that the step answers with.
    private static func apply(_ step: TransactionStep, to contents: inout ConsulContents) throws(Failure) -> [JSONValue] {
        let (key, quoted) = (step.entry.key, goQuoted(step.entry.key))
        let current = contents.entries[key]
        func written(_ entry: ConsulContents.Entry?, else text: String) throws(Failure) -> [JSONValue] {
            guard let entry else { throw Failure(text: text) }
            return [entry.json(withValue: false)]
        }
        func existing(_ what: String) throws(Failure) -> ConsulContents.Entry {
            guard let current else { throw Failure(text: "failed to check \(what), key \(quoted) doesn't exist") }
            return current
        }
        switch step.verb {
        case "set":
            var entry = step.entry
            entry.session = ""
            return [contents.put(entry).json(withValue: false)]
        case "cas":
            var entry = step.entry
            entry.session = ""
            return try written(contents.compareAndSet(entry, expected: step.index), else: "failed to set key \(quoted), index is stale")
        case "lock":
            return try written(try contents.lock(step.entry), else: "failed to lock key \(quoted), lock is already held")
        case "unlock":
            return try written(
                try contents.unlock(step.entry), else: "failed to unlock key \(quoted), lock isn't held, or is held by another session")
        case "get":
            guard let current else { throw Failure(text: "key \(quoted) doesn't exist") }
            return [current.json()]
        case "get-tree": return contents.entries(prefix: key).map { $0.json() }
        case "check-index":
            let entry = try existing("index")
            guard entry.modified == step.index else {
                throw Failure(text: "failed index check for key \(quoted), current modify index \(entry.modified) != \(step.index)")
            }
            return [entry.json(withValue: false)]
        case "check-session":
            let entry = try existing("session")
            guard entry.session == step.entry.session else {
                throw Failure(
                    text: "failed session check for key \(quoted), current session \(goQuoted(entry.session)) "
                        + "!= \(goQuoted(step.entry.session))")
            }
            return [entry.json(withValue: false)]
        case "check-not-exists":
            if current != nil { throw Failure(text: "key \(quoted) exists") }
            return []
        case "delete":
            contents.delete(key)
            return []
        case "delete-cas":
            guard contents.delete(key, expected: step.index) else { throw Failure(text: "failed to delete key \(quoted), index is stale") }
            return []
        case "delete-tree":
            contents.deleteAll(prefix: key)
            return []
        default: throw Failure(text: "unknown KV verb \(goQuoted(step.verb))")
        }
    }
}
