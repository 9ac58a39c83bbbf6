import QQCore
import Synchronization

/// A Kubernetes API server for leases, without a network: a request in, an answer out. It answers like the recordings of a real one
/// (`KubernetesReplayTests`), and faults can be switched on.
///
///     let api = LeaseAPI()                                    // or LeaseAPI(store: LeaseStore(clock: …))
///     api.answer("PUT", "/apis/coordination.k8s.io/v1/namespaces/team/leases/jobs", body: lease)?.status
///     api.fail([.update], with: .timeout(applied: .yes))      // the next PUT is carried out and answered with 504
///     api.count(.update)
///
/// Without a user in the request, it is the administrator who asks.
public final class LeaseAPI: Sendable {
    struct State {
        var settings: Settings
        var faults: [FaultRule] = []
        /// The last calls, in order.
        var calls: [Call] = []
        var earlierCalls = 0
        /// Numbers of all calls for leases, by verb and name.
        var counts: [Verb: [String: Int]] = [:]
        var isTerminating = false
    }

    /// This server's cache of etcd, and the watches that it serves from it.
    struct Cache {
        /// The version at which the server began to watch: events from before are not there.
        var start: UInt64
        /// The version at which the cache has stopped; nil if it follows etcd. Reads with `resourceVersion=0` return the state of that version.
        var stale: UInt64?
        /// Whether watches are silent although the cache is fresh.
        var isSilent = false
        var watches: [Watch] = []
        /// Watches that never get an event.
        var mute: [Watch] = []
    }

    public let store: LeaseStore
    let state: Mutex<State>
    let cache: Mutex<Cache>

    public init(store: LeaseStore = LeaseStore(), settings: Settings = Settings()) {
        self.store = store
        state = Mutex(State(settings: settings))
        cache = Mutex(Cache(start: store.version))
        store.subscribe { [weak self] in self?.hear($0) }
    }

    public var settings: Settings { state.withLock { $0.settings } }

    /// Changes settings from now on: expire a token, give a role, take it away.
    public func change(_ change: (inout Settings) -> Void) { state.withLock { change(&$0.settings) } }

    // MARK: Calls

    /// The answer to a call, which must get one.
    /// - Parameter user: the user of the client certificate.
    /// - Returns: nil for a watch and for a call without an answer.
    public func answer(
        _ method: String, _ path: String, query: [(name: String, value: String)] = [], headers: [(name: String, value: String)] = [],
        body: JSONValue? = nil, as user: User = .admin
    ) -> Answer? {
        let bytes = body.map { JSONWriter.bytes($0) } ?? []
        return handle(Request(method, path, query: query, headers: headers, body: bytes, certificate: user)).answer
    }

    /// Opens a watch of the leases of a namespace.
    /// - Returns: nil if the server answers otherwise; `handle` returns the answer.
    public func watch(
        in namespace: String = "team", query: [(name: String, value: String)] = [], as user: User = .admin
    ) -> Watch? {
        handle(
            Request(
                "GET", "/apis/coordination.k8s.io/v1/namespaces/\(namespace)/leases", query: [("watch", "1")] + query, certificate: user)
        ).watch
    }

    /// The outcome of a request.
    public func handle(_ request: Request) -> Outcome {
        let call = Attributes(request)
        let number = note(request, call)
        let outcome = outcome(request, call, number)
        let status: Int? =
            switch outcome {
            case .answer(let answer): answer.status
            case .stream: 200
            case .silence: nil
            }
        change(number) { $0.status = status }
        return outcome
    }

    private func outcome(_ request: Request, _ call: Attributes, _ number: Int) -> Outcome {
        do throws(APIStatus) {
            let user = try authenticate(request)
            change(number) { $0.user = user.name }
            try authorize(call, user)
            if let fault = takeFault(call, user) { return suffer(fault, request, call, user) }
            return perform(request, call, user)
        } catch { return .answer(Self.answer(error)) }
    }

    /// Carries out a request that is allowed.
    func perform(_ request: Request, _ call: Attributes, _ user: User) -> Outcome {
        do throws(APIStatus) {
            guard let verb = call.verb else { return .answer(try nonResource(request, call)) }
            guard request.body.count <= 3_145_728 else {
                throw APIStatus(
                    code: 413, reason: "RequestEntityTooLarge", message: "Request entity too large: limit is 3145728", closes: true)
            }
            if call.resource.hasPrefix("selfsubject"), verb == .create { return .answer(try review(request, call, user)) }
            if call.group.isEmpty, call.resource == "namespaces" { return .answer(try namespaces(call)) }
            guard call.isLeases else { return .answer(try unknownResource(call)) }
            let format = try Format(request, now: store.now)
            let limit = try timeLimit(request)
            if verb == .watch { return try openWatch(request, call, format) }
            if let silence = hang(request, call, user, limit) { return silence }
            switch verb {
            case .get: return .answer(try get(request, call, format))
            case .list: return .answer(try list(request, call, format))
            case .create: return .answer(try create(request, call, user, format))
            case .update: return .answer(try update(request, call, user, format))
            case .patch: return .answer(try patch(request, call, user, format))
            case .delete: return .answer(try delete(request, call))
            case .deletecollection: return .answer(try deleteCollection(request, call, format))
            case .watch: return .silence(.forever)
            }
        } catch { return .answer(Self.answer(error)) }
    }

