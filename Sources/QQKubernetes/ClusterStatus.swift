import QQCore
import QQHTTP

/// Asks an API server how it is, who it takes us for, and what we may do with leases. Stores nothing: the reviews are requests that the server
/// answers and forgets.
struct ClusterStatus: Sendable {
    let api: any APICalling
    let namespace: String
    let clock: any LeaseClock
    /// The limit for everything together.
    let limit: Duration

    /// Answers of the server; nil for those that it did not give.
    private struct Findings: Sendable {
        var version: String?
        var ready: Health?
        var live: Health?
        var user: String?
        var allowed: [LeasePermission.Verb: Bool] = [:]
        /// Why the server did not answer some of our requests; nil if it answered.
        var refusal: String?
    }

    /// The answer of `/readyz` or `/livez`.
    struct Health: Sendable, Hashable {
        var isWell: Bool
        /// The names of the checks that fail, such as `etcd`.
        var failing: [String]
    }

    func endpoint() async -> EndpointStatus {
        let deadline = clock.now() + limit
        var status = EndpointStatus(endpoint: api.endpoint, isReachable: false, canGrant: false)
        var findings = Findings()
        switch await ask(.init(method: .get, path: "/version"), until: deadline) {
        case .success(let answer): findings.version = Self.version(answer)
        case .failure(let failure):
            guard failure.status != nil else {
                status.problem = failure.told("", needing: nil, at: nil).reason
                return status
            }
            findings.refusal = Self.refusal(failure)
        }
        // The first request paid for the connection.
        let began = clock.now()
        _ = await ask(.init(method: .get, path: "/version"), until: deadline)
        status.roundTrip = clock.now().duration(since: began)
        status.isReachable = true
        await findOut(&findings, until: deadline)
        let needed: [LeasePermission.Verb] = [.get, .create, .update]
        status.canGrant = findings.ready?.isWell == true && needed.allSatisfy { findings.allowed[$0] == true }
        status.problem = problem(findings)
        status.details = details(findings)
        return status
    }

    // MARK: Questions

    private enum Answer: Sendable {
        case ready(Health?)
        case live(Health?)
        case user(String?, refusal: String?)
        case allowed(LeasePermission.Verb, Bool?, refusal: String?)
    }

    private func findOut(_ findings: inout Findings, until deadline: BootInstant) async {
        await withTaskGroup(of: Answer.self) { group in
            group.addTask { .ready(await health("/readyz", until: deadline)) }
            group.addTask { .live(await health("/livez", until: deadline)) }
            group.addTask { await user(until: deadline) }
            for verb in LeasePermission.Verb.allCases { group.addTask { await isAllowed(verb, until: deadline) } }
            for await answer in group {
                switch answer {
                case .ready(let health): findings.ready = health
                case .live(let health): findings.live = health
                case .user(let user, let refusal):
                    findings.user = user
                    findings.refusal = findings.refusal ?? refusal
                case .allowed(let verb, let isAllowed, let refusal):
                    findings.allowed[verb] = isAllowed
                    findings.refusal = findings.refusal ?? refusal
                }
            }
        }
    }

    private func ask(_ request: APIRequest, until deadline: BootInstant) async -> Result<APIAnswer, APIFailure> {
        do throws(APIFailure) { return .success(try await api.call(request, until: deadline)) } catch { return .failure(error) }
    }

    private static func version(_ answer: APIAnswer) -> String? { answer.body["gitVersion"]?.stringValue.map { Printable.text($0) } }

    /// The message of a failure that every request of ours will have.
    private static func refusal(_ failure: APIFailure) -> String? {
        failure.status == 401 || Refusal(failure.message, for: nil)?.isAnonymous == true
            ? failure.told("", needing: nil, at: nil).reason : nil
    }

    private func health(_ path: String, until deadline: BootInstant) async -> Health? {
        let request = APIRequest(method: .get, path: path, query: [.init("verbose", "")])
        switch await ask(request, until: deadline) {
        case .success: return Health(isWell: true, failing: [])
        // Only a server that is not well answers so. Everything else leaves its state open.
        case .failure(let failure):
            guard let status = failure.status, status >= 500 else { return nil }
            return Health(isWell: false, failing: Self.failingChecks(failure.message))
        }
    }

