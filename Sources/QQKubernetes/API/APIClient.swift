import QQCore
import QQHTTP
import QQNetwork
import Synchronization

/// Calls to the API server of a cluster, with its credentials.
final class APIClient: APICalling {
    private struct Connection {
        var http: HTTPEndpoint
        /// The client certificate of a plugin that the connections have.
        var certificate: Credential.ClientCertificate?
    }

    let endpoint: String
    private let access: KubernetesAccess
    private let surroundings: ClientSurroundings
    private let clock: any LeaseClock
    private let source: CredentialSource
    private let connection: Mutex<Connection>

    /// Makes no connection, and starts neither a thread nor an exec plugin.
    init(_ access: KubernetesAccess, _ surroundings: ClientSurroundings, clock: any LeaseClock) {
        self.access = access
        self.surroundings = surroundings
        self.clock = clock
        endpoint = access.server.description
        source = CredentialSource(access.credential, surroundings, clock: clock)
        connection = Mutex(Connection(http: Self.http(access, access.tls, clock)))
    }

    private static func http(_ access: KubernetesAccess, _ tls: TLSOptions, _ clock: any LeaseClock) -> HTTPEndpoint {
        var settings = HTTPSettings()
        settings.tls = tls
        settings.proxy = access.proxy
        return HTTPEndpoint(access.server, settings, clock: clock)
    }

    func prepare() {
        source.start()
        // Most exec plugins give tokens. If one gives a certificate, the connection is made again.
        connection.withLock { $0.http }.prepare()
    }

    func close() async {
        source.close()
        connection.withLock { $0.http }.close()
    }

    // MARK: Calls

    func call(_ request: APIRequest, until deadline: BootInstant) async throws(APIFailure) -> APIAnswer {
        var deadline = deadline
        let credential = try await credential(until: &deadline)
        var answer = try await send(request, credential, until: deadline)
        if answer.status == 401, let next = await source.next(after: credential, until: deadline) {
            answer = try await send(request, next, until: deadline)
        }
        guard 200..<300 ~= answer.status else { throw failure(answer) }
        let document = APIStatus.object(answer.body)
        return APIAnswer(
            status: answer.status, body: document ?? .null, text: document == nil ? String(decoding: answer.body, as: UTF8.self) : "",
            date: answer.date)
    }

    private func send(_ request: APIRequest, _ credential: Credential, until deadline: BootInstant) async throws(APIFailure) -> HTTPAnswer {
        do throws(HTTPFailure) {
            return try await http(for: credential).call(http(request, credential), isRepeatable: request.method == .get, until: deadline)
        } catch { throw failure(error) }
    }

    func stream(_ request: APIRequest, until deadline: BootInstant) async throws(APIFailure) -> AsyncThrowingStream<JSONValue, any Error> {
        var deadline = deadline
        let credential = try await credential(until: &deadline)
        var answer = try await open(request, credential, until: deadline)
        if answer.status == 401, let next = await source.next(after: credential, until: deadline) {
            answer.close()
            answer = try await open(request, next, until: deadline)
        }
        guard 200..<300 ~= answer.status else {
            throw failure(HTTPAnswer(status: answer.status, fields: answer.fields, body: try await body(of: answer, until: deadline)))
        }
        let documents = Documents(answer, from: access.server.endpoint) { [self] in failure($0) }
        return AsyncThrowingStream { try await documents.next() }
    }

    private func open(_ request: APIRequest, _ credential: Credential, until deadline: BootInstant) async throws(APIFailure) -> HTTPStream {
        do throws(HTTPFailure) {
            return try await http(for: credential).stream(http(request, credential), until: deadline)
        } catch { throw failure(error) }
    }

    private func body(of answer: HTTPStream, until deadline: BootInstant) async throws(APIFailure) -> [UInt8] {
        do throws(HTTPFailure) { return try await answer.body(until: deadline) } catch { throw failure(error) }
    }

    /// The documents of a streamed answer, one a line.
    private actor Documents {
        private let stream: HTTPStream
        private var lines: HTTPLines.AsyncIterator
        private let endpoint: String
        private let failure: @Sendable (HTTPFailure) -> APIFailure

        init(_ stream: HTTPStream, from endpoint: String, failure: @escaping @Sendable (HTTPFailure) -> APIFailure) {
            self.stream = stream
            self.endpoint = endpoint
            self.failure = failure
            lines = stream.lines.makeAsyncIterator()
        }

        func next() async throws(APIFailure) -> JSONValue? {
            while let line = try await line() {
                if line.allSatisfy({ $0 <= 0x20 }) { continue }
                do throws(JSONError) { return try JSONValue.parse(line) } catch {
                    throw failure(HTTPFailure(.brokenAnswer, "a line of the answer is not JSON", at: endpoint, wasSent: true))
                }
            }
            return nil
        }

        private func line() async throws(APIFailure) -> [UInt8]? {
            var lines = lines
            defer { self.lines = lines }
            do throws(HTTPFailure) { return try await lines.next(isolation: self) } catch { throw failure(error) }
        }
    }

    // MARK: Requests

    private func credential(until deadline: inout BootInstant) async throws(APIFailure) -> Credential {
        do throws(CoordinationError) { return try await source.current(until: &deadline) } catch {
            throw APIFailure(
                message: error.reason, preparation: error, endpoint: access.server.endpoint, credential: access.credentialDescription)
        }
    }

    /// The connections that a request with this credential goes over.
    private func http(for credential: Credential) -> HTTPEndpoint {
        let (http, old) = connection.withLock { connection -> (HTTPEndpoint, HTTPEndpoint?) in
            guard let certificate = credential.certificate, certificate != connection.certificate else { return (connection.http, nil) }
            var tls = access.tls
            let location = access.credentialDescription
            tls.certificate = .bytes(Array(certificate.certificate.utf8), from: location, hint: "clientCertificateData must be in PEM form")
            tls.key = .bytes(Array(certificate.key.text.utf8), from: location, hint: "clientKeyData must be in PEM form")
            let old = connection.http
            connection = Connection(http: Self.http(access, tls, clock), certificate: certificate)
            return (connection.http, old)
        }
        old?.close()
        return http
    }

    private func http(_ request: APIRequest, _ credential: Credential) -> HTTPRequest {
        var fields = [HTTPRequest.Field("Accept", "application/json"), .init("User-Agent", surroundings.userAgent)]
        if request.body != nil { fields.append(.init("Content-Type", "application/json")) }
        if let authorization = credential.authorization { fields.append(.init("Authorization", authorization.text)) }
        if let impersonation = access.impersonation { fields += impersonation.fields }
        return HTTPRequest(request.method, request.target, fields: fields, body: request.body.map { JSONWriter.bytes($0) })
    }

    // MARK: Failures

    private func failure(_ answer: HTTPAnswer) -> APIFailure {
        APIFailure(answer, endpoint: access.server.endpoint, credential: access.credentialDescription)
    }

    private func failure(_ error: HTTPFailure) -> APIFailure {
        APIFailure(
            message: Printable.text(error.reason), transport: error, endpoint: access.server.endpoint,
            credential: access.credentialDescription)
    }
}
