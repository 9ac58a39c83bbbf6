import QQCore
import Support
import Synchronization
import Testing

/// Replays recorded calls against `LeaseAPI`.
///
/// Uids, versions and times are those of the recording: before a call the store gets the next uid, the counter is raised to the
/// recorded version (other clients write, too; the counter must never be beyond it), and the clock is set. The store makes all the rest.
final class KubernetesReplay: Sendable {
    let store: LeaseStore
    let api: LeaseAPI
    let clock: Clock
    let lines: [KubernetesRecording.Line]

    init() throws {
        lines = try KubernetesRecording.read().lines
        let start = try WallTime.parse(rfc3339: "2026-11-29T16:03:43Z")
        let clock = Clock(start)
        self.clock = clock
        store = LeaseStore(clock: { clock.time.withLock { $0 } }, version: 1600)
        // The recorder's server had compacted its history before it began.
        store.createNamespace("other")
        store.compact()
        var settings = LeaseAPI.Settings()
        settings.tokens = [
            "TOKEN-ops": .init("qq-ops", uid: "uid-ops", groups: ["ops"]), "TOKEN-watch": .init("qq-watch"),
            "TOKEN-readonly": .init("qq-readonly"), "TOKEN-nobody": .init("nobody"),
            "TOKEN-elector": .serviceAccount("elector", uid: "UID-48"),
        ]
        settings.tokens["TOKEN-elector"]?.extra = ["authentication.kubernetes.io/credential-id": ["JTI=UID-49"]]
        settings.grants = [
            .init("qq-ops", LeaseAPI.Grant.electing), .init("qq-watch", LeaseAPI.Grant.watching),
            .init("qq-readonly", [.get, .list, .watch]), .init("system:serviceaccount:team:elector", LeaseAPI.Grant.electing),
        ]
        api = LeaseAPI(store: store, settings: settings)
    }

    final class Clock: Sendable {
        let time: Mutex<WallTime>
        init(_ start: WallTime) { time = Mutex(start) }
    }

    func pass(milliseconds: Double) {
        clock.time.withLock { $0 = $0 + .seconds(milliseconds / 1000) }
        api.tick()
    }

    // MARK: Before a call

    /// Sets the clock to the newest time that the server wrote into a document.
    func setClock(_ document: JSONValue) {
        let newest = Self.serverTimes(document).compactMap { try? WallTime.parse(rfc3339: $0) }.max()
        if let newest { clock.time.withLock { $0 = newest } }
    }

    private static func serverTimes(_ document: JSONValue) -> [String] {
        switch document {
        case .array(let elements): elements.flatMap(serverTimes)
        case .object(let object):
            object.members.flatMap { member in
                ["creationTimestamp", "deletionTimestamp", "time"].contains(member.name)
                    ? [member.value.stringValue].compactMap(\.self) : serverTimes(member.value)
            }
        default: []
        }
    }

    /// Raises the counter, so that `version` is the newest one.
    func advance(to version: UInt64, _ line: CustomStringConvertible) {
        #expect(store.version <= version, "the counter is beyond that of the recording: \(line)")
        store.advance(to: version)
    }

    /// Stores a lease as the recorder did between its calls.
    func put(_ object: JSONValue, _ line: CustomStringConvertible) throws {
        guard let metadata = object["metadata"], let name = metadata["name"]?.stringValue else { return }
        let namespace = metadata["namespace"]?.stringValue ?? "team"
        let version = try #require(metadata["resourceVersion"]?.stringValue.flatMap { UInt64($0) })
        setClock(object)
        if let present = store.lease(name, in: namespace), present["metadata"]?["uid"] != metadata["uid"] {
            store.remove(name, in: namespace)
        }
        advance(to: version - 1, line)
        store.expect(uids: [metadata["uid"]?.stringValue ?? ""])
        try store.put(object, in: namespace, by: "qq")
        #expect(store.lease(name, in: namespace) == object, "\(line)")
    }

    // MARK: Calls

    func request(_ line: KubernetesRecording.Line) -> LeaseAPI.Request {
        var user: LeaseAPI.User?
        if line.user == "admin" {
            user = .admin
            user?.extra = ["authentication.kubernetes.io/credential-id": ["X509SHA256=HASH"]]
        }
        return LeaseAPI.Request(
            line.method ?? "", line.path ?? "", query: line.query, headers: line.headers + [("User-Agent", "qq/1.0")],
            body: line.body ?? [],
            certificate: user)
    }

