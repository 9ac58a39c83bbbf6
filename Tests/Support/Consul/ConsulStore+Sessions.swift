import QQCore

extension ConsulStore.State {
    func routeSession(_ rest: String, _ request: Request, at agent: String) throws(Failure) -> ConsulStore.Action {
        if ["renew/", "destroy/", "info/"].contains(rest) { throw .bad("Missing session") }
        func id(_ verb: String) -> String? { rest.hasPrefix(verb + "/") ? String(rest.dropFirst(verb.count + 1)) : nil }
        switch request.method {
        case "PUT":
            if rest == "create" {
                return .write { state, now throws(Failure) in try state.createSession(request, at: agent, now) }
            }
            if let id = id("renew") { return .write { state, now throws(Failure) in try state.renew(id, request, at: agent, now) } }
            if let id = id("destroy") { return .write { state, now throws(Failure) in try state.destroy(id, request, at: agent, now) } }
        case "GET":
            if rest == "list" { return .read { state throws(Failure) in try state.readSessions(request) { _ in true } } }
            if let node = id("node") { return .read { state throws(Failure) in try state.readSessions(request) { $0.node == node } } }
            if let id = id("info") {
                return .read { state throws(Failure) in
                    do throws(Failure) { try ConsulContents.check(sessionID: id) } catch { throw Self.withMeta(error) }
                    var read = try state.readSessions(request) { $0.id == id }
                    read.watched = .session(state.contents.sessions[id] != nil)
                    return read
                }
            }
        default: break
        }
        if ["create", "list"].contains(rest) || ["renew", "destroy", "info", "node"].contains(where: { id($0) != nil }) {
            throw Self.notAllowed(request.method)
        }
        return .local { _ in .missing() }
    }

    private func readSessions(
        _ request: Request, _ isIncluded: (ConsulContents.Session) -> Bool
    ) throws(Failure) -> ConsulStore.Read {
        let rights: ConsulStore.Rights
        do { rights = try self.rights(request.token) } catch { throw Self.withMeta(error) }
        let sessions = contents.sessions.values.filter { isIncluded($0) && rights.session >= .read }.sorted { $0.id < $1.id }
        let index = contents.sessionsIndex
        return .init(
            answer: .json(.array(sessions.map(\.json)), meta(index, request)), index: index, watched: .sessions(index))
    }

    /// Reads of sessions answer an error with the headers of a read, and no other calls do.
    private static func withMeta(_ failure: Failure) -> Failure {
        var failure = failure
        failure.meta = ConsulStore.Meta(index: 1, isLeaderKnown: false)
        return failure
    }

    private mutating func createSession(_ request: Request, at agent: String, _ now: BootInstant) throws(Failure) -> Answer {
        var session = ConsulContents.Session(id: "", node: agent)
        if !request.body.allSatisfy({ $0 == 32 || $0 == 10 }) { try Self.read(request.body, into: &session) }
        try reach(.write, from: agent)
        guard try rights(request.token).session >= .write else { throw .denied }
        if session.behavior != "release", session.behavior != "delete" {
            throw Failure(text: "Invalid Behavior setting '\(session.behavior)'")
        }
        session.ttl = try Self.ttl(session.ttlText)
        guard let node = self.agent(session.node) else { throw Failure(text: "Missing node registration") }
        for check in session.checks {
            if check != "serfHealth" { throw Failure(text: "Missing check '\(check)' registration") }
            if node.isCritical { throw Failure(text: "Check '\(check)' is in critical state") }
        }
        session.id = newID()
        _ = newIndex()
        contents.create(session, at: now)
        return .json(["ID": .string(session.id)])
    }

    /// Reads the document of `/v1/session/create`. An id in it is ignored.
    private static func read(_ body: [UInt8], into session: inout ConsulContents.Session) throws(Failure) {
        guard let document = try? JSONValue.parse(body), document.objectValue != nil else {
            throw .bad("Request decode failed: " + GoJSONError.text(body))
        }
        func text(_ name: String) throws(Failure) -> String? {
            guard let value = document[name], !value.isNull else { return nil }
            guard let text = value.stringValue else { throw .bad("Request decode failed: '\(name)' expected type 'string'") }
            return text
        }
        session.name = try text("Name") ?? session.name
        session.ttlText = try text("TTL") ?? session.ttlText
        session.node = try text("Node") ?? session.node
        session.behavior = try text("Behavior") ?? session.behavior
        if let checks = document["NodeChecks"]?.arrayValue ?? document["Checks"]?.arrayValue {
            session.checks = checks.compactMap(\.stringValue)
        }
        guard let delay = document["LockDelay"], !delay.isNull else { return }
        var count = delay.int64Value
        if let text = delay.stringValue {
            do { count = try GoDuration.parse(text) } catch { throw .bad("Request decode failed: " + error.text) }
        }
        guard let count else { throw .bad("Request decode failed: 'LockDelay' expected a duration") }
        // Small numbers are seconds, by mistake also those that had a unit (source: `FixupLockDelay`).
        session.lockDelay = count < 1000 ? Duration.seconds(saturating: count).nanoseconds : count
    }

    private static func ttl(_ text: String) throws(Failure) -> Duration? {
        if text.isEmpty { return nil }
        let count: Int64
        do { count = try GoDuration.parse(text) } catch { throw Failure(text: "Session TTL '\(text)' invalid: \(error.text)") }
        if count == 0 { return nil }
        guard count >= 10_000_000_000, count <= 86_400_000_000_000 else {
            throw Failure(text: "Invalid Session TTL '\(count)', must be between [10s=24h0m0s]")
        }
        return .nanoseconds(count)
    }

    private mutating func renew(_ id: String, _ request: Request, at agent: String, _ now: BootInstant) throws(Failure) -> Answer {
        try reach(.renewal, from: agent)
        let rights = try rights(request.token)
        try ConsulContents.check(sessionID: id)
        guard var session = contents.sessions[id] else { return .error(404, "Session id '\(id)' not found") }
        guard rights.session >= .write else { throw .denied }
        session.deadline = session.ttl.map { now + $0 + $0 }
        contents.sessions[id] = session
        return .json([session.json])
    }

    private mutating func destroy(_ id: String, _ request: Request, at agent: String, _ now: BootInstant) throws(Failure) -> Answer {
        try reach(.write, from: agent)
        let rights = try rights(request.token)
        try ConsulContents.check(sessionID: id)
        guard contents.sessions[id] == nil || rights.session >= .write else { throw .denied }
        _ = newIndex()
        contents.end(id, at: now)
        return .json(true)
    }
}

/// The texts of Go's `encoding/json` for what tests send.
enum GoJSONError {
    static func text(_ body: [UInt8]) -> String {
        let start = body.drop { $0 == 32 || $0 == 10 }
        guard let first = start.first else { return "EOF" }
        func quoted(_ byte: UInt8) -> String { "'\(Character(UnicodeScalar(byte)))'" }
        guard first == UInt8(ascii: "{") else { return "invalid character \(quoted(first)) looking for beginning of value" }
        guard let second = start.dropFirst().first(where: { $0 != 32 && $0 != 10 }) else { return "unexpected EOF" }
        if second != UInt8(ascii: "\""), second != UInt8(ascii: "}") {
            return "invalid character \(quoted(second)) looking for beginning of object key string"
        }
        return "unexpected EOF"
    }
}
