import QQCore
import QQHTTP
import QQNetwork
import Testing

@testable import QQKubernetes

/// Failures of the API server as users see them. Messages are those of kube-apiserver 1.36 (kubernetes-lease.jsonl).
@Suite struct ToldFailureTests {
    private static let system = ServerURL.System(
        name: "kubernetes", schemes: [.init("k8s")], authority: .name("the context"), path: .prefix)

    private func told(
        _ status: Int?, _ message: String, reason: String? = nil, kind: String? = nil, causes: [String] = [], retryAfter: Duration? = nil,
        transport: HTTPFailure? = nil, credential: String = "the token of user \"ops\" (/etc/kubeconfig)",
        verb: LeasePermission.Verb = .update
    ) throws -> CoordinationError {
        let server = try ServerURL.parse("k8s://prod/team", as: [Self.system])
        return APIFailure(
            status: status, reason: reason, message: message, kind: kind, causes: causes, retryAfter: retryAfter, transport: transport,
            endpoint: "h:6443", credential: credential
        ).told("cannot acquire web", needing: LeasePermission(verb, in: "team", name: "web"), at: server)
    }

    private func forbidden(_ user: String, _ verb: String = "update") -> String {
        "leases.coordination.k8s.io \"web\" is forbidden: User \"\(user)\" cannot \(verb) resource \"leases\" in API group \"coordination.k8s.io\" "
            + "in the namespace \"team\""
    }

