import QQCore
import QQHTTP
import QQNetwork
import Support

/// How a test's client and server speak.
enum Version: Sendable, CaseIterable, CustomStringConvertible {
    /// HTTP/1.1 without TLS.
    case plain
    /// HTTP/1.1 with TLS.
    case http1
    case http2

    var description: String {
        switch self {
        case .plain: "http"
        case .http1: "https with HTTP/1.1"
        case .http2: "https with HTTP/2"
        }
    }
}

/// Certificates and settings of one test.
struct Fixture {
    let box: Sandbox
    let version: Version
    let certificates: Certificates?

    init(_ version: Version, in box: Sandbox) async throws {
        self.box = box
        self.version = version
        certificates = version == .plain ? nil : try await Certificates(in: box)
    }

    func server(
        maximumStreams: Int = 100, answer: @escaping @Sendable (TestRequest) -> TestReply = { .answer(200, "\($0.method) \($0.target)") }
    ) async throws -> TestServer {
        var settings = TestServer.Settings()
        settings.certificates = certificates?.server
        settings.maximumStreams = maximumStreams
        if version == .http1 { settings.protocols = ["http/1.1"] }
        return try await TestServer(settings, in: box, answer: answer)
    }

    func endpoint(_ port: Int, path: String = "", _ change: (inout HTTPSettings) -> Void = { _ in }) -> HTTPEndpoint {
        var settings = HTTPSettings()
        settings.tls.authority = (certificates?.authority).map { .file($0) }
        change(&settings)
        let server = HTTPServer(version == .plain ? .http : .https, host: "127.0.0.1", port: port, path: path)
        return HTTPEndpoint(server, settings, clock: SystemClock())
    }
}

/// Runs a test with a fixture of its own.
func withFixture(_ version: Version, _ body: (Fixture) async throws -> Void) async throws {
    _ = try await withSandbox(.light) { box in try await body(Fixture(version, in: box)) }
}

extension HTTPEndpoint {
    /// Sends a GET that can be repeated, or a PUT that cannot.
    func ask(
        _ target: String, isRepeatable: Bool = true, timeout: Duration = .seconds(60)
    ) async throws(HTTPFailure) -> HTTPAnswer {
        let request = isRepeatable ? HTTPRequest(.get, target) : HTTPRequest(.put, target, body: Array("new".utf8))
        return try await call(request, isRepeatable: isRepeatable, until: SystemClock().now() + timeout)
    }

    /// The body of an answer.
    func text(_ target: String, isRepeatable: Bool = true, timeout: Duration = .seconds(60)) async throws(HTTPFailure) -> String {
        String(decoding: try await ask(target, isRepeatable: isRepeatable, timeout: timeout).body, as: UTF8.self)
    }

    /// Makes a call that should fail; nil if it is answered.
    func failure(_ target: String, isRepeatable: Bool = true, timeout: Duration = .seconds(30)) async -> HTTPFailure? {
        do throws(HTTPFailure) {
            _ = try await ask(target, isRepeatable: isRepeatable, timeout: timeout)
            return nil
        } catch { return error }
    }

    func stream(_ target: String, timeout: Duration = .seconds(60)) async throws(HTTPFailure) -> HTTPStream {
        try await stream(HTTPRequest(.get, target), until: SystemClock().now() + timeout)
    }
}

extension HTTPLines.AsyncIterator {
    mutating func text() async throws -> String? { try await next().map { String(decoding: $0, as: UTF8.self) } }
}
