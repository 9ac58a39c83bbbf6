import Glibc
import QQCore
import QQHTTP
import QQNetwork
import Support
import Synchronization
import Testing

@testable import QQKubernetes

@Suite struct APIClientTests {
    private let clock = SystemClock()
    private let folder: ConfigurationFolder

    init() throws { folder = try ConfigurationFolder() }

    /// A client with a user's credential. Without TLS the kubeconfig itself would not give one.
    private func client(
        _ server: StandInServer, user: String = "{token: s3cret}", path: String = "",
        report: @escaping @Sendable (String) -> Void = { _ in }
    ) throws -> APIClient {
        var access = try folder.access(user: user)
        access.server = HTTPServer(.http, host: "127.0.0.1", port: server.port, path: path)
        return APIClient(access, ClientSurroundings(userAgent: "qq/1", requestTimeout: .seconds(60), report: report), clock: clock)
    }

    /// A server that answers like this.
    private struct Answering {
        let answer: @Sendable (StandInServer.Request) -> StandInServer.Answer

        init(_ answer: @escaping @Sendable (StandInServer.Request) -> StandInServer.Answer) { self.answer = answer }

        /// Runs the server until `body` has ended.
        func during(_ body: (StandInServer) async throws -> Void) async throws {
            let server = try await StandInServer.start(answer)
            do { try await body(server) } catch {
                try await server.stop()
                throw error
            }
            try await server.stop()
        }
    }

    private var soon: BootInstant { clock.now() + .seconds(90) }

    private static let lease = APIRequest(method: .get, path: "/apis/coordination.k8s.io/v1/namespaces/team/leases/web")

    @Test func `a request has its fields, the credential and the impersonated user`() async throws {
        try await Answering { _ in .init(body: #" {"kind":"Lease"} "#) }.during { server in
            let client = try client(server, user: "{token: s3cret, as: bob, as-groups: [g]}", path: "/prefix")
            var request = Self.lease
            request.query = [.init("timeout", "3s")]
            let answer = try await client.call(request, until: soon)
            #expect(answer == APIAnswer(status: 200, body: ["kind": "Lease"], text: ""))
            request.method = .put
            request.body = ["a": 1]
            _ = try await client.call(request, until: soon)
            let (get, put) = (server.requests[0], server.requests[1])
            #expect(get.method == "GET" && get.target == "/prefix/apis/coordination.k8s.io/v1/namespaces/team/leases/web?timeout=3s")
            #expect(get.field("Accept") == "application/json" && get.field("User-Agent") == "qq/1" && get.field("Content-Type") == nil)
            #expect(get.field("Authorization") == "Bearer s3cret")
            #expect(get.field("Impersonate-User") == "bob" && get.field("Impersonate-Group") == "g")
            #expect(put.method == "PUT" && put.body == #"{"a":1}"# && put.field("Content-Type") == "application/json")
            #expect(client.endpoint == "http://127.0.0.1:\(server.port)/prefix")
            await client.close()
        }
    }

    @Test func `an answer that is not JSON is a text`() async throws {
        try await Answering { _ in .init(body: "ok") }.during { server in
            let client = try client(server)
            #expect(
                try await client.call(.init(method: .get, path: "/readyz"), until: soon) == APIAnswer(status: 200, body: .null, text: "ok"))
            await client.close()
        }
    }

