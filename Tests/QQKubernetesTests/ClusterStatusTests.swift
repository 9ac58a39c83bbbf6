import QQCore
import QQHTTP
import Synchronization
import Testing

@testable import QQKubernetes

/// An API server of a few lines: answers by path, and by the verb of an access review.
private final class ScriptedAPI: APICalling {
    typealias Outcome = Result<APIAnswer, APIFailure>

    let endpoint = "https://h:6443"
    private let answer: @Sendable (String) -> Outcome
    private let paths = Mutex<[String]>([])

    init(_ answer: @escaping @Sendable (String) -> Outcome) { self.answer = answer }

    var asked: [String] { paths.withLock { $0 } }

    func prepare() {}

    func call(_ request: APIRequest, until deadline: BootInstant) async throws(APIFailure) -> APIAnswer {
        var key = request.path.split(separator: "/").last.map(String.init) ?? ""
        if let verb = request.body?["spec"]?["resourceAttributes"]?["verb"]?.stringValue { key = verb }
        paths.withLock { $0.append("\(request.method.rawValue) \(request.path)") }
        return try answer(key).get()
    }

    func stream(_ request: APIRequest, until deadline: BootInstant) async throws(APIFailure) -> AsyncThrowingStream<JSONValue, any Error> {
        throw ScriptedAPI.failure(404, "not found")
    }

    func close() async {}

    static func failure(_ status: Int?, _ message: String) -> APIFailure {
        APIFailure(
            status: status, message: message,
            transport: status == nil ? HTTPFailure(.notConnected, message, at: "h:6443", wasSent: false) : nil, endpoint: "h:6443",
            credential: "the token of user \"ops\" (/etc/kubeconfig)")
    }

    static func json(_ body: JSONValue) -> Outcome { .success(APIAnswer(status: 200, body: body, text: "")) }
}

private struct StoppedClock: LeaseClock {
    func now() -> BootInstant { BootInstant(nanoseconds: 1) }
    func sleep(until deadline: BootInstant) async throws {}
}

@Suite struct ClusterStatusTests {
    /// A server that is well, where user qq-ops has the permissions of a role.
    private static func well(_ key: String, allowed: Set<String> = ["get", "create", "update"]) -> ScriptedAPI.Outcome {
        switch key {
        case "version": ScriptedAPI.json(["gitVersion": "v1.36.2"])
        case "readyz", "livez": .success(APIAnswer(status: 200, body: .null, text: "[+]ping ok\n"))
        case "selfsubjectreviews": ScriptedAPI.json(["status": ["userInfo": ["username": "qq-ops"]]])
        default: ScriptedAPI.json(["status": ["allowed": .bool(allowed.contains(key))]])
        }
    }

    private func report(_ answer: @escaping @Sendable (String) -> ScriptedAPI.Outcome) async -> (status: EndpointStatus, api: ScriptedAPI) {
        let api = ScriptedAPI(answer)
        return (await ClusterStatus(api: api, namespace: "team", clock: StoppedClock(), limit: .seconds(5)).endpoint(), api)
    }

    private static func anonymous(_ verb: String, _ resource: String, _ group: String) -> String {
        "\(resource).\(group) is forbidden: User \"system:anonymous\" cannot \(verb) resource \"\(resource)\" in API group \"\(group)\" at the "
            + "cluster scope"
    }

    @Test func `get, create and update are enough to grant, and the rule names what is missing`() async {
        let (status, _) = await report { Self.well($0) }
        #expect(status.isReachable && status.canGrant && status.problem == nil)
        #expect(status.details["version"] == "v1.36.2")
        #expect(status.details["user"] == "qq-ops")
        #expect(status.details["can_update"] == true && status.details["can_watch"] == false)
        #expect(
            status.details["missing_rule"]
                == ["- apiGroups: [coordination.k8s.io]", "  resources: [leases]", "  verbs: [list, watch]"])
    }

    @Test func `without update nothing can be granted, and the problem says so`() async {
        let (status, _) = await report { Self.well($0, allowed: ["get", "list", "watch"]) }
        #expect(status.isReachable && !status.canGrant)
        #expect(status.problem == "not allowed in namespace team: create, update leases")
    }

    @Test func `with all permissions no rule is missing`() async {
        let (status, _) = await report { Self.well($0, allowed: ["get", "create", "update", "list", "watch"]) }
        #expect(status.details["missing_rule"] == nil)
    }

    @Test func `a server that is not ready cannot grant, and the checks that fail are named`() async {
        let (status, _) = await report { key in
            key == "readyz" || key == "livez"
                ? .failure(
                    ScriptedAPI.failure(500, "[+]ping ok\n[-]etcd failed: reason withheld\n[+]log ok\n[-]shutdown failed: x\nhealthz"))
                : Self.well(key)
        }
        #expect(!status.canGrant)
        #expect(status.problem == "the server is not ready: etcd, shutdown")
        #expect(status.details["failing_checks"] == ["etcd", "shutdown"])
    }

    @Test func `a server that is ready but not live can still grant`() async {
        let (status, _) = await report { $0 == "livez" ? .failure(ScriptedAPI.failure(500, "[-]etcd failed: x")) : Self.well($0) }
        #expect(status.canGrant && status.details["live"] == false && status.details["failing_checks"] == ["etcd"])
    }

    @Test func `a credential that is not accepted is the problem, and the server is reachable`() async {
        let (status, _) = await report { _ in .failure(ScriptedAPI.failure(401, "Unauthorized")) }
        #expect(status.isReachable && !status.canGrant)
        #expect(status.problem == "the server does not accept the token of user \"ops\" (/etc/kubeconfig)")
        #expect(status.details["user"] == .null && status.details["can_get"] == .null)
    }

    @Test func `an anonymous user is told to be one`() async {
        let (status, _) = await report { key in
            switch key {
            case "version", "readyz", "livez": Self.well(key)
            case "selfsubjectreviews":
                .failure(ScriptedAPI.failure(403, Self.anonymous("create", "selfsubjectreviews", "authentication.k8s.io")))
            default: .failure(ScriptedAPI.failure(403, Self.anonymous("create", "selfsubjectaccessreviews", "authorization.k8s.io")))
            }
        }
        #expect(!status.canGrant)
        #expect(status.details["user"] == "system:anonymous")
        #expect(status.problem?.hasPrefix("the server takes us for anonymous") == true)
    }

    @Test func `reviews that are forbidden leave open what is allowed`() async {
        let (status, _) = await report { key in
            ["version", "readyz", "livez"].contains(key) ? Self.well(key) : .failure(ScriptedAPI.failure(404, "404 page not found"))
        }
        #expect(status.isReachable && status.details["can_create"] == .null && status.details["user"] == .null)
        #expect(status.problem == "404 page not found" && !status.canGrant)
    }

    @Test func `a server that does not answer is not reachable`() async {
        let (status, api) = await report { _ in .failure(ScriptedAPI.failure(nil, "Connection refused")) }
        #expect(!status.isReachable && !status.canGrant && status.problem == "Connection refused")
        #expect(api.asked.count == 1)
    }

    @Test func `nothing is stored: requests that are not reads are reviews`() async {
        let (_, api) = await report { Self.well($0) }
        #expect(api.asked.allSatisfy { $0.hasPrefix("GET ") || $0.contains("/selfsubject") })
    }
}