    /// The time limit of a call, by `timeout` and the server's own.
    private func timeLimit(_ request: Request) throws(APIStatus) -> Duration? {
        guard let text = request.parameter("timeout") else { return nil }
        guard let length = goDuration(text) else {
            throw .badRequest("invalid timeout specified in the request URL - time: invalid duration \(goQuoted(text))")
        }
        return length > .zero ? min(length, settings.requestTimeout) : nil
    }

    /// The outcome of a call that needs etcd while it hangs; nil if etcd works, or the cache can answer.
    private func hang(_ request: Request, _ call: Attributes, _ user: User, _ limit: Duration?) -> Outcome? {
        let condition = store.state.withLock { $0.condition }
        let isWrite = call.verb?.isWrite ?? false
        if case .alive = condition { return nil }
        if !isWrite, request.parameter("resourceVersion") == "0" { return nil }
        if case .paused = condition, isWrite { postpone(request, call, user) }
        // Without a time limit gRPC's keepalive notices first that etcd does not answer, for writes.
        if isWrite, limit == nil {
            var status = APIStatus.unavailable
            status.after = .milliseconds(23_740)
            return .answer(Self.answer(status))
        }
        return .answer(Self.timedOut(after: limit ?? settings.requestTimeout))
    }

    // MARK: Answers

    static func answer(_ status: APIStatus) -> Answer {
        var headers: [(name: String, value: String)] = []
        if let seconds = status.details?.retryAfterSeconds, seconds > 0 { headers.append(("retry-after", "\(seconds)")) }
        var answer = answer(status.code, status.json, headers: headers)
        (answer.after, answer.closes) = (status.after, status.closes)
        return answer
    }

    static func answer(_ status: Int, _ document: JSONValue, headers: [(name: String, value: String)] = []) -> Answer {
        Answer(status: status, contentType: "application/json", headers: headers, body: JSONWriter.bytes(document) + [10], after: .zero)
    }

    static func plain(_ status: Int, _ text: String, headers: [(name: String, value: String)] = []) -> Answer {
        Answer(status: status, contentType: "text/plain; charset=utf-8", headers: headers, body: Array(text.utf8), after: .zero)
    }

    static func timedOut(after time: Duration) -> Answer {
        var answer = plain(504, JSONWriter.string(APIStatus.timeout.withoutKind))
        answer.after = time
        return answer
    }

    static func tooManyRequests(_ seconds: Int?) -> Answer {
        plain(429, "Too many requests, please try again later.\n", headers: seconds.map { [("retry-after", "\($0)")] } ?? [])
    }
}

/// A duration as Go's `time.ParseDuration` reads it; nil for other text.
func goDuration(_ text: String) -> Duration? {
    if text == "0" { return .zero }
    var rest = Substring(text)
    let isNegative = rest.first == "-"
    if isNegative || rest.first == "+" { rest = rest.dropFirst() }
    var total = 0.0
    if rest.isEmpty { return nil }
    while !rest.isEmpty {
        let digits = rest.prefix { $0.isNumber || $0 == "." }
        rest = rest.dropFirst(digits.count)
        let unit = rest.prefix { !$0.isNumber && $0 != "." }
        rest = rest.dropFirst(unit.count)
        let lengths = ["ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600]
        guard let number = Double(digits), let length = lengths[String(unit)] else { return nil }
        total += number * length
    }
    return .seconds(saturating: isNegative ? -total : total)
}

// MARK: Recorded calls

extension LeaseAPI {
    /// The calls so far, in order; the last 10,000 at least.
    public var calls: [Call] { state.withLock { $0.calls } }

    /// Number of all calls for leases with this verb, whatever their answers.
    /// - Parameter name: only of this lease; nil for all, and for lists and watches of all.
    public func count(_ verb: Verb, name: String? = nil) -> Int {
        state.withLock { state in
            let counts = state.counts[verb] ?? [:]
            return name.map { counts[$0] ?? 0 } ?? counts.values.reduce(0, +)
        }
    }

    public func forgetCalls() {
        state.withLock { state in
            state.earlierCalls += state.calls.count
            (state.calls, state.counts) = ([], [:])
        }
    }

    private static let callLimit = 20_000

    private func note(_ request: Request, _ call: Attributes) -> Int {
        var name = call.name
        if name.isEmpty, call.verb == .create, let sent = try? JSONValue.parse(request.body) {
            name = sent["metadata"]?["name"]?.stringValue ?? ""
        }
        let seen = Call(
            verb: call.verb, namespace: call.namespace, name: name, user: "", method: request.method, path: request.path,
            query: request.query, headers: request.headers, body: request.body, status: nil, time: store.now())
        return state.withLock { state in
            if state.calls.count >= Self.callLimit {
                state.calls.removeFirst(Self.callLimit / 2)
                state.earlierCalls += Self.callLimit / 2
            }
            state.calls.append(seen)
            if let verb = seen.verb, call.isLeases { state.counts[verb, default: [:]][name, default: 0] += 1 }
            return state.earlierCalls + state.calls.count - 1
        }
    }

    /// Changes a noted call, if it is still kept.
    private func change(_ number: Int, _ change: (inout Call) -> Void) {
        state.withLock { state in
            let index = number - state.earlierCalls
            if state.calls.indices.contains(index) { change(&state.calls[index]) }
        }
    }
}