    @Test func `a refusal says which credential was used, without it`() async throws {
        try await Answering { _ in
            .init(status: 403, body: #"{"kind":"Status","message":"leases is forbidden","reason":"Forbidden","code":403}"#)
        }.during { server in
            let client = try client(server)
            let failure = try await #require(throws: APIFailure.self) { try await client.call(Self.lease, until: soon) }
            #expect(failure.status == 403 && failure.message == "leases is forbidden" && failure.endpoint == "127.0.0.1:\(server.port)")
            #expect(failure.credential == "the token of user \"ops\" (\(folder.path)/config)")
            #expect(!"\(failure)".contains("s3cret"))
            await client.close()
        }
    }

    @Test func `a request without an answer is told apart`() async throws {
        let server = try await StandInServer.start { _ in .init() }
        let port = server.port
        try await server.stop()
        let client = try client(server)
        let failure = try await #require(throws: APIFailure.self) { try await client.call(Self.lease, until: soon) }
        #expect(failure.status == nil && failure.transport?.kind == .notConnected && !failure.isUncertain, "\(failure)")
        #expect(failure.endpoint == "127.0.0.1:\(port)" && failure.message == "Connection refused")
        await client.close()
    }

    // MARK: 401

    @Test func `a fixed token that is refused is not sent again`() async throws {
        try await Answering { _ in .init(status: 401) }.during { server in
            let client = try client(server)
            #expect(try await #require(throws: APIFailure.self) { try await client.call(Self.lease, until: soon) }.status == 401)
            #expect(server.requests.count == 1)
            await client.close()
        }
    }

    @Test func `a token of a file that is refused is read again, and the request sent again once`() async throws {
        try folder.write("old", to: "token")
        try await Answering { .init(status: $0.field("Authorization") == "Bearer new" ? 200 : 401) }.during { server in
            let client = try client(server, user: "{tokenFile: token}")
            #expect(try await #require(throws: APIFailure.self) { try await client.call(Self.lease, until: soon) }.status == 401)
            #expect(server.requests.count == 1)
            try folder.write("new\n", to: "token")
            #expect(try await client.call(Self.lease, until: soon).status == 200)
            #expect(server.requests.count == 3)
            try folder.write("other", to: "token")
            #expect(try await client.call(Self.lease, until: soon).status == 200)
            #expect(server.requests.count == 4)
            await client.close()
        }
    }

    // MARK: Exec plugins

    private func plugin(_ script: String) throws -> String {
        try folder.write("#!/bin/sh\n" + script + "\n", to: "plugin.sh")
        return "{exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: ./plugin.sh}}"
    }

    /// A plugin whose tokens count its runs.
    private func countingPlugin() throws -> String {
        try plugin(
            """
            echo x >> \(folder.path)/runs
            echo run $(wc -l < \(folder.path)/runs) >&2
            echo '{"apiVersion":"client.authentication.k8s.io/v1beta1","kind":"ExecCredential","status":{"token":"'$(wc -l < \(folder.path)/runs)'"}}'
            """)
    }

    @Test func `an exec plugin is run for the first request, and again after a refusal`() async throws {
        let accepted = Mutex("1")
        let lines = Mutex<[String]>([])
        try await Answering { request in
            .init(status: accepted.withLock { request.field("Authorization") == "Bearer " + $0 } ? 200 : 401)
        }.during { server in
            let client = try client(server, user: try countingPlugin()) { line in lines.withLock { $0.append(line) } }
            client.prepare()
            for _ in 0..<3 { #expect(try await client.call(Self.lease, until: soon).status == 200) }
            #expect(server.requests.count == 3)
            accepted.withLock { $0 = "2" }
            #expect(try await client.call(Self.lease, until: soon).status == 200)
            #expect(
                server.requests.map { $0.field("Authorization") ?? "" } == ["Bearer 1", "Bearer 1", "Bearer 1", "Bearer 1", "Bearer 2"])
            #expect(lines.withLock { $0 } == ["plugin.sh: run 1", "plugin.sh: run 2"])
            // Another refusal so soon does not run it again.
            accepted.withLock { $0 = "3" }
            #expect(try await #require(throws: APIFailure.self) { try await client.call(Self.lease, until: soon) }.status == 401)
            #expect(lines.withLock { $0.count } == 2)
            await client.close()
        }
    }

    @Test func `an exec plugin that fails is the reason that nothing was sent`() async throws {
        try await Answering { _ in .init() }.during { server in
            let client = try client(server, user: try plugin("echo no login >&2; exit 4"))
            let failure = try await #require(throws: APIFailure.self) { try await client.call(Self.lease, until: soon) }
            #expect(failure.status == nil && failure.transport == nil && !failure.isUncertain && server.requests.isEmpty)
            #expect(failure.preparation?.reason == "the exec plugin plugin.sh ended with exit code 4: no login")
            let told = failure.told("cannot read web", needing: nil, at: try serverURL("k8s://x/team"))
            #expect(
                told.description
                    == "cannot read web: the exec plugin plugin.sh ended with exit code 4: no login (user \"ops\", \(folder.path)/config)")
            #expect(told.kind == .unavailable)
            await client.close()
        }
    }