    /// The checks that fail, by the lines `[-]etcd failed: reason withheld`.
    static func failingChecks(_ text: String) -> [String] {
        text.split(separator: "[-]").dropFirst(text.hasPrefix("[-]") ? 0 : 1).prefix(16).map { rest in
            Printable.text(String(rest.prefix { $0 != " " && !$0.isNewline }))
        }
    }

    /// The user for whom the server takes us. Servers before 1.28 cannot be asked.
    private func user(until deadline: BootInstant) async -> Answer {
        let review: JSONValue = ["apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"]
        let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        switch await ask(APIRequest(method: .post, path: path, body: review), until: deadline) {
        case .success(let answer): return .user(answer.body["status"]?["userInfo"]?["username"]?.stringValue, refusal: nil)
        case .failure(let failure):
            // A refusal names the user, too.
            let user = failure.status == 403 ? Refusal(failure.message, for: nil)?.user : nil
            return .user(user, refusal: Self.refusal(failure))
        }
    }

    private func isAllowed(_ verb: LeasePermission.Verb, until deadline: BootInstant) async -> Answer {
        let attributes: JSONValue = [
            "namespace": .string(namespace), "verb": .string(verb.rawValue), "group": "coordination.k8s.io", "resource": "leases",
        ]
        let review: JSONValue = [
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": ["resourceAttributes": attributes],
        ]
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        switch await ask(APIRequest(method: .post, path: path, body: review), until: deadline) {
        case .success(let answer): return .allowed(verb, answer.body["status"]?["allowed"]?.boolValue, refusal: nil)
        // Without these answers the permissions are unknown, whatever the reason.
        case .failure(let failure): return .allowed(verb, nil, refusal: failure.told("", needing: nil, at: nil).reason)
        }
    }

    // MARK: What was found

    private func problem(_ findings: Findings) -> String? {
        if let refusal = findings.refusal { return refusal }
        if let ready = findings.ready, !ready.isWell { return "the server is not ready" + Self.list(ready.failing) }
        let missing = missing(findings, among: [.get, .create, .update])
        return missing.isEmpty ? nil : "not allowed in namespace \(namespace): \(missing.map(\.rawValue).joined(separator: ", ")) leases"
    }

    private static func list(_ checks: [String]) -> String { checks.isEmpty ? "" : ": " + checks.joined(separator: ", ") }

    private func missing(_ findings: Findings, among verbs: [LeasePermission.Verb]) -> [LeasePermission.Verb] {
        verbs.filter { findings.allowed[$0] == false }
    }

    private func details(_ findings: Findings) -> [StatusDetail] {
        var details: [StatusDetail] = []
        func add(_ key: String, _ value: JSONValue?) { details.append(.init(key, value ?? .null)) }
        add("version", findings.version.map { .string($0) })
        add("ready", findings.ready.map { .bool($0.isWell) })
        add("live", findings.live.map { .bool($0.isWell) })
        let failing = (findings.ready?.failing ?? []) + (findings.live?.failing ?? [])
        if !failing.isEmpty { add("failing_checks", .array(Set(failing).sorted().map { .string($0) })) }
        add("user", findings.user.map { .string(Printable.text($0)) })
        if let refusal = findings.refusal { add("refused", .string(refusal)) }
        add("namespace", .string(namespace))
        for verb in LeasePermission.Verb.allCases { add("can_\(verb.rawValue)", findings.allowed[verb].map { .bool($0) }) }
        let missing = missing(findings, among: LeasePermission.Verb.allCases)
        if !missing.isEmpty {
            let rule = AccessRule(verbs: missing.map(\.rawValue), namespace: namespace)
            add("missing_rule", .array(rule.lines.map { .string($0) }))
        }
        return details
    }
}

extension KubernetesCoordinator {
    public func clusterStatus() async -> ClusterReport {
        let status = ClusterStatus(api: api, namespace: namespace, clock: clock, limit: requestTimeout)
        return ClusterReport(endpoints: [await status.endpoint()])
    }
}