    /// Prepares the store for a call: uid, version and time of the recorded answer.
    func prepare(_ line: KubernetesRecording.Line) {
        guard let response = line.response, let metadata = response["metadata"] else { return }
        let isSuccess = (line.status ?? 0) < 300
        if line.method != "GET", isSuccess { setClock(response) }
        if let uid = metadata["uid"]?.stringValue { store.expect(uids: [uid], suffixes: suffix(metadata)) }
        guard let version = metadata["resourceVersion"]?.stringValue.flatMap({ UInt64($0) }) else {
            if let current = response["message"]?.stringValue?.split(separator: "current: ").last.flatMap({ UInt64($0) }) {
                advance(to: current, line)
            }
            return
        }
        if response["items"] != nil || response["rows"] != nil {
            if !line.query.contains(where: { $0.name == "continue" }) { advance(to: version, line) }
        } else if line.method != "GET", isSuccess, version > store.version {
            advance(to: version - 1, line)
        }
    }

    private func suffix(_ metadata: JSONValue) -> [String] {
        guard let prefix = metadata["generateName"]?.stringValue, let name = metadata["name"]?.stringValue else { return [] }
        return [String(name.dropFirst(prefix.count))]
    }

    /// Replays a call that is answered.
    func replay(_ line: KubernetesRecording.Line) throws {
        prepare(line)
        let outcome = api.handle(request(line))
        if line.status == nil {
            // A watch that is never answered.
            guard case .silence(.forever) = outcome else {
                Issue.record("an answer: \(line)")
                return
            }
            return
        }
        let answer = try #require(outcome.answer, "\(line)")
        compare(answer, line)
        store.expect()
    }

    func compare(_ answer: LeaseAPI.Answer, _ line: KubernetesRecording.Line) {
        #expect(answer.status == line.status, "\(line): \(answer.text.prefix(500))")
        let headers = line.responseHeaders ?? [:]
        #expect(answer.contentType == headers["content-type"]?.stringValue, "\(line)")
        for name in ["retry-after", "warning"] {
            #expect(answer.headers.first { $0.name == name }?.value == headers[name]?.stringValue, "\(line)")
        }
        #expect(answer.closes == (headers["connection"]?.stringValue == "close"), "\(line)")
        if let text = line.response?.stringValue {
            #expect(answer.text == text, "\(line)")
        } else if let response = line.response {
            let (ours, theirs) = (Self.comparable(answer.json), Self.comparable(response))
            #expect(ours == theirs, "\(line)\n     ours: \(shown(ours))\n   theirs: \(shown(theirs))")
        }
        if let elapsed = line.elapsed {
            // The server needs some milliseconds for everything.
            let ours = answer.after.seconds * 1000
            #expect(elapsed - ours > -3 && elapsed - ours < 90, "\(line): takes \(ours) ms, not \(elapsed)")
        }
    }

    /// Without the size of a message to etcd, which is not JSON.
    private static func comparable(_ document: JSONValue?) -> JSONValue? {
        guard var object = document?.objectValue, let message = object["message"]?.stringValue, message.hasSuffix(" vs. 2097152)") else {
            return document
        }
        object["message"] = .string(String(message.prefix { $0 != "(" }))
        return .object(object)
    }

    private func shown(_ value: JSONValue?) -> String { String(value.map { JSONWriter.string($0) }?.prefix(1500) ?? "nothing") }