    @Test func `a certificate from an exec plugin makes new connections`() async throws {
        let output = """
            {"apiVersion":"client.authentication.k8s.io/v1beta1","kind":"ExecCredential","status":{"expirationTimestamp":"2000-01-01T00:00:00Z",\
            "token":"t","clientCertificateData":"'$(wc -l < \(folder.path)/runs)'","clientKeyData":"s3cret"}}
            """
        try await Answering { _ in .init() }.during { server in
            let client = try client(server, user: try plugin("echo x >> \(folder.path)/runs; echo '\(output)'"))
            _ = try await client.call(Self.lease, until: soon)
            _ = try await client.call(Self.lease, until: soon)
            #expect(Set(server.requests.map(\.connection)).count == 2)
            await client.close()
        }
    }

    @Test func `closing ends an exec plugin that runs`() async throws {
        try await Answering { _ in .init() }.during { server in
            let client = try client(server, user: try plugin("echo x > \(folder.path)/runs; exec sleep 1000"))
            let call = Task { [soon] in try await client.call(Self.lease, until: soon) }
            try await waitUntil("the plugin runs") { access(folder.path + "/runs", F_OK) == 0 }
            await client.close()
            let failure = try await #require(throws: APIFailure.self) { try await call.value }
            #expect(failure.preparation != nil)
        }
    }

    // MARK: Streams

    @Test func `a stream gives the documents of its lines`() async throws {
        try await Answering { _ in .init(body: "{\"type\":\"ADDED\"}\n\n{\"type\":\"MODIFIED\"}\n{", isOpen: true) }.during { server in
            let client = try client(server)
            var request = APIRequest(method: .get, path: "/l")
            request.query = [.init("watch", "1")]
            var events: [JSONValue] = []
            for try await event in try await client.stream(request, until: soon) {
                events.append(event)
                if events.count == 2 { break }
            }
            #expect(events == [["type": "ADDED"], ["type": "MODIFIED"]])
            #expect(server.requests[0].target == "/l?watch=1" && server.requests[0].field("Authorization") == "Bearer s3cret")
            await client.close()
        }
    }

    @Test func `a stream ends with the answer, and a line that is not JSON is a failure`() async throws {
        try await Answering { .init(body: $0.target == "/good" ? "{\"a\":1}" : "{\"a\":1}\ns3cret\n{}\n") }.during { server in
            let client = try client(server)
            var count = 0
            for try await _ in try await client.stream(.init(method: .get, path: "/good"), until: soon) { count += 1 }
            #expect(count == 1)
            let failure = try await #require(throws: APIFailure.self) {
                for try await _ in try await client.stream(.init(method: .get, path: "/bad"), until: soon) { count += 1 }
            }
            #expect(count == 2 && failure.transport?.kind == .brokenAnswer && !"\(failure)".contains("s3cret"))
            await client.close()
        }
    }

    @Test func `a stream that is refused is a failure, and a refused token is read again for it`() async throws {
        try folder.write("old", to: "token")
        try await Answering { request in
            guard request.field("Authorization") == "Bearer new" else { return .init(status: 401, body: #"{"message":"Unauthorized"}"#) }
            return .init(status: request.target == "/gone" ? 410 : 200, body: #"{"message":"gone"}"#)
        }.during { server in
            let client = try client(server, user: "{tokenFile: token}")
            let refused = try await #require(throws: APIFailure.self) {
                try await client.stream(.init(method: .get, path: "/l"), until: soon)
            }
            #expect(refused.status == 401 && refused.message == "Unauthorized")
            try folder.write("new", to: "token")
            var count = 0
            for try await _ in try await client.stream(.init(method: .get, path: "/l"), until: soon) { count += 1 }
            #expect(count == 1)
            let gone = try await #require(throws: APIFailure.self) {
                try await client.stream(.init(method: .get, path: "/gone"), until: soon)
            }
            #expect(gone.status == 410 && gone.message == "gone")
            await client.close()
        }
    }
}