    @Test func `a missing permission is named with the rule that grants it`() throws {
        let error = try told(403, forbidden("qq-ops"), reason: "Forbidden")
        #expect(error.kind == .denied)
        #expect("\(error)" == "cannot acquire web: User qq-ops is not allowed to update leases in namespace team (k8s://prod/team)")
        #expect(
            error.hint
                == "add this rule to a Role of namespace team (if it exists) that is bound to User qq-ops: "
                + "{apiGroups: [coordination.k8s.io], resources: [leases], verbs: [update]}")
    }

    @Test func `the verb is the one that the server named`() throws {
        #expect(try told(403, forbidden("qq-ops", "create")).hint?.contains("verbs: [create]") == true)
    }

    @Test func `a service account is named as role bindings name it`() throws {
        let error = try told(403, forbidden("system:serviceaccount:team:elector"))
        #expect(error.hint?.contains("bound to ServiceAccount elector of namespace team:") == true)
    }

    @Test func `a request that the server took for anonymous says which credential was used`() throws {
        let error = try told(403, forbidden("system:anonymous"))
        #expect(error.kind == .denied)
        #expect(error.reason == "the server takes us for anonymous, with the token of user \"ops\" (/etc/kubeconfig)")
        #expect(error.hint?.contains("apiGroups") == false)
    }

    @Test func `impersonation that is not allowed asks for a rule of a ClusterRole`() throws {
        let error = try told(
            403,
            "users \"alice\" is forbidden: User \"qq-ops\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope")
        #expect(error.reason == "User qq-ops is not allowed to impersonate users")
        #expect(
            error.hint == "add this rule to a ClusterRole that is bound to User qq-ops: "
                + "{apiGroups: [\"\"], resources: [users], resourceNames: [alice], verbs: [impersonate]}")
    }

    @Test func `an admission plugin's refusal is shown as it is, without a rule`() throws {
        let message = "leases.coordination.k8s.io \"web\" is forbidden: exceeded quota: leases"
        let error = try told(403, message)
        #expect(error.kind == .denied)
        #expect(error.reason == message)
        #expect(error.hint == nil)
    }

    @Test func `a namespace that is being deleted, or is missing, is a matter of configuration`() throws {
        let ending = try told(403, "leases \"web\" is forbidden: unable to create new content", causes: ["NamespaceTerminating"])
        #expect(ending.kind == .configuration)
        #expect(ending.reason == "the namespace team is being deleted")
        let missing = try told(404, "namespaces \"team\" not found", reason: "NotFound", kind: "namespaces", verb: .create)
        #expect(missing.kind == .configuration)
        #expect(missing.reason == "there is no namespace team")
        #expect(missing.hint?.contains("kubectl create namespace team") == true)
    }

    @Test func `a credential that is not accepted is named, and where it came from`() throws {
        let error = try told(401, "Unauthorized", reason: "Unauthorized")
        #expect(error.kind == .denied)
        #expect(error.reason == "the server does not accept the token of user \"ops\" (/etc/kubeconfig)")
    }

    @Test func `a server that requires a credential is told apart from one that does not accept it`() throws {
        let error = try told(
            401, "Unauthorized", reason: "Unauthorized", credential: "no credential: user \"ops\" has none (/etc/kubeconfig)")
        #expect(error.kind == .denied)
        #expect(error.reason == "the server requires a credential, and there is no credential: user \"ops\" has none (/etc/kubeconfig)")
        #expect(error.hint?.contains("in the kubeconfig") == true)
    }

    @Test func `a server that speaks TLS, asked without it, is broken data`() throws {
        #expect(try told(400, "Client sent an HTTP request to an HTTPS server.").kind == .brokenData)
        #expect(try told(400, "the object is wrong", reason: "BadRequest").kind == .usage)
    }

    @Test func `a server that is none of Kubernetes is broken data`() throws {
        let error = try told(404, "404 page not found\n")
        #expect(error.kind == .brokenData)
        #expect(error.reason == "404 page not found")
    }

    @Test func `too many requests are transient and certain`() throws {
        let error = try told(429, "Too many requests, please try again later.\n", retryAfter: .seconds(2))
        #expect(error.kind == .unavailable)
        #expect(!error.isUncertain)
        #expect(error.hint == "it asks to wait 2s")
    }

    @Test func `a fault of the server leaves a write uncertain, and a read not`() throws {
        let message = "Timeout: request did not complete within the allotted timeout"
        #expect(try told(504, message).isUncertain)
        let read = try told(504, message, verb: .get)
        #expect(!read.isUncertain)
        #expect(read.kind == .unavailable)
        #expect(read.hint?.contains("qq cluster-status") == true)
    }

    @Test func `an object that the server refuses is a matter of usage`() throws {
        #expect(
            try told(422, "Lease.coordination.k8s.io \"web\" is invalid: spec.leaseDurationSeconds: must be greater than 0").kind == .usage)
    }

    @Test func `without an answer, the endpoint is named, and the hint is the connection's`() throws {
        let refused = HTTPFailure(.notConnected, "Connection refused", at: "h:6443", wasSent: false)
        let error = try told(nil, "Connection refused", transport: refused)
        #expect("\(error)" == "cannot acquire web: Connection refused (h:6443)")
        #expect(error.kind == .unavailable)
        #expect(error.hint?.hasPrefix("nothing listens there") == true)
        #expect(!error.isUncertain)
        let cut = HTTPFailure(.disconnected, "Connection reset by peer", at: "h:6443", wasSent: true)
        #expect(try told(nil, "Connection reset by peer", transport: cut).isUncertain)
        #expect(try !told(nil, "Connection reset by peer", transport: cut, verb: .list).isUncertain)
    }

    @Test func `a certificate that is not trusted is a matter of configuration`() throws {
        let transport = HTTPFailure(
            .notConnected, "the server's certificate has expired", at: "h:6443", wasSent: false,
            tls: TLSFailure(.configuration, "the server's certificate has expired"))
        #expect(try told(nil, "the server's certificate has expired", transport: transport).kind == .configuration)
    }

    @Test func `a credential that cannot be had is a matter of configuration`() throws {
        #expect(try told(nil, "aws: command not found").kind == .configuration)
    }

    @Test func `text of the server is safe to show`() throws {
        #expect(try told(403, forbidden("a\u{1b}[31m")).reason.contains("\\x1b"))
        #expect(try told(500, "a\u{1b}b\nc").reason == "a\\x1bb c")
    }
}