    /// Does to the store or the server what was done to etcd or the real server.
    func control(_ line: KubernetesRecording.Line) throws {
        switch line.whole["control"]?.stringValue {
        case "restart-api", "start-api":
            api.change { $0.coordinatesElection = false }
            // Versions at which the server's caches began.
            if line.step == 300 { advance(to: 1904, line) }
            api.restart()
        case "pause-etcd": store.set(.paused)
        case "resume-etcd":
            // Of three writes that hung, the first was applied.
            #expect(store.pending.map(\.verb) == [.update, .create, .update])
            advance(to: 2012, line)
            setClock(["time": "2026-11-29T16:08:11Z"])
            let first = Mutex(true)
            store.resume { _ in
                first.withLock { (isFirst: inout Bool) in
                    defer { isFirst = false }
                    return isFirst
                }
            }
        case "stop-etcd": store.set(.stopped)
        case "start-etcd": store.resume()
        case nil:
            let after = try #require(line.whole["holders_afterwards"]?.objectValue)
            store.resume { after[$0.key.name] == "late" }
            #expect(after.members.count == 8)
            for member in after.members { #expect(store.holder(member.name) == member.value.stringValue, "\(line)") }
        case let other?: Issue.record("not replayed: \(other)")
        }
    }

    // MARK: Watches

    /// Replays a watch: the writes behind its events are made while it runs.
    /// - Parameter background: what else happens while it runs.
    func replayWatch(_ line: KubernetesRecording.Line) throws {
        let events = line.events ?? []
        // Those that come with the answer are of the past.
        let initial = events.filter { $0.time < 100 }
        for event in initial { if let version = Self.bookmark(event) { advance(to: version, line) } }
        let outcome = api.handle(request(line))
        let watch = try #require(outcome.watch, "\(line)")
        compareEvents(watch.take(), initial, line)
        try whileWatching(line)
        for event in events.dropFirst(initial.count) {
            #expect(watch.end == nil, "\(line)")
            try cause(event, line)
            compareEvents(watch.take(), [event], line)
            betweenEvents(line)
        }
        let last = events.last?.time ?? 0
        if line.ended == "by the recorder" {
            pass(milliseconds: max(0, (line.elapsed ?? 0) - last - 50))
            #expect(watch.end == nil, "\(line)")
            #expect(watch.take().isEmpty, "\(line)")
            watch.cancel()
        } else {
            if line.query.contains(where: { $0.name == "timeoutSeconds" }), events.last?.type != "ERROR" {
                pass(milliseconds: (line.elapsed ?? 0) - 50)
                #expect(watch.end == nil, "\(line)")
                pass(milliseconds: 50)
            }
            #expect(watch.end == .orderly, "\(line)")
        }
    }

    private func whileWatching(_ line: KubernetesRecording.Line) throws {
        // A change that a watch from a future version does not report.
        if line.step == 154 { try put(try #require(lines[156].response), line) }
    }

    /// Faults of etcd between the events of a watch.
    private func betweenEvents(_ line: KubernetesRecording.Line) {
        guard line.step == 352 else { return }
        store.set(.stopped)
        store.resume()
    }

    private static func bookmark(_ event: KubernetesRecording.Event) -> UInt64? {
        event.type == "BOOKMARK" ? event.object["metadata"]?["resourceVersion"]?.stringValue.flatMap { UInt64($0) } : nil
    }

    /// Makes the change that an event reports.
    func cause(_ event: KubernetesRecording.Event, _ line: KubernetesRecording.Line) throws {
        if let version = Self.bookmark(event) {
            advance(to: version, line)
            if event.time > 10_000 { pass(milliseconds: event.time + 1) } else { api.sendBookmarks() }
            return
        }
        let version = try #require(event.object["metadata"]?["resourceVersion"]?.stringValue.flatMap { UInt64($0) })
        let name = event.object["metadata"]?["name"]?.stringValue ?? ""
        switch event.type {
        case "DELETED":
            advance(to: version - 1, line)
            store.remove(name)
        case "MODIFIED" where event.object["spec"] == nil:
            // Only the metadata is recorded.
            setClock(event.object)
            advance(to: version - 1, line)
            guard let lease = store.lease(name)?.objectValue, var spec = lease["spec"]?.objectValue else { return }
            var changed = lease
            spec["renewTime"] = .string(clock.time.withLock { $0 }.rfc3339(fractionDigits: 6))
            changed["spec"] = .object(spec)
            try store.put(.object(changed), by: "qq")
        default: try put(event.object, line)
        }
    }

    func compareEvents(_ ours: [JSONValue], _ theirs: [KubernetesRecording.Event], _ line: KubernetesRecording.Line) {
        #expect(ours == theirs.map(\.json), "\(line)\n     ours: \(shown(.array(ours)))\n   theirs: \(shown(.array(theirs.map(\.json))))")
    }
}
